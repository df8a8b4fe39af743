// Deliberately broken permutations, each with a defect found in real ones. A statistical test must reject each.
#pragma once

#include <cstdint>
#include <numeric>
#include <random>
#include <span>

#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe::test::mutants {

/// A Feistel network on a domain so small that no number of rounds suffices. left_radix 0: the even near-square one.
inline core::permutation tiny_network(std::uint32_t size, int rounds, std::uint64_t key, std::uint32_t left_radix = 0) {
  core::permutation p{};
  p.size = size;
  p.left_radix = left_radix != 0 ? left_radix : core::isqrt(size) & ~1U;
  p.right_radix = static_cast<std::uint32_t>(core::ceil_div(size, p.left_radix));
  p.rounds = rounds;
  for (std::uint32_t i = 0; i < core::permutation::max_rounds; ++i) {
    p.word[i] = core::philox4x32_10(core::make_counter(core::tag::round_keys, 0, key, i / 4), 42).word[i % 4];
  }
  return p;
}

/// x -> (a x + b) mod size: a bijection if a and size have no common factor, but not a shuffle.
inline void affine(std::uint64_t key, std::span<std::uint32_t> image) {
  std::mt19937_64 generator(key);
  const std::uint64_t size = image.size();
  std::uint64_t a = generator() % size;
  while (std::gcd(a, size) != 1) a = generator() % size;
  const std::uint64_t b = generator() % size;
  for (std::uint64_t x = 0; x < size; ++x) image[x] = static_cast<std::uint32_t>((a * x + b) % size);
}

/// Swaps every element with any other: size^size equally likely runs cannot give size! equally likely orders.
inline void swap_with_any(std::uint64_t key, std::span<std::uint32_t> image) {
  std::mt19937_64 generator(key);
  std::iota(image.begin(), image.end(), 0U);
  for (auto& element : image) std::swap(element, image[generator() % image.size()]);
}

/// Folds values past the end back instead of walking on: not a bijection. For sizes above small_size.
struct folded {
  core::permutation network;

  std::uint64_t operator()(std::uint64_t x) const {
    return network.join(network.forward(network.split(x))) % network.size;
  }
};

/// The core's network over the next power of two, as in ciphers on bits: a bijection that may skip up to half of its
/// domain.
inline core::permutation over_a_power_of_two(core::permutation p) {
  const unsigned bits = core::bit_width(p.size - 1);
  p.left_radix = 1U << bits / 2;
  p.right_radix = 1U << (bits - bits / 2);
  return p;
}

}  // namespace negpipe::test::mutants
