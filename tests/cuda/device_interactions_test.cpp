// Datasets built on the device from columns in any order equal those of the host.
#include <algorithm>
#include <numeric>
#include <random>

#include "device.hpp"
#include "device_columns.hpp"
#include "negpipe/device.hpp"
#include "negpipe/error.hpp"
#include "negpipe/plan.hpp"
#include "support/datasets.hpp"
#include "support/refusal.hpp"

namespace negpipe::test {
namespace {

/// Rows on the host, and in device memory once uploaded.
struct interaction_rows {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> timestamps;

  void add(std::int32_t user, std::int32_t item, std::int64_t timestamp) {
    users.push_back(user);
    items.push_back(item);
    timestamps.push_back(timestamp);
  }
};

// The dataset's rows in any order, a third of them twice. Held-out rows are the user's latest: by timestamp alone, or,
// for equal or unused timestamps, by the order of rows.
interaction_rows shuffled_rows(const dataset& data, bool with_times) {
  interaction_rows in_order;
  for (std::int32_t u = 0; u < data.user_count(); ++u) {
    const auto row = static_cast<std::size_t>(u);
    for (std::int64_t p = data.user_offsets()[row]; p < data.user_offsets()[row + 1]; ++p) {
      const std::int32_t item = data.positive_items()[static_cast<std::size_t>(p)];
      in_order.add(u, item, -p);
      if (p % 3 == 0) in_order.add(u, item, INT64_MIN);
    }
  }
  std::vector<std::size_t> order(in_order.users.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(3));
  interaction_rows rows;
  for (const std::size_t i : order) rows.add(in_order.users[i], in_order.items[i], in_order.timestamps[i]);
  for (std::int32_t u = 0; u < data.user_count(); ++u) {
    const std::int32_t heldout = data.heldout_items()[static_cast<std::size_t>(u)];
    const std::int32_t neighbour = (heldout + 1) % data.item_count();
    const bool by_timestamp = with_times && u % 2 == 0;
    if (by_timestamp) rows.add(u, heldout, 2);
    rows.add(u, neighbour, by_timestamp ? 1 : 2);
    if (!by_timestamp) rows.add(u, heldout, 2);
  }
  return rows;
}

class device_interactions_path : public device_test {
 protected:
  void TearDown() override {
    for (auto* column : {&users_, &items_, &heldout_}) *column = {};
    timestamps_ = {};
    device_test::TearDown();
  }

  /// A sampler of rows in device memory.
  device_sampler make(const interaction_rows& rows, std::int32_t user_count, std::int32_t item_count, bool with_times,
                      const std::vector<std::int32_t>& heldout = {},
                      const std::optional<evaluation_options>& evaluation = {}, const item_weights& weights = {}) {
    users_ = upload(rows.users);
    items_ = upload(rows.items);
    timestamps_ = upload(rows.timestamps);
    heldout_ = upload(heldout);
    device_interactions data{user_count, item_count, {users_.data(), users_.size()}, {items_.data(), items_.size()}};
    if (with_times) data.timestamps = {timestamps_.data(), timestamps_.size()};
    if (!heldout.empty()) data.heldout = {heldout_.data(), heldout_.size()};
    return device_sampler(data, {.seed = 4, .batch_size = 3000, .evaluation = evaluation, .weights = weights},
                          {.stream = stream->get()});
  }

  void expect_equal(const device_sampler& sampler, const dataset& data) {
    const positives_index index(data);
    ASSERT_EQ(sampler.plan().positive_count, data.positive_count());
    device_points points(3000, item_type::uint16, false, *memory, stream->get());
    for (std::uint64_t batch = 0; batch < sampler.batch_count(); ++batch) {
      sampler.fill(1, batch, points.columns(), stream->get());
      ASSERT_EQ(points.difference(sampler.plan(), 1, batch, index.view(), stream->get()), "") << batch;
    }
    device_rows rows(sampler.evaluation_plan()->batch_size, item_type::uint16, *memory, stream->get());
    for (std::uint64_t batch = 0; batch < sampler.evaluation_batch_count(); ++batch) {
      sampler.fill_evaluation(batch, rows.columns(), {}, stream->get());
      ASSERT_EQ(rows.difference(*sampler.evaluation_plan(), batch, index.view(), stream->get()), "") << batch;
    }
  }

 private:
  cuda::device_buffer<std::int32_t> users_, items_, heldout_;
  cuda::device_buffer<std::int64_t> timestamps_;
};

// Builds the host's dataset from rows of shuffled_rows.
dataset with_neighbours_of_heldout(const dataset& data) {
  std::vector<std::vector<std::int32_t>> rows;
  for (std::int32_t u = 0; u < data.user_count(); ++u) {
    const auto row = static_cast<std::size_t>(u);
    std::vector<std::int32_t> items(data.positive_items().begin() + data.user_offsets()[row],
                                    data.positive_items().begin() + data.user_offsets()[row + 1]);
    const std::int32_t neighbour = (data.heldout_items()[row] + 1) % data.item_count();
    if (std::ranges::find(items, neighbour) == items.end()) items.push_back(neighbour);
    rows.push_back(items);
  }
  return make_dataset(rows, {data.heldout_items().begin(), data.heldout_items().end()}, data.item_count());
}

const evaluation_options some_evaluation{.negatives = 20, .batch_size = 63};

TEST_F(device_interactions_path, holds_out_the_last_row_of_each_user) {
  const dataset data = random_dataset({700, 0, 1, 300, 20, 950}, 1000, 5);
  const dataset wanted = with_neighbours_of_heldout(data);
  for (const bool with_times : {false, true}) {
    expect_equal(make(shuffled_rows(data, with_times), 6, 1000, with_times, {}, some_evaluation), wanted);
    if (HasFatalFailure()) return;
  }
}

TEST_F(device_interactions_path, holds_out_the_given_items) {
  const dataset data = random_dataset({700, 0, 1, 300, 20, 950}, 1000, 5);
  const std::vector<std::int32_t> heldout(data.heldout_items().begin(), data.heldout_items().end());
  expect_equal(make(shuffled_rows(data, true), 6, 1000, true, heldout, some_evaluation),
               with_neighbours_of_heldout(data));
}

TEST_F(device_interactions_path, draws_by_weight) {
  const dataset data = random_dataset({700, 0, 1, 300, 20, 900}, 1000, 5);
  std::vector<std::uint32_t> numbers(1000);
  for (std::uint32_t i = 0; i < 1000; ++i) numbers[i] = i % 2 == 0 ? i + 1 : 0;
  evaluation_options evaluation = some_evaluation;
  evaluation.weights = item_weights(numbers);
  const dataset wanted = with_neighbours_of_heldout(data);
  expect_equal(make(shuffled_rows(data, true), 6, 1000, true, {}, evaluation, evaluation.weights), wanted);
  expect_equal(make(shuffled_rows(data, true), 6, 1000, true, {}, evaluation), wanted);
  expect_equal(make(shuffled_rows(data, true), 6, 1000, true, {}, some_evaluation, evaluation.weights), wanted);
}

TEST_F(device_interactions_path, refuses_weights_that_do_not_fit) {
  const interaction_rows rows{{0, 0, 1, 1}, {0, 1, 2, 3}, {1, 2, 3, 4}};
  const auto refuse = [&](const std::vector<std::uint32_t>& numbers) {
    return [&, weights = item_weights(numbers)] { make(rows, 2, 4, false, {}, {}, weights); };
  };
  expect_refused("3 weights given; expected 4", refuse({1, 2, 3}));
  EXPECT_THROW(refuse({0, 0, 1, 0})(), infeasible_error) << "user 1 has no negative";
}

TEST_F(device_interactions_path, rejects_ids_out_of_range_and_names_the_row) {
  const interaction_rows good{{0, 1, 0, 1}, {0, 1, 2, 3}, {1, 2, 3, 4}};
  EXPECT_NO_THROW(make(good, 2, 4, false));
  interaction_rows bad = good;
  bad.users[2] = 2;
  expect_refused("users[2] is 2; 0 to 1", [&] { make(bad, 2, 4, false); });
  bad = good;
  bad.items[3] = -1;
  expect_refused("items[3] is -1; 0 to 3", [&] { make(bad, 2, 4, true); });
  expect_refused("heldout[1] is 4; 0 to 3", [&] { make(good, 2, 4, true, {0, 4}); });
}

TEST_F(device_interactions_path, rejects_users_without_rows_and_rows_without_positives) {
  expect_refused("user 2 has no row", [&] { make({{0, 1, 0}, {0, 1, 2}, {1, 2, 3}}, 3, 4, false); });
  expect_refused("no training positive", [&] { make({{0, 1}, {0, 1}, {1, 2}}, 2, 4, false); });
}

TEST_F(device_interactions_path, rejects_columns_that_do_not_fit) {
  const auto users = upload(std::vector<std::int32_t>{0, 0, 1});
  const std::vector<std::int32_t> on_the_host{0, 1, 2};
  const auto build = [&](std::span<const std::int32_t> items, std::span<const std::int32_t> heldout = {}) {
    device_sampler(device_interactions{2, 3, {users.data(), 3}, items, {}, heldout}, {},
                   {.stream = stream->get()});
  };
  expect_refused("items has 2 values, 3 wanted", [&] { build({users.data(), 2}); });
  expect_refused("items lies in host memory", [&] { build(on_the_host); });
  expect_refused("heldout has 3 values, 2 wanted", [&] { build({users.data(), 3}, {users.data(), 3}); });
}

TEST_F(device_interactions_path, names_users_with_too_few_items_left_for_evaluation) {
  try {
    make({{0, 0, 1, 1}, {0, 1, 2, 3}, {1, 2, 3, 4}}, 2, 4, false, {},
         evaluation_options{.negatives = 3, .batch_size = 4});
    FAIL();
  } catch (const infeasible_error& error) {
    EXPECT_NE(std::string(error.what()).find("(number 0) has 2"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace negpipe::test
