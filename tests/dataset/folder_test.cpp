// A dataset on disk: loading returns what was saved, and damage of any kind is rejected with the file's name.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "digest.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

dataset text_dataset() {
  dataset_arrays arrays;
  arrays.user_offsets = {0, 2, 3};
  arrays.positive_items = {0, 2, 1};
  arrays.heldout_items = {1, 2};
  arrays.user_ids = std::vector<std::string>{"first", "\xC3\xA9"};
  arrays.item_ids = std::vector<std::int64_t>{5, -6, 7};
  return dataset(std::move(arrays), {.source = "r.csv",
                                     .source_digest = "0123",
                                     .options = R"({"min_ratings":20})",
                                     .ties = "shuffled",
                                     .seed = ~std::uint64_t{0},
                                     .row_count = 5});
}

dataset dataset_with_sets() {
  dataset_arrays arrays;
  arrays.user_offsets = {0, 2, 3};
  arrays.positive_items = {0, 2, 1};
  arrays.heldout_items = {1};
  arrays.test_offsets = {0, 1, 1};
  arrays.validation_items = {0, 2};
  arrays.validation_offsets = {0, 0, 2};
  arrays.user_ids = std::vector<std::int64_t>{1, 2};
  arrays.item_ids = std::vector<std::int64_t>{5, -6, 7};
  return dataset(std::move(arrays), {});
}

void expect_equal(const user_items& a, const user_items& b) {
  EXPECT_TRUE(std::ranges::equal(a.offsets, b.offsets));
  EXPECT_TRUE(std::ranges::equal(a.items, b.items));
}

void expect_equal(const dataset& a, const dataset& b) {
  EXPECT_TRUE(std::ranges::equal(a.user_offsets(), b.user_offsets()));
  EXPECT_TRUE(std::ranges::equal(a.positive_items(), b.positive_items()));
  EXPECT_TRUE(std::ranges::equal(a.heldout_items(), b.heldout_items()));
  expect_equal(a.heldout(heldout_set::test), b.heldout(heldout_set::test));
  expect_equal(a.heldout(heldout_set::validation), b.heldout(heldout_set::validation));
  EXPECT_EQ(a.user_ids().is_text(), b.user_ids().is_text());
  EXPECT_TRUE(std::ranges::equal(a.user_ids().numbers_or_offsets(), b.user_ids().numbers_or_offsets()));
  EXPECT_TRUE(std::ranges::equal(a.user_ids().bytes(), b.user_ids().bytes()));
  EXPECT_TRUE(std::ranges::equal(a.item_ids().numbers_or_offsets(), b.item_ids().numbers_or_offsets()));
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_EQ(a.origin().source, b.origin().source);
  EXPECT_EQ(a.origin().source_digest, b.origin().source_digest);
  EXPECT_EQ(a.origin().ties, b.origin().ties);
  EXPECT_EQ(a.origin().seed, b.origin().seed);
  EXPECT_EQ(a.origin().row_count, b.origin().row_count);
}

// Returns the message, which must name the file; or "accepted".
std::string refusal(const fs::path& folder, const std::string& file) {
  try {
    dataset::load(folder);
  } catch (const format_error& failure) {
    const std::string message = failure.what();
    EXPECT_NE(message.find(file), std::string::npos) << message;
    const bool says_what_to_do =
        message.find("again") != std::string::npos || message.find("give a folder") != std::string::npos;
    EXPECT_TRUE(says_what_to_do) << message;
    return message;
  }
  return "accepted";
}

TEST(dataset_folder, loads_what_was_saved) {
  const test::temporary_folder folder;
  for (const dataset& data : {text_dataset(), dataset_with_sets(), test::edge_dataset()}) {
    data.save(folder / "data", true);
    const dataset loaded = dataset::load(folder / "data");
    expect_equal(loaded, data);
    loaded.save(folder / "copy", true);
    for (const auto& entry : fs::directory_iterator(folder / "data")) {
      EXPECT_EQ(read_file(entry.path()), read_file(folder / "copy" / entry.path().filename())) << entry.path();
    }
  }
  EXPECT_EQ(dataset::load(folder / "data").origin().options, "{}");
}

TEST(dataset_folder, works_after_the_folder_is_removed) {
  const test::temporary_folder folder;
  test::edge_dataset().save(folder / "data");
  const dataset loaded = dataset::load(folder / "data");
  fs::remove_all(folder / "data");
  expect_equal(loaded, dataset(loaded));
  EXPECT_EQ(loaded.digest(), test::edge_dataset().digest());
}

TEST(dataset_folder, is_replaced_only_on_request) {
  const test::temporary_folder folder;
  text_dataset().save(folder / "data");
  const auto edge = test::edge_dataset();
  EXPECT_THROW(edge.save(folder / "data"), option_error);
  expect_equal(dataset::load(folder / "data"), text_dataset());
  edge.save(folder / "data", true);
  expect_equal(dataset::load(folder / "data"), edge);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1) << "nothing else is left";
}

TEST(dataset_folder, accepts_source_names_that_are_not_utf8) {
  const test::temporary_folder folder;
  const dataset data(dataset_arrays{{0, 1}, {0}, {1}, std::vector<std::int64_t>{1}, std::vector<std::int64_t>{1, 2}},
                     {.source = "\xFF.csv"});
  data.save(folder / "data");
  EXPECT_EQ(dataset::load(folder / "data").digest(), data.digest());
}

class damaged_dataset : public testing::TestWithParam<std::string> {
 protected:
  damaged_dataset() {
    text_dataset().save(folder_ / "data");
    file_ = folder_ / "data" / GetParam();
    bytes_ = read_file(file_);
  }

  std::string refusal_of(const std::string& bytes) {
    write_file(file_, bytes);
    return refusal(folder_ / "data", GetParam());
  }

  test::temporary_folder folder_;
  fs::path file_;
  std::string bytes_;
};

TEST_P(damaged_dataset, is_rejected_if_truncated) {
  ASSERT_EQ(refusal_of(bytes_), "accepted");
  // dataset.json may lose its last newline and nothing else.
  const std::size_t longest = bytes_.size() - (GetParam() == "dataset.json" ? 2 : 1);
  ASSERT_NE(refusal_of(bytes_.substr(0, longest)), "accepted");
  for (std::size_t length = 0; length < longest; length += 7) {
    ASSERT_NE(refusal_of(bytes_.substr(0, length)), "accepted") << length;
  }
  EXPECT_NE(refusal_of(bytes_ + "x"), "accepted");
}

TEST_P(damaged_dataset, is_rejected_if_any_byte_is_changed) {
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (GetParam() == "dataset.json" && (bytes_[i] == ' ' || bytes_[i] == '\n')) continue;  // may be any white space
    std::string damaged = bytes_;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 7));
    ASSERT_NE(refusal_of(damaged), "accepted") << i;
  }
}

TEST_P(damaged_dataset, is_rejected_if_the_file_is_missing) {
  fs::remove(file_);
  EXPECT_NE(refusal(folder_ / "data", GetParam()), "accepted");
}

INSTANTIATE_TEST_SUITE_P(files, damaged_dataset,
                         testing::Values("dataset.json", "user_offsets.npy", "positive_items.npy", "test_offsets.npy",
                                         "test_items.npy",
                                         "user_ids_offsets.npy", "user_ids_bytes.npy", "item_ids.npy"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

TEST(dataset_folder, reads_a_seed_written_as_a_json_number) {
  const test::temporary_folder folder;
  text_dataset().save(folder / "data");
  const fs::path file = folder / "data" / "dataset.json";
  auto description = nlohmann::ordered_json::parse(read_file(file));
  ASSERT_EQ(description["origin"]["seed"], "18446744073709551615");
  description["origin"]["seed"] = ~std::uint64_t{0};
  description.erase("checksum");
  const std::string text = description.dump();
  description["checksum"] = fmt::format("{:08x}", support::crc32c(std::as_bytes(std::span(text))));
  write_file(file, description.dump(2));
  expect_equal(dataset::load(folder / "data"), text_dataset());
}

/// Turns a folder of format 2 with one test item per user into one of format 1, as version 0.1.0 wrote it.
void make_format_1(const fs::path& folder) {
  auto description = nlohmann::ordered_json::parse(read_file(folder / "dataset.json"));
  description["format_version"] = 1;
  description["arrays"].erase("test_offsets");
  description["arrays"]["heldout_items"] = description["arrays"]["test_items"];
  description["arrays"].erase("test_items");
  description.erase("checksum");
  const std::string text = description.dump();
  description["checksum"] = fmt::format("{:08x}", support::crc32c(std::as_bytes(std::span(text))));
  write_file(folder / "dataset.json", description.dump(2));
  fs::remove(folder / "test_offsets.npy");
  fs::rename(folder / "test_items.npy", folder / "heldout_items.npy");
}

TEST(dataset_folder, reads_and_replaces_format_1) {
  const test::temporary_folder folder;
  text_dataset().save(folder / "data");
  make_format_1(folder / "data");
  const dataset loaded = dataset::load(folder / "data");
  expect_equal(loaded, text_dataset());
  loaded.save(folder / "data", true);
  EXPECT_TRUE(fs::exists(folder / "data" / "test_offsets.npy"));
  EXPECT_FALSE(fs::exists(folder / "data" / "heldout_items.npy"));
}

TEST(dataset_folder, rejects_another_version_by_number) {
  const test::temporary_folder folder;
  text_dataset().save(folder / "data");
  std::string text = read_file(folder / "data" / "dataset.json");
  const std::string version = "\"format_version\": 2";
  ASSERT_NE(text.find(version), std::string::npos);
  text.replace(text.find(version), version.size(), "\"format_version\": 4");
  write_file(folder / "data" / "dataset.json", text);
  const std::string message = refusal(folder / "data", "dataset.json");
  EXPECT_NE(message.find("its format is version 4, this program reads versions 1 to 3"), std::string::npos);
}

// Nesting deeper than the stack, in a field whose value would be printed, and deeper than the limit in valid JSON.
TEST(dataset_folder, rejects_deep_nesting) {
  const test::temporary_folder folder;
  text_dataset().save(folder / "data");
  const fs::path file = folder / "data" / "dataset.json";
  const std::string sound = read_file(file);
  for (const std::size_t depth : {40UL, 300'000UL}) {
    const std::string nest = std::string(depth, '[') + std::string(depth, ']');
    write_file(file, nest);
    EXPECT_NE(refusal(folder / "data", "dataset.json"), "accepted") << depth;
    write_file(file, std::string(depth, '['));
    EXPECT_NE(refusal(folder / "data", "dataset.json"), "accepted") << depth;
    for (const std::string field : {"format_version", "checksum"}) {
      std::string text = sound;
      text.insert(text.find('"' + field + '"'), '"' + field + "\": " + nest + ", ");
      write_file(file, text);
      EXPECT_NE(refusal(folder / "data", "dataset.json"), "accepted") << field << " " << depth;
    }
  }
}

TEST(dataset_folder, rejects_a_folder_that_is_not_a_dataset) {
  const test::temporary_folder folder;
  EXPECT_THROW(dataset::load(folder / "missing"), io_error);
  EXPECT_THROW(dataset::load(folder.path()), format_error);
  write_file(folder / "dataset.json", "[1, 2]");
  EXPECT_THROW(dataset::load(folder.path()), format_error);
}

// ---- mapping

constexpr std::uint64_t map_everything = 0;

TEST(mapped_dataset, equals_one_that_is_read) {
  const test::temporary_folder folder;
  for (const dataset& data : {test::edge_dataset(), text_dataset(), dataset_with_sets()}) {
    data.save(folder / "data", /*replace=*/true);
    const dataset mapped = dataset::load(folder / "data", map_everything);
    expect_equal({mapped.user_offsets(), mapped.positive_items()}, {data.user_offsets(), data.positive_items()});
    EXPECT_EQ(mapped.digest(), data.digest());
    EXPECT_EQ(mapped.user_ids().to_string(0), data.user_ids().to_string(0));
    mapped.check_unchanged();
  }
}

TEST(mapped_dataset, detects_damage_when_it_is_loaded) {
  const test::temporary_folder folder;
  test::edge_dataset().save(folder / "data");
  std::string bytes = read_file(folder / "data/positive_items.npy");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(folder / "data/positive_items.npy", bytes);
  EXPECT_THROW(dataset::load(folder / "data", map_everything), format_error);
}

TEST(mapped_dataset, detects_a_change_in_place_but_allows_removal) {
  const test::temporary_folder folder;
  test::edge_dataset().save(folder / "data");
  const dataset mapped = dataset::load(folder / "data", map_everything);
  const dataset read = dataset::load(folder / "data");
  const fs::path file = folder / "data/positive_items.npy";
  const std::string bytes = read_file(file);
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).write(bytes.data(), 1);  // new time, same bytes
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_THROW(mapped.check_unchanged(), io_error);
  read.check_unchanged();

  const dataset again = dataset::load(folder / "data", map_everything);
  fs::remove_all(folder / "data");
  again.check_unchanged();
  EXPECT_EQ(again.positive_items().size(), read.positive_items().size());
}

}  // namespace
}  // namespace negpipe
