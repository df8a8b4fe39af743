// Every form of the index gives the dataset's answers.
#include "negpipe/positives.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <thread>
#include <vector>

#include "negpipe/backend.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {

namespace {

void expect_equal_to_dataset(const dataset& data, const positives_index& index) {
  const core::positives_view view = index.view();
  for (std::int32_t user = 0; user < data.user_count(); ++user) {
    const auto begin = static_cast<std::size_t>(data.user_offsets()[static_cast<std::size_t>(user)]);
    const auto end = static_cast<std::size_t>(data.user_offsets()[static_cast<std::size_t>(user) + 1]);
    std::vector<bool> wanted(static_cast<std::size_t>(data.item_count()));
    for (std::size_t p = begin; p < end; ++p) {
      wanted[static_cast<std::size_t>(data.positive_items()[p])] = true;
      ASSERT_EQ(core::csr_view(view.csr).user_of(p), user_id{user}) << "positive " << p;
    }
    for (std::int32_t item = 0; item < data.item_count(); ++item) {
      ASSERT_EQ(view.contains(user_id{user}, item), wanted[static_cast<std::size_t>(item)])
          << "user " << user << ", item " << item;
    }
  }
}

}  // namespace

/// Resident memory of this process in bytes.
std::uint64_t resident_bytes() {
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(::getpagesize());
}

// Thousands of shards have an index each. On huge pages, the smallest would take 4 MiB.
TEST(positives_index, takes_little_memory_for_a_small_dataset) {
  const dataset data = edge_dataset();
  constexpr std::uint64_t count = 100;
  std::vector<positives_index> indexes;
  const std::uint64_t before = resident_bytes();
  for (std::uint64_t i = 0; i < count; ++i) indexes.emplace_back(data);
  EXPECT_LT(resident_bytes() - before, count << 20);
}

TEST(positives_index, every_form_equals_the_dataset) {
  for (const std::int32_t items : {25, 31, 32, 33, 64, 65, 97, 1000}) {
    const dataset data = edge_dataset(items);
    for (const core::membership form :
         {core::membership::sorted_search, core::membership::bitset, core::membership::bloom_filter}) {
      const positives_index index(data, 0, {}, form);
      EXPECT_EQ(index.form(), form);
      expect_equal_to_dataset(data, index);
    }
  }
}

TEST(positives_index, finds_users_across_long_runs_without_positives) {
  std::vector<std::int32_t> degrees(3000, 0);
  for (const std::size_t user : {0U, 1U, 700U, 701U, 2500U}) degrees[user] = 33;
  const dataset data = random_dataset(degrees, 64, 1);
  expect_equal_to_dataset(data, positives_index(data));
}

TEST(positives_index, deferred_structures_are_built_once_by_whichever_thread_asks_first) {
  const dataset data = edge_dataset(97);
  for (const core::membership form :
       {core::membership::sorted_search, core::membership::bitset, core::membership::bloom_filter}) {
    const positives_index index = positives_index::deferred(data, 0, form);
    const positives_index copy = index;
    EXPECT_EQ(index.form(), form);
    EXPECT_FALSE(index.is_built());
    EXPECT_EQ(index.memory_bytes(), 0U);
    std::array<const std::int32_t*, 4> samples{};
    {
      std::vector<std::jthread> threads;
      for (auto& seen : samples) threads.emplace_back([&] { seen = copy.view().csr.user_samples; });
    }
    for (const std::int32_t* seen : samples) EXPECT_EQ(seen, index.view().csr.user_samples);
    EXPECT_TRUE(index.is_built());
    expect_equal_to_dataset(data, index);
  }
}

TEST(positives_index, the_cpu_backend_builds_deferred_structures_before_it_fills) {
  const positives_index index = positives_index::deferred(edge_dataset(97));
  const auto backend = make_backend("cpu", index, 1);
  EXPECT_TRUE(index.is_built());
}

TEST(positives_index, the_budget_determines_the_form) {
  const dataset data = random_dataset(std::vector<std::int32_t>(9, 6), 97, 1);  // 9 users of 4 words, 54 positives
  EXPECT_EQ(bitset_bytes(9, 97), 9U * 4 * 4);
  EXPECT_EQ(bloom_filter_bytes(54), 27U * 4);
  EXPECT_EQ(positives_index(data, 144).form(), core::membership::bitset);
  EXPECT_EQ(positives_index(data, 143).form(), core::membership::bloom_filter);
  EXPECT_EQ(positives_index(data, 108).form(), core::membership::bloom_filter);
  EXPECT_EQ(positives_index(data, 107).form(), core::membership::sorted_search);
  EXPECT_EQ(positives_index(data, 0).form(), core::membership::sorted_search);
  const std::uint64_t least = positives_index(data, 0).memory_bytes();
  EXPECT_EQ(positives_index(data, 144).memory_bytes() - least, 144U);
  EXPECT_EQ(positives_index(data, 108).memory_bytes() - least, 108U);
}

TEST(positives_index, large_catalogues_use_the_bloom_filter) {
  EXPECT_EQ(choose_membership(138'493, 26'744, 19'861'770, default_bitset_budget_bytes), core::membership::bitset);
  EXPECT_EQ(choose_membership(2'000'000, 850'000, 200'000'000, default_bitset_budget_bytes),
            core::membership::bloom_filter);
}

TEST(positives_index, computes_sizes_beyond_32_bits) {
  EXPECT_EQ(bitset_bytes(2'000'000, 850'000), 2'000'000ULL * 26'563 * 4);
}

TEST(positives_index, any_number_of_threads_builds_the_same_index) {
  std::vector<std::int32_t> degrees(2000);
  for (std::size_t user = 0; user < degrees.size(); ++user) degrees[user] = static_cast<std::int32_t>(user % 50);
  const dataset data = random_dataset(degrees, 100, 2);
  for (const unsigned threads : {1U, 2U, 5U}) {
    run_control control;
    control.threads = threads;
    expect_equal_to_dataset(data, positives_index(data, default_bitset_budget_bytes, control));
    expect_equal_to_dataset(data, positives_index(data, 0, control, core::membership::bloom_filter));
  }
}

TEST(positives_index, outlives_the_dataset_it_was_made_from) {
  auto data = std::make_unique<dataset>(edge_dataset());
  const positives_index index(*data);
  const positives_index copy(index);
  data.reset();
  expect_equal_to_dataset(copy.source(), copy);
}

TEST(positives_index, building_can_be_interrupted) {
  const std::atomic<bool> stop = true;
  run_control control;
  control.stop_requested = &stop;
  EXPECT_THROW(positives_index(edge_dataset(), default_bitset_budget_bytes, control), interrupted_error);
}

}  // namespace negpipe::test
