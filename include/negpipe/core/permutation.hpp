// A keyed permutation of [0, size) for every size in [1, 2^61], computed point by point without a table.
//
// Small sizes (at most 64) use a Fisher-Yates shuffle with unbiased draws, so each of the size! orders is equally
// likely. No cipher achieves that on a tiny domain: for example, an alternating network of additions over odd radices
// generates only even permutations, however many rounds it has.
//
// Larger sizes use a generalised Feistel network over a near-square mixed radix (Black and Rogaway, "Ciphers with
// arbitrary finite domains", CT-RSA 2002): x = left * right_radix + right with left_radix * right_radix >= size. Each
// half round adds a keyed function of one digit to the other, modulo the other's radix. Fewer than left_radix values
// lie past the size, so cycle walking (repeating until the image is inside) is rare: about one position in sqrt(size).
// The left radix is even, so that both parities occur.
//
// The number of half rounds comes from tests/statistics/permutation_test.cpp: the fewest that pass every test at that
// size, plus a margin (see rounds_for).
#pragma once

#include <cstdint>

#include "negpipe/core/arith.hpp"
#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/philox.hpp"

namespace negpipe::core {

/// A position as the network's two digits: position = left * right_radix + right.
struct digits {
  std::uint32_t left;
  std::uint32_t right;
};

/// A permutation of [0, size). Trivially copyable. Created by make().
struct permutation {
  static constexpr std::uint64_t max_size = 1ULL << 61;
  static constexpr std::uint32_t small_size = 64;  ///< largest size of an exact shuffle
  static constexpr int max_rounds = 16;

  /// One key per half round; for a small size, four swap partners per word. Aligned for vector loads on a device.
  alignas(16) std::uint32_t word[max_rounds];
  std::uint64_t size;
  std::uint32_t left_radix;
  std::uint32_t right_radix;
  int rounds;  ///< half rounds of the network; 0 for an exact shuffle

  /// Returns the half rounds for a size above small_size: 16, 12 or 8, where 10, 8 and 6 are the fewest that pass all
  /// tests (table in tests/statistics/nightly/README.md).
  static NEGPIPE_HD constexpr int rounds_for(std::uint64_t size) { return size < 1024 ? 16 : size < 65536 ? 12 : 8; }

  /// Returns the permutation named by (purpose, cycle, index) in the source's stream. 1 <= size <= max_size.
  template <typename Source>
  static NEGPIPE_HD permutation make(std::uint64_t size, Source source, tag purpose, std::uint32_t cycle,
                                     std::uint64_t index) {
    return size <= small_size ? make_small(static_cast<std::uint32_t>(size), source, purpose, cycle, index)
                              : make_network(size, source, purpose, cycle, index);
  }

  /// Returns whether the permutation is a network; otherwise it is an exact shuffle of at most small_size values.
  NEGPIPE_HD constexpr bool is_network() const { return rounds != 0; }

  /// Returns the image of x < size.
  NEGPIPE_HD std::uint64_t operator()(std::uint64_t x) const {
    if (!is_network()) return small_image(static_cast<std::uint32_t>(x));
    do {
      x = join(forward(split(x)));
    } while (x >= size);
    return x;
  }

  /// Returns the x whose image is y < size.
  NEGPIPE_HD std::uint64_t inverse(std::uint64_t y) const {
    if (!is_network()) return small_preimage(static_cast<std::uint32_t>(y));
    do {
      y = join(backward(split(y)));
    } while (y >= size);
    return y;
  }

  NEGPIPE_HD digits split(std::uint64_t x) const {
    const std::uint64_t left = x / right_radix;
    return {static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(x - left * right_radix)};
  }

  NEGPIPE_HD std::uint64_t join(digits d) const { return mul_wide(d.left, right_radix) + d.right; }

  /// Returns the radices of a network for a size above small_size.
  static NEGPIPE_HD constexpr digits radices_for(std::uint64_t size) {
    const std::uint32_t left = isqrt(size) & ~1U;
    return {left, static_cast<std::uint32_t>(ceil_div(size, left))};
  }

  /// Applies two half rounds: each digit is changed by the other.
  static NEGPIPE_HD constexpr digits double_round(digits d, digits radices, std::uint32_t left_key,
                                                  std::uint32_t right_key) {
    d.left = add_round(d.left, d.right, left_key, radices.left);
    d.right = add_round(d.right, d.left, right_key, radices.right);
    return d;
  }

  /// Applies the network once over the whole mixed radix; the result may lie past the size. Requires is_network().
  NEGPIPE_HD digits forward(digits d) const {
    for (int i = 0; i < rounds; i += 2) d = double_round(d, {left_radix, right_radix}, word[i], word[i + 1]);
    return d;
  }

  NEGPIPE_HD digits backward(digits d) const {
    for (int i = rounds; i > 0; i -= 2) {
      d.right = sub_mod(d.right, round_function(d.left, word[i - 1], right_radix), right_radix);
      d.left = sub_mod(d.left, round_function(d.right, word[i - 2], left_radix), left_radix);
    }
    return d;
  }

  /// Returns the counter of a network's round keys 4 * block .. 4 * block + 3.
  static NEGPIPE_HD constexpr counter round_key_counter(tag purpose, std::uint32_t cycle, std::uint64_t index,
                                                        std::uint32_t block) {
    return make_counter(purpose, cycle, index, block);
  }

  /// Returns the swap partner of slot i of a small permutation, drawn from [0, i]: word i mod 4 of the first of blocks
  /// i/4, i/4 + 16, i/4 + 32, ... that is accepted.
  template <typename Source>
  static NEGPIPE_HD std::uint32_t draw_partner(std::uint32_t i, Source source, tag purpose, std::uint32_t cycle,
                                               std::uint64_t index) {
    const auto below = bounded32::make(i + 1);
    std::uint32_t partner = 0;
    std::uint32_t attempt = i / 4;
    while (!below(source(make_counter(purpose, cycle, index, attempt)).any(i), partner)) attempt += small_size / 4;
    return partner;
  }

  /// The round function: maps a digit to [0, radix) with a key, by two multiplications (fold, then scale).
  static NEGPIPE_HD constexpr std::uint32_t round_function(std::uint32_t digit, std::uint32_t key,
                                                           std::uint32_t radix) {
    return mul_hi(mixed_word(digit, key), radix);
  }

 private:
  static NEGPIPE_HD constexpr std::uint32_t mixed_word(std::uint32_t digit, std::uint32_t key) {
    const std::uint32_t mixed = digit ^ key;
    return (mul_hi(mixed, philox_multiplier0) ^ mixed * philox_multiplier0) * philox_multiplier1;
  }

  // value plus the round function of the other digit, modulo value's radix. Both radices are below 2^31 for sizes up to
  // max_size, so the sum of two digits does not wrap.
  static NEGPIPE_HD constexpr std::uint32_t add_round(std::uint32_t value, std::uint32_t other, std::uint32_t key,
                                                      std::uint32_t radix) {
    const std::uint32_t sum = mul_hi_add(mixed_word(other, key), radix, value);
    const std::uint32_t reduced = sum - radix;  // wraps to a large number when sum < radix
    return sum < reduced ? sum : reduced;
  }

  static NEGPIPE_HD constexpr std::uint32_t sub_mod(std::uint32_t a, std::uint32_t b, std::uint32_t radix) {
    const std::uint32_t difference = a - b;  // wraps to a large number when a < b
    const std::uint32_t raised = difference + radix;
    return difference < raised ? difference : raised;
  }

  template <typename Source>
  static NEGPIPE_HD permutation make_network(std::uint64_t size, Source source, tag purpose, std::uint32_t cycle,
                                             std::uint64_t index) {
    permutation p{};
    p.size = size;
    const digits radices = radices_for(size);
    p.left_radix = radices.left;
    p.right_radix = radices.right;
    p.rounds = rounds_for(size);
    for (int i = 0; i < p.rounds; ++i) {
      const auto block = source(round_key_counter(purpose, cycle, index, static_cast<std::uint32_t>(i) / 4));
      p.word[i] = block.word[i % 4];
    }
    return p;
  }

  // Durstenfeld's shuffle: for i = size-1 .. 1, swap slots i and partner(i).
  template <typename Source>
  static NEGPIPE_HD permutation make_small(std::uint32_t size, Source source, tag purpose, std::uint32_t cycle,
                                           std::uint64_t index) {
    permutation p{};
    p.size = size;
    for (std::uint32_t i = 1; i < size; ++i) {
      p.word[i / 4] |= draw_partner(i, source, purpose, cycle, index) << (8 * (i % 4));
    }
    return p;
  }

  NEGPIPE_HD std::uint32_t partner(std::uint32_t i) const { return word[i / 4] >> (8 * (i % 4)) & 0xFFU; }

  NEGPIPE_HD std::uint32_t small_image(std::uint32_t slot) const {
    for (std::uint32_t i = 1; i < size; ++i) slot = swapped(slot, i);
    return slot;
  }

  NEGPIPE_HD std::uint32_t small_preimage(std::uint32_t slot) const {
    for (auto i = static_cast<std::uint32_t>(size); i-- > 1;) slot = swapped(slot, i);
    return slot;
  }

  NEGPIPE_HD std::uint32_t swapped(std::uint32_t slot, std::uint32_t i) const {
    const std::uint32_t other = partner(i);
    return slot == i ? other : slot == other ? i : slot;
  }
};

}  // namespace negpipe::core
