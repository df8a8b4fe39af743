// verify accepts records of the pairwise layout, and reports every change of their values.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "written_run.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;
using test::batch_columns;
using test::failures_of;

using batches = std::vector<batch_columns>;

constexpr auto resample = padding_policy::resample;
constexpr auto mask = padding_policy::mask;
constexpr auto drop = padding_policy::drop;

/// 156 rows a cycle: batch sizes with a remainder, without one, and larger than the cycle.
test::run_options pairwise_options(const fs::path& out, padding_policy padding, std::uint64_t batch_size = 50) {
  test::run_options options = test::small_options(out);
  options.sampling.layout = batch_layout::pairwise;
  options.sampling.padding = padding;
  options.sampling.batch_size = batch_size;
  return options;
}

TEST(verify_pairs, reports_no_failures_for_what_generate_wrote) {
  const dataset data = test::small_dataset();
  const test::temporary_folder folder;
  for (const padding_policy padding : {resample, mask, drop}) {
    for (const std::uint64_t batch_size : {50U, 52U, 156U, 200U}) {
      for (const std::uint32_t negatives : {0U, 1U, 9U}) {
        if (padding == drop && batch_size == 200) continue;  // rejected by the plan
        auto options = pairwise_options(folder / "out", padding, batch_size);
        options.sampling.negatives = negatives;
        options.replace = true;
        if (negatives == 9) options.compression = compression_type::gzip;
        test::generate_small(data, options);
        const verify_report report = verify(data, options.out, {.threads = 2});
        EXPECT_EQ(report.failure_count, 0U) << failures_of(report);
        const sampler source(data, options.sampling);
        EXPECT_EQ(source.plan().point_count, 156U);
        EXPECT_EQ(report.record_count, source.batch_count() + source.evaluation_batch_count());
      }
    }
  }
}

TEST(verify_pairs, reports_no_failures_with_wide_items_and_full_users) {
  const test::temporary_folder folder;
  for (const auto& data : {test::random_dataset({5, 30, 1}, 70'000, 3), test::edge_dataset()}) {
    auto options = pairwise_options(folder / std::to_string(data.item_count()), resample);
    options.sampling.evaluation.reset();
    test::generate_small(data, options);
    const verify_report report = verify(data, options.out);
    EXPECT_EQ(report.failure_count, 0U) << failures_of(report);
  }
}

// ---- tampered values with correct checksums; three negatives a row

struct tampering {
  const char* name;
  padding_policy padding;
  std::function<void(const dataset&, batches&)> tamper;
  std::vector<const char*> reported;
};

std::ostream& operator<<(std::ostream& out, const tampering& row) { return out << row.name; }

std::span<const std::int32_t> positives_of(const dataset& data, std::int32_t user) {
  const auto u = static_cast<std::size_t>(user);
  const auto begin = static_cast<std::size_t>(data.user_offsets()[u]);
  return data.positive_items().subspan(begin, static_cast<std::size_t>(data.user_offsets()[u + 1]) - begin);
}

/// Another item outside the user's positives.
std::uint16_t another_negative(const dataset& data, std::int32_t user, std::uint16_t item) {
  const auto positives = positives_of(data, user);
  do {
    item = static_cast<std::uint16_t>((item + 1) % data.item_count());
  } while (std::ranges::binary_search(positives, item));
  return item;
}

/// Returns a row whose user has at least two positives.
std::size_t row_with_choice(const dataset& data, const batch_columns& batch) {
  std::size_t i = 0;
  while (positives_of(data, batch.users.at(i)).size() < 2) ++i;
  return i;
}

const std::vector<tampering> tamperings{
    {"another negative", resample,
     [](const dataset& data, batches& all) {
       all[2].negatives[7] = another_negative(data, all[2].users[2], all[2].negatives[7]);
     },
     {"record 2, row 2: negative 1 is item", "wanted by the recorded seed"}},
    {"a positive among the negatives", resample,
     [](const dataset& data, batches& all) {
       all[2].negatives[7] = static_cast<std::uint16_t>(positives_of(data, all[2].users[2]).front());
     },
     {"row 2: negative 1, item", "is among the training positives of user"}},
    {"a negative as the positive", resample,
     [](const dataset&, batches& all) { all[2].items[2] = all[2].negatives[6]; },
     {"row 2: item", "is not among the training positives of user", "occurs 1 times in the cycle, 2 wanted"}},
    {"a positive replaced by another of the user", resample,
     [](const dataset& data, batches& all) {
       const std::size_t i = row_with_choice(data, all[1]);
       const auto positives = positives_of(data, all[1].users[i]);
       const bool is_first = positives[0] == all[1].items[i];
       all[1].items[i] = static_cast<std::uint16_t>(positives[is_first ? 1 : 0]);
     },
     {"occurs 1 times in the cycle, 2 wanted", "occurs 3 times in the cycle, 2 wanted"}},
    {"a user past the last", resample,
     [](const dataset& data, batches& all) { all[0].users[0] = data.user_count(); },
     {"record 0, row 0: user 7 is out of range"}},
    {"a negative past the last item", resample,
     [](const dataset& data, batches& all) { all[0].negatives[5] = static_cast<std::uint16_t>(data.item_count()); },
     {"row 1: negative 2 is item 60, which is out of range"}},
    {"swapped negatives", resample,
     [](const dataset&, batches& all) { std::swap(all[1].negatives[0], all[1].negatives[1]); },
     {"record 1, row 0: negative 0 is item", "wanted by the recorded seed"}},
    {"swapped batches", resample,
     [](const dataset&, batches& all) { std::swap(all[1], all[2]); }, {"record 1, ", "wanted by the recorded seed"}},
    {"padding that repeats nothing", resample,
     [](const dataset& data, batches& all) {
       all[0].negatives.back() = another_negative(data, all[0].users.back(), all[0].negatives.back());
     },
     {"the padding in record 0 has 1 rows that are not rows of this cycle"}},
    {"a masked row that counts", mask, [](const dataset&, batches& all) { all.back().valid.back() = 1; },
     {"row 49: ", "wanted by the recorded seed"}},
    {"a row masked out", mask, [](const dataset&, batches& all) { all[0].valid[3] = 0; },
     {"row 3: valid_point_mask 0 found, 1 wanted", "in the cycle"}},
    {"a masked row with another negative", mask, [](const dataset&, batches& all) { all.back().negatives.back() ^= 1; },
     {"row 49: negative 2 is item"}},
    {"a positive too often, with rows dropped", drop,
     [](const dataset&, batches& all) {
       for (std::size_t k = 1; k < 4; ++k) {
         all[1].users[k] = all[1].users[0];
         all[1].items[k] = all[1].items[0];
         std::copy_n(all[1].negatives.begin(), 3, all[1].negatives.begin() + static_cast<std::ptrdiff_t>(3 * k));
       }
     },
     {"at most 2 wanted"}},
};

class verify_pairs_tampering : public ::testing::TestWithParam<tampering> {};

TEST_P(verify_pairs_tampering, is_reported) {
  const tampering& row = GetParam();
  const test::temporary_folder folder;
  test::expect_tampering_is_reported(pairwise_options(folder / "out", row.padding), "training_epochs/cycle_00000",
                                     row.tamper, row.reported);
}

INSTANTIATE_TEST_SUITE_P(all, verify_pairs_tampering, ::testing::ValuesIn(tamperings));

}  // namespace
}  // namespace negpipe
