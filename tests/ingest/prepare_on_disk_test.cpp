// prepare within a limit of memory makes the dataset that prepare makes in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "negpipe/error.hpp"
#include "negpipe/prepare_on_disk.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

class prepare_on_disk : public ::testing::Test {
 protected:
  prepare_on_disk() { fs::create_directory(limit_.folder); }

  /// Writes rows of random users and items with few distinct times. Returns the file.
  fs::path write_rows(unsigned rows, bool with_repeats, const std::string& prefix = "") {
    std::mt19937 random(rows);
    const fs::path path = folder_ / "ratings.csv";
    std::ofstream out(path);
    out << "user_id,item_id,rating,timestamp\n";
    for (unsigned i = 0; i < rows; ++i) {
      const unsigned item = with_repeats ? static_cast<unsigned>(random() % 40) : i;
      out << prefix << random() % 70 << ',' << prefix << 1000 - item % 1000 << ',' << random() % 5 << ','
          << random() % 9 << '\n';
    }
    return path;
  }

  void expect_same(const fs::path& path, const prepare_options& options) {
    prepare_summary in_memory;
    prepare_summary on_disk;
    const dataset wanted = prepare(path, options, {}, &in_memory);
    const dataset made = prepare(std::span(&path, 1), options, limit_, {}, &on_disk);
    EXPECT_EQ(made.digest(), wanted.digest());
    EXPECT_TRUE(std::ranges::equal(made.positive_items(), wanted.positive_items()));
    EXPECT_EQ(made.origin().options, wanted.origin().options);
    EXPECT_EQ(made.origin().source_digest, wanted.origin().source_digest);
    EXPECT_EQ(made.origin().row_count, wanted.origin().row_count);
    for (const auto ids : {&dataset::user_ids, &dataset::item_ids}) {
      ASSERT_EQ((made.*ids)().size(), (wanted.*ids)().size());
      for (std::size_t i = 0; i < (made.*ids)().size(); ++i) {
        ASSERT_EQ((made.*ids)().to_string(i), (wanted.*ids)().to_string(i));
      }
    }
    EXPECT_EQ(on_disk.duplicates_dropped, in_memory.duplicates_dropped);
    EXPECT_EQ(on_disk.users_dropped, in_memory.users_dropped);
    EXPECT_EQ(on_disk.rows_dropped, in_memory.rows_dropped);
    const bool is_clean = !fs::exists(limit_.folder) || fs::is_empty(limit_.folder);
    EXPECT_TRUE(is_clean) << "a temporary file has a name";
  }

  std::string message_of(const fs::path& path, const prepare_options& options, bool on_disk) {
    try {
      on_disk ? prepare(std::span(&path, 1), options, limit_) : prepare(path, options);
    } catch (const error& failure) {
      return failure.what();
    }
    return "";
  }

  test::temporary_folder folder_;
  memory_limit limit_{1, folder_ / "temporary"};
};

TEST_F(prepare_on_disk, equals_prepare_in_memory) {
  for (const tie_order ties : {tie_order::file, tie_order::shuffled}) {
    for (const std::uint64_t bytes : {1U, 20'000U}) {  // 256 partitions and a few
      limit_.bytes = bytes;
      expect_same(write_rows(900, false), {.min_ratings = 12, .ties = ties, .seed = 5});
      for (const duplicate_policy policy : {duplicate_policy::first, duplicate_policy::last}) {
        expect_same(write_rows(2'000, true), {.min_ratings = 20, .ties = ties, .duplicates = policy, .seed = 5});
      }
    }
  }
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
  EXPECT_TRUE(fs::is_empty(limit_.folder));
}

TEST_F(prepare_on_disk, refuses_what_needs_all_rows_in_memory) {
  const fs::path path = write_rows(900, false);
  for (const prepare_options& options :
       {prepare_options{.min_item_ratings = 2}, prepare_options{.split = split_options::parse("leave-two-out")}}) {
    EXPECT_NE(message_of(path, options, true).find("memory: does not apply"), std::string::npos);
  }
  limit_.folder = folder_ / "missing";
  EXPECT_NE(message_of(path, {}, true).find("missing"), std::string::npos);
}

TEST_F(prepare_on_disk, works_in_memory_if_the_rows_fit) {
  const fs::path path = write_rows(900, false);
  EXPECT_GT(temporary_bytes(std::span(&path, 1), limit_), 900U * 30);
  limit_.bytes = 1 << 20;
  EXPECT_EQ(temporary_bytes(std::span(&path, 1), limit_), 0U);
  limit_.folder = folder_ / "missing";  // not used
  expect_same(path, {.min_ratings = 12});
}

}  // namespace
}  // namespace negpipe
