#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "digest.hpp"
#include "negpipe/error.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

/// MD5 over users, items and negatives of batches, computed independently.
std::string hash_of(const std::vector<test::batch_columns>& batches) {
  support::md5 hash;
  for (const auto& batch : batches) {
    hash.update(std::as_bytes(std::span(batch.users)));
    hash.update(std::as_bytes(std::span(batch.items)));
    hash.update(std::as_bytes(std::span(batch.negatives)));
  }
  return hash.hex();
}

TEST(hash_records, covers_users_and_items_in_the_order_of_file_numbers) {
  const dataset data = test::small_dataset();
  const test::temporary_folder folder;
  auto options = test::small_options(folder / "out");
  options.cycle_count = 2;
  options.first_cycle = 99'999;  // the next one has six digits
  options.sampling.batch_size = 40;
  options.readers = 12;  // train_10 and train_11 sort before train_2 by name
  test::generate_small(data, options);
  const auto hashes = hash_records(options.out);
  ASSERT_EQ(hashes.size(), 3U);
  const std::string names[] = {"cycle_99999", "cycle_100000", "eval_data"};
  const std::string places[] = {"training_epochs/cycle_99999", "training_epochs/cycle_100000", "eval_data"};
  for (std::size_t i = 0; i < 3; ++i) {
    auto batches = test::read_batches(options.out / places[i]);
    EXPECT_EQ(hashes[i].name, names[i]);
    EXPECT_EQ(hashes[i].batch_count, batches.size());
    EXPECT_EQ(hashes[i].all_batches, hash_of(batches));
    batches.resize(1);
    EXPECT_EQ(hashes[i].first_batch, hash_of(batches));
  }
  EXPECT_NE(hashes[0].all_batches, hashes[1].all_batches);
}

TEST(hash_records, covers_the_negatives_of_the_pairwise_layout) {
  const test::temporary_folder folder;
  auto options = test::small_options(folder / "out");
  options.sampling.layout = batch_layout::pairwise;
  test::generate_small(test::small_dataset(), options);
  const auto batches = test::read_batches(options.out / "training_epochs/cycle_00000");
  ASSERT_EQ(batches[0].negatives.size(), 300U);
  EXPECT_EQ(hash_records(options.out).front().all_batches, hash_of(batches));
}

TEST(hash_records, depends_only_on_the_content) {
  const dataset data = test::small_dataset();
  const test::temporary_folder folder;
  std::vector<std::string> found;
  for (const auto compression : {compression_type::none, compression_type::gzip}) {
    for (const std::uint32_t readers : {1U, 4U, 20U}) {
      auto options = test::small_options(folder / std::to_string(found.size()));
      options.compression = compression;
      options.readers = readers;
      test::generate_small(data, options);
      std::string text;
      for (const auto& hash : hash_records(options.out)) text += hash.all_batches + hash.first_batch;
      found.push_back(text);
    }
  }
  EXPECT_EQ(std::count(found.begin(), found.end(), found[0]), 6);
}

TEST(hash_records, rejects_an_unfinished_folder) {
  const test::temporary_folder folder;
  const auto options = test::small_options(folder / "out");
  test::generate_small(test::small_dataset(), options);
  std::filesystem::remove(options.out / "eval_data/ready.json");
  EXPECT_THROW(hash_records(options.out), format_error);
  EXPECT_THROW(hash_records(folder / "none"), format_error);
}

// The hash of a part could be taken for that of the whole.
TEST(hash_records, rejects_a_folder_that_lacks_files_or_records) {
  const test::temporary_folder folder;
  const auto options = test::small_options(folder / "out");
  test::generate_small(test::small_dataset(), options);
  const auto cycle = options.out / "training_epochs/cycle_00000";
  const auto refusal = [&] {
    try {
      hash_records(options.out);
    } catch (const format_error& failure) {
      return std::string(failure.what());
    }
    return std::string("accepted");
  };
  ASSERT_EQ(refusal(), "accepted");
  std::filesystem::copy(cycle / "train_2.tfrecords", folder / "kept");
  std::filesystem::remove(cycle / "train_2.tfrecords");
  EXPECT_NE(refusal().find("train_2.tfrecords: is missing"), std::string::npos) << refusal();
  std::filesystem::copy(cycle / "train_0.tfrecords", cycle / "train_2.tfrecords");  // a valid file with other records
  EXPECT_NE(refusal().find("train_2.tfrecords: has 2331 bytes, 777 wanted"), std::string::npos) << refusal();
  std::filesystem::remove(cycle / "train_2.tfrecords");
  std::filesystem::copy(folder / "kept", cycle / "train_2.tfrecords");
  ASSERT_EQ(refusal(), "accepted");

  auto ready = record::read_ready_file(cycle);
  ready.files.pop_back();
  record::write_ready_file(cycle, ready);
  EXPECT_NE(refusal().find("\"record_count\" is 3, 4 wanted: 7 batches in 2 files"), std::string::npos) << refusal();
}

// Of the same size, with valid records.
TEST(hash_records, rejects_a_file_of_another_cycle) {
  for (const auto compression : {compression_type::none, compression_type::gzip}) {
    const test::temporary_folder folder;
    auto options = test::small_options(folder / "out");
    options.cycle_count = 2;
    options.compression = compression;
    test::generate_small(test::small_dataset(), options);
    const auto cycle = options.out / "training_epochs/cycle_00000";
    auto ready = record::read_ready_file(cycle);
    const auto other = record::read_ready_file(options.out / "training_epochs/cycle_00001");
    std::filesystem::copy_file(options.out / "training_epochs/cycle_00001/train_1.tfrecords",
                               cycle / "train_1.tfrecords", std::filesystem::copy_options::overwrite_existing);
    ready.files[1].byte_count = other.files[1].byte_count;  // the same, if not compressed
    record::write_ready_file(cycle, ready);
    try {
      hash_records(options.out);
      ADD_FAILURE() << "accepted";
    } catch (const format_error& failure) {
      EXPECT_NE(std::string(failure.what()).find("train_1.tfrecords: its CRC-32C is "), std::string::npos)
          << failure.what();
    }
  }
}

TEST(hash_records, reports_progress) {
  const test::temporary_folder folder;
  const auto options = test::small_options(folder / "out");
  test::generate_small(test::small_dataset(), options);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  run_control control;
  control.on_progress = [&](const progress& now) { seen.emplace_back(now.done, now.total); };
  hash_records(options.out, control);
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> wanted{{1, 7}, {2, 7}, {3, 7}, {4, 7}, {5, 7},
                                                                    {6, 7}, {7, 7}, {1, 3}, {2, 3}, {3, 3}};
  EXPECT_EQ(seen, wanted);
}

}  // namespace
}  // namespace negpipe
