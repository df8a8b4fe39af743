// The fast pass of verify detects an incorrect sampler: records that equal its output and are still wrong.
#include "verify_columns.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "support/datasets.hpp"

namespace negpipe::pipeline {
namespace {

/// Fills like the CPU backend, then changes values by their position in the cycle or in the evaluation data.
class altered_backend final : public backend {
 public:
  using alteration = std::function<void(std::uint64_t position, std::int32_t& user, std::uint16_t& item,
                                        std::int8_t& flag)>;

  altered_backend(const positives_index& index, alteration alter)
      : inner_(make_cpu_backend(index, 1)), alter_(std::move(alter)) {}

  std::string description() const override { return "altered"; }
  void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     const training_columns& out) const override {
    inner_->fill_training(plan, key, first, count, out);
    alter(first, count, out.users, out.items, out.labels);
  }
  /// Alters the negatives, with flag 0 and the index of the draw as position, then the positives, with flag 1 and the
  /// row as position.
  void fill_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  const pair_columns& out) const override {
    inner_->fill_pairs(plan, key, first, count, out);
    auto* positives = static_cast<std::uint16_t*>(out.items.data());
    auto* negatives = static_cast<std::uint16_t*>(out.negatives.data());
    for (std::uint64_t i = 0; i < count; ++i) {
      for (std::uint64_t k = i * plan.negatives; k < (i + 1) * plan.negatives; ++k) {
        std::int32_t user = out.users[i];
        std::int8_t negative = 0;
        alter_(first * plan.negatives + k, user, negatives[k], negative);
      }
      std::int8_t positive = 1;
      alter_(first + i, out.users[i], positives[i], positive);
    }
  }
  void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       const evaluation_columns& out) const override {
    inner_->fill_evaluation(plan, first_row, row_count, out);
    alter(first_row * plan.row_length(), row_count * plan.row_length(), out.users, out.items, out.duplicate_mask);
  }

 private:
  void alter(std::uint64_t first, std::uint64_t count, std::span<std::int32_t> users, const item_column& items,
             std::span<std::int8_t> flags) const {
    auto* values = static_cast<std::uint16_t*>(items.data());
    for (std::uint64_t i = 0; i < count; ++i) alter_(first + i, users[i], values[i], flags[i]);
  }

  std::unique_ptr<backend> inner_;
  alteration alter_;
};

/// User 0 has the items 0 to 9 and user 1 the items 5 to 29, of 60; item 50 is held out from both. 175 points a cycle.
dataset two_users() {
  std::vector<std::vector<std::int32_t>> rows(2);
  for (std::int32_t item = 0; item < 10; ++item) rows[0].push_back(item);
  for (std::int32_t item = 5; item < 30; ++item) rows[1].push_back(item);
  return test::make_dataset(std::move(rows), {50, 50}, 60);
}

sampler altered(padding_policy padding, bool mlperf, altered_backend::alteration alter) {
  const positives_index index(two_users());
  return {index, std::make_shared<altered_backend>(index, std::move(alter)),
          {.seed = 3, .batch_size = 50, .padding = padding,
           .evaluation = evaluation_options{.negatives = 20, .batch_size = 63, .mlperf = mlperf}, .threads = 1}};
}

template <typename Batch>
record_columns columns_of(const Batch& batch, std::span<const std::int8_t> flags, std::span<const std::int8_t> valid) {
  return {std::as_bytes(batch.users()),
          std::span(static_cast<const std::byte*>(batch.items().data()), batch.items().size_bytes()),
          std::as_bytes(flags), {}, std::as_bytes(valid), batch.items().type()};
}

/// Returns whether the check accepts the cycle that the sampler makes.
bool accepts_training(const sampler& source) {
  const positives_index index(source.data());
  const auto check = make_training_column_check(source, 1, index.view());
  training_batch batch = source.make_batch();
  for (std::uint64_t b = 0; b < source.batch_count(); ++b) {
    source.fill(1, b, batch);
    if (!check->agrees(b, columns_of(batch, batch.labels(), batch.valid()))) return false;
  }
  return check->concludes();
}

sampler altered_pairs(padding_policy padding, altered_backend::alteration alter) {
  const positives_index index(two_users());
  return {index, std::make_shared<altered_backend>(index, std::move(alter)),
          {.seed = 3, .negatives = 4, .epochs_per_cycle = 3, .batch_size = 20, .padding = padding,
           .layout = batch_layout::pairwise, .threads = 1}};
}

/// Returns whether the check accepts the pairwise cycle that the sampler makes.
bool accepts_pairs(const sampler& source) {
  const positives_index index(source.data());
  const auto check = make_pair_column_check(source, 1, index.view());
  pair_batch batch = source.make_pair_batch();
  for (std::uint64_t b = 0; b < source.batch_count(); ++b) {
    source.fill(1, b, batch);
    record_columns columns = columns_of(batch, {}, batch.valid());
    columns.negatives = {static_cast<const std::byte*>(batch.negatives().data()), batch.negatives().size_bytes()};
    if (!check->agrees(b, columns)) return false;
  }
  return check->concludes();
}

bool accepts_evaluation(const sampler& source) {
  const positives_index index(source.data());
  const auto check = make_evaluation_column_check(source, index.view());
  evaluation_batch batch = source.make_evaluation_batch();
  for (std::uint64_t b = 0; b < source.evaluation_batch_count(); ++b) {
    source.fill_evaluation(b, batch);
    if (!check->agrees(b, columns_of(batch, batch.duplicate_mask(), {}))) return false;
  }
  return check->concludes();
}

constexpr padding_policy resample = padding_policy::resample;

TEST(verify_columns, accepts_correct_records) {
  for (const padding_policy padding : {resample, padding_policy::mask, padding_policy::drop}) {
    for (const bool mlperf : {false, true}) {
      const sampler source = altered(padding, mlperf, [](auto, auto&, auto&, auto&) {});
      EXPECT_TRUE(accepts_training(source));
      EXPECT_TRUE(accepts_evaluation(source));
    }
  }
}

TEST(verify_columns, detects_a_batch_with_another_number) {
  const sampler source = altered(resample, false, [](auto, auto&, auto&, auto&) {});
  const positives_index index(source.data());
  const auto check = make_training_column_check(source, 1, index.view());
  training_batch batch = source.make_batch();
  source.fill(1, 2, batch);
  EXPECT_FALSE(check->agrees(1, columns_of(batch, batch.labels(), batch.valid())));
}

TEST(verify_columns, detects_a_negative_among_the_positives) {
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto position, auto& user, auto& item, auto& label) {
    if (position < 50 && label == 0 && user == 0) item = 3;
  })));
}

TEST(verify_columns, detects_a_false_positive) {
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto position, auto&, auto& item, auto& label) {
    if (position < 50 && label == 1) item = 59;
  })));
}

TEST(verify_columns, detects_a_positive_replaced_by_another) {
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto, auto& user, auto& item, auto& label) {
    if (label == 1 && user == 0 && item == 1) item = 2;
  })));
}

TEST(verify_columns, detects_negatives_with_another_user) {
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto position, auto& user, auto& item, auto& label) {
    if (position < 50 && label == 0 && item >= 30) user = 1 - user;
  })));
}

TEST(verify_columns, detects_labels_and_items_out_of_range) {
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto position, auto&, auto&, auto& label) {
    if (position == 7) label = 2;
  })));
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto position, auto&, auto& item, auto&) {
    if (position == 7) item = 60;
  })));
  EXPECT_FALSE(accepts_training(altered(resample, false, [](auto position, auto& user, auto&, auto&) {
    if (position == 7) user = -1;
  })));
}

TEST(verify_columns, detects_padding_outside_the_cycle) {
  for (const std::int8_t label : {std::int8_t{0}, std::int8_t{1}}) {
    EXPECT_FALSE(accepts_training(altered(resample, false, [&](auto position, auto& user, auto& item, auto& flag) {
      if (position < 175 && user == 0 && item == 50) item = 51;  // a pair that is not in the cycle
      if (position != 180) return;
      user = 0;
      item = 50;
      flag = label;
    }))) << "label " << int{label};
  }
}

TEST(verify_columns, accepts_correct_pairwise_records) {
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask, padding_policy::drop}) {
    EXPECT_TRUE(accepts_pairs(altered_pairs(padding, [](auto, auto&, auto&, auto&) {})));
  }
}

// 105 rows in batches of 20: record 0 holds rows 100 to 119, 15 of them padding.
TEST(verify_columns, detects_incorrect_pairwise_records) {
  EXPECT_FALSE(accepts_pairs(altered_pairs(resample, [](std::uint64_t draw, auto&, std::uint16_t& item,
                                                        std::int8_t& flag) {
    if (flag == 0 && draw == 4 * 33 + 3) item = 7;  // of both users
  }))) << "a negative among the positives";
  EXPECT_FALSE(accepts_pairs(altered_pairs(resample, [](std::uint64_t row, auto&, std::uint16_t& item,
                                                        std::int8_t& flag) {
    if (flag == 1 && row == 33) item = item == 7 ? 8 : 7;
  }))) << "a positive replaced by another";
  EXPECT_FALSE(accepts_pairs(altered_pairs(resample, [](std::uint64_t row, std::int32_t& user, auto&,
                                                        std::int8_t& flag) {
    if (flag == 1 && row == 2) user = 2;
  }))) << "a user out of range";
  EXPECT_FALSE(accepts_pairs(altered_pairs(resample, [](std::uint64_t draw, auto&, std::uint16_t& item,
                                                        std::int8_t& flag) {
    if (flag == 0 && draw == 4 * 33) item = 60;
  }))) << "a negative out of range";
  EXPECT_FALSE(accepts_pairs(altered_pairs(resample, [](std::uint64_t draw, auto&, std::uint16_t& item,
                                                        std::int8_t& flag) {
    if (flag == 0 && draw == 4 * 118) item = item == 40 ? 41 : 40;  // outside both users' positives
  }))) << "padding that repeats no row";
}

TEST(verify_columns, detects_rows_with_another_first_item) {
  EXPECT_FALSE(accepts_evaluation(altered(resample, true, [](auto position, auto&, auto& item, auto&) {
    if (position == 21) item = 51;
  })));
}

TEST(verify_columns, detects_forbidden_evaluation_negatives) {
  EXPECT_FALSE(accepts_evaluation(altered(resample, false, [](auto position, auto&, auto& item, auto&) {
    if (position == 5) item = 3;  // a training positive
  })));
  EXPECT_FALSE(accepts_evaluation(altered(resample, false, [](auto position, auto&, auto& item, auto& mask) {
    if (position != 5) return;
    item = 50;  // the held-out item, with its mask
    mask = 1;
  })));
}

TEST(verify_columns, detects_a_wrong_duplicate_mask_and_nonzero_padding_rows) {
  EXPECT_FALSE(accepts_evaluation(altered(resample, true, [](auto position, auto&, auto&, auto& mask) {
    if (position == 5) mask = static_cast<std::int8_t>(1 - mask);
  })));
  EXPECT_FALSE(accepts_evaluation(altered(resample, true, [](auto position, auto& user, auto&, auto&) {
    if (position == 50) user = 1;
  })));
}

}  // namespace
}  // namespace negpipe::pipeline
