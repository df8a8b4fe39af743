#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/synth.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

run_control with_threads(unsigned threads) {
  run_control control;
  control.threads = threads;
  return control;
}

std::vector<std::uint64_t> user_counts(const dataset& data) {
  std::vector<std::uint64_t> counts;
  const auto offsets = data.user_offsets();
  for (std::size_t u = 0; u + 1 < offsets.size(); ++u)
    counts.push_back(static_cast<std::uint64_t>(offsets[u + 1] - offsets[u]) + 1);
  return counts;
}

std::vector<std::uint64_t> item_counts(const dataset& data) {
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(data.item_count()), 0);
  for (const auto column : {data.positive_items(), data.heldout_items()}) {
    for (const std::int32_t item : column) ++counts[static_cast<std::size_t>(item)];
  }
  return counts;
}

// dataset's own checks see to ranges, order and distinct pairs.
void expect_shape(const dataset& data, const synth_options& options) {
  EXPECT_EQ(data.user_count(), options.users);
  EXPECT_EQ(data.item_count(), options.items);
  EXPECT_EQ(data.positive_count(), options.interactions - static_cast<std::uint64_t>(options.users));
  for (const std::uint64_t count : user_counts(data)) ASSERT_GE(count, options.min_ratings);
  for (const std::uint64_t count : item_counts(data)) ASSERT_GE(count, 1U);
}

TEST(synthesize, hits_every_total_at_the_edges_of_what_is_possible) {
  for (const synth_options& options : {
           synth_options{.users = 1, .items = 2, .interactions = 2, .min_ratings = 0},
           synth_options{.users = 3, .items = 20, .interactions = 60, .min_ratings = 20},
           synth_options{.users = 50, .items = 20, .interactions = 1000, .min_ratings = 20},
           synth_options{.users = 50, .items = 40, .interactions = 1000, .min_ratings = 20},
           synth_options{.users = 50, .items = 40, .interactions = 1001, .min_ratings = 20},
           synth_options{.users = 50, .items = 40, .interactions = 1999, .min_ratings = 20},
           synth_options{.users = 50, .items = 40, .interactions = 2000, .min_ratings = 20},
           synth_options{.users = 10, .items = 1000, .interactions = 1000, .min_ratings = 1},
           synth_options{.users = 300, .items = 7, .interactions = 301, .min_ratings = 1},
       }) {
    expect_shape(synthesize(options), options);
  }
}

TEST(synthesize, refuses_impossible_shapes) {
  for (const synth_options& options : {
           synth_options{.users = 0, .items = 20, .interactions = 20, .min_ratings = 1},
           synth_options{.users = -5, .items = 20, .interactions = 20, .min_ratings = 1},
           synth_options{.users = 50, .items = 40, .interactions = 999, .min_ratings = 20},
           synth_options{.users = 50, .items = 40, .interactions = 2001, .min_ratings = 20},
           synth_options{.users = 50, .items = 19, .interactions = 950, .min_ratings = 20},
           synth_options{.users = 10, .items = 1000, .interactions = 999, .min_ratings = 1},
           synth_options{.users = 300, .items = 7, .interactions = 300, .min_ratings = 1},
       }) {
    EXPECT_THROW(synthesize(options), option_error) << options.users << " " << options.interactions;
  }
  EXPECT_THROW(synth_shape("ml-25m"), option_error);
}

TEST(synthesize, is_long_tailed_at_the_shape_of_movielens) {
  synth_options options = synth_shape("ml-1m");
  const dataset data = synthesize(options);
  expect_shape(data, options);
  auto users = user_counts(data);
  auto items = item_counts(data);
  std::sort(users.begin(), users.end());
  std::sort(items.begin(), items.end());
  // MovieLens-1M: median 96 and maximum 2,314 per user, median 123 and maximum 3,428 per item.
  EXPECT_LT(users[users.size() / 2], 110U);
  EXPECT_GT(users.back(), 1500U);
  EXPECT_LT(items[items.size() / 2], 150U);
  EXPECT_GT(items.back(), 1500U);
}

TEST(synthesize, is_a_function_of_its_options) {
  synth_options options{.users = 500, .items = 300, .interactions = 20'000, .seed = 9};
  const std::string digest = synthesize(options, with_threads(1)).digest();
  for (const unsigned threads : {2U, 5U}) EXPECT_EQ(synthesize(options, with_threads(threads)).digest(), digest);
  options.seed = 10;
  EXPECT_NE(synthesize(options).digest(), digest);
}

TEST(synthesize, writes_ratings_that_prepare_to_the_same_dataset) {
  const test::temporary_folder folder;
  for (const synth_options& options : {synth_options{.users = 500, .items = 300, .interactions = 20'000, .seed = 9},
                                       synth_options{.users = 50, .items = 40, .interactions = 2000, .seed = 1},
                                       synth_options{.users = 10, .items = 500, .interactions = 500, .seed = 2}}) {
    const dataset made = synthesize(options, {}, folder / "ratings.csv");
    const dataset prepared = prepare(folder / "ratings.csv", {});
    EXPECT_EQ(prepared.digest(), made.digest());
    EXPECT_TRUE(std::ranges::equal(prepared.user_ids().numbers_or_offsets(), made.user_ids().numbers_or_offsets()));
    EXPECT_TRUE(std::ranges::equal(prepared.item_ids().numbers_or_offsets(), made.item_ids().numbers_or_offsets()));
    EXPECT_EQ(prepared.origin().row_count, options.interactions);
  }
}

TEST(synthesize, leaves_nothing_behind_when_it_fails) {
  const test::temporary_folder folder;
  const synth_options options{.users = 50, .items = 40, .interactions = 1500};
  EXPECT_THROW(synthesize(options, {}, folder / "missing" / "ratings.csv"), io_error);
  std::filesystem::create_directory(folder / "taken");
  EXPECT_THROW(synthesize(options, {}, folder / "taken"), option_error) << "a folder cannot be replaced by a file";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  const std::atomic<bool> stop{true};
  run_control control;
  control.stop_requested = &stop;
  EXPECT_THROW(synthesize(options, control, folder / "ratings.csv"), interrupted_error);
  EXPECT_FALSE(std::filesystem::exists(folder / "ratings.csv"));
}

TEST(save_with_ratings, publishes_both_or_neither) {
  const test::temporary_folder folder;
  const dataset data = synthesize({.users = 50, .items = 40, .interactions = 1500});
  const auto entries = [&] { return std::distance(std::filesystem::directory_iterator(folder.path()), {}); };
  const auto out = folder / "data";
  const auto csv = folder / "ratings.csv";
  std::ofstream(folder / "file") << "in the way";
  EXPECT_THROW(save_with_ratings(data, folder / "file/data", csv), error);
  EXPECT_EQ(entries(), 1) << "the ratings of a dataset that cannot be saved";
  EXPECT_THROW(save_with_ratings(data, out, folder / "missing/ratings.csv"), io_error);
  EXPECT_THROW(save_with_ratings(data, out, folder / "file"), option_error);
  EXPECT_EQ(entries(), 1) << "a dataset whose ratings cannot be written";

  // A file that appears at the path of the ratings while they are written is detected at publication.
  run_control control;
  control.on_progress = [&](const progress&) { std::filesystem::create_directory(csv); };
  EXPECT_THROW(save_with_ratings(data, out, csv, false, control), option_error);
  std::filesystem::remove(csv);
  EXPECT_EQ(entries(), 1);

  save_with_ratings(data, out, csv);
  EXPECT_EQ(prepare(csv, {}).digest(), dataset::load(out).digest());
  EXPECT_EQ(entries(), 3);
}

TEST(synthesize, reports_progress) {
  std::vector<std::uint64_t> done;
  run_control control = with_threads(2);
  control.on_progress = [&](const progress& now) {
    EXPECT_EQ(now.total, 10'000U);
    done.push_back(now.done);
  };
  synthesize({.users = 10'000, .items = 100, .interactions = 50'000, .min_ratings = 1}, control);
  EXPECT_GT(done.size(), 8U);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.front(), 0U);
  EXPECT_EQ(done.back(), 10'000U);
}

TEST(synthesize, makes_the_same_dataset_on_disk_as_in_memory) {
  const test::temporary_folder folder;
  for (const unsigned threads : {1U, 3U}) {
    const synth_options options{.users = 500, .items = 300, .interactions = 20'000, .seed = 3};
    const dataset in_memory = synthesize(options, with_threads(1));
    const dataset on_disk = synthesize(options, with_threads(threads), {}, folder.path());
    EXPECT_EQ(on_disk.digest(), in_memory.digest());
    EXPECT_TRUE(std::ranges::equal(on_disk.positive_items(), in_memory.positive_items()));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "the file has a name";
  }
  EXPECT_THROW(synthesize(synth_options{}, {}, {}, folder / "missing"), io_error);
}

TEST(synth_shape, knows_shapes_larger_than_memory) {
  const synth_options expanded = synth_shape("ml-20m-16x32");
  EXPECT_EQ(expanded.interactions - static_cast<std::uint64_t>(expanded.users), 1'223'962'043U);
  const synth_options scaled = synth_shape("vk-lsvd:0.01");
  EXPECT_EQ(scaled.users, 100'000);
  EXPECT_EQ(scaled.items, 196'000);
  EXPECT_EQ(scaled.interactions, 408'000'000U);
  for (const char* name : {"vk-lsvd", "vk-lsvd:", "vk-lsvd:0", "vk-lsvd:2", "vk-lsvd:nan", "vk-lsvd:0.1x"}) {
    EXPECT_THROW(synth_shape(name), option_error) << name;
  }
}

}  // namespace
}  // namespace negpipe
