// Scores of training positives become minus infinity, in every type and layout of memory, and no other score changes.
#include "negpipe/mask_positives.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "negpipe/error.hpp"

namespace negpipe {
namespace {

dataset small_dataset() {
  dataset_arrays arrays;
  arrays.user_offsets = {0, 2, 2, 3};
  arrays.positive_items = {0, 3, 1};
  arrays.heldout_items = {1, 0, 3};
  arrays.user_ids = std::vector<std::int64_t>{7, 8, 9};
  arrays.item_ids = std::vector<std::int64_t>{1, 2, 3, 4};
  return dataset(std::move(arrays), {});
}

const std::vector<std::int32_t> users{2, 0, 1, 0};
const std::vector<int> masked{0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1};

TEST(mask_positives, sets_the_positives_of_each_row) {
  std::vector<float> scores(16, 5.0F);
  mask_positives(small_dataset(), users, {scores.data(), score_type::float32, 4, 4, 4});
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(scores[i], masked[i] ? -std::numeric_limits<float>::infinity() : 5.0F) << i;
  }
}

TEST(mask_positives, masks_a_held_out_set_too_on_request) {
  const std::vector<int> with_test{0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1};
  std::vector<float> scores(16, 5.0F);
  mask_positives(small_dataset(), users, {scores.data(), score_type::float32, 4, 4, 4}, heldout_set::test);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(scores[i] != 5.0F, with_test[i] == 1) << i;
  EXPECT_THROW(
      mask_positives(small_dataset(), users, {scores.data(), score_type::float32, 4, 4, 4}, heldout_set::validation),
      option_error);
}

TEST(mask_positives, keeps_what_lies_between_and_around_the_rows) {
  // Columns of a transposed matrix with a row of padding, walked backwards.
  std::vector<double> memory(6 * 5, 1.0);
  double* const last_row = memory.data() + 3;
  mask_positives(small_dataset(), users, {last_row, score_type::float64, 4, 4, -1, 5});
  std::size_t changed = 0;
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t item = 0; item < 4; ++item) {
      const double value = memory[item * 5 + 3 - row];
      EXPECT_EQ(value == -std::numeric_limits<double>::infinity(), masked[row * 4 + item] == 1) << row << ' ' << item;
      changed += value != 1.0;
    }
  }
  for (const double value : memory) changed -= value != 1.0;
  EXPECT_EQ(changed, 0U);
}

TEST(mask_positives, writes_the_minus_infinity_of_half_types) {
  // Sign and all exponent bits: 5 in IEEE 754 binary16, 8 in bfloat16.
  std::vector<std::uint16_t> scores(4, 0);
  const std::vector<std::int32_t> one{2};
  mask_positives(small_dataset(), one, {scores.data(), score_type::float16, 1, 4, 4});
  EXPECT_EQ(scores, (std::vector<std::uint16_t>{0, 0b1'11111'0000000000, 0, 0}));
  mask_positives(small_dataset(), one, {scores.data(), score_type::bfloat16, 1, 4, 4});
  EXPECT_EQ(scores, (std::vector<std::uint16_t>{0, 0b1'11111111'0000000, 0, 0}));
}

std::string refusal(const std::vector<std::int32_t>& rows, std::int64_t row_count, std::int64_t item_count) {
  std::vector<float> scores(64, 1.0F);
  try {
    mask_positives(small_dataset(), rows, {scores.data(), score_type::float32, row_count, item_count, 4});
  } catch (const option_error& failure) {
    EXPECT_EQ(scores, std::vector<float>(64, 1.0F));
    return failure.what();
  }
  return "accepted";
}

TEST(mask_positives, rejects_wrong_shapes_and_users_and_writes_nothing) {
  EXPECT_EQ(refusal({}, 0, 4), "accepted");
  EXPECT_EQ(refusal({0, 1}, 2, 3),
            "scores: shape [2, 3] given; expected [2, 4], a row for each of `users` and a column for each item");
  EXPECT_EQ(refusal({0, 1}, 1, 4),
            "scores: shape [1, 4] given; expected [2, 4], a row for each of `users` and a column for each item");
  EXPECT_EQ(refusal({0, 3}, 2, 4), "users: value 1 is 3; expected a user in [0, 3)");
  EXPECT_EQ(refusal({0, -1}, 2, 4), "users: value 1 is -1; expected a user in [0, 3)");
}

}  // namespace
}  // namespace negpipe
