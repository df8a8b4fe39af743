#include "negpipe/error.hpp"

#include <gtest/gtest.h>

#include <string>

namespace negpipe {
namespace {

TEST(error, messages_show_control_characters_as_escapes) {
  const std::string id("a\0b\x1B[2J\x7F", 8);
  const format_error failure("user " + id + " has\n\t2 items");
  EXPECT_STREQ(failure.what(), "user a\\x00b\\x1b[2J\\x7f has\n\t2 items");
}

TEST(error, messages_keep_other_bytes) {
  const std::string text = "ratings-\xC3\xA9.csv: \"\xFF\"";
  EXPECT_EQ(io_error(text).what(), text);
}

TEST(error, names_its_field) {
  const option_error failure("batch_size", "0 given, 1 or more wanted");
  EXPECT_EQ(failure.field(), "batch_size");
  EXPECT_STREQ(failure.what(), "batch_size: 0 given, 1 or more wanted");
  EXPECT_EQ(io_error("cannot open it").field(), "");
}

}  // namespace
}  // namespace negpipe
