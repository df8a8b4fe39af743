#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "digest.hpp"
#include "negpipe/error.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

/// MD5 over users and items of batches, spelt out.
std::string hash_of(const std::vector<test::batch_columns>& batches) {
  support::md5 hash;
  for (const auto& batch : batches) {
    hash.update(std::as_bytes(std::span(batch.users)));
    hash.update(std::as_bytes(std::span(batch.items)));
  }
  return hash.hex();
}

TEST(HashRecords, CoversUsersAndItemsInTheOrderOfFileNumbers) {
  const dataset data = test::small_dataset();
  const test::temporary_folder folder;
  auto options = test::small_options(folder / "out");
  options.cycle_count = 2;
  options.first_cycle = 99'999;  // the next one has six digits
  options.training.batch_size = 40;
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

TEST(HashRecords, DependsOnContentsOnly) {
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

TEST(HashRecords, RefusesAFolderThatWasNotFinished) {
  const test::temporary_folder folder;
  const auto options = test::small_options(folder / "out");
  test::generate_small(test::small_dataset(), options);
  std::filesystem::remove(options.out / "eval_data/ready.json");
  EXPECT_THROW(hash_records(options.out), format_error);
  EXPECT_THROW(hash_records(folder / "none"), format_error);
}

}  // namespace
}  // namespace negpipe
