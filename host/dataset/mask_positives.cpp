#include "negpipe/mask_positives.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "negpipe/error.hpp"

namespace negpipe {

namespace {

void check(const dataset& data, std::span<const std::int32_t> users, const score_matrix& scores) {
  if (scores.item_count != data.item_count() || scores.row_count != static_cast<std::int64_t>(users.size())) {
    throw option_error("scores", fmt::format("shape [{}, {}] given; expected [{}, {}], a row for each of `users` and a "
                                             "column for each item",
                                             scores.row_count, scores.item_count, users.size(), data.item_count()));
  }
  for (std::size_t row = 0; row < users.size(); ++row) {
    if (users[row] < 0 || users[row] >= data.user_count()) {
      throw option_error("users", fmt::format("value {} is {}; expected a user in [0, {})", row, users[row],
                                              data.user_count()));
    }
  }
}

/// Word: an unsigned integer of the scores' width, because not every compiler has all four floating-point types.
template <typename Word>
void mask_words(const user_items& masked, std::span<const std::int32_t> users, const score_matrix& scores,
                Word minus_infinity) {
  for (std::size_t row = 0; row < users.size(); ++row) {
    Word* const first = static_cast<Word*>(scores.data) + static_cast<std::int64_t>(row) * scores.row_stride;
    for (const std::int32_t item : masked.of(static_cast<std::size_t>(users[row]))) {
      first[item * scores.item_stride] = minus_infinity;
    }
  }
}

void mask_items(const user_items& masked, std::span<const std::int32_t> users, const score_matrix& scores) {
  switch (scores.type) {
    case score_type::float16: return mask_words<std::uint16_t>(masked, users, scores, 0xFC00U);
    case score_type::bfloat16: return mask_words<std::uint16_t>(masked, users, scores, 0xFF80U);
    case score_type::float32: return mask_words<std::uint32_t>(masked, users, scores, 0xFF800000U);
    case score_type::float64: return mask_words<std::uint64_t>(masked, users, scores, 0xFFF0000000000000U);
  }
  throw std::logic_error("unknown score type");
}

}  // namespace

void mask_positives(const dataset& data, std::span<const std::int32_t> users, const score_matrix& scores,
                    std::optional<heldout_set> also) {
  check(data, users, scores);
  if (also && data.heldout(*also).offsets.empty()) {
    throw option_error("also", "the dataset has no validation set; prepare it with a `split` that has one");
  }
  mask_items({data.user_offsets(), data.positive_items()}, users, scores);
  if (also) mask_items(data.heldout(*also), users, scores);
}

}  // namespace negpipe
