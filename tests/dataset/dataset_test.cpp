// A dataset in memory: which arrays are rejected, and what copies share.
#include "negpipe/dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "negpipe/error.hpp"
#include "support/datasets.hpp"
#include "support/refusal.hpp"

namespace negpipe {
namespace {

dataset_arrays small_arrays() {
  dataset_arrays arrays;
  arrays.user_offsets = {0, 2, 2, 3};
  arrays.positive_items = {0, 3, 1};
  arrays.heldout_items = {1, 0, 3};
  arrays.user_ids = std::vector<std::int64_t>{7, 8, 9};
  arrays.item_ids = std::vector<std::string>{"a", "", "c\n", "d"};
  return arrays;
}

std::string refusal(const std::function<void(dataset_arrays&)>& damage) {
  dataset_arrays arrays = small_arrays();
  damage(arrays);
  return test::refusal<format_error>([&] { dataset(std::move(arrays), {}); });
}

TEST(dataset, holds_the_given_arrays) {
  const dataset data(small_arrays(), {.source = "s", .row_count = 6});
  EXPECT_EQ(data.user_count(), 3);
  EXPECT_EQ(data.item_count(), 4);
  EXPECT_EQ(data.positive_count(), 3U);
  EXPECT_EQ(data.user_ids().to_string(2), "9");
  EXPECT_FALSE(data.user_ids().is_text());
  EXPECT_TRUE(data.item_ids().is_text());
  EXPECT_EQ(data.item_ids().size(), 4U);
  EXPECT_EQ(data.item_ids().to_string(1), "");
  EXPECT_EQ(data.item_ids().to_string(2), "c\n");
  EXPECT_EQ(data.origin().source, "s");
}

TEST(dataset, copies_share_the_arrays) {
  const auto data = std::make_unique<dataset>(small_arrays(), dataset_origin{});
  const dataset copy = *data;
  EXPECT_EQ(copy.positive_items().data(), data->positive_items().data());
}

TEST(dataset, rejects_inconsistent_arrays) {
  EXPECT_EQ(refusal([](auto&) {}), "accepted");
  EXPECT_EQ(refusal([](auto& a) { a.positive_items[1] = 4; }),
            "dataset arrays: positive_items: value 1 is 4, wanted an item in [0, 4); correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.positive_items[2] = -1; }),
            "dataset arrays: positive_items: value 2 is -1, wanted an item in [0, 4); correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.positive_items[1] = 0; }),
            "dataset arrays: positive_items: values 0 and 1, items of user 0, are not ascending: 0 and 0; correct the "
            "arrays");
  EXPECT_EQ(refusal([](auto& a) { a.heldout_items[2] = 1; }),
            "dataset arrays: test_items: the test item 1 of user 2 is also a training positive; correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.heldout_items[0] = 4; }),
            "dataset arrays: test_items: value 0 is 4, wanted an item in [0, 4); correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.user_offsets[0] = 1; }),
            "dataset arrays: user_offsets: the first offset is not 0; correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.user_offsets[1] = 3; }),
            "dataset arrays: user_offsets: offset 2 is 2, below the one before it, 3; correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.user_offsets[3] = 4; }),
            "dataset arrays: user_offsets: the last offset is 4, wanted 3; correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.user_offsets.pop_back(); }),
            "dataset arrays: user_offsets: 3 values, wanted one more than 3 users; correct the arrays");
  EXPECT_EQ(refusal([](auto& a) { a.heldout_items.pop_back(); }),
            "dataset arrays: test_offsets: 3 values, wanted one more than 3 users; correct the arrays");
  EXPECT_EQ(refusal([](auto& a) {
              a.positive_items.clear();
              a.user_offsets = {0, 0, 0, 0};
            }),
            "dataset arrays: positive_items: there are no training positives; correct the arrays");
  EXPECT_NE(refusal([](auto& a) { a = dataset_arrays{}; }), "accepted");
}

dataset_arrays arrays_with_sets() {
  dataset_arrays arrays = small_arrays();
  arrays.heldout_items = {1, 2, 3};
  arrays.test_offsets = {0, 2, 3, 3};
  arrays.validation_items = {0, 3};
  arrays.validation_offsets = {0, 0, 1, 2};
  return arrays;
}

TEST(dataset, holds_rows_of_held_out_items) {
  const dataset data(arrays_with_sets(), {});
  const user_items& test = data.heldout(heldout_set::test);
  EXPECT_TRUE(std::ranges::equal(test.of(0), std::vector{1, 2}));
  EXPECT_TRUE(std::ranges::equal(test.of(1), std::vector{3}));
  EXPECT_TRUE(test.of(2).empty());
  EXPECT_TRUE(std::ranges::equal(data.heldout_items(), std::vector{-1, 3, -1}));
  EXPECT_TRUE(data.has_validation());
  EXPECT_TRUE(std::ranges::equal(data.heldout(heldout_set::validation).of(2), std::vector{3}));
}

TEST(dataset, has_one_test_item_per_user_without_test_offsets) {
  const dataset data(small_arrays(), {});
  EXPECT_FALSE(data.has_validation());
  EXPECT_TRUE(std::ranges::equal(data.heldout(heldout_set::test).of(2), std::vector{3}));
  EXPECT_TRUE(std::ranges::equal(data.heldout_items(), std::vector{1, 0, 3}));
}

TEST(dataset, rejects_inconsistent_sets_of_held_out_items) {
  const auto refusal_of = [](const std::function<void(dataset_arrays&)>& damage) {
    return refusal([&](dataset_arrays& a) {
      a = arrays_with_sets();
      damage(a);
    });
  };
  EXPECT_EQ(refusal_of([](auto&) {}), "accepted");
  EXPECT_EQ(refusal_of([](auto& a) { a.heldout_items[1] = 1; }),
            "dataset arrays: test_items: values 0 and 1, items of user 0, are not ascending: 1 and 1; correct the "
            "arrays");
  EXPECT_EQ(refusal_of([](auto& a) { a.validation_items[1] = 1; }),
            "dataset arrays: validation_items: the validation item 1 of user 2 is also a training positive; correct "
            "the arrays");
  EXPECT_EQ(refusal_of([](auto& a) { a.validation_items[0] = 3; }),
            "dataset arrays: validation_items: the validation item 3 of user 1 is also a test item; correct the "
            "arrays");
  EXPECT_EQ(refusal_of([](auto& a) { a.validation_items[1] = 4; }),
            "dataset arrays: validation_items: value 1 is 4, wanted an item in [0, 4); correct the arrays");
  EXPECT_EQ(refusal_of([](auto& a) { a.validation_offsets.pop_back(); }),
            "dataset arrays: validation_offsets: 3 values, wanted one more than 3 users; correct the arrays");
  EXPECT_EQ(refusal_of([](auto& a) { a.test_offsets[3] = 2; }),
            "dataset arrays: test_offsets: offset 3 is 2, below the one before it, 3; correct the arrays");
}

TEST(dataset, digest_covers_the_sets_of_held_out_items) {
  const auto digest = [](const std::function<void(dataset_arrays&)>& change) {
    dataset_arrays arrays = arrays_with_sets();
    change(arrays);
    return dataset(std::move(arrays), {}).digest();
  };
  const std::string same = digest([](auto&) {});
  EXPECT_NE(digest([](auto& a) { a.test_offsets = {0, 1, 3, 3}; }), same);
  EXPECT_NE(digest([](auto& a) { a.validation_offsets = {0, 0, 0, 2}; }), same);
  EXPECT_NE(digest([](auto& a) { a.validation_items[1] = 0; }), same);
  EXPECT_NE(digest([](auto& a) {
              a.validation_offsets.clear();
              a.validation_items.clear();
            }),
            same);
}

// Records name the digest: those made from a folder of format 1 belong to the same data in format 2.
TEST(dataset, digest_of_one_test_item_per_user_is_that_of_format_1) {
  dataset_arrays arrays = small_arrays();
  arrays.test_offsets = {0, 1, 2, 3};
  EXPECT_EQ(dataset(std::move(arrays), {}).digest(), "075054ce316798d04a045eb6a8d57c35");
  EXPECT_EQ(dataset(small_arrays(), {}).digest(), "075054ce316798d04a045eb6a8d57c35");
}

TEST(dataset, digest_covers_what_affects_outputs) {
  const auto digest = [](const std::function<void(dataset_arrays&)>& change) {
    dataset_arrays arrays = small_arrays();
    change(arrays);
    return dataset(std::move(arrays), {}).digest();
  };
  const std::string same = digest([](auto&) {});
  EXPECT_EQ(same.size(), 32U);
  EXPECT_EQ(digest([](auto& a) { a.user_ids = std::vector<std::int64_t>{1, 2, 3}; }), same);
  EXPECT_NE(digest([](auto& a) { a.heldout_items[1] = 2; }), same);
  EXPECT_NE(digest([](auto& a) { a.positive_items[1] = 2; }), same);
  EXPECT_NE(digest([](auto& a) {
              a.user_offsets[1] = 1;
              a.user_offsets[2] = 2;
              a.heldout_items[2] = 0;
            }),
            same);
  EXPECT_NE(digest([](auto& a) { a.item_ids = std::vector<std::int64_t>{1, 2, 3, 4, 5}; }), same);
}

}  // namespace
}  // namespace negpipe
