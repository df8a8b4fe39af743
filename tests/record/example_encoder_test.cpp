#include "example_encoder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "negpipe/error.hpp"
#include "record_fixtures.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe {
namespace {

using record::column_spec;
using record::record_template;
using test::bytes;

bytes from_hex(std::string_view hex) {
  bytes out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

TEST(example_encoder, writes_what_tensorflow_writes) {
  // tf.io.TFRecordWriter with Example.SerializeToString(deterministic=True): users [1, 70000], items [2, 513],
  // labels [1, 0].
  const bytes wanted = from_hex(
      "420000000000000079f36eaa"
      "0a40"
      "0a130a076974656d5f696412080a060a0402000102"
      "0a100a066c6162656c7312060a040a020100"
      "0a170a07757365725f6964120c0a0a0a080100000070110100"
      "3296a1fe");
  const std::int32_t users[] = {1, 70'000};
  const std::uint16_t items[] = {2, 513};
  const std::int8_t labels[] = {1, 0};
  const record_template shape(record::training_record_columns(2, item_type::uint16, false));
  bytes found(shape.record_bytes());
  const std::span<const std::byte> columns[] = {std::as_bytes(std::span(users)), std::as_bytes(std::span(items)),
                                                std::as_bytes(std::span(labels))};
  shape.encode(columns, found);
  EXPECT_EQ(found, wanted);
}

TEST(example_encoder, gives_back_every_column) {
  // Sizes around the growth of a varint, and around the step in which payloads are checksummed.
  test::temporary_folder folder;
  for (const std::uint64_t size : {1U, 2U, 100U, 110U, 120U, 126U, 127U, 128U, 129U, 4'000U, 16'370U, 16'383U, 16'384U,
                                   16'385U, 700'000U}) {
    const auto specs = record::training_record_columns(size, item_type::int32, true);
    const record_template shape(specs);
    const bytes found = test::random_record(shape, specs, 5);
    test::write_bytes(folder / "one", found);
    const auto payloads = test::read_payloads(folder / "one");
    ASSERT_EQ(payloads.size(), 1U) << size;
    const auto features = parse_example(payloads[0]);
    ASSERT_EQ(features.size(), 4U);
    const std::size_t by_name[] = {1, 2, 0, 3};  // item_id, labels, user_id, valid_point_mask
    for (std::size_t i = 0; i < 4; ++i) {
      const column_spec& spec = specs[by_name[i]];
      EXPECT_EQ(features[i].name, spec.name);
      const bytes wanted = test::random_bytes(spec.byte_count, static_cast<unsigned>(5 + by_name[i]));
      EXPECT_TRUE(std::ranges::equal(features[i].bytes, wanted)) << spec.name << " of " << size;
    }
  }
}

TEST(example_encoder, encodes_in_many_threads_at_once) {
  const auto specs = record::evaluation_record_columns(5'000, item_type::uint16);
  const record_template shape(specs);
  std::vector<bytes> alone;
  std::vector<bytes> together(4);
  for (unsigned i = 0; i < 4; ++i) alone.push_back(test::random_record(shape, specs, 10 * i));
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] { together[i] = test::random_record(shape, specs, 10 * i); });
    }
  }
  EXPECT_EQ(together, alone);
}

TEST(example_encoder, completes_records_in_place) {
  for (const std::uint64_t size : {1U, 127U, 128U, 5'000U}) {
    for (const auto& specs : {record::training_record_columns(size, item_type::uint16, true),
                              record::pair_record_columns(size, 0, item_type::int32, false),
                              record::evaluation_record_columns(size, item_type::uint16)}) {
      const record_template shape(specs);
      bytes found(shape.record_bytes());
      shape.lay_out(found);
      for (const unsigned seed : {3U, 20U}) {  // the bytes between columns stay
        for (std::size_t c = 0; c < specs.size(); ++c) {
          const bytes values = test::random_bytes(specs[c].byte_count, seed + static_cast<unsigned>(c));
          std::ranges::copy(values, shape.column(c, found).begin());
        }
        shape.seal(found);
        EXPECT_EQ(found, test::random_record(shape, specs, seed)) << size;
      }
    }
  }
}

TEST(example_encoder, refuses_records_that_protobuf_cannot_hold) {
  EXPECT_NO_THROW(record_template(record::training_record_columns(306'783'360, item_type::uint16, false)));
  EXPECT_THROW(record_template(record::training_record_columns(306'783'380, item_type::uint16, false)), option_error);
  EXPECT_THROW(record_template(record::training_record_columns(1ULL << 61, item_type::int32, true)), option_error);
}

}  // namespace
}  // namespace negpipe
