// The part of every backend's contract that concerns calls to refuse: include this beside backend_contract.hpp.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "equality/backend_contract.hpp"
#include "negpipe/error.hpp"

namespace negpipe::test {

/// Expects an option_error whose message contains every word.
template <typename Call>
void expect_refused(const Call& call, const std::vector<std::string>& words) {
  try {
    call();
    ADD_FAILURE() << "not rejected: " << words.front();
  } catch (const option_error& error) {
    for (const std::string& word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word << " not in: " << error.what();
    }
  }
}

TEST_P(backend_contract, rejects_item_columns_too_narrow_for_the_catalogue) {
  const dataset data = random_dataset({3, 5}, 65'537, 5);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::resample});
  point_buffer points(8, item_type::uint16, false);
  expect_refused([&] { filler->fill_training(plan, make_cycle_key(plan, 0), 0, 8, points.columns()); },
                 {"items", "uint16", "65537", "int32"});
  const evaluation_plan evaluation = plan_evaluation(data, {3, 4, true}, 1);
  row_buffer rows(4, item_type::uint16);
  expect_refused([&] { filler->fill_evaluation(evaluation, 0, 1, rows.columns()); }, {"items", "uint16", "65537"});
}

TEST_P(backend_contract, rejects_plans_and_keys_of_another_dataset) {
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const auto filler = make(index);
  point_buffer points(8, item_type::uint16, false);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::resample});
  for (const dataset& other : {dataset_with_positives(2000), random_dataset({50, 50}, 900, 5)}) {
    const training_plan foreign = plan_training(other, {1, 4, 1, 8, padding_policy::resample});
    expect_refused([&] { filler->fill_training(foreign, make_cycle_key(foreign, 0), 0, 8, points.columns()); },
                   {"another dataset"});
    const evaluation_plan foreign_rows = plan_evaluation(other, {3, 4, true}, 1);
    row_buffer rows(4, item_type::uint16);
    expect_refused([&] { filler->fill_evaluation(foreign_rows, 0, 1, rows.columns()); }, {"another dataset"});
  }
  const training_plan longer = plan_training(data, {1, 5, 1, 8, padding_policy::resample});
  expect_refused([&] { filler->fill_training(plan, make_cycle_key(longer, 0), 0, 8, points.columns()); },
                 {"cycle key", "another plan"});
}

TEST_P(backend_contract, rejects_mask_padding_without_a_mask_column) {
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::mask});
  point_buffer points(8, item_type::uint16, false);
  expect_refused([&] { filler->fill_training(plan, make_cycle_key(plan, 0), 0, 8, points.columns()); },
                 {"valid", "padding is mask"});
}

TEST_P(backend_contract, rejects_short_columns) {
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::mask});
  const core::cycle_key key = make_cycle_key(plan, 0);
  point_buffer points(8, item_type::uint16, true);
  const training_columns whole = points.columns();
  ASSERT_NO_THROW(filler->fill_training(plan, key, 0, 8, whole));
  const auto expect_short = [&](const char* name, auto shorten) {
    training_columns columns = whole;
    shorten(columns);
    expect_refused([&] { filler->fill_training(plan, key, 0, 8, columns); }, {name, "room for 7", "8 wanted"});
  };
  expect_short("users", [](training_columns& columns) { columns.users = columns.users.first(7); });
  expect_short("items", [](training_columns& columns) { columns.items = columns.items.subspan(0, 7); });
  expect_short("labels", [](training_columns& columns) { columns.labels = columns.labels.first(7); });
  expect_short("valid", [](training_columns& columns) { columns.valid = columns.valid.first(7); });

  const evaluation_plan evaluation = plan_evaluation(data, {3, 4, true}, 1);
  row_buffer rows(8, item_type::uint16);
  evaluation_columns short_mask = rows.columns();
  short_mask.duplicate_mask = short_mask.duplicate_mask.first(7);
  expect_refused([&] { filler->fill_evaluation(evaluation, 0, 2, short_mask); },
                 {"duplicate_mask", "room for 7", "8 wanted"});
}

TEST_P(backend_contract, rejects_misaligned_columns) {
  const dataset data = dataset_with_positives(100);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {1, 4, 1, 8, padding_policy::resample});
  const core::cycle_key key = make_cycle_key(plan, 0);
  alignas(8) std::byte memory[64];
  point_buffer points(8, item_type::int32, false);
  training_columns columns = points.columns();
  columns.items = {memory + 1, item_type::uint16, 8};
  expect_refused([&] { filler->fill_training(plan, key, 0, 8, columns); }, {"items", "multiple of 2", "align"});
  columns.items = {memory + 2, item_type::int32, 8};
  expect_refused([&] { filler->fill_training(plan, key, 0, 8, columns); }, {"items", "multiple of 4", "align"});
}

TEST_P(backend_contract, rejects_ranges_outside) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {4, 4, 1, 64, padding_policy::resample});
  const core::cycle_key key = make_cycle_key(plan, 0);
  point_buffer points(10, item_type::int32, false);
  const std::uint64_t end = plan.padded_count();
  EXPECT_THROW(filler->fill_training(plan, key, end - 9, 10, points.columns()), option_error);
  EXPECT_THROW(filler->fill_training(plan, key, end + 1, 0, points.columns()), option_error);
  EXPECT_THROW(filler->fill_training(plan, key, 5, ~0ULL - 2, points.columns()), option_error);
  EXPECT_NO_THROW(filler->fill_training(plan, key, end, 0, points.columns()));

  const evaluation_plan evaluation = plan_evaluation(data, {9, 20, true}, 4);
  const std::uint64_t rows = evaluation.padded_count() / 10;
  row_buffer values(10, item_type::int32);
  EXPECT_THROW(filler->fill_evaluation(evaluation, rows, 1, values.columns()), option_error);
  EXPECT_THROW(filler->fill_evaluation(evaluation, 1, ~0ULL, values.columns()), option_error);
  EXPECT_NO_THROW(filler->fill_evaluation(evaluation, rows, 0, values.columns()));
}

}  // namespace negpipe::test
