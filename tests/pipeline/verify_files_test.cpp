#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "negpipe/error.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

class verify_files : public ::testing::Test {
 protected:
  verify_files() { test::generate_small(data_, options_); }

  /// Returns the failures that verify reports, one per line.
  std::string failures() const {
    const verify_report report = verify(data_, options_.out);
    std::string text;
    for (const auto& failure : report.failures) text += failure.file + ": " + failure.message + "\n";
    EXPECT_EQ(text.empty(), report.failure_count == 0);
    return text;
  }
  void expect_failure(const std::string& wanted) const {
    const std::string text = failures();
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << " not in\n" << text;
  }
  void edit_ready(const fs::path& folder, const std::function<void(json&)>& edit) const {
    json root = json::parse(slurp(folder / "ready.json"));
    edit(root);
    spill(folder / "ready.json", root.dump());
  }

  test::temporary_folder folder_;
  dataset data_ = test::small_dataset();
  test::run_options options_ = test::small_options(folder_ / "out");
  fs::path cycle_ = options_.out / "training_epochs/cycle_00000";
  fs::path evaluation_ = options_.out / "eval_data";
};

TEST_F(verify_files, are_correct_before_tampering) { EXPECT_EQ(failures(), ""); }

TEST_F(verify_files, need_ready_json) {
  fs::remove(cycle_ / "ready.json");
  expect_failure("ready.json: is missing");
}

TEST_F(verify_files, must_match_every_number_of_ready_json) {
  const auto off_by_one = [](const char* pointer) {
    return [pointer](json& root) {
      json& field = root[json::json_pointer(pointer)];
      field = field.get<std::uint64_t>() + 1;
    };
  };
  const std::string good = slurp(cycle_ / "ready.json");
  for (const char* field : {"/batch_size", "/batch_count", "/cycle", "/epochs_per_cycle", "/num_neg", "/point_count",
                            "/dataset/user_count", "/dataset/item_count", "/dataset/positive_count",
                            "/files/1/record_count", "/files/2/byte_count"}) {
    edit_ready(cycle_, off_by_one(field));
    EXPECT_NE(failures(), "") << field;
    spill(cycle_ / "ready.json", good);
  }
  const std::pair<const char*, json> others[] = {
      {"/seed", "43"},        {"/padding", "mask"},  {"/padding", "drop"},         {"/dtypes/item_id", "int32"},
      {"/kind", "eval"},      {"/compression", "x"}, {"/files/0/crc32c", "0"},     {"/files/0/name", "train_7"},
      {"/format_version", 2}, {"/batch_size", 0}};
  for (const auto& [pointer, value] : others) {
    edit_ready(cycle_, [&](json& root) { root[json::json_pointer(pointer)] = value; });
    EXPECT_NE(failures(), "") << pointer << " = " << value;
    spill(cycle_ / "ready.json", good);
  }
  edit_ready(evaluation_, [](json& root) { root["mlperf"] = true; });
  EXPECT_NE(failures(), "");
  edit_ready(evaluation_, [](json& root) {
    root["mlperf"] = false;
    root["eval_negatives"] = 9;  // 33 is not a multiple of 10
  });
  expect_failure("eval_batch_size");
}

TEST_F(verify_files, must_belong_to_the_dataset_and_the_stream) {
  const dataset other = test::random_dataset({3, 20, 1, 0, 35, 12, 7}, 60, 12);
  EXPECT_THROW(verify(other, options_.out), format_error);
  edit_ready(cycle_, [](json& root) { root["stream_version"] = stream_version + 1; });
  EXPECT_THROW(failures(), format_error);
}

TEST_F(verify_files, must_be_in_the_folder_of_their_cycle) {
  fs::rename(cycle_, options_.out / "training_epochs/cycle_00003");
  expect_failure("\"cycle\" is 0, 3 wanted");
}

TEST_F(verify_files, must_be_exactly_those_of_ready_json) {
  fs::copy(cycle_ / "train_0.tfrecords", cycle_ / "train_3.tfrecords");
  expect_failure("train_3.tfrecords: is not listed in ready.json");
  fs::remove(cycle_ / "train_3.tfrecords");
  fs::remove(cycle_ / "train_1.tfrecords");
  expect_failure("train_1.tfrecords: is missing");
}

TEST_F(verify_files, must_hold_their_share_of_batches) {
  // Seven batches in three files are split 3, 3, 1: moving the last record to another file keeps all of them.
  const std::string one = slurp(cycle_ / "train_1.tfrecords");
  const std::string two = slurp(cycle_ / "train_2.tfrecords");
  spill(cycle_ / "train_1.tfrecords", one.substr(0, one.size() - two.size()));
  spill(cycle_ / "train_2.tfrecords", one.substr(one.size() - two.size()) + two);
  expect_failure("train_1.tfrecords: holds 2 records, 3 wanted");
  expect_failure("train_2.tfrecords: holds at least 2 records, 1 wanted");
  expect_failure("bytes, 2331 wanted by ready.json");
}

TEST_F(verify_files, must_be_compressed_as_ready_json_says) {
  edit_ready(cycle_, [](json& root) { root["compression"] = "gzip"; });
  expect_failure("train_0.tfrecords: is not compressed by gzip, but ready.json says");
}

TEST_F(verify_files, must_hold_no_record_larger_than_the_batch_size_allows) {
  const record::record_template shape(std::vector<record::column_spec>{{"user_id", 4000}});
  std::vector<std::byte> out(shape.record_bytes());
  const std::vector<std::byte> values(4000);
  shape.encode(std::vector<std::span<const std::byte>>{values}, out);
  const std::string huge(reinterpret_cast<const char*>(out.data()), out.size());
  spill(cycle_ / "train_0.tfrecords", huge);
  expect_failure("by the batch size");
}

TEST_F(verify_files, must_have_their_index) {
  const std::string good = slurp(cycle_ / "train_0.tfrecords.idx");
  spill(cycle_ / "train_0.tfrecords.idx", good + "0 1\n");
  expect_failure("train_0.tfrecords.idx: does not hold the offset and length of every record");
  fs::remove(cycle_ / "train_0.tfrecords.idx");
  expect_failure("train_0.tfrecords.idx: is missing");
}

TEST_F(verify_files, must_not_have_a_flipped_byte_anywhere) {
  for (const fs::path& path : {cycle_ / "train_1.tfrecords", evaluation_ / "eval_0.tfrecords"}) {
    const std::string good = slurp(path);
    for (std::size_t offset = 0; offset < good.size(); offset += 97) {
      std::string damaged = good;
      damaged[offset] = static_cast<char>(damaged[offset] ^ 0x10);
      spill(path, damaged);
      const std::string text = failures();
      EXPECT_NE(text.find("its CRC-32C is"), std::string::npos) << offset;
      EXPECT_NE(text.find(": record "), std::string::npos) << offset << "\n" << text;
    }
    spill(path, good);
  }
  EXPECT_EQ(failures(), "");
}

TEST_F(verify_files, must_have_the_right_features) {
  const auto rewrite = [&](std::vector<record::column_spec> specs) {
    const record::record_template shape(specs);
    std::vector<std::byte> out(shape.record_bytes());
    std::vector<std::vector<std::byte>> values;
    for (const auto& spec : specs) values.emplace_back(spec.byte_count);
    shape.encode(std::vector<std::span<const std::byte>>(values.begin(), values.end()), out);
    record::record_set set(cycle_, "train", {7, 3}, shape.record_bytes(), compression_type::none);
    for (std::uint64_t b = 0; b < 7; ++b) set.write(b, out);
    auto ready = record::read_ready_file(cycle_);
    ready.files = set.finish();
    record::write_ready_file(cycle_, ready);
  };
  rewrite({{"user_id", 400}, {"item_id", 200}});
  expect_failure("train_0.tfrecords: record 0, feature \"labels\" is missing");
  rewrite({{"user_id", 400}, {"item_id", 400}, {"labels", 100}});
  expect_failure("record 0, feature \"item_id\" has 400 bytes, 200 wanted");
  rewrite({{"user_id", 400}, {"item_id", 200}, {"labels", 100}, {"valid_point_mask", 100}});
  expect_failure("feature \"valid_point_mask\" does not belong here");
}

TEST_F(verify_files, must_exist) { EXPECT_THROW(verify(data_, folder_ / "none"), format_error); }

TEST_F(verify_files, are_not_read_after_a_stop_request) {
  const std::atomic<bool> stop{true};
  run_control control;
  control.stop_requested = &stop;
  EXPECT_THROW(verify(data_, options_.out, control), interrupted_error);
}

TEST_F(verify_files, are_counted_in_the_progress) {
  run_control control;
  std::vector<std::pair<std::string, std::uint64_t>> ends;
  control.on_progress = [&](const progress& now) {
    EXPECT_LE(now.done, now.total);
    if (now.done == now.total) ends.emplace_back(now.stage, now.total);
  };
  verify(data_, options_.out, control);
  const std::vector<std::pair<std::string, std::uint64_t>> wanted{{"cycle_00000", 700}, {"eval_data", 99}};
  EXPECT_EQ(ends, wanted);
}

}  // namespace
}  // namespace negpipe
