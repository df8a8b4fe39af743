// prepare within a limit of memory makes the dataset that prepare makes in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "negpipe/error.hpp"
#include "negpipe/prepare_on_disk.hpp"
#include "support/arrow_columns.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

class prepare_on_disk : public ::testing::Test {
 protected:
  prepare_on_disk() { fs::create_directory(limit_.temporary_folder); }

  /// Writes rows of random users and items with few distinct times. Returns the file.
  fs::path write_rows(unsigned rows, bool with_repeats, const std::string& time_suffix = "") {
    std::mt19937 random(rows);
    const fs::path path = folder_ / fmt_name(rows);
    std::ofstream out(path);
    out << "user_id,item_id,rating,timestamp\n";
    for (unsigned i = 0; i < rows; ++i) {
      const unsigned item = with_repeats ? static_cast<unsigned>(random() % 40) : i;
      out << random() % 70 << ',' << 1000 - item % 1000 << ',' << random() % 5 << ',' << random() % 9 << time_suffix;
      if (!time_suffix.empty()) out << random() % 3;
      out << '\n';
    }
    return path;
  }
  static std::string fmt_name(unsigned rows) { return std::to_string(rows) + ".csv"; }

  static void expect_equal(const dataset& made, const dataset& wanted) {
    EXPECT_EQ(made.digest(), wanted.digest());
    EXPECT_TRUE(std::ranges::equal(made.positive_items(), wanted.positive_items()));
    for (const heldout_set set : {heldout_set::test, heldout_set::validation}) {
      EXPECT_TRUE(std::ranges::equal(made.heldout(set).offsets, wanted.heldout(set).offsets));
      EXPECT_TRUE(std::ranges::equal(made.heldout(set).items, wanted.heldout(set).items));
    }
    EXPECT_EQ(made.origin().options, wanted.origin().options);
    EXPECT_EQ(made.origin().source_digest, wanted.origin().source_digest);
    EXPECT_EQ(made.origin().row_count, wanted.origin().row_count);
    for (const auto ids : {&dataset::user_ids, &dataset::item_ids}) {
      ASSERT_EQ((made.*ids)().size(), (wanted.*ids)().size());
      for (std::size_t i = 0; i < (made.*ids)().size(); ++i) {
        ASSERT_EQ((made.*ids)().to_string(i), (wanted.*ids)().to_string(i));
      }
    }
  }

  static void expect_equal(const prepare_summary& made, const prepare_summary& wanted) {
    EXPECT_EQ(made.detected.to_string(), wanted.detected.to_string());
    for (const auto count : {&prepare_summary::rows_read, &prepare_summary::rows_missing,
                             &prepare_summary::duplicates_dropped, &prepare_summary::users_dropped,
                             &prepare_summary::items_dropped, &prepare_summary::rows_dropped,
                             &prepare_summary::unknown_rows, &prepare_summary::unknown_users,
                             &prepare_summary::unknown_items}) {
      EXPECT_EQ(made.*count, wanted.*count);
    }
    EXPECT_EQ(made.unknown_user_ids, wanted.unknown_user_ids);
    EXPECT_EQ(made.unknown_item_ids, wanted.unknown_item_ids);
  }

  void expect_no_names() const {
    const bool is_clean = !fs::exists(limit_.temporary_folder) || fs::is_empty(limit_.temporary_folder);
    EXPECT_TRUE(is_clean) << "a temporary file has a name";
  }

  /// Compares prepare with and without the limit. Returns the summary.
  template <typename Input>
  prepare_summary expect_same(const Input& input, const prepare_options& options) {
    prepare_summary in_memory;
    prepare_summary on_disk;
    const dataset wanted = prepare(input, options, {}, &in_memory);
    const dataset made = prepare(input, options, limit_, {}, &on_disk);
    expect_equal(made, wanted);
    expect_equal(on_disk, in_memory);
    expect_no_names();
    return on_disk;
  }
  prepare_summary expect_same(const fs::path& path, const prepare_options& options) {
    return expect_same(std::span(&path, 1), options);
  }

  std::string message_of(const fs::path& path, const prepare_options& options, bool on_disk) {
    return test::refusal([&] { on_disk ? prepare(std::span(&path, 1), options, limit_) : prepare(path, options); });
  }

  static constexpr std::uint64_t few_bytes = 1'500;  // 70 or more partitions of the tests' rows

  test::temporary_folder folder_;
  memory_limit limit_{few_bytes, folder_ / "temporary"};
};

TEST_F(prepare_on_disk, equals_prepare_in_memory) {
  for (const tie_order ties : {tie_order::file, tie_order::shuffled}) {
    for (const std::uint64_t bytes : {few_bytes, std::uint64_t{20'000}}) {  // many partitions and a few
      limit_.bytes = bytes;
      expect_same(write_rows(900, false), {.min_ratings = 12, .ties = ties, .seed = 5});
      for (const duplicate_policy policy : {duplicate_policy::first, duplicate_policy::last}) {
        expect_same(write_rows(2'000, true), {.min_ratings = 20, .ties = ties, .duplicates = policy, .seed = 5});
      }
    }
  }
}

TEST_F(prepare_on_disk, equals_prepare_in_memory_for_every_split) {
  const fs::path path = write_rows(2'000, true);
  for (const char* split : {"leave-two-out", "ratio:0.6,0.2,0.2", "ratio:0.7,0.3", "time:6", "time:5,7"}) {
    for (const unknown_policy unknown : {unknown_policy::drop, unknown_policy::keep}) {
      for (const tie_order ties : {tie_order::file, tie_order::shuffled}) {
        SCOPED_TRACE(split);
        expect_same(path, {.min_ratings = 12,
                           .ties = ties,
                           .duplicates = duplicate_policy::last,
                           .split = split_options::parse(split),
                           .unknown = unknown,
                           .seed = 5});
      }
    }
  }
}

TEST_F(prepare_on_disk, filters_items_as_in_memory) {
  const fs::path path = write_rows(2'000, true);
  for (const bool k_core : {false, true}) {
    const prepare_summary summary = expect_same(path, {.min_ratings = 12,
                                                       .min_item_ratings = 33,
                                                       .k_core = k_core,
                                                       .duplicates = duplicate_policy::first});
    EXPECT_GT(summary.items_dropped, 0U);
  }
}

TEST_F(prepare_on_disk, drops_unknown_users_and_items_as_in_memory) {
  const fs::path path = folder_ / "unknown.csv";
  std::ofstream out(path);
  out << "user_id,item_id,timestamp\n";
  for (int user = 0; user < 60; ++user) {
    const int first = user % 3 == 0 ? 6 : 0;  // some have test rows only
    for (int i = 0; i < 6; ++i) {
      out << 100 - user << ',' << (i < 5 ? (i + user) % 5 : 200 + user) << ',' << first + i << '\n';
    }
  }
  out.close();
  prepare_options options{.min_ratings = 1, .split = split_options::parse("time:3,4")};
  const prepare_summary summary = expect_same(path, options);
  EXPECT_EQ(summary.unknown_users, 20U);
  EXPECT_EQ(summary.unknown_items, 60U);
  EXPECT_EQ(summary.unknown_item_ids.size(), 10U);
  options.unknown = unknown_policy::error;
  EXPECT_EQ(message_of(path, options, true), message_of(path, options, false));
}

TEST_F(prepare_on_disk, takes_a_given_split) {
  const std::vector<fs::path> training = {write_rows(900, true)};
  const std::vector<fs::path> validation = {write_rows(300, true)};
  const std::vector<fs::path> test = {write_rows(500, true), write_rows(200, true)};
  for (const unknown_policy unknown : {unknown_policy::drop, unknown_policy::keep}) {
    const prepare_options options{
        .min_ratings = 15, .min_item_ratings = 30, .duplicates = duplicate_policy::first, .unknown = unknown};
    expect_same(split_files{training, test, validation}, options);
    expect_same(split_files{training, test}, options);
  }
}

TEST_F(prepare_on_disk, orders_fractions_of_seconds) {
  const fs::path path = write_rows(2'000, true, ".");
  for (const char* split : {"leave-one-out", "leave-two-out", "time:6.1"}) {
    expect_same(path, {.min_ratings = 12, .duplicates = duplicate_policy::last, .split = split_options::parse(split)});
  }
}

TEST_F(prepare_on_disk, notes_times_of_mixed_units) {
  const fs::path path = folder_ / "mixed.csv";
  std::ofstream out(path);
  out << "user_id,item_id,timestamp\n";
  for (int i = 0; i < 60; ++i) out << i % 6 << ',' << i << ',' << 1'500'000'000 + i << (i < 30 ? "" : "000") << '\n';
  out.close();
  const prepare_summary summary = expect_same(path, {.min_ratings = 1});
  EXPECT_NE(summary.detected.assumed.find("different units"), std::string::npos);
}

TEST_F(prepare_on_disk, starts_again_where_ids_turn_out_to_be_text) {
  const fs::path path = write_rows(2'000, true);
  std::ofstream(path, std::ios::app) << "somebody,1,1,1\nsomebody,2,1,2\n";
  expect_same(path, {.min_ratings = 2, .duplicates = duplicate_policy::first});
}

TEST_F(prepare_on_disk, orders_rows_as_in_the_file_without_times) {
  prepare_options options{.min_ratings = 1, .duplicates = duplicate_policy::last};
  options.table.order = row_order::file;
  expect_same(write_rows(2'000, true), options);
}

TEST_F(prepare_on_disk, refuses_with_the_messages_of_prepare_in_memory) {
  const fs::path repeats = write_rows(2'000, true);
  const std::string message = message_of(repeats, {}, true);
  EXPECT_EQ(message, message_of(repeats, {}, false));
  EXPECT_NE(message.find("are already in"), std::string::npos);
  const fs::path few = write_rows(900, false);
  EXPECT_EQ(message_of(few, {.min_ratings = 500}, true), message_of(few, {.min_ratings = 500}, false));
  EXPECT_TRUE(fs::is_empty(limit_.temporary_folder));
}

TEST_F(prepare_on_disk, refuses_a_limit_that_is_too_low) {
  const fs::path path = write_rows(900, false);
  limit_.bytes = 1;
  const std::string message = message_of(path, {}, true);
  EXPECT_NE(message.find("memory: 1 given, but about 9"), std::string::npos) << message;
  EXPECT_NE(message.find("rows need 4"), std::string::npos) << message;
  limit_.bytes = 0;
  EXPECT_NE(message_of(path, {}, true).find("memory: 0 given"), std::string::npos);
  limit_.bytes = few_bytes;
}

// Before rows are read, which may take hours: those here have errors.
TEST_F(prepare_on_disk, refuses_a_missing_folder_at_once) {
  const fs::path path = write_rows(900, false);
  std::ofstream(path, std::ios::app) << "not a row\n";
  limit_.temporary_folder = folder_ / "missing";
  const std::string message = message_of(path, {}, true);
  EXPECT_TRUE(message.starts_with("temporary_folder: cannot create ")) << message;
  EXPECT_NE(message.find("missing"), std::string::npos) << message;
}

TEST_F(prepare_on_disk, works_in_memory_if_the_rows_fit) {
  const fs::path path = write_rows(900, false);
  EXPECT_GT(temporary_bytes(std::span(&path, 1), limit_), 900U * 25);
  limit_.bytes = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(temporary_bytes(std::span(&path, 1), limit_), 0U);
  limit_.temporary_folder = folder_ / "missing";  // not used
  expect_same(path, {.min_ratings = 12});
}

// ---- Arrow streams

using test::arrow_batch;
using test::numbers;

/// A table of random rows in batches of different lengths.
class arrow_on_disk : public prepare_on_disk {
 protected:
  enum class id_form { narrow, wide, text };

  static std::vector<arrow_batch> batches_of(unsigned rows, id_form form, const std::string& time_format) {
    std::mt19937 random(rows);
    std::vector<arrow_batch> batches;
    for (unsigned begin = 0; begin < rows;) {
      const unsigned end = std::min(rows, begin + 1 + static_cast<unsigned>(random() % 90));
      std::vector<std::uint64_t> users;
      std::vector<std::int64_t> items;
      std::vector<std::int64_t> times;
      std::vector<bool> valid;
      for (unsigned i = begin; i < end; ++i) {
        users.push_back(random() % 70);
        items.push_back(static_cast<std::int64_t>(random() % 40));
        times.push_back(static_cast<std::int64_t>(random() % 9'000));
        valid.push_back(i >= rows / 4 && random() % 20 != 0);  // the first batches have no time
      }
      if (form == id_form::wide && end == rows) users.back() = std::numeric_limits<std::uint64_t>::max();
      std::vector<std::string> texts;
      for (const std::uint64_t user : users) texts.push_back("user " + std::to_string(user));
      batches.push_back({{form == id_form::text ? test::texts("user_id", texts) : numbers("user_id", "L", users),
                          numbers("item_id", "l", items), numbers("timestamp", time_format, times, valid)}});
      begin = end;
    }
    return batches;
  }

  void expect_same_table(const std::vector<arrow_batch>& batches, const prepare_options& options) {
    test::arrow_batches wanted(batches);
    test::arrow_batches given(batches);
    prepare_summary in_memory;
    prepare_summary on_disk;
    const dataset expected = prepare(arrow_table{wanted.stream(), "rows"}, options, {}, &in_memory);
    expect_equal(prepare(arrow_table{given.stream(), "rows"}, options, limit_, {}, &on_disk), expected);
    expect_equal(on_disk, in_memory);
    EXPECT_EQ(given.unreleased(), 0);
    expect_no_names();
  }
};

TEST_F(arrow_on_disk, equals_prepare_in_memory) {
  prepare_options options{
      .min_ratings = 5, .min_item_ratings = 3, .k_core = true, .duplicates = duplicate_policy::last};
  options.table.missing = missing_policy::drop;
  expect_same_table(batches_of(1'000, id_form::narrow, "l"), options);
  options.split = split_options::parse("ratio:0.6,0.2,0.2");
  expect_same_table(batches_of(1'000, id_form::wide, "tsm:"), options);
  options.split = split_options::parse("time:1970-01-01T00:00:04");
  expect_same_table(batches_of(1'000, id_form::text, "tsm:UTC"), options);
  limit_.bytes = 20'000;  // the first rows fit
  options.split = {};
  expect_same_table(batches_of(1'000, id_form::wide, "l"), options);
  limit_.bytes = 1 << 20;  // all rows fit
  expect_same_table(batches_of(1'000, id_form::wide, "tsn:"), options);
}

TEST_F(arrow_on_disk, takes_a_given_split) {
  const std::vector<arrow_batch> training = batches_of(900, id_form::narrow, "l");
  const std::vector<arrow_batch> held_out = batches_of(400, id_form::wide, "l");
  const prepare_options options{.min_ratings = 5, .duplicates = duplicate_policy::first};
  std::vector<dataset> made;
  for (const bool on_disk : {false, true}) {
    test::arrow_batches first(training);
    test::arrow_batches second(held_out);
    test::arrow_batches third(training);
    const arrow_split split{{first.stream(), "training"}, {second.stream(), "test"}, arrow_table{third.stream(), "v"}};
    made.push_back(on_disk ? prepare(split, options, limit_) : prepare(split, options));
  }
  expect_equal(made[1], made[0]);
}

TEST_F(arrow_on_disk, refuses_a_limit_that_is_too_low_and_a_stream_that_fails) {
  limit_.bytes = 1;
  test::arrow_batches rows(batches_of(1'000, id_form::narrow, "l"));
  prepare_options options{.min_ratings = 1, .duplicates = duplicate_policy::last};
  options.table.missing = missing_policy::drop;
  test::expect_refused("memory: 1 given, but at least",
                       [&] { prepare(arrow_table{rows.stream()}, options, limit_); });
  EXPECT_EQ(rows.unreleased(), 0);
  limit_.bytes = few_bytes;
  test::arrow_batches failing(batches_of(1'000, id_form::narrow, "l"), EIO);
  EXPECT_NE(test::refusal([&] { prepare(arrow_table{failing.stream()}, options, limit_); }).find("the server is gone"),
            std::string::npos);
  EXPECT_EQ(failing.unreleased(), 0);
  limit_.temporary_folder = folder_ / "missing";  // refused before a batch is asked for
  test::arrow_batches unread(batches_of(1'000, id_form::narrow, "l"), EIO);
  EXPECT_TRUE(test::refusal([&] { prepare(arrow_table{unread.stream()}, options, limit_); })
                  .starts_with("temporary_folder: cannot create "));
  expect_no_names();
}

}  // namespace
}  // namespace negpipe
