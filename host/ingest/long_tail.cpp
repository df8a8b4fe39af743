#include "long_tail.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace negpipe::ingest {

std::uint64_t muldiv(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<wide>(a) * b / c);
}

std::vector<std::uint64_t> zipf_weights(std::uint64_t count, std::uint64_t shift, unsigned exponent) {
  std::vector<std::uint64_t> weights(count);
  // The first weight is about 2^32 for every shift, so a sum over 2^31 ranks fits.
  const std::uint64_t scale = exponent == 1 ? shift << 32 : shift * shift << 32;
  for (std::uint64_t rank = 0; rank < count; ++rank) {
    const std::uint64_t base = rank + shift;
    weights[rank] = std::max<std::uint64_t>(1, scale / (exponent == 1 ? base : base * base));
  }
  return weights;
}

std::vector<std::uint64_t> apportion(std::uint64_t total, const std::vector<std::uint64_t>& weights,
                                     std::uint64_t cap) {
  std::vector<std::uint64_t> parts(weights.size(), 0);
  std::uint64_t left = total;
  // Each round distributes the rest among the parts below the cap. What exceeds the cap and what rounding leaves goes
  // into the next round. A round that distributes nothing leaves less than one per part.
  for (std::uint64_t before = left + 1; left != 0 && left != before;) {
    before = left;
    std::uint64_t open_weight = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) open_weight += parts[i] < cap ? weights[i] : 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i] == cap) continue;
      const std::uint64_t more = std::min(cap - parts[i], muldiv(before, weights[i], open_weight));
      parts[i] += more;
      left -= more;
    }
  }
  for (std::size_t i = 0; left != 0; i = (i + 1) % parts.size()) {
    if (parts[i] == cap) continue;
    ++parts[i];
    --left;
  }
  return parts;
}

weighted_draw::weighted_draw(const std::vector<std::uint64_t>& weights) : running_(weights) {
  for (std::size_t i = 1; i < running_.size(); ++i) running_[i] += running_[i - 1];
  // A table of about 2^16 entries stays in the second-level cache; the sums of a million weights do not.
  shift_ = static_cast<unsigned>(std::max(0, static_cast<int>(std::bit_width(total())) - 16));
  for (std::uint64_t k = 0; k <= total() >> shift_; ++k) first_.push_back(search(k << shift_, 0, running_.size()));
  first_.push_back(static_cast<std::uint32_t>(running_.size()));
}

std::uint32_t weighted_draw::search(std::uint64_t drawn, std::size_t begin, std::size_t end) const {
  const auto at = [&](std::size_t rank) { return running_.begin() + static_cast<std::ptrdiff_t>(rank); };
  return static_cast<std::uint32_t>(std::upper_bound(at(begin), at(end), drawn) - running_.begin());
}

std::uint32_t weighted_draw::rank_of(std::uint64_t drawn) const {
  const auto slot = static_cast<std::size_t>(drawn >> shift_);
  return search(drawn, first_[slot], std::min<std::size_t>(running_.size(), first_[slot + 1] + std::size_t{1}));
}

}  // namespace negpipe::ingest
