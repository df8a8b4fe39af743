// Long-tailed distributions in integer arithmetic, so that results do not depend on the machine's math library.
#pragma once

#include <cstdint>
#include <vector>

namespace negpipe::ingest {

/// Returns a * b / c, rounded down, without overflow. b <= c.
std::uint64_t muldiv(std::uint64_t a, std::uint64_t b, std::uint64_t c);

/// Returns weights of ranks 0 .. count-1 proportional to 1 / (rank + shift)^exponent (Zipf-Mandelbrot law). exponent is
/// 1 or 2, shift at least 1. No weight is 0, and the sum is below 2^63 for count < 2^31.
std::vector<std::uint64_t> zipf_weights(std::uint64_t count, std::uint64_t shift, unsigned exponent);

/// Splits total into parts proportional to weights, none above cap, with an exact sum. total <= cap * weights.size().
std::vector<std::uint64_t> apportion(std::uint64_t total, const std::vector<std::uint64_t>& weights, std::uint64_t cap);

/// Draws ranks in proportion to weights.
class weighted_draw {
 public:
  explicit weighted_draw(const std::vector<std::uint64_t>& weights);

  /// Returns the exclusive upper bound of the argument of rank_of().
  std::uint64_t total() const { return running_.back(); }
  std::uint32_t rank_of(std::uint64_t drawn) const;

 private:
  std::uint32_t search(std::uint64_t drawn, std::size_t begin, std::size_t end) const;

  std::vector<std::uint64_t> running_;  // running_[i] is the sum of weights 0 .. i
  unsigned shift_ = 0;
  std::vector<std::uint32_t> first_;    // first_[k] is the rank of k << shift_: bounds of the search
};

}  // namespace negpipe::ingest
