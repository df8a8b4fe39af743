// A dataset in user-range shards: equal to the same dataset in one file an array, and joined without copies.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "joined_files.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"
#include "negpipe/shards.hpp"
#include "support/datasets.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t map_everything = 0;
constexpr std::uint64_t map_nothing = ~std::uint64_t{0};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Users with 0 to 2,999 positives, so that shards have several pages.
dataset large_dataset() {
  std::vector<std::vector<std::int32_t>> rows(300);
  std::vector<std::int32_t> heldout;
  for (std::size_t user = 0; user < rows.size(); ++user) {
    rows[user].resize(user * 7919 % 3000);
    std::iota(rows[user].begin(), rows[user].end(), 0);
    heldout.push_back(3000);
  }
  return test::make_dataset(std::move(rows), std::move(heldout), 3001);
}

dataset text_dataset(std::vector<std::string> user_ids = {"first", "", "third"},
                     std::vector<std::int64_t> item_ids = {5, -6, 7}) {
  dataset_arrays arrays;
  arrays.user_offsets = {0, 2, 2, 3};
  arrays.positive_items = {0, 2, 1};
  arrays.heldout_items = {1};
  arrays.test_offsets = {0, 1, 1, 1};
  arrays.validation_items = {0, 2};
  arrays.validation_offsets = {0, 0, 1, 2};
  arrays.user_ids = std::move(user_ids);
  arrays.item_ids = std::move(item_ids);
  return dataset(std::move(arrays), {.source = "r.csv"});
}

void expect_equal(const user_items& a, const user_items& b) {
  EXPECT_TRUE(std::ranges::equal(a.offsets, b.offsets));
  EXPECT_TRUE(std::ranges::equal(a.items, b.items));
}

void expect_equal(const dataset& a, const dataset& b) {
  expect_equal({a.user_offsets(), a.positive_items()}, {b.user_offsets(), b.positive_items()});
  expect_equal(a.heldout(heldout_set::test), b.heldout(heldout_set::test));
  expect_equal(a.heldout(heldout_set::validation), b.heldout(heldout_set::validation));
  EXPECT_TRUE(std::ranges::equal(a.user_ids().numbers_or_offsets(), b.user_ids().numbers_or_offsets()));
  EXPECT_TRUE(std::ranges::equal(a.user_ids().bytes(), b.user_ids().bytes()));
  EXPECT_TRUE(std::ranges::equal(a.item_ids().numbers_or_offsets(), b.item_ids().numbers_or_offsets()));
  EXPECT_EQ(a.digest(), b.digest());
}

/// Makes of a dataset in shards what another program writes: shards.json instead of dataset.json.
void unjoin(const fs::path& folder) {
  auto description = nlohmann::ordered_json::parse(read_file(folder / "dataset.json"));
  description.erase("digest");
  description.erase("checksum");
  std::ofstream(folder / "shards.json") << description.dump();
  fs::remove(folder / "dataset.json");
}

TEST(shards, equal_the_dataset_in_one_piece) {
  const test::temporary_folder folder;
  for (const dataset& data : {large_dataset(), text_dataset(), test::edge_dataset()}) {
    for (const std::uint32_t shards : {1U, 7U}) {
      data.save(folder / "data", /*replace=*/true, shards);
      EXPECT_TRUE(fs::exists(folder / "data/positive_items.00000.npy"));
      EXPECT_FALSE(fs::exists(folder / "data/positive_items.npy"));
      for (const std::uint64_t map_from : {map_everything, map_nothing}) {
        const dataset loaded = dataset::load(folder / "data", map_from);
        expect_equal(loaded, data);
        loaded.check_unchanged();
      }
    }
  }
  text_dataset().save(folder / "data", /*replace=*/true, 30);  // more shards than users
  expect_equal(dataset::load(folder / "data", map_everything), text_dataset());
  text_dataset().save(folder / "data", /*replace=*/true);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "data"), {}), 10) << "no shard of the replaced one is left";
}

TEST(shards, have_about_the_same_number_of_positives) {
  const test::temporary_folder folder;
  const dataset data = large_dataset();
  data.save(folder / "data", false, 5);
  const auto arrays = nlohmann::json::parse(read_file(folder / "data/dataset.json"))["arrays"];
  const auto& shards = arrays["positive_items"]["shards"];
  ASSERT_EQ(shards.size(), 5U);
  for (const auto& shard : shards) {
    EXPECT_NEAR(shard["length"].get<double>(), static_cast<double>(data.positive_count()) / 5, 3000);
  }
}

TEST(shards, are_joined_in_place) {
  const test::temporary_folder folder;
  for (const dataset& data : {large_dataset(), text_dataset()}) {
    data.save(folder / "shards", false, 3);
    const std::string whole = read_file(folder / "shards/dataset.json");
    unjoin(folder / "shards");
    EXPECT_THROW(dataset::load(folder / "shards"), format_error);
    dataset::join(folder / "shards", folder / "data", /*replace=*/true);
    EXPECT_FALSE(fs::exists(folder / "shards"));
    expect_equal(dataset::load(folder / "data"), data);
    EXPECT_EQ(read_file(folder / "data/dataset.json"), whole);
  }
}

TEST(shards, are_joined_after_an_interruption) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "shards", false, 3);
  const std::string description = read_file(folder / "shards/dataset.json");
  unjoin(folder / "shards");
  std::ofstream(folder / "shards/dataset.json") << description;
  std::ofstream(folder / "shards/.dataset.json.1234") << "{";
  dataset::join(folder / "shards", folder / "data");
  expect_equal(dataset::load(folder / "data"), large_dataset());
  EXPECT_FALSE(fs::exists(folder / "data/.dataset.json.1234"));
}

TEST(shards, of_a_join_that_was_killed_after_the_rename_are_a_dataset) {
  const test::temporary_folder folder;
  const auto make = [&](const fs::path& name) {
    large_dataset().save(folder / name, false, 3);
    const std::string description = read_file(folder / name / "dataset.json");
    unjoin(folder / name);
    std::ofstream(folder / name / "dataset.json") << description;
  };
  make("data");
  expect_equal(dataset::load(folder / "data"), large_dataset());
  text_dataset().save(folder / "data", /*replace=*/true, 3);
  expect_equal(dataset::load(folder / "data"), text_dataset());
  EXPECT_FALSE(fs::exists(folder / "data/shards.json"));
  make("again");
  dataset::join(folder / "again", folder / "data", /*replace=*/true);
  expect_equal(dataset::load(folder / "data"), large_dataset());
  EXPECT_FALSE(fs::exists(folder / "data/shards.json"));
}

/// Expects that the folder "shards" is refused with this text, and stays as it is.
void expect_refusal(const fs::path& folder, const std::string& text) {
  try {
    dataset::join(folder / "shards", folder / "data");
    ADD_FAILURE() << text << " was accepted";
  } catch (const error& failure) {
    EXPECT_NE(std::string(failure.what()).find(text), std::string::npos) << failure.what();
  }
  EXPECT_TRUE(fs::exists(folder / "shards/positive_items.00000.npy"));
  EXPECT_FALSE(fs::exists(folder / "data"));
}

TEST(shards, are_not_joined_twice_or_without_a_description) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "shards", false, 3);
  expect_refusal(folder.path(), "is a dataset already");
  fs::remove(folder / "shards/dataset.json");
  expect_refusal(folder.path(), "has no shards.json");
}

TEST(shards, are_not_joined_if_a_file_is_missing_or_has_another_size) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "shards", false, 3);
  unjoin(folder / "shards");
  const fs::path file = folder / "shards/positive_items.00001.npy";
  fs::resize_file(file, fs::file_size(file) - 4);
  expect_refusal(folder.path(), "truncated or extended: write the shards again");
  fs::resize_file(file, 100);
  expect_refusal(folder.path(), "of the array that shards.json lists");
  fs::remove(file);
  expect_refusal(folder.path(), "is missing, but shards.json lists it; write the shards again");
  std::ofstream(folder / "shards/shards.json") << "{";
  expect_refusal(folder.path(), "write the shards again");
}

TEST(shards, are_not_joined_with_files_or_arrays_of_others) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "shards", false, 3);
  unjoin(folder / "shards");
  for (const char* name : {"_SUCCESS", ".positive_items.00000.npy.crc"}) {
    std::ofstream(folder / "shards" / name) << "";
    expect_refusal(folder.path(), std::string(name) + " is not listed in shards.json");
    fs::remove(folder / "shards" / name);
  }
  const auto whole = nlohmann::ordered_json::parse(read_file(folder / "shards/shards.json"));
  const auto refuse_change = [&](const std::string& text, const auto& change) {
    auto description = whole;
    change(description["arrays"]);
    std::ofstream(folder / "shards/shards.json") << description.dump();
    expect_refusal(folder.path(), text);
  };
  refuse_change("\"ratings\" is not an array of a dataset", [](auto& a) { a["ratings"] = a["item_ids"]; });
  refuse_change("\"item_ids_bytes\" is not an array", [](auto& a) { a["item_ids_bytes"] = a["item_ids"]; });
  refuse_change("\"dtype\" is \"<f4\"", [](auto& a) { a["positive_items"]["dtype"] = "<f4"; });
}

TEST(shards, do_not_replace_what_is_not_a_dataset) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "shards", false, 3);
  unjoin(folder / "shards");
  fs::create_directory(folder / "data");
  std::ofstream(folder / "data/thesis") << "text";
  for (const bool replace : {false, true}) {
    EXPECT_THROW(dataset::join(folder / "shards", folder / "data", replace), option_error);
  }
  EXPECT_TRUE(fs::exists(folder / "shards/shards.json"));
}

TEST(shards, are_rejected_if_damaged) {
  const test::temporary_folder folder;
  const auto refusal_of = [&](const std::string& file, const auto& damage) {
    large_dataset().save(folder / "data", /*replace=*/true, 3);
    std::string bytes = read_file(folder / "data" / file);
    damage(bytes);
    std::ofstream(folder / "data" / file, std::ios::binary) << bytes;
    for (const std::uint64_t map_from : {map_everything, map_nothing}) {
      try {
        dataset::load(folder / "data", map_from);
        ADD_FAILURE() << file << " was accepted";
      } catch (const format_error& failure) {
        EXPECT_NE(std::string(failure.what()).find(file), std::string::npos) << failure.what();
      }
    }
  };
  for (const std::string file : {"positive_items.00001.npy", "user_offsets.00002.npy", "user_ids.00000.npy"}) {
    refusal_of(file, [](std::string& bytes) { bytes.back() = static_cast<char>(bytes.back() ^ 1); });
    refusal_of(file, [](std::string& bytes) { bytes[12] = static_cast<char>(bytes[12] ^ 1); });
    refusal_of(file, [](std::string& bytes) { bytes.pop_back(); });
    refusal_of(file, [](std::string& bytes) { bytes += "1234"; });
    refusal_of(file, [](std::string& bytes) { bytes.clear(); });
  }
  large_dataset().save(folder / "data", /*replace=*/true, 3);
  fs::remove(folder / "data/test_items.00001.npy");
  EXPECT_THROW(dataset::load(folder / "data"), format_error);
}

TEST(shards, are_not_joined_with_repeated_ids) {
  for (const auto& [data, found] : {std::pair{text_dataset({"third", "", "third"}), "users 0 and 2 are both third"},
                                    std::pair{text_dataset({"a", "b", "c"}, {7, 5, 5}), "items 1 and 2 are both 5"}}) {
    const test::temporary_folder folder;
    data.save(folder / "shards", false, 3);
    unjoin(folder / "shards");
    try {
      dataset::join(folder / "shards", folder / "data");
      ADD_FAILURE() << found << " was accepted";
    } catch (const format_error& failure) {
      EXPECT_NE(std::string(failure.what()).find(found), std::string::npos) << failure.what();
    }
    EXPECT_TRUE(fs::exists(folder / "shards/shards.json"));
  }
}

TEST(shards, are_rejected_if_their_lengths_do_not_add_up) {
  const test::temporary_folder folder;
  for (const int change : {-1, 1}) {
    large_dataset().save(folder / "shards", /*replace=*/false, 3);
    unjoin(folder / "shards");
    auto description = nlohmann::ordered_json::parse(read_file(folder / "shards/shards.json"));
    auto& length = description["arrays"]["positive_items"]["length"];
    length = length.get<int>() + change;
    std::ofstream(folder / "shards/shards.json") << description.dump();
    EXPECT_THROW(dataset::join(folder / "shards", folder / "data"), format_error);
    fs::remove_all(folder / "shards");
  }
}

TEST(shards, detect_a_change_in_place_but_allow_removal) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "data", false, 3);
  const dataset mapped = dataset::load(folder / "data", map_everything);
  const fs::path file = folder / "data/positive_items.00001.npy";
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_THROW(mapped.check_unchanged(), io_error);
  const dataset again = dataset::load(folder / "data", map_everything);
  fs::remove_all(folder / "data");
  again.check_unchanged();
  expect_equal(again, large_dataset());
}

/// Expects that a shard has the rows of its users in the whole dataset.
void expect_rows(const user_items& part, const user_items& whole, std::size_t first_user) {
  for (std::size_t user = 0; user + 1 < part.offsets.size(); ++user) {
    EXPECT_TRUE(std::ranges::equal(part.of(user), whole.of(first_user + user))) << first_user << " + " << user;
  }
}

TEST(shards, are_datasets_of_their_users) {
  const test::temporary_folder folder;
  for (const dataset& data : {large_dataset(), text_dataset()}) {
    const std::uint32_t count = data.user_count() == 3 ? 2 : 5;
    data.save(folder / "data", /*replace=*/true, count);
    for (const std::uint64_t map_from : {map_everything, map_nothing}) {
      const sharded_dataset shards(folder / "data", map_from);
      EXPECT_EQ(shards.user_count(), data.user_count());
      EXPECT_EQ(shards.item_count(), data.item_count());
      EXPECT_EQ(shards.positive_count(), data.positive_count());
      EXPECT_EQ(shards.digest(), data.digest());
      ASSERT_EQ(shards.shard_count(), count);
      std::int32_t users = 0;
      for (std::uint32_t k = 0; k < count; ++k) {
        const dataset part = shards.load(k);
        EXPECT_EQ(part.first_user(), users);
        EXPECT_EQ(part.first_user(), shards.first_users()[k]);
        EXPECT_EQ(part.positive_count(), shards.positive_counts()[k]);
        EXPECT_EQ(part.item_count(), data.item_count());
        const auto first = static_cast<std::size_t>(users);
        expect_rows({part.user_offsets(), part.positive_items()}, {data.user_offsets(), data.positive_items()}, first);
        expect_rows(part.heldout(heldout_set::test), data.heldout(heldout_set::test), first);
        if (data.has_validation()) {
          expect_rows(part.heldout(heldout_set::validation), data.heldout(heldout_set::validation), first);
        }
        for (std::size_t user = 0; user < part.user_ids().size(); ++user) {
          EXPECT_EQ(part.user_ids().to_string(user), data.user_ids().to_string(first + user));
        }
        users += part.user_count();
      }
      EXPECT_EQ(users, data.user_count());
    }
  }
  EXPECT_EQ(dataset::load(folder / "data").first_user(), 0);
}

TEST(shards, are_loaded_without_the_others) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "data", false, 4);
  for (const char* name : {"positive_items", "user_offsets", "test_items", "test_offsets", "user_ids"}) {
    for (const int k : {0, 1, 3}) fs::remove(folder / "data" / fmt::format("{}.{:05}.npy", name, k));
  }
  const sharded_dataset shards(folder / "data", map_everything);
  EXPECT_GT(shards.load(2).first_user(), 0);
  EXPECT_THROW(shards.load(3), format_error);
}

TEST(shards, are_rejected_one_by_one_if_damaged) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "data", false, 3);
  const fs::path file = folder / "data/positive_items.00001.npy";
  std::string bytes = read_file(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
  const sharded_dataset shards(folder / "data");
  EXPECT_THROW(shards.load(1), format_error);
  shards.load(2);
}

TEST(shards, must_exist_and_have_positives) {
  const test::temporary_folder folder;
  text_dataset().save(folder / "data", false, 30);
  const sharded_dataset shards(folder / "data");
  const auto counts = shards.positive_counts();
  const auto empty = static_cast<std::uint32_t>(std::ranges::find(counts, 0U) - counts.begin());
  EXPECT_THROW(shards.load(empty), option_error);
  EXPECT_THROW(shards.load(30), option_error);
  text_dataset().save(folder / "whole");
  EXPECT_THROW(sharded_dataset(folder / "whole"), option_error);
}

TEST(shards, count_the_items_of_all) {
  const test::temporary_folder folder;
  for (const std::uint32_t count : {3U, 30U}) {  // 30: most are empty
    const dataset data = count == 3 ? large_dataset() : text_dataset();
    data.save(folder / "data", /*replace=*/true, count);
    std::vector<std::uint64_t> wanted(static_cast<std::size_t>(data.item_count()), 0);
    for (const std::int32_t item : data.positive_items()) ++wanted[static_cast<std::size_t>(item)];
    EXPECT_EQ(sharded_dataset(folder / "data").count_items(), wanted);
  }
}

TEST(shards, share_the_item_ids) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "data", false, 3);
  const sharded_dataset shards(folder / "data");
  const dataset part = shards.load(0);
  fs::remove(folder / "data/item_ids.npy");
  EXPECT_EQ(shards.load(1).item_ids().numbers_or_offsets().data(), part.item_ids().numbers_or_offsets().data());
}

TEST(shards, have_a_digest_of_their_own_content) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "data", false, 3);
  const dataset part = sharded_dataset(folder / "data").load(1);
  part.save(folder / "part");
  EXPECT_EQ(part.digest(), dataset::load(folder / "part").digest());
  EXPECT_EQ(part.digest(), sharded_dataset(folder / "data").load(1).digest());
  EXPECT_NE(part.digest(), sharded_dataset(folder / "data").load(2).digest());
}

/// Returns the message of load(), or nothing.
std::string failure_of_loading(const sharded_dataset& shards, std::uint32_t k) {
  try {
    shards.load(k);
    return "";
  } catch (const format_error& failure) {
    return failure.what();
  }
}

TEST(shards, are_checked_against_the_dataset_that_was_opened) {
  const test::temporary_folder folder;
  large_dataset().save(folder / "data", false, 3);
  const sharded_dataset shards(folder / "data");
  shards.load(0);
  large_dataset().save(folder / "data", /*replace=*/true, 2);
  EXPECT_NE(failure_of_loading(shards, 0).find("was replaced: its digest is " + shards.digest() + " in 2 shards"),
            std::string::npos)
      << failure_of_loading(shards, 0);
  large_dataset().save(folder / "data", /*replace=*/true, 3);
  EXPECT_EQ(failure_of_loading(shards, 0), "") << "the same dataset";
  const fs::path file = folder / "data/positive_items.00001.npy";
  fs::resize_file(file, fs::file_size(file) - 4);
  EXPECT_NE(failure_of_loading(shards, 1).find("truncated"), std::string::npos) << "damaged, not replaced";
}

TEST(shards, are_limited_in_number) {
  const test::temporary_folder folder;
  EXPECT_THROW(large_dataset().save(folder / "data", false, max_shards + 1), option_error);
}

// ---- the memory below

TEST(joined_files, map_whole_pages_that_fit_and_read_the_rest) {
  const test::temporary_folder folder;
  std::string all;
  constexpr std::size_t header = 4096;
  const std::vector<std::size_t> sizes{10'000, 0, 5, 4091, 50'000, 4096};
  support::joined_files joined(10'000 + 5 + 4091 + 50'000 + 4096);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::string bytes(sizes[i], '\0');
    for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<char>(k * 31 + i);
    const std::size_t offset = header + all.size() % 4096;
    const fs::path file = folder / std::to_string(i);
    std::ofstream(file, std::ios::binary) << std::string(offset, 'x') << bytes << "end";
    joined.append(file, offset, bytes.size(), /*map=*/true);
    all += bytes;
  }
  const std::string_view found(reinterpret_cast<const char*>(joined.bytes().data()), joined.bytes().size());
  EXPECT_TRUE(found == all);
  EXPECT_EQ(joined.mapped_file_count(), ::getpagesize() == 4096 ? 2U : 0U) << "the first, and the long one";

  support::joined_files shifted(10'000);
  shifted.append(folder / "0", header + 1, 9'999, /*map=*/true);
  EXPECT_EQ(shifted.mapped_file_count(), 0U);
  EXPECT_TRUE(std::ranges::equal(shifted.bytes(), joined.bytes().subspan(1, 9'999)));
  EXPECT_THROW(support::joined_files(20'000).append(folder / "0", header, 20'000, /*map=*/true), io_error);
}

}  // namespace
}  // namespace negpipe
