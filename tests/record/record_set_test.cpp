#include "record_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <sstream>
#include <thread>

#include "negpipe/error.hpp"
#include "record_fixtures.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

using record::record_file;
using record::record_set;
using test::bytes;

constexpr std::uint64_t batch_count = 11;
const auto specs = record::training_record_columns(500, item_type::uint16, false);

const record::record_template& shape() {
  static const record::record_template made(specs);
  return made;
}

bytes record_of(std::uint64_t batch) { return test::random_record(shape(), specs, static_cast<unsigned>(10 * batch)); }

bytes payload_of(std::uint64_t batch) {
  const bytes whole = record_of(batch);
  return {whole.begin() + 12, whole.end() - 4};
}

struct outcome {
  std::vector<record_file> files;
  std::map<std::string, bytes> contents;  ///< by file name
};

/// Writes all batches in the given order, thread t taking every threads-th.
outcome write(const std::filesystem::path& folder, std::uint32_t readers, compression_type compression,
              const std::vector<std::uint64_t>& order, unsigned threads,
              std::uint64_t max_waiting_bytes = record::default_waiting_bytes) {
  std::filesystem::create_directory(folder);
  record_set set(folder, "train", {batch_count, readers}, shape().record_bytes(), compression, max_waiting_bytes);
  {
    std::vector<std::jthread> workers;
    for (unsigned t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        for (std::size_t i = t; i < order.size(); i += threads) set.write(order[i], record_of(order[i]));
      });
    }
  }
  outcome result{set.finish(), {}};
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    result.contents[entry.path().filename().string()] = test::read_bytes(entry.path());
  }
  return result;
}

class record_set_test : public ::testing::TestWithParam<std::tuple<compression_type, std::uint32_t>> {
 protected:
  record_set_test() { std::iota(ascending_.begin(), ascending_.end(), std::uint64_t{0}); }

  compression_type compression_ = std::get<0>(GetParam());
  std::uint32_t readers_ = std::get<1>(GetParam());
  std::vector<std::uint64_t> ascending_ = std::vector<std::uint64_t>(batch_count);
  test::temporary_folder folder_;
};

TEST_P(record_set_test, holds_batches_in_order_by_file) {
  const outcome written = write(folder_ / "a", readers_, compression_, ascending_, 1);
  ASSERT_EQ(written.files.size(), readers_);
  const std::uint64_t per = (batch_count + readers_ - 1) / readers_;
  for (std::uint32_t f = 0; f < readers_; ++f) {
    const record_file& file = written.files[f];
    EXPECT_EQ(file.name, "train_" + std::to_string(f) + ".tfrecords");
    std::vector<bytes> wanted;
    for (std::uint64_t b = f * per; b < std::min(batch_count, (f + 1) * per); ++b) wanted.push_back(payload_of(b));
    EXPECT_EQ(test::read_payloads(folder_ / "a" / file.name), wanted);
    EXPECT_EQ(file.record_count, wanted.size());
    const bytes& content = written.contents.at(file.name);
    EXPECT_EQ(file.byte_count, content.size());
    EXPECT_EQ(file.crc32c, support::crc32c(content));
  }
}

TEST_P(record_set_test, writes_the_same_bytes_in_any_order_from_any_number_of_threads) {
  const outcome reference = write(folder_ / "a", readers_, compression_, ascending_, 1);
  std::vector<std::uint64_t> descending(ascending_.rbegin(), ascending_.rend());
  const std::vector<std::uint64_t> shuffled{4, 10, 0, 7, 2, 9, 1, 6, 3, 8, 5};
  int run = 0;
  for (const auto& order : {ascending_, descending, shuffled}) {
    for (const unsigned threads : {1U, 2U, 5U}) {
      // With a small limit writes wait for earlier ones, so batches must be written in order.
      std::vector<std::uint64_t> limits = {record::default_waiting_bytes};
      if (order == ascending_) limits.insert(limits.end(), {0, 2 * readers_ * shape().record_bytes()});
      for (const std::uint64_t max_waiting_bytes : limits) {
        const outcome other =
            write(folder_ / ("b" + std::to_string(++run)), readers_, compression_, order, threads, max_waiting_bytes);
        EXPECT_EQ(other.files, reference.files);
        EXPECT_EQ(other.contents, reference.contents);
      }
    }
  }
}

TEST_P(record_set_test, indexes_plain_files) {
  const outcome written = write(folder_ / "a", readers_, compression_, ascending_, 2);
  for (const auto& file : written.files) {
    const auto found = written.contents.find(file.name + ".idx");
    ASSERT_EQ(found != written.contents.end(), compression_ == compression_type::none);
    if (found == written.contents.end()) continue;
    std::istringstream lines(std::string(reinterpret_cast<const char*>(found->second.data()), found->second.size()));
    const std::span<const std::byte> content = written.contents.at(file.name);
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t end = 0;
    std::uint64_t count = 0;
    for (; lines >> offset >> length; ++count) {
      ASSERT_EQ(offset, end);
      end = offset + length;
      ASSERT_LE(end, content.size());
      const auto one = content.subspan(offset, length);
      EXPECT_EQ(record::load_le<std::uint64_t>(one.data()), length - record::frame_bytes);
    }
    EXPECT_EQ(count, file.record_count);
    EXPECT_EQ(end, content.size());
  }
}

TEST_P(record_set_test, cancel_releases_writers_that_wait_for_a_missing_batch) {
  std::filesystem::create_directory(folder_ / "a");
  record_set set(folder_ / "a", "train", {batch_count, readers_}, shape().record_bytes(), compression_, 0);
  {
    std::vector<std::jthread> workers;
    for (std::uint64_t b = 1; b < batch_count; ++b) {
      workers.emplace_back([&, b] { set.write(b, record_of(b)); });
    }
    set.cancel();
  }
  EXPECT_THROW(set.finish(), format_error);
}

TEST_P(record_set_test, refuses_to_finish_with_a_batch_missing) {
  std::filesystem::create_directory(folder_ / "a");
  record_set set(folder_ / "a", "train", {batch_count, readers_}, shape().record_bytes(), compression_);
  for (std::uint64_t b = 0; b < batch_count; ++b) {
    if (b != 3) set.write(b, record_of(b));
  }
  EXPECT_THROW(set.finish(), format_error);
}

INSTANTIATE_TEST_SUITE_P(all, record_set_test,
                         ::testing::Combine(::testing::Values(compression_type::none, compression_type::gzip),
                                            ::testing::Values(1U, 2U, 4U, 11U, 13U)));

TEST(record_set, names_the_file_that_cannot_be_created) {
  const test::temporary_folder folder;
  try {
    record_set set(folder / "none", "train", {1, 1}, shape().record_bytes(), compression_type::none);
    FAIL() << "a folder that does not exist was accepted";
  } catch (const io_error& e) {
    EXPECT_NE(std::string(e.what()).find("train_0.tfrecords"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace negpipe
