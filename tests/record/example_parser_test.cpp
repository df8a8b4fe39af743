#include <gtest/gtest.h>


#include <string>
#include <utility>

#include "negpipe/error.hpp"
#include "record_fixtures.hpp"

namespace negpipe {
namespace {

using test::bytes;

bytes operator+(bytes a, const bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bytes text(std::string_view value) { return test::as_bytes(value); }

/// A length-delimited field of fewer than 128 bytes.
bytes field(int number, const bytes& content) {
  return bytes{static_cast<std::byte>(number << 3 | 2), static_cast<std::byte>(content.size())} + content;
}

bytes value_of(const bytes& content) { return field(1, field(1, content)); }
bytes entry(std::string_view key, const bytes& content) {
  return field(1, field(1, text(key)) + field(2, value_of(content)));
}
bytes example(const bytes& entries) { return field(1, entries); }

TEST(parse_example, reads_features_in_any_order) {
  const auto features = [](const bytes& payload) {
    std::vector<std::pair<std::string, bytes>> out;
    for (const auto& f : parse_example(payload)) out.emplace_back(f.name, bytes(f.bytes.begin(), f.bytes.end()));
    return out;
  };
  const auto found = features(example(entry("b", text("22")) + entry("a", text("1")) + entry("", {})));
  const std::vector<std::pair<std::string, bytes>> wanted{{"b", text("22")}, {"a", text("1")}, {"", {}}};
  EXPECT_EQ(found, wanted);
  // Protobuf allows fields in any order: here the value precedes its key.
  const bytes backwards = field(1, field(2, value_of(text("x"))) + field(1, text("k")));
  EXPECT_EQ(features(example(backwards)), (std::vector<std::pair<std::string, bytes>>{{"k", text("x")}}));
  EXPECT_TRUE(parse_example(example({})).empty());
}

TEST(parse_example, rejects_payloads_outside_the_format) {
  const bytes key = field(1, text("k"));
  const bytes good = entry("k", text("x"));
  const std::pair<const char*, bytes> cases[] = {
      {"nothing", {}},
      {"another field of Example", field(2, good)},
      {"two Features", example(good) + example(good)},
      {"another field of Features", example(field(2, text("x")))},
      {"a name twice", example(good + good)},
      {"an entry without a value", example(field(1, key))},
      {"an entry without a key", example(field(1, field(2, value_of(text("x")))))},
      {"two keys", example(field(1, key + key + field(2, value_of(text("x")))))},
      {"a third field of an entry", example(field(1, key + field(2, value_of(text("x"))) + field(3, text("x"))))},
      {"a float_list", example(field(1, key + field(2, field(2, field(1, text("abcd"))))))},
      {"no value in the list", example(field(1, key + field(2, field(1, {}))))},
      {"two values in the list",
       example(field(1, key + field(2, field(1, field(1, text("x")) + field(1, text("y"))))))},
      {"an integer field", bytes{std::byte{0x08}, std::byte{0x01}}},
      {"a length beyond the end", bytes{std::byte{0x0A}, std::byte{0x05}, std::byte{0}}},
      {"a number that breaks off", bytes{std::byte{0x0A}, std::byte{0x80}}},
      {"a number of 70 bits", bytes(11, std::byte{0x8A})},
      // A length of 2^64: the 65th bit must not be dropped.
      {"a number of 65 bits", bytes{std::byte{0x0A}} + bytes(9, std::byte{0x80}) + bytes{std::byte{0x02}}},
  };
  for (const auto& [what, payload] : cases) EXPECT_THROW(parse_example(payload), format_error) << what;
}

TEST(parse_example, bounds_the_number_of_features) {
  bytes entries;
  for (int i = 0; i < 300; ++i) entries = entries + entry(std::to_string(i), {});
  const bytes tag_and_length{std::byte{0x0A}, static_cast<std::byte>(0x80 | (entries.size() & 0x7F)),
                             static_cast<std::byte>(entries.size() >> 7)};
  ASSERT_LT(entries.size(), 1U << 14);
  EXPECT_THROW(parse_example(tag_and_length + entries), format_error);
}

TEST(parse_example, survives_damage_anywhere) {
  const bytes good =
      example(entry("user_id", text("abcd")) + entry("item_id", text("ef")) + entry("labels", text("g")));
  ASSERT_EQ(parse_example(good).size(), 3U);
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_THROW(parse_example(std::span(good).first(length)), format_error) << length;
  }
  for (std::size_t offset = 0; offset < good.size(); ++offset) {
    for (int value = 0; value < 256; ++value) {
      bytes damaged = good;
      damaged[offset] = static_cast<std::byte>(value);
      try {
        for (const auto& f : parse_example(damaged)) {  // what is found lies within the payload
          if (!f.bytes.empty()) {
            EXPECT_GE(f.bytes.data(), damaged.data());
            EXPECT_LE(f.bytes.data() + f.bytes.size(), damaged.data() + damaged.size());
          }
        }
      } catch (const format_error&) {
      }
    }
  }
}

}  // namespace
}  // namespace negpipe
