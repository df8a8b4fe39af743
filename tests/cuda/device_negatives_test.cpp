// The contract of device_negative_sampler: the bytes of negative_sampler for every membership form, and queued work.
#include "negpipe/device_negatives.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "captured_graph.hpp"
#include "device.hpp"
#include "device_columns.hpp"
#include "negpipe/error.hpp"
#include "negpipe/negative_sampler.hpp"
#include "support/datasets.hpp"
#include "support/refusal.hpp"

namespace negpipe::test {
namespace {

using items_vector = std::vector<std::int32_t>;

item_weights rising_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> weights;
  for (std::int32_t i = 0; i < item_count; ++i) weights.push_back(static_cast<std::uint32_t>(i % 11));
  return item_weights(std::move(weights));
}

/// One item has nearly all the weight, so that most draws of its users end in the draw by rank.
item_weights heavy_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> weights(static_cast<std::size_t>(item_count), 1);
  weights[0] = 2'000'000'000;
  return item_weights(std::move(weights));
}

items_vector users_in_turn(const dataset& data, std::size_t count) {
  items_vector users;
  for (std::size_t i = 0; i < count; ++i) {
    users.push_back(i % 10 == 3 ? -1 : static_cast<std::int32_t>(i * 7) % data.user_count());
  }
  return users;
}

/// Users and items of each user with each item.
std::pair<items_vector, items_vector> every_pair(const items_vector& users, const items_vector& items) {
  std::pair<items_vector, items_vector> pairs;
  for (const std::int32_t user : users) {
    pairs.first.insert(pairs.first.end(), items.size(), user);
    pairs.second.insert(pairs.second.end(), items.begin(), items.end());
  }
  return pairs;
}

/// One draw of a test, with its arrays in host memory.
struct host_call {
  items_vector users;
  std::uint32_t negatives;
  std::uint32_t at = 0;
  std::uint64_t offset = 0;
  bool distinct = false;
  items_vector excluded = {};

  draw_call of(std::uint64_t begin, std::uint64_t count) const {
    const std::uint64_t width = users.empty() ? 0 : excluded.size() / users.size();
    return {negatives, at, offset + begin, distinct, std::span(excluded).subspan(begin * width, count * width)};
  }
};

class device_negatives : public device_test, public testing::WithParamInterface<core::membership> {
 protected:
  device_options options() const { return {.stream = stream->get(), .membership = GetParam()}; }

  device_negative_sampler sampler_of(const dataset& data, const item_weights& weights = {}) const {
    return device_negative_sampler(data, {.seed = 9, .weights = weights}, options());
  }

  /// Draws the rows in parts of growing size, each with its offset, into one column with guards.
  template <typename Number>
  std::string difference(const device_negative_sampler& found, const host_call& call, const items_vector& wanted,
                         std::size_t first_part) {
    const auto users = upload(std::vector<Number>(call.users.begin(), call.users.end()));
    const auto excluded = upload(call.excluded);
    device_column out(wanted.size(), 4, *memory, stream->get());
    for (std::size_t begin = 0, size = first_part; begin < call.users.size(); begin += size, size = 3 * size + 1) {
      const std::size_t count = std::min(size, call.users.size() - begin);
      const draw_call part = call.of(begin, count);
      const std::span<const std::int32_t> taken(excluded.data() + (part.excluded.data() - call.excluded.data()),
                                                part.excluded.size());
      found.sample({users.data() + begin, count},
                   {.negatives = part.negatives, .at = part.at, .offset = part.offset, .distinct = part.distinct,
                    .excluded = taken},
                   {reinterpret_cast<std::int32_t*>(out.data()) + begin * call.negatives, count * call.negatives},
                   stream->get());
    }
    found.check(stream->get());
    return out.difference("negatives", wanted.data(), stream->get());
  }

  void expect_equal(const negative_sampler& cpu, const device_negative_sampler& found, const host_call& call) {
    items_vector wanted(call.users.size() * call.negatives);
    cpu.sample(call.users, call.of(0, call.users.size()), wanted);
    EXPECT_EQ(difference<std::int32_t>(found, call, wanted, call.users.size()), "");
    EXPECT_EQ(difference<std::int64_t>(found, call, wanted, 1), "");
  }
};

INSTANTIATE_TEST_SUITE_P(membership, device_negatives, every_membership(), membership_name);

TEST_P(device_negatives, equal_the_cpu_for_every_split_and_width_of_users) {
  const dataset data = random_dataset({20, 50, 3, 0, 250, 295}, 300, 1);
  for (const item_weights& weights : {item_weights(), rising_weights(300), heavy_weights(300)}) {
    const negative_sampler cpu(data, {.seed = 9, .weights = weights});
    const device_negative_sampler found = sampler_of(data, weights);
    for (const std::uint32_t negatives : {1U, 3U, 4U, 33U}) {
      for (const std::uint64_t offset : {0ULL, 3ULL, 1ULL << 33}) {
        expect_equal(cpu, found, {users_in_turn(data, 301), negatives, 0xFFFF'FFFF, offset});
      }
    }
    expect_equal(cpu, found, {users_in_turn(data, 5), 0});
    expect_equal(cpu, found, {{}, 4});
  }
}

TEST_P(device_negatives, equal_the_cpu_without_repeats_and_excluded_items) {
  const dataset data = random_dataset({20, 50, 3, 0, 250, 240}, 300, 1);
  for (const item_weights& weights : {item_weights(), rising_weights(300)}) {
    const negative_sampler cpu(data, {.seed = 9, .weights = weights});
    const device_negative_sampler found = sampler_of(data, weights);
    const items_vector users = users_in_turn(data, 200);
    items_vector excluded;
    for (std::int32_t i = 0; i < 200; ++i) {
      for (std::int32_t x = 0; x < 35; ++x) excluded.push_back(x % 5 == 4 ? -7 : (i + 9 * x * x) % 300);
    }
    for (const std::uint32_t negatives : {1U, 7U, 40U}) {
      if (negatives == 40 && !weights.is_uniform()) continue;  // too few items with a weight
      expect_equal(cpu, found, {users, negatives, 5, 11, true});
      expect_equal(cpu, found, {users, negatives, 5, 11, false, excluded});
    }
    expect_equal(cpu, found, {users, 7, 6, 0, true, excluded});
  }
}

TEST_P(device_negatives, a_row_may_have_all_items_that_are_left) {
  const dataset data = random_dataset({20, 60, 0, 99}, 100, 1);
  const negative_sampler cpu(data, {.seed = 9});
  const device_negative_sampler found = sampler_of(data);
  expect_equal(cpu, found, {{1, -1, 1}, 40, 2, 0, true});
  expect_equal(cpu, found, {{2}, 100, 2, 7, true});
  expect_equal(cpu, found, {{3, 3}, 1, 2, 7, true});
}

TEST_P(device_negatives, shared_items_equal_the_cpu) {
  const dataset data = random_dataset({20, 50}, 90, 1);
  const items_vector excluded{3, -1, 89, 3};
  const auto on_device = upload(excluded);
  for (const item_weights& weights : {item_weights(), rising_weights(90)}) {
    const negative_sampler cpu(data, {.seed = 9, .weights = weights});
    const device_negative_sampler found = sampler_of(data, weights);
    for (const bool distinct : {false, true}) {
      for (const std::size_t excludes : {0U, 4U}) {
        for (const std::uint32_t negatives : {1U, 66U}) {
          items_vector wanted(negatives);
          cpu.sample_shared({negatives, 4, 17, distinct, std::span(excluded).first(excludes)}, wanted);
          device_column out(negatives, 4, *memory, stream->get());
          found.sample_shared({.negatives = negatives, .at = 4, .offset = 17, .distinct = distinct,
                               .excluded = {on_device.data(), excludes}},
                              {reinterpret_cast<std::int32_t*>(out.data()), negatives}, stream->get());
          found.check(stream->get());
          EXPECT_EQ(out.difference("shared", wanted.data(), stream->get()), "");
        }
      }
    }
  }
}

TEST_P(device_negatives, a_captured_graph_draws_anew_as_the_numbers_on_the_device_advance) {
  const dataset data = random_dataset({20, 50, 3, 0, 250}, 300, 1);
  const negative_sampler cpu(data, {.seed = 9});
  const device_negative_sampler found = sampler_of(data);
  const items_vector users = users_in_turn(data, 50);
  const auto on_device = upload(users);
  auto numbers = upload(std::vector<std::int64_t>{0, 0});
  device_column own(150, 4, *memory, stream->get());
  device_column shared(10, 4, *memory, stream->get());
  const device_draw_call call{.negatives = 3, .at = 0xFFFF'FFF0, .offset = 2, .device_at = numbers.data(),
                              .device_offset = numbers.data() + 1, .distinct = true};
  device_draw_call batch = call;
  batch.negatives = 10;
  const cuda::captured_graph graph(stream->get(), [&] {
    found.sample({on_device.data(), 50}, call, {reinterpret_cast<std::int32_t*>(own.data()), 150}, stream->get());
    found.sample_shared(batch, {reinterpret_cast<std::int32_t*>(shared.data()), 10}, stream->get());
  });
  for (const std::int64_t step : {0, 1, 20}) {  // at wraps modulo 2^32
    const std::vector<std::int64_t> now{step, 2 * step - 2};
    NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(numbers.data(), now.data(), 16, cudaMemcpyHostToDevice, stream->get()));
    graph.launch(stream->get());
    items_vector wanted(150);
    const auto at = static_cast<std::uint32_t>(0xFFFF'FFF0 + step);
    const auto offset = static_cast<std::uint64_t>(2 * step);
    cpu.sample(users, {3, at, offset, true}, wanted);
    EXPECT_EQ(own.difference("own", wanted.data(), stream->get()), "") << "step " << step;
    wanted.resize(10);
    cpu.sample_shared({10, at, offset, true}, wanted);
    EXPECT_EQ(shared.difference("shared", wanted.data(), stream->get()), "") << "step " << step;
  }
}

TEST_P(device_negatives, contains_equals_the_cpu) {
  const dataset data = random_dataset({20, 50, 3, 0, 299, 300}, 301, 1);
  const negative_sampler cpu(data);
  const device_negative_sampler found = sampler_of(data);
  items_vector users = users_in_turn(data, 41);
  items_vector items{-1, -5};
  for (std::int32_t i = 0; i < 301; ++i) items.push_back(300 - i);
  const auto device_users = upload(users);
  const auto device_items = upload(std::vector<std::int64_t>(items.begin(), items.end()));
  std::vector<std::uint8_t> wanted(users.size() * items.size());
  cpu.contains_each(users, items, wanted);
  device_column mask(wanted.size(), 1, *memory, stream->get());
  const std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t*>(mask.data()), wanted.size());
  found.contains_each({device_users.data(), users.size()}, {device_items.data(), items.size()}, out, stream->get());
  EXPECT_EQ(mask.difference("each", wanted.data(), stream->get()), "");
  // The same as items of each row, and as pairs.
  const auto [of_pairs, of_rows] = every_pair(users, items);
  const auto row_items = upload(of_rows);
  const auto pair_users = upload(std::vector<std::int64_t>(of_pairs.begin(), of_pairs.end()));
  for (const device_ids& given : {device_ids{device_users.data(), users.size()},
                                  device_ids{pair_users.data(), of_pairs.size()}}) {
    mask.clear(stream->get());
    found.contains(given, {row_items.data(), of_rows.size()}, out, stream->get());
    EXPECT_EQ(mask.difference("pairs", wanted.data(), stream->get()), "");
  }
  found.check(stream->get());
}

TEST_P(device_negatives, log_q_equals_the_cpu) {
  const dataset data = random_dataset({20, 50, 3, 0, 250, 290}, 300, 1);
  const items_vector users = users_in_turn(data, 41);
  items_vector items{-1, -5};
  for (std::int32_t i = 0; i < 300; ++i) items.push_back(299 - i);
  const auto [of_pairs, of_rows] = every_pair(users, items);
  const auto device_users = upload(users);
  const auto device_items = upload(std::vector<std::int64_t>(items.begin(), items.end()));
  const auto row_items = upload(of_rows);
  for (const item_weights& weights : {item_weights(), rising_weights(300), heavy_weights(300)}) {
    const device_negative_sampler found = sampler_of(data, weights);
    std::vector<float> wanted(of_rows.size());
    negative_sampler(data, {.weights = weights}).log_q(of_pairs, of_rows, wanted);
    device_column values(wanted.size(), 4, *memory, stream->get());
    const std::span<float> out(reinterpret_cast<float*>(values.data()), wanted.size());
    found.log_q_each({device_users.data(), users.size()}, {device_items.data(), items.size()}, out, stream->get());
    EXPECT_EQ(values.difference("each", wanted.data(), stream->get()), "");
    values.clear(stream->get());
    found.log_q({device_users.data(), users.size()}, {row_items.data(), of_rows.size()}, out, stream->get());
    EXPECT_EQ(values.difference("rows", wanted.data(), stream->get()), "");
    found.check(stream->get());
  }
}

TEST_P(device_negatives, report_numbers_that_do_not_exist_once_the_kernel_has_run) {
  const dataset data = random_dataset({20, 50, 3}, 300, 1);
  const device_negative_sampler found = sampler_of(data);
  const negative_sampler cpu(data, {.seed = 9});
  for (const std::int64_t wrong : std::vector<std::int64_t>{3, 1LL << 31, 1LL << 32, INT64_MAX}) {
    const auto users = upload(std::vector<std::int64_t>{0, wrong, 1});
    device_column out(6, 4, *memory, stream->get());
    const std::span<std::int32_t> items(reinterpret_cast<std::int32_t*>(out.data()), 6);
    found.sample({users.data(), 3}, {.negatives = 2, .distinct = true}, items, stream->get());
    const std::string message =
        refusal<out_of_range_error>([&] { found.check(stream->get()); });
    EXPECT_NE(message.find("a user at index 1 that does not exist: there are 3"), std::string::npos) << message;
    items_vector wanted(6);
    cpu.sample(items_vector{0, -1, 1}, {2, 0, 0, true}, wanted);
    EXPECT_EQ(out.difference("negatives", wanted.data(), stream->get()), "");
    found.check(stream->get());  // the error is thrown once
  }
}

TEST_P(device_negatives, report_unknown_items_of_both_calls) {
  const dataset data = random_dataset({20, 50, 3}, 300, 1);
  const device_negative_sampler found = sampler_of(data);
  const auto users = upload(items_vector{0, 1});
  const auto items = upload(std::vector<std::int64_t>{5, 1LL << 40});
  device_column mask(2, 1, *memory, stream->get());
  found.contains({users.data(), 2}, {items.data(), 2}, {reinterpret_cast<std::uint8_t*>(mask.data()), 2},
                 stream->get());
  stream->synchronize();
  // The next call of any member throws it, and queues nothing.
  device_column out(2, 4, *memory, stream->get());
  const std::span<std::int32_t> drawn(reinterpret_cast<std::int32_t*>(out.data()), 2);
  const std::string message =
      refusal<out_of_range_error>([&] { found.sample({users.data(), 2}, {}, drawn, stream->get()); });
  EXPECT_NE(message.find("an item at index 1 that does not exist: there are 300"), std::string::npos) << message;
  EXPECT_TRUE(out.is_untouched(stream->get()));
  const auto excluded = upload(items_vector{7, 7, 7, 300});
  found.sample({users.data(), 2}, {.excluded = {excluded.data(), 4}}, drawn, stream->get());
  EXPECT_NE(refusal<out_of_range_error>([&] { found.check(stream->get()); }).find("an item at index 3"),
            std::string::npos);
  EXPECT_EQ(download(drawn.data() + 1, 1)[0], -1);
}

TEST_P(device_negatives, report_rows_without_enough_items) {
  const dataset data = random_dataset({95, 2}, 100, 1);
  const device_negative_sampler found = sampler_of(data);
  const negative_sampler cpu(data, {.seed = 9});
  const auto users = upload(items_vector{1, 0});
  device_column out(12, 4, *memory, stream->get());
  const std::span<std::int32_t> drawn(reinterpret_cast<std::int32_t*>(out.data()), 12);
  found.sample({users.data(), 2}, {.negatives = 6, .distinct = true}, drawn, stream->get());
  const std::string message = refusal<infeasible_error>([&] { found.check(stream->get()); });
  EXPECT_NE(message.find("a user at index 1 who has too few items left"), std::string::npos) << message;
  items_vector wanted(12);
  cpu.sample(items_vector{1}, {6, 0, 0, true}, std::span(wanted).first(6));
  const items_vector last = download(drawn.data(), 12);
  EXPECT_TRUE(std::equal(last.begin(), last.begin() + 6, wanted.begin()));
  items_vector row(last.begin() + 6, last.end());
  EXPECT_EQ(row[5], -1) << "user 0 has 5 items left";
  std::sort(row.begin(), row.end());
  EXPECT_EQ(std::unique(row.begin(), row.end()), row.end());
}

TEST_P(device_negatives, refuse_arrays_that_do_not_fit_without_queueing_work) {
  const dataset data = random_dataset({20, 50, 3}, 300, 1);
  const device_negative_sampler found = sampler_of(data);
  const auto users = upload(items_vector{0, 1, 2});
  const device_ids known(users.data(), 3);
  const items_vector host{0, 1, 2};
  device_column column(6, 4, *memory, stream->get());
  auto* const items = reinterpret_cast<std::int32_t*>(column.data());
  auto* const bytes = reinterpret_cast<std::uint8_t*>(column.data());
  const auto sample = [&](const device_ids& of, const device_draw_call& call, std::span<std::int32_t> out) {
    return [&found, this, of, call, out] { found.sample(of, call, out, stream->get()); };
  };
  expect_refused("out: 5 values given; expected 6", sample(known, {.negatives = 2}, {items, 5}));
  expect_refused("users lies in host memory", sample({host.data(), 3}, {.negatives = 2}, {items, 6}));
  expect_refused("excluded lies in host memory", sample(known, {.negatives = 2, .excluded = host}, {items, 6}));
  expect_refused("excluded: 4 values given; expected a multiple of 3",
                 sample(known, {.negatives = 2, .excluded = {items, 4}}, {items, 6}));
  expect_refused("offset", sample(known, {.negatives = 2, .offset = ~0ULL / 2 - 1}, {items, 6}));
  items_vector drawn(6);
  expect_refused("out lies in host memory", sample(known, {.negatives = 2}, drawn));
  expect_refused("out is not aligned",
                 sample(known, {.negatives = 1},
                        {reinterpret_cast<std::int32_t*>(reinterpret_cast<std::uintptr_t>(items) + 2), 3}));
  const std::int64_t at = 4;
  expect_refused("device_at lies in host memory", sample(known, {.negatives = 2, .device_at = &at}, {items, 6}));
  expect_refused("items: 4 values given; expected a multiple of 3",
                 [&] { found.contains(known, {items, 4}, {bytes, 4}, stream->get()); });
  expect_refused("found: 2 values given; expected 3",
                 [&] { found.contains(known, {items, 3}, {bytes, 2}, stream->get()); });
  expect_refused("found: 2 values given; expected 9",
                 [&] { found.contains_each(known, {items, 3}, {bytes, 2}, stream->get()); });
  EXPECT_TRUE(column.is_untouched(stream->get()));
}

TEST_P(device_negatives, refuse_users_without_negatives_and_wrong_weights) {
  const dataset data = make_dataset({{0, 1}, {0}}, {2, 1}, 3);
  const std::string message =
      refusal<infeasible_error>([&] { sampler_of(data, item_weights(std::vector<std::uint32_t>{1, 1, 0})); });
  EXPECT_NE(message.find("user 0"), std::string::npos) << message;
  expect_refused("weights", [&] { sampler_of(random_dataset({2}, 9, 1), rising_weights(8)); });
  expect_refused("device: 99", [&] { device_negative_sampler(random_dataset({2}, 9, 1), {}, {.device = 99}); });
}

}  // namespace
}  // namespace negpipe::test
