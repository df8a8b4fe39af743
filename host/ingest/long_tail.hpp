// Long-tailed numbers by integer arithmetic alone: no library function whose last bit differs between machines.
#pragma once

#include <cstdint>
#include <vector>

namespace negpipe::ingest {

/// a * b / c, rounded down, for b <= c: without overflow.
std::uint64_t muldiv(std::uint64_t a, std::uint64_t b, std::uint64_t c);

/// Weights of ranks 0 .. count-1 that fall as 1 / (rank + shift)^exponent (Zipf and Mandelbrot's law); exponent is 1
/// or 2, shift at least 1. None is 0, and the sum stays below 2^63 for count < 2^31.
std::vector<std::uint64_t> zipf_weights(std::uint64_t count, std::uint64_t shift, unsigned exponent);

/// Splits total into parts in proportion to weights, none above cap, with their sum exact. total <= cap * size.
std::vector<std::uint64_t> apportion(std::uint64_t total, const std::vector<std::uint64_t>& weights, std::uint64_t cap);

/// Draws ranks in proportion to weights.
class weighted_draw {
 public:
  explicit weighted_draw(const std::vector<std::uint64_t>& weights);

  /// Numbers below it are what rank_of takes.
  std::uint64_t total() const { return running_.back(); }
  std::uint32_t rank_of(std::uint64_t drawn) const;

 private:
  std::vector<std::uint64_t> running_;  // running_[i] is the sum of weights 0 .. i
};

}  // namespace negpipe::ingest
