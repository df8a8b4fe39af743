// Full ranking: scores of all items, from which the training positives of each user are removed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "negpipe/dataset.hpp"

namespace negpipe {

enum class score_type : std::uint8_t { float16, bfloat16, float32, float64 };

/// A writable matrix of scores in host memory, one row a user and one column an item. Non-owning.
/// Element (r, c) is data[r * row_stride + c * item_stride]; strides are in elements, of any sign.
struct score_matrix {
  void* data = nullptr;
  score_type type = score_type::float32;
  std::int64_t row_count = 0;
  std::int64_t item_count = 0;
  std::int64_t row_stride = 0;
  std::int64_t item_stride = 1;
};

/// Sets the scores of each user's training positives to minus infinity, in place.
/// - users: [row_count]; row r belongs to users[r]. A user may stand in several rows.
/// - also: a held-out set whose items are masked too, such as validation when the test set is ranked.
/// - Throws option_error, before anything is written: `scores` of another shape, a value of `users` out of range, or
///   `also` a set that the dataset does not have.
/// - Thread-safe for different matrices. Costs one write an item, and reads no score.
void mask_positives(const dataset& data, std::span<const std::int32_t> users, const score_matrix& scores,
                    std::optional<heldout_set> also = {});

}  // namespace negpipe
