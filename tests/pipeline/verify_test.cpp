#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <tuple>

#include "negpipe/error.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

using test::batch_columns;
using test::failures_of;

using batches = std::vector<batch_columns>;

using sound_run = std::tuple<padding_policy, std::uint64_t, std::uint32_t, compression_type, bool>;

class verify_sound : public ::testing::TestWithParam<sound_run> {};

TEST_P(verify_sound, reports_no_failures) {
  const auto [padding, batch_size, readers, compression, mlperf] = GetParam();
  const dataset data = test::small_dataset();
  const test::temporary_folder folder;
  auto options = test::small_options(folder / "out");
  options.cycle_count = 2;
  options.first_cycle = 9;  // 9 and 10: one digit and two
  options.sampling.padding = padding;
  options.sampling.batch_size = batch_size;
  options.readers = readers;
  options.compression = compression;
  options.sampling.evaluation->mlperf = mlperf;
  test::generate_small(data, options);
  for (const unsigned threads : {1U, 3U}) {
    run_control control;
    control.threads = threads;
    const verify_report report = verify(data, options.out, control);
    EXPECT_EQ(report.failure_count, 0U) << failures_of(report);
    EXPECT_EQ(report.cycle_count, 2U);
    EXPECT_TRUE(report.has_evaluation);
    const sampler source(data, options.sampling);
    const training_plan& plan = source.plan();
    const evaluation_plan& evaluation = source.evaluation_plan();
    EXPECT_EQ(report.record_count, 2 * plan.batch_count + evaluation.batch_count);
    EXPECT_EQ(report.point_count, 2 * plan.padded_count() + evaluation.padded_count());
  }
}

// A cycle has 624 points. Batch sizes with a remainder, without one, and larger than the cycle.
INSTANTIATE_TEST_SUITE_P(
    all, verify_sound,
    ::testing::Combine(::testing::Values(padding_policy::resample, padding_policy::mask, padding_policy::drop),
                       ::testing::Values(std::uint64_t{100}, std::uint64_t{104}, std::uint64_t{624}),
                       ::testing::Values(1U, 3U, 12U),
                       ::testing::Values(compression_type::none, compression_type::gzip), ::testing::Bool()));

TEST(verify_sound, reports_no_failures_with_wide_items_and_full_users) {
  // More than 65,536 items, and a user who has all but the held-out one of a small catalogue.
  const test::temporary_folder folder;
  for (const auto& data : {test::random_dataset({5, 30, 1}, 70'000, 3), test::edge_dataset()}) {
    auto options = test::small_options(folder / std::to_string(data.item_count()));
    options.sampling.evaluation->mlperf = data.item_count() < 100;
    test::generate_small(data, options);
    const verify_report report = verify(data, options.out);
    EXPECT_EQ(report.failure_count, 0U) << failures_of(report);
  }
}

// --- Tampered values with correct checksums --------------------------------------------------------------------

struct tampering {
  const char* name;
  padding_policy padding;
  bool mlperf;
  bool evaluation;               ///< which folder is tampered with
  std::function<void(const dataset&, batches&)> tamper;
  std::vector<const char*> reported; ///< texts that the failures must contain
};

std::ostream& operator<<(std::ostream& out, const tampering& row) { return out << row.name; }

std::size_t find_flag(const batch_columns& batch, std::int8_t flag, std::size_t from = 0) {
  while (batch.flags.at(from) != flag) ++from;
  return from;
}

bool is_positive(const dataset& data, std::int32_t user, std::int32_t item) {
  const auto u = static_cast<std::size_t>(user);
  const auto begin = data.positive_items().begin();
  return std::binary_search(begin + data.user_offsets()[u], begin + data.user_offsets()[u + 1], item);
}

/// An item outside the user's positives, other than the given one, that no test for padding has seen in the cycle.
std::uint16_t another_negative(const dataset& data, std::int32_t user, std::uint16_t item) {
  do {
    item = static_cast<std::uint16_t>((item + 1) % data.item_count());
  } while (is_positive(data, user, item));
  return item;
}

constexpr auto resample = padding_policy::resample;
constexpr auto mask = padding_policy::mask;
constexpr auto drop = padding_policy::drop;
constexpr bool training = false;
constexpr bool eval = true;

const std::vector<tampering> tamperings{
    {"another negative", resample, false, training,
     [](const dataset& data, batches& all) {
       const std::size_t i = find_flag(all[2], 0);
       all[2].items[i] = another_negative(data, all[2].users[i], all[2].items[i]);
     },
     {"record 2, position", "wanted by the recorded seed"}},
    {"a positive as a negative", resample, false, training,
     [](const dataset&, batches& all) { all[2].flags[find_flag(all[2], 1)] = 0; },
     {"has label 0, but the item is among the user's training positives", "occurs 1 times in the cycle, 2 wanted"}},
    {"a negative as a positive", resample, false, training,
     [](const dataset&, batches& all) { all[3].flags[find_flag(all[3], 0)] = 1; },
     {"has label 1, but the item is not among the user's training positives", "negatives in the cycle"}},
    {"a positive replaced by another of the user", resample, false, training,
     [](const dataset& data, batches& all) {
       // Both are positives with label 1: only the counts and the seed show it.
       for (std::size_t i = 0;; ++i) {
         if (all[1].flags.at(i) != 1) continue;
         const auto u = static_cast<std::size_t>(all[1].users[i]);
         const auto begin = static_cast<std::size_t>(data.user_offsets()[u]);
         if (data.user_offsets()[u + 1] - data.user_offsets()[u] < 2) continue;
         const std::int32_t first = data.positive_items()[begin];
         all[1].items[i] =
             static_cast<std::uint16_t>(first == all[1].items[i] ? data.positive_items()[begin + 1] : first);
         return;
       }
     },
     {"occurs 1 times in the cycle, 2 wanted", "occurs 3 times in the cycle, 2 wanted"}},
    {"a negative of another user", resample, false, training,
     [](const dataset& data, batches& all) {
       const std::size_t i = find_flag(all[2], 0);
       do {
         all[2].users[i] = (all[2].users[i] + 1) % data.user_count();
       } while (is_positive(data, all[2].users[i], all[2].items[i]));
     },
     {"negatives in the cycle"}},
    {"a user out of range", resample, false, training,
     [](const dataset&, batches& all) { all[0].users[0] = -1; }, {"record 0, position 0: user -1 is out of range"}},
    {"a user past the last", resample, false, training,
     [](const dataset& data, batches& all) { all[0].users[0] = data.user_count(); }, {"user 7 is out of range"}},
    {"an item past the last", resample, false, training,
     [](const dataset& data, batches& all) { all[0].items[5] = static_cast<std::uint16_t>(data.item_count()); },
     {"position 5: item 60 is out of range"}},
    {"a label that is none", resample, false, training, [](const dataset&, batches& all) { all[1].flags[7] = 2; },
     {"position 7: label 2 found, 0 or 1 wanted"}},
    {"swapped batches", resample, false, training,
     [](const dataset&, batches& all) { std::swap(all[2], all[3]); }, {"record 2, ", "wanted by the recorded seed"}},
    {"swapped points", resample, false, training,
     [](const dataset&, batches& all) {
       std::swap(all[2].users[0], all[2].users[1]);
       std::swap(all[2].items[0], all[2].items[1]);
       std::swap(all[2].flags[0], all[2].flags[1]);
     },
     {"wanted by the recorded seed"}},
    {"padding left at the end", resample, false, training,
     [](const dataset&, batches& all) { std::swap(all.front(), all.back()); }, {"in the cycle"}},
    {"padding that repeats nothing", resample, false, training,
     [](const dataset& data, batches& all) {
       std::set<std::pair<std::int32_t, std::uint16_t>> seen;
       for (const auto& batch : all) {
         for (std::size_t i = 0; i < batch.users.size(); ++i) seen.emplace(batch.users[i], batch.items[i]);
       }
       // The last value of record 0 is padding: 700 values hold 624 points.
       const std::int32_t user = 2;  // one positive, so few of the other items were drawn
       std::uint16_t item = 0;
       do {
         item = another_negative(data, user, item);
       } while (seen.count({user, item}) != 0);
       all[0].users.back() = user;
       all[0].items.back() = item;
       all[0].flags.back() = 0;
     },
     {"which is not a point of this cycle"}},
    {"a masked row that counts", mask, false, training,
     [](const dataset&, batches& all) { all.back().valid.back() = 1; }, {"position 99: masked padding"}},
    {"a masked row of another user", mask, false, training,
     [](const dataset&, batches& all) { all.back().users.back() ^= 1; }, {"position 99: masked padding"}},
    {"a point masked out", mask, false, training, [](const dataset&, batches& all) { all[0].valid[3] = 0; },
     {"position 3: valid_point_mask 0 found, 1 wanted", "in the cycle"}},
    {"masked rows at the front", mask, false, training,
     [](const dataset&, batches& all) { std::swap(all.front(), all.back()); },
     {"record 0, position 0", "record 6, position 0", "in the cycle"}},
    {"a positive too often, with points dropped", drop, false, training,
     [](const dataset&, batches& all) {
       const std::size_t i = find_flag(all[0], 1);
       for (std::size_t k = 0; k < 3; ++k) {
         all[1].users[k] = all[0].users[i];
         all[1].items[k] = all[0].items[i];
         all[1].flags[k] = 1;
       }
     },
     {"at most 2 wanted"}},
    {"a held-out item that is another", resample, false, eval,
     [](const dataset& data, batches& all) {
       all[1].items[11] = another_negative(data, all[1].users[11], all[1].items[11]);
     },
     {"begins the row of user 4, the held-out item"}},
    {"another evaluation negative", resample, true, eval,
     [](const dataset& data, batches& all) {
       const std::set<std::uint16_t> row(all[1].items.begin(), all[1].items.begin() + 11);
       std::uint16_t item = all[1].items[5];
       do {
         item = another_negative(data, all[1].users[5], item);
       } while (row.count(item) != 0);
       all[1].items[5] = item;
       all[1].flags[5] = 0;
     },
     {"record 1, position 5: item", "wanted by the recorded seed"}},
    {"a training positive among the negatives", resample, false, eval,
     [](const dataset& data, batches& all) {
       const auto begin = static_cast<std::size_t>(data.user_offsets()[4]);
       all[1].items[11 + 3] = static_cast<std::uint16_t>(data.positive_items()[begin]);
     },
     {"is a negative of user 4, but it is among the user's training positives"}},
    {"a training positive with --mlperf", resample, true, eval,
     [](const dataset& data, batches& all) {
       const auto begin = static_cast<std::size_t>(data.user_offsets()[4]);
       all[1].items[11 + 3] = static_cast<std::uint16_t>(data.positive_items()[begin]);
     },
     {"is a negative of user 4, but it is among the user's training positives"}},
    {"the held-out item among the negatives", resample, false, eval,
     [](const dataset&, batches& all) {
       all[0].items[4] = all[0].items[0];
       all[0].flags[4] = 1;
     },
     {"position 4: item", "but it is the user's held-out item"}},
    {"a negative twice, masked", resample, false, eval,
     [](const dataset&, batches& all) {
       all[0].items[4] = all[0].items[3];
       all[0].flags[4] = 1;
     },
     {"position 4: item", "for the second time"}},
    {"a negative twice, not masked", resample, false, eval,
     [](const dataset&, batches& all) { all[0].items[4] = all[0].items[3]; },
     {"position 4: duplicate_mask 0 found, 1 wanted"}},
    {"a mask that is too eager", resample, false, eval, [](const dataset&, batches& all) { all[0].flags[6] = 1; },
     {"position 6: duplicate_mask 1 found, 0 wanted"}},
    {"a mask of padding that is missing", resample, false, eval,
     [](const dataset&, batches& all) { all.back().flags.back() = 0; },
     {"position 32: duplicate_mask 0 found, 1 wanted"}},
    {"padding that is not zero", resample, false, eval,
     [](const dataset&, batches& all) { all.back().users.back() = 1; }, {"in a padding row, (0, 0) wanted"}},
    {"an evaluation item out of range", resample, false, eval,
     [](const dataset&, batches& all) { all[0].items[2] = 60'000; }, {"position 2: item 60000 is out of range"}},
    {"swapped users", resample, false, eval,
     [](const dataset&, batches& all) {
       for (std::size_t i = 0; i < 11; ++i) {
         std::swap(all[0].users[i], all[0].users[i + 11]);
         std::swap(all[0].items[i], all[0].items[i + 11]);
         std::swap(all[0].flags[i], all[0].flags[i + 11]);
       }
     },
     {"position 0: user 1 found, 0 wanted"}},
    {"swapped evaluation batches", resample, false, eval,
     [](const dataset&, batches& all) { std::swap(all[0], all[1]); },
     {"record 0, position 0", "user 3 found, 0 wanted"}},
};

class verify_tampering : public ::testing::TestWithParam<tampering> {};

TEST_P(verify_tampering, is_reported) {
  const tampering& row = GetParam();
  const test::temporary_folder folder;
  auto options = test::small_options(folder / "out");
  options.sampling.padding = row.padding;
  options.sampling.evaluation->mlperf = row.mlperf;
  test::expect_tampering_is_reported(options, row.evaluation ? "eval_data" : "training_epochs/cycle_00000", row.tamper,
                                     row.reported);
}

INSTANTIATE_TEST_SUITE_P(all, verify_tampering, ::testing::ValuesIn(tamperings));

/// A part has no counts of its cycle, so each value must be explained by itself.
TEST(verify_parts, report_tampered_values) {
  const dataset data = test::small_dataset();
  const test::temporary_folder folder;
  for (const batch_layout layout : {batch_layout::pointwise, batch_layout::pairwise}) {
    auto options = test::small_options(folder / std::to_string(static_cast<int>(layout)));
    options.sampling.layout = layout;
    options.readers = 2;
    test::generate_small(data, options);
    const std::filesystem::path cycle = options.out / "training_epochs/cycle_00000";
    auto all = test::read_batches(cycle);
    std::swap(all[0].users[0], all[0].users[1]);
    all[0].users[0] = all[0].users[1] == 0 ? 1 : 0;
    test::write_batches(cycle, all);
    const verify_report found = verify(data, options.out, {}, {.part = run_part{0, 2}});
    ASSERT_GT(found.failure_count, 0U);
    for (const auto& failure : found.failures) EXPECT_TRUE(failure.message.starts_with("record 0")) << failure.message;
    EXPECT_EQ(verify(data, options.out, {}, {.part = run_part{1, 2}}).failure_count, 0U);
  }
}

}  // namespace
}  // namespace negpipe
