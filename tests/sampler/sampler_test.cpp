// negpipe::sampler on the CPU and on a CUDA device if there is one: batches in record order, typed columns, errors.
#include "negpipe/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "equality/reference_columns.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/tfrecord.hpp"
#include "support/datasets.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::test {
namespace {

template <typename Error = option_error, typename Call>
void expect_refused(const Call& call, const std::vector<std::string>& words) {
  try {
    call();
    ADD_FAILURE() << "not rejected: " << words.front();
  } catch (const Error& error) {
    for (const std::string& word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word << " not in: " << error.what();
    }
  }
}

/// A number of users that divides no batch size below; each leaves 30 items outside.
dataset sampled_dataset(std::int32_t item_count = 60) {
  return random_dataset({3, 20, 1, 0, 25, 12, 7, 5, 9, 2, 14}, item_count, 11);
}

class sampler_on : public testing::TestWithParam<const char*> {
 protected:
  static sampler_options options() {
    sampler_options made{.seed = 42, .negatives = 3, .epochs_per_cycle = 2, .batch_size = 100, .device = GetParam()};
    made.evaluation = evaluation_options{.negatives = 10, .batch_size = 33};
    return made;
  }

  /// Returns whether a batch equals core, in record order.
  static void expect_batch(const sampler& source, std::uint32_t cycle, std::uint64_t batch, training_batch& made) {
    const training_plan& plan = source.plan();
    const positives_index index(source.data(), 0);
    training_batch wanted = source.make_batch();
    write_reference_points(plan, make_cycle_key(plan, cycle), index.view(), plan.first_position(batch),
                           plan.batch_size, wanted.columns());
    source.fill(cycle, batch, made);
    EXPECT_TRUE(std::ranges::equal(made.users(), wanted.users())) << "batch " << batch;
    EXPECT_TRUE(std::ranges::equal(made.labels(), wanted.labels())) << "batch " << batch;
    EXPECT_TRUE(std::ranges::equal(made.valid(), wanted.valid())) << "batch " << batch;
    ASSERT_EQ(made.items().size_bytes(), wanted.items().size_bytes());
    EXPECT_EQ(std::memcmp(made.items().data(), wanted.items().data(), wanted.items().size_bytes()), 0);
  }
};

TEST_P(sampler_on, fills_batches_in_record_order_with_every_padding) {
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask, padding_policy::drop}) {
    sampler_options masked = options();
    masked.padding = padding;
    const sampler source(sampled_dataset(), masked);
    training_batch batch = source.make_batch();
    EXPECT_EQ(batch.size(), 100U);
    EXPECT_EQ(batch.valid().empty(), padding != padding_policy::mask);
    for (std::uint64_t b = 0; b < source.batch_count(); ++b) expect_batch(source, 7, b, batch);
  }
}

TEST_P(sampler_on, fills_pairwise_batches_in_record_order_with_every_padding) {
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask, padding_policy::drop}) {
    for (const std::uint32_t negatives : {0U, 7U}) {
      sampler_options pairwise = options();
      pairwise.negatives = negatives;
      pairwise.padding = padding;
      pairwise.layout = batch_layout::pairwise;
      const sampler source(sampled_dataset(), pairwise);
      const training_plan& plan = source.plan();
      const positives_index index(source.data(), 0);
      EXPECT_EQ(plan.point_count, 2 * source.data().positive_count());
      pair_batch made = source.make_pair_batch();
      pair_batch wanted = source.make_pair_batch();
      EXPECT_EQ(made.size(), 100U);
      EXPECT_EQ(made.negatives().size(), 100U * negatives);
      EXPECT_EQ(made.valid().empty(), padding != padding_policy::mask);
      for (std::uint64_t b = 0; b < source.batch_count(); ++b) {
        write_reference_pairs(plan, make_cycle_key(plan, 7), index.view(), plan.first_position(b), plan.batch_size,
                              wanted.columns());
        source.fill(7, b, made);
        EXPECT_TRUE(std::ranges::equal(made.users(), wanted.users())) << "batch " << b;
        EXPECT_TRUE(std::ranges::equal(made.items().as_uint16(), wanted.items().as_uint16())) << "batch " << b;
        EXPECT_TRUE(std::ranges::equal(made.negatives().as_uint16(), wanted.negatives().as_uint16())) << "batch " << b;
        EXPECT_TRUE(std::ranges::equal(made.valid(), wanted.valid())) << "batch " << b;
      }
    }
  }
}

TEST_P(sampler_on, rejects_columns_of_the_other_layout) {
  const sampler points(sampled_dataset(), options());
  sampler_options pairwise = options();
  pairwise.layout = batch_layout::pairwise;
  const sampler rows(sampled_dataset(), pairwise);
  training_batch point_batch = points.make_batch();
  pair_batch row_batch = rows.make_pair_batch();
  expect_refused([&] { rows.fill(0, 0, point_batch); }, {"layout", "pairwise"});
  expect_refused([&] { points.fill(0, 0, row_batch); }, {"layout", "pointwise"});
  expect_refused([&] { rows.fill(0, rows.batch_count(), row_batch); }, {"batch"});
}

TEST_P(sampler_on, fills_the_bytes_that_generate_writes) {
  const temporary_folder folder;
  const sampler source(sampled_dataset(), options());
  generate(source, {.out = folder / "out", .first_cycle = 2, .readers = 1});
  const auto expect_column = [](const std::vector<feature>& features, std::string_view name, const void* data) {
    const auto found = std::ranges::find(features, name, &feature::name);
    ASSERT_NE(found, features.end()) << name;
    EXPECT_EQ(std::memcmp(found->bytes.data(), data, found->bytes.size()), 0) << name;
  };
  std::span<const std::byte> payload;
  record_reader training(folder / "out/training_epochs/cycle_00002/train_0.tfrecords");
  training_batch batch = source.make_batch();
  for (std::uint64_t b = 0; b < source.batch_count(); ++b) {
    ASSERT_TRUE(training.next(payload));
    source.fill(2, b, batch);
    expect_column(parse_example(payload), "user_id", batch.users().data());
    expect_column(parse_example(payload), "item_id", batch.items().data());
    expect_column(parse_example(payload), "labels", batch.labels().data());
  }
  record_reader evaluation(folder / "out/eval_data/eval_0.tfrecords");
  evaluation_batch rows = source.make_evaluation_batch();
  EXPECT_EQ(rows.size(), 33U);
  for (std::uint64_t b = 0; b < source.evaluation_batch_count(); ++b) {
    ASSERT_TRUE(evaluation.next(payload));
    source.fill_evaluation(b, rows);
    expect_column(parse_example(payload), "user_id", rows.users().data());
    expect_column(parse_example(payload), "item_id", rows.items().data());
    expect_column(parse_example(payload), "duplicate_mask", rows.duplicate_mask().data());
  }
}

TEST_P(sampler_on, fills_any_range_of_positions_into_longer_columns) {
  const sampler source(sampled_dataset(), options());
  std::vector<std::int32_t> users(50, -1);
  std::vector<std::uint16_t> items(50, 9999);
  std::vector<std::int8_t> labels(50, -1);
  source.fill_points(3, 130, 40, {users, items, labels, {}});
  training_batch whole(source.plan().padded_count(), item_type::uint16, false);
  source.fill_points(3, 0, whole.size(), whole.columns());
  EXPECT_TRUE(std::ranges::equal(std::span(users).first(40), whole.users().subspan(130, 40)));
  EXPECT_TRUE(std::ranges::equal(std::span(items).first(40), whole.items().as_uint16().subspan(130, 40)));
  EXPECT_TRUE(std::ranges::equal(std::span(labels).first(40), whole.labels().subspan(130, 40)));
  EXPECT_TRUE(std::ranges::all_of(std::span(users).subspan(40), [](std::int32_t user) { return user == -1; }));
}

TEST_P(sampler_on, fills_item_columns_of_either_type) {
  const sampler narrow(sampled_dataset(), options());
  EXPECT_EQ(narrow.item_width(), item_type::uint16);
  training_batch batch = narrow.make_batch();
  narrow.fill(0, 0, batch);
  for (std::size_t i = 0; i < batch.size(); ++i) ASSERT_EQ(batch.items()[i], batch.items().as_uint16()[i]);
  expect_refused([&] { batch.items().as_int32(); }, {"uint16", "as_uint16"});

  const sampler wide(sampled_dataset(70'000), options());
  EXPECT_EQ(wide.item_width(), item_type::int32);
  training_batch wide_batch = wide.make_batch();
  wide.fill(0, 0, wide_batch);
  expect_batch(wide, 0, 0, wide_batch);
  for (std::size_t i = 0; i < wide_batch.size(); ++i) {
    ASSERT_EQ(wide_batch.items()[i], wide_batch.items().as_int32()[i]);
  }
  expect_refused([&] { wide_batch.items().as_uint16(); }, {"int32", "as_int32"});
  expect_refused([&] { wide.fill(0, 0, batch); }, {"items", "uint16", "70000"});
}

TEST_P(sampler_on, results_do_not_depend_on_threads_copies_or_callers) {
  const sampler source(sampled_dataset(), options());
  training_batch wanted = source.make_batch();
  source.fill(5, 1, wanted);
  std::vector<training_batch> made(6, source.make_batch());
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < made.size(); ++caller) {
    callers.emplace_back([&, caller] {
      const sampler copy = caller % 2 == 0 ? source : source.with_threads(1 + static_cast<unsigned>(caller));
      copy.fill(5, 1, made[caller]);
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const training_batch& batch : made) {
    EXPECT_TRUE(std::ranges::equal(batch.users(), wanted.users()));
    EXPECT_TRUE(std::ranges::equal(batch.items().as_uint16(), wanted.items().as_uint16()));
  }
}

TEST_P(sampler_on, rejects_batches_cycles_and_users_that_do_not_exist) {
  sampler_options no_evaluation = options();
  no_evaluation.evaluation.reset();
  const sampler source(sampled_dataset(), no_evaluation);
  training_batch batch = source.make_batch();
  const std::uint64_t end = source.batch_count();
  expect_refused([&] { source.fill(0, end, batch); }, {"batch", std::to_string(end) + " given"});
  expect_refused([&] { source.fill(1ULL << 32, 0, batch); }, {"32 bits"});
  EXPECT_NO_THROW(source.fill((1ULL << 32) - 1, end - 1, batch));
  expect_refused([&] { source.positives_of(11); }, {"user 11", "0 to 10"});
  expect_refused([&] { source.positives_of(-1); }, {"user -1"});
  EXPECT_FALSE(source.has_evaluation());
  expect_refused([&] { source.make_evaluation_batch(); }, {"sampler_options.evaluation"});

  const sampler with_evaluation(sampled_dataset(), options());
  evaluation_batch rows = with_evaluation.make_evaluation_batch();
  expect_refused([&] { with_evaluation.fill_evaluation(with_evaluation.evaluation_batch_count(), rows); },
                 {"evaluation batch"});
}

TEST_P(sampler_on, rejects_columns_that_do_not_fit) {
  sampler_options masked = options();
  masked.padding = padding_policy::mask;
  const sampler source(sampled_dataset(), masked);
  training_batch batch = source.make_batch();
  training_columns columns = batch.columns();
  columns.valid = {};
  expect_refused([&] { source.fill(0, 0, columns); }, {"valid", "mask"});
  columns = batch.columns();
  columns.labels = columns.labels.first(99);
  expect_refused([&] { source.fill(0, 0, columns); }, {"labels", "99", "100 wanted"});
}

TEST_P(sampler_on, names_its_device) {
  const sampler source(sampled_dataset(), options());
  EXPECT_EQ(source.device().find(GetParam()), 0U) << source.device();
  EXPECT_EQ(source.description(), source.device());
}

std::vector<const char*> devices() {
  std::vector<const char*> names{"cpu"};
  for (const backend_status& kind : list_backends()) {
    if (kind.available && kind.name == "cuda") names.push_back("cuda");
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(devices, sampler_on, testing::ValuesIn(devices()),
                         [](const auto& of) { return std::string(of.param); });

/// Weights of which every third is 0.
item_weights some_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> values;
  for (std::int32_t i = 0; i < item_count; ++i) values.push_back(static_cast<std::uint32_t>(i % 3 * (i + 1)));
  return item_weights(std::move(values));
}

TEST_P(sampler_on, draws_weighted_negatives_as_core_does) {
  const dataset data = sampled_dataset();
  const positives_index index(data);
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask}) {
    const sampler source(data, {.seed = 42,
                                .batch_size = 100,
                                .padding = padding,
                                .weights = some_weights(60),
                                .device = GetParam()});
    const training_plan& plan = source.plan();
    ASSERT_TRUE(plan.weights.is_set());
    training_batch made = source.make_batch();
    training_batch wanted = source.make_batch();
    for (std::uint64_t batch = 0; batch < source.batch_count(); ++batch) {
      source.fill(1, batch, made);
      write_reference_points(plan, make_cycle_key(plan, 1), index.view(), plan.first_position(batch), plan.batch_size,
                             wanted.columns());
      ASSERT_EQ(std::memcmp(made.items().data(), wanted.items().data(), wanted.items().size_bytes()), 0);
      for (std::size_t i = 0; i < made.size(); ++i) {
        const bool is_drawn = made.labels()[i] == 0 && (made.valid().empty() || made.valid()[i] == 1);
        ASSERT_FALSE(is_drawn && made.items()[i] % 3 == 0) << "an item of weight 0 was drawn";
      }
    }
  }
}

TEST(sampler, rejects_weights_that_leave_a_user_nothing_and_those_of_another_dataset) {
  const dataset data = random_dataset({59, 3}, 60, 11);
  std::vector<std::uint32_t> values(60, 0);
  values[static_cast<std::size_t>(data.positive_items()[0])] = 1;
  const item_weights one(values);
  expect_refused<infeasible_error>([&] { sampler(data, {.weights = one}); }, {"no negative", "user"});
  const dataset other = sampled_dataset();
  expect_refused([&] { sampler(other, {.weights = some_weights(59)}); }, {"weights", "59", "60"});
}

TEST(sampler, shares_the_tables_of_equal_weights_for_training_and_evaluation) {
  const dataset data = sampled_dataset();
  const auto shares = [&](const item_weights& training, const item_weights& rows) {
    const evaluation_options evaluation{.negatives = 3, .batch_size = 8, .weights = rows};
    const sampler source(data, {.evaluation = evaluation, .weights = training, .device = "cpu"});
    return source.plan().weights.row_sums == source.evaluation_plan().weights.row_sums;
  };
  EXPECT_TRUE(shares(some_weights(60), some_weights(60)));
  EXPECT_FALSE(shares(some_weights(60), popularity_weights(data, 0)));
  EXPECT_FALSE(shares(some_weights(60), {}));
}

TEST(sampler, returns_the_positives_of_a_user) {
  const sampler source(make_dataset({{4, 1}, {}, {2, 3, 7}}, {0, 0, 1}, 9), {.device = "cpu"});
  EXPECT_TRUE(std::ranges::equal(source.positives_of(0), std::vector{1, 4}));
  EXPECT_TRUE(source.positives_of(1).empty());
  EXPECT_TRUE(std::ranges::equal(source.positives_of(2), std::vector{2, 3, 7}));
}

TEST(sampler, says_why_auto_takes_its_device) {
  const sampler source(sampled_dataset(), {.device = "auto"});
  for (const backend_status& kind : list_backends()) {
    if (kind.available) continue;
    EXPECT_NE(source.description().find(kind.reason), std::string::npos) << source.description();
  }
}

TEST(sampler, rejects_options_that_leave_nothing_to_sample) {
  const dataset data = sampled_dataset();
  expect_refused([&] { sampler(data, {.batch_size = 0}); }, {"batch"});
  expect_refused([&] { sampler(data, {.device = "tpu"}); }, {"tpu", "cpu"});
  sampler_options too_many;
  too_many.evaluation = evaluation_options{.negatives = 50, .batch_size = 51, .infeasible = infeasible_policy::error};
  expect_refused<infeasible_error>([&] { sampler(data, too_many); }, {"50 distinct"});
}

TEST(sampler, uses_one_thread_per_core_by_default) {
  const dataset data = sampled_dataset();
  EXPECT_EQ(sampler(data, {.device = "cpu"}).threads(), run_control{}.thread_count());
  const sampler three(data, {.device = "cpu", .threads = 3});
  EXPECT_EQ(three.threads(), 3U);
  EXPECT_NE(three.device().find("3 threads"), std::string::npos) << three.device();
  EXPECT_NE(three.with_threads(1).device().find("1 thread"), std::string::npos);
  EXPECT_EQ(sampler(data, {.device = "cpu"}, {.threads = 2}).threads(), 2U);
}

}  // namespace
}  // namespace negpipe::test
