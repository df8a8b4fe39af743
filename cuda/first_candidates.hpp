// The first candidates of four neighbouring draws, from one random block.
#pragma once

#include <cstdint>

#include "bits.hpp"
#include "negpipe/core/bounded.hpp"
#include "negpipe/core/hd.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/core/weights.hpp"

namespace negpipe::cuda {

/// The first candidates of four draws, and which of their words are rejected.
/// - skip[j] != 0: draw j is not wanted; its item is any.
template <typename ItemDraw>
struct first_candidates;

template <>
struct first_candidates<core::bounded32> {
  std::int32_t item[4];  ///< exists also if the word is rejected

  NEGPIPE_HD first_candidates(core::bounded32 item_draw, const core::random_block& block, const std::uint32_t (&)[4])
      : item_draw_(item_draw), block_(block) {
    NEGPIPE_UNROLL
    for (int j = 0; j < 4; ++j) {
      std::uint32_t candidate = 0;
      least_ = lesser(least_, item_draw.low_half(block.word[j]));
      item_draw(block.word[j], candidate);
      item[j] = static_cast<std::int32_t>(candidate);
    }
  }

  /// Returns whether a word may be rejected. Rarely true.
  NEGPIPE_HD bool has_rejected() const { return least_ < item_draw_.threshold; }
  NEGPIPE_HD bool is_rejected(int j) const { return item_draw_.low_half(block_.word[j]) < item_draw_.threshold; }

 private:
  core::bounded32 item_draw_;
  const core::random_block& block_;
  std::uint32_t least_ = ~0U;
};

/// Returns columns[index] if skip is 0; else zeros without a read. Uses a predicate, as word_if_negative.
NEGPIPE_HD inline core::alias_column column_unless(std::uint32_t skip, const core::alias_column* columns,
                                                   std::uint32_t index) {
#if defined(__CUDA_ARCH__)
  core::alias_column at;
  asm("{ .reg .pred p; .reg .u64 address; setp.eq.u32 p, %4, 0; mad.wide.u32 address, %2, 8, %3; mov.u32 %0, 0; "
      "mov.u32 %1, 0; @p ld.global.nc.v2.u32 {%0, %1}, [address]; }"
      : "=&r"(at.cutoff), "=&r"(at.alias)
      : "r"(index), "l"(__cvta_generic_to_global(columns)), "r"(skip));
  return at;
#else
  return skip == 0 ? columns[index] : core::alias_column{};
#endif
}

template <>
struct first_candidates<core::weighted_draw> {
  std::int32_t item[4];

  NEGPIPE_HD first_candidates(const core::weighted_draw& item_draw, const core::random_block& block,
                              const std::uint32_t (&skip)[4]) {
    NEGPIPE_UNROLL
    for (int j = 0; j < 4; ++j) {
      const std::uint32_t column = block.word[j] >> item_draw.shift;
      const core::alias_column at = column_unless(skip[j], item_draw.columns, column);
      const std::uint32_t candidate = block.word[j] < at.cutoff ? column : at.alias;
      const bool is_accepted = candidate < item_draw.item_count;
      item[j] = is_accepted ? static_cast<std::int32_t>(candidate) : 0;
      rejected_ |= is_accepted ? 0 : 1U << j;
    }
  }

  NEGPIPE_HD bool has_rejected() const { return rejected_ != 0; }
  NEGPIPE_HD bool is_rejected(int j) const { return (rejected_ >> j & 1U) != 0; }

 private:
  std::uint32_t rejected_ = 0;
};

}  // namespace negpipe::cuda
