#include "ready_file.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "negpipe/error.hpp"
#include "record_fixtures.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

using nlohmann::json;
using record::ready_file;
using record::record_kind;

ready_file training_content() {
  ready_file content;
  content.batch_size = 65'536;
  content.batch_count = 3;
  content.seed = 0xFFFF'FFFF'FFFF'FFFFU;  // not representable as a double
  content.point_count = 190'000;
  content.items = item_type::int32;
  content.compression = compression_type::gzip;
  content.dataset_digest = "0123456789abcdef0123456789abcdef";
  content.user_count = 100;
  content.item_count = 70'000;
  content.positive_count = 38'000;
  content.negatives = 4;
  content.cycle = 4'000'000'000U;
  content.epochs_per_cycle = 2;
  content.padding = padding_policy::mask;
  content.files = {{"train_0.tfrecords", 2, 20, 0xDEADBEEFU}, {"train_1.tfrecords", 1, 10, 7}};
  return content;
}

ready_file evaluation_content() {
  ready_file content = training_content();
  content.kind = record_kind::eval;
  content.mlperf = true;
  content.negatives = 999;
  content.files = {{"eval_0.tfrecords", 3, 30, 8}};
  return content;
}

ready_file pairwise_content() {
  ready_file content = training_content();
  content.layout = batch_layout::pairwise;
  return content;
}

ready_file popularity_content() {
  ready_file content = training_content();
  content.distribution = "popularity";
  content.alpha = 0.7;
  content.weights_digest = "fedcba9876543210fedcba9876543210";
  return content;
}

ready_file weighted_evaluation_content() {
  ready_file content = evaluation_content();
  content.distribution = "weights";
  content.weights_digest = "fedcba9876543210fedcba9876543210";
  return content;
}

std::vector<ready_file> all_contents() {
  return {training_content(), pairwise_content(), popularity_content(), evaluation_content(),
          weighted_evaluation_content()};
}

json parse(const test::temporary_folder& folder) {
  const auto text = test::read_bytes(folder / "ready.json");
  return json::parse(reinterpret_cast<const char*>(text.data()),
                     reinterpret_cast<const char*>(text.data()) + text.size());
}

void store(const test::temporary_folder& folder, const std::string& text) {
  test::write_bytes(folder / "ready.json", test::as_bytes(text));
}

TEST(ready_file, says_which_items_are_evaluated_only_if_it_is_unusual) {
  const test::temporary_folder folder;
  ready_file content = evaluation_content();
  record::write_ready_file(folder.path(), content);
  EXPECT_FALSE(parse(folder).contains("evaluated"));
  EXPECT_FALSE(parse(folder).contains("eval_infeasible"));
  content.evaluated = heldout_set::validation;
  content.infeasible = infeasible_policy::fewer;
  record::write_ready_file(folder.path(), content);
  EXPECT_EQ(record::read_ready_file(folder.path()).evaluated, heldout_set::validation);
  EXPECT_EQ(record::read_ready_file(folder.path()).infeasible, infeasible_policy::fewer);
  json wrong = parse(folder);
  wrong["evaluated"] = "training";
  store(folder, wrong.dump());
  EXPECT_THROW(record::read_ready_file(folder.path()), format_error);
}

TEST(ready_file, gives_back_what_was_written) {
  const test::temporary_folder folder;
  for (const auto& content : all_contents()) {
    record::write_ready_file(folder.path(), content);
    const ready_file found = record::read_ready_file(folder.path());
    EXPECT_EQ(found.batch_size, content.batch_size);
    EXPECT_EQ(found.batch_count, content.batch_count);
    EXPECT_EQ(found.format_version, content.format_version);
    EXPECT_EQ(found.stream_version, content.stream_version);
    EXPECT_EQ(found.library_version, content.library_version);
    EXPECT_EQ(found.kind, content.kind);
    EXPECT_EQ(found.seed, content.seed);
    EXPECT_EQ(found.point_count, content.point_count);
    EXPECT_EQ(found.items, content.items);
    EXPECT_EQ(found.compression, content.compression);
    EXPECT_EQ(found.dataset_digest, content.dataset_digest);
    EXPECT_EQ(found.user_count, content.user_count);
    EXPECT_EQ(found.item_count, content.item_count);
    EXPECT_EQ(found.positive_count, content.positive_count);
    EXPECT_EQ(found.negatives, content.negatives);
    EXPECT_EQ(found.files, content.files);
    EXPECT_EQ(found.mlperf, content.mlperf);
    EXPECT_EQ(found.distribution, content.distribution);
    EXPECT_EQ(found.alpha, content.alpha);
    EXPECT_EQ(found.weights_digest, content.weights_digest);
    if (content.kind == record_kind::eval) continue;
    EXPECT_EQ(found.cycle, content.cycle);
    EXPECT_EQ(found.epochs_per_cycle, content.epochs_per_cycle);
    EXPECT_EQ(found.padding, content.padding);
    EXPECT_EQ(found.layout, content.layout);
  }
}

TEST(ready_file, has_the_fields_that_the_2018_pipeline_reads) {
  const test::temporary_folder folder;
  record::write_ready_file(folder.path(), training_content());
  const json root = parse(folder);
  EXPECT_EQ(root.at("batch_size"), 65'536);
  EXPECT_EQ(root.at("batch_count"), 3);
  EXPECT_EQ(root.at("seed"), "18446744073709551615");
  EXPECT_EQ(root.at("dtypes"),
            (json{{"user_id", "int32"}, {"item_id", "int32"}, {"labels", "int8"}, {"valid_point_mask", "int8"}}));
}

TEST(ready_file, has_the_columns_of_its_layout) {
  const test::temporary_folder folder;
  record::write_ready_file(folder.path(), pairwise_content());
  json root = parse(folder);
  EXPECT_EQ(root.at("layout"), "pairwise");
  EXPECT_EQ(root.at("dtypes"), (json{{"user_id", "int32"},
                                     {"item_id", "int32"},
                                     {"negative_item_id", "int32"},
                                     {"valid_point_mask", "int8"}}));
  root["layout"] = "pointwise";
  store(folder, root.dump());
  EXPECT_THROW(record::read_ready_file(folder.path()), format_error) << "columns of another layout";
}

TEST(ready_file, without_a_layout_is_pointwise) {
  const test::temporary_folder folder;
  record::write_ready_file(folder.path(), training_content());
  json root = parse(folder);
  root.erase("layout");
  store(folder, root.dump());
  EXPECT_EQ(record::read_ready_file(folder.path()).layout, batch_layout::pointwise);
}

TEST(ready_file, refuses_a_field_that_is_missing_or_of_another_kind) {
  const test::temporary_folder folder;
  for (const auto& content : all_contents()) {
    record::write_ready_file(folder.path(), content);
    const json good = parse(folder);
    for (const auto& field : good.items()) {
      json bad = good;
      bad.erase(field.key());
      store(folder, bad.dump());
      if (field.key() != "layout" || content.layout != batch_layout::pointwise) {
        EXPECT_THROW(record::read_ready_file(folder.path()), format_error) << field.key() << " missing";
      }
      for (const json& value : {json(nullptr), json(-1), json(1.5), json("neither"), json::array({1})}) {
        if (field.key() == "library_version" && value.is_string()) continue;  // any text is valid
        if (field.key() == "alpha" && value == json(1.5)) continue;
        bad = good;
        bad[field.key()] = value;
        store(folder, bad.dump());
        EXPECT_THROW(record::read_ready_file(folder.path()), format_error) << field.key() << " = " << value;
      }
    }
  }
}

TEST(ready_file, refuses_json_nested_too_deeply) {
  const test::temporary_folder folder;
  record::write_ready_file(folder.path(), training_content());
  const std::string sound = parse(folder).dump();
  for (const std::size_t depth : {40UL, 300'000UL}) {
    const std::string nest = std::string(depth, '[') + std::string(depth, ']');
    for (const std::string& text : {nest, std::string(depth, '['), "{\"cycle\": " + nest + ", " + sound.substr(1)}) {
      store(folder, text);
      EXPECT_THROW(record::read_ready_file(folder.path()), format_error) << depth;
    }
  }
}

TEST(ready_file, refuses_other_formats_and_damage) {
  const test::temporary_folder folder;
  EXPECT_THROW(record::read_ready_file(folder.path()), io_error);
  record::write_ready_file(folder.path(), training_content());
  const json good = parse(folder);
  const auto refused = [&](const std::string& field, const json& value) {
    json bad = good;
    bad[json::json_pointer(field)] = value;
    store(folder, bad.dump());
    EXPECT_THROW(record::read_ready_file(folder.path()), format_error) << field << " = " << value;
  };
  refused("/format_version", 2);
  refused("/seed", "18446744073709551616");
  refused("/seed", "");
  refused("/cycle", 1ULL << 32);
  refused("/readers", 3);
  refused("/dtypes/labels", "int16");
  refused("/files/1/crc32c", "xyz");
  refused("/dataset/digest", 5);
  refused("/dataset/digest", "0123456789ABCDEF0123456789ABCDEF");
  refused("/batch_size", 0);
  refused("/batch_size", 1ULL << 31);
  refused("/files/0/name", "train_1.tfrecords");
  refused("/files/0/name", "../train_0.tfrecords");
  refused("/files/0/name", "/train_0.tfrecords");
  refused("/files/0/record_count", 1);
  refused("/files/0/byte_count", 1ULL << 40);
  refused("/files/0/crc32c", "DEADBEEF");
  const std::string text = good.dump();
  for (std::size_t length = 0; length < text.size(); ++length) {
    store(folder, text.substr(0, length));
    EXPECT_THROW(record::read_ready_file(folder.path()), format_error) << length;
  }
}

}  // namespace
}  // namespace negpipe
