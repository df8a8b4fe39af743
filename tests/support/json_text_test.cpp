#include "json_text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "negpipe/error.hpp"
#include "support/refusal.hpp"

namespace negpipe::support {
namespace {

using json = nlohmann::ordered_json;

bool accepts(std::string_view text) { return !parse_json(text).is_discarded(); }

std::string nested(int levels) {
  return std::string(static_cast<std::size_t>(levels), '[') + std::string(static_cast<std::size_t>(levels), ']');
}

std::string object_of(std::size_t members) {
  json object = json::object();
  for (std::size_t i = 0; i < members; ++i) object["m" + std::to_string(i)] = i;
  return object.dump();
}

TEST(parse_json, reads_the_whole_text_or_nothing) {
  using namespace std::string_literals;
  EXPECT_TRUE(accepts(R"( {"a": [1, "x", {}], "b": null} )"));
  for (const std::string& text : {""s, "{"s, "{} {}"s, "{}x"s, "{}\0"s, "{}\0 anything"s, "\0{}"s, "{\"a\0\": 1}"s,
                                  "\xEF\xBB\xBF{}"s, "// no\n{}"s, "{\"a\": NaN}"s, "{\"a\": 1e999}"s, "\"\xFF\""s,
                                  "\"\\ud800\""s}) {
    EXPECT_FALSE(accepts(text)) << text;
  }
  EXPECT_TRUE(accepts(R"("a \u0000 that is spelt out")"));
}

TEST(parse_json, rejects_duplicate_members) {
  EXPECT_FALSE(accepts(R"({"a": 1, "a": 1})"));
  EXPECT_FALSE(accepts(R"([{"b": {"a": 1, "c": {"a": 2}, "a": 3}}])"));
  EXPECT_TRUE(accepts(R"({"a": {"a": 1}, "b": {"a": [{"a": 1}, {"a": 1}]}})"));
}

TEST(parse_json, limits_levels_and_members) {
  EXPECT_TRUE(accepts(nested(max_json_levels)));
  EXPECT_FALSE(accepts(nested(max_json_levels + 1)));
  EXPECT_FALSE(accepts(nested(300'000)));
  EXPECT_TRUE(accepts(object_of(max_json_members)));
  EXPECT_FALSE(accepts(object_of(max_json_members + 1)));
}

using test::refusal;

TEST(json_fields, errors_name_file_field_found_and_wanted) {
  const json root = parse_json(R"({"n": -1, "f": 2.0, "t": "07", "o": {"n": 300}, "x": "abcdefgh",
                                  "c": "0123ABCD", "u": 8})");
  const json_fields fields(root, "file.json", "make it again");
  EXPECT_EQ(refusal([&] { (void)fields.number<std::uint64_t>("none"); }),
            "file.json: \"none\" is missing; make it again");
  EXPECT_EQ(refusal([&] { (void)fields.number<std::uint8_t>("n"); }),
            "file.json: \"n\" is -1, a whole number from 0 to 255 wanted; make it again");
  EXPECT_EQ(refusal([&] { (void)fields.object("o").number<std::uint8_t>("n"); }),
            "file.json: \"o\": \"n\" is 300, a whole number from 0 to 255 wanted; make it again");
  EXPECT_NE(refusal([&] { (void)fields.number<std::uint64_t>("f"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.boolean("n"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.text("n"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.array("o"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.object("t"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.checksum("x"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.checksum("c"); }), "accepted");
  EXPECT_NE(refusal([&] { (void)fields.number_in_text("x"); }), "accepted");
  EXPECT_EQ(fields.number_in_text("t"), 7U);
  EXPECT_EQ(fields.number_or_text("t"), 7U);
  EXPECT_EQ(fields.number_or_text("u"), 8U);
  EXPECT_NE(refusal([&] { (void)fields.number_or_text("n"); }), "accepted");
  EXPECT_EQ(fields.object("o").number<std::uint16_t>("n"), 300);
  EXPECT_EQ(fields.one_of("t", json_fields::names_of<int>{{1, "06"}, {2, "07"}}), 2);
  EXPECT_EQ(refusal([&] { (void)fields.one_of("t", json_fields::names_of<int>{{1, "a"}, {2, "b"}}); }),
            "file.json: \"t\" is \"07\", a or b wanted; make it again");
  EXPECT_EQ(refusal([] { json_fields(json::array(), "file.json", "make it again"); }),
            "file.json: is not a JSON object; make it again");
}

}  // namespace
}  // namespace negpipe::support
