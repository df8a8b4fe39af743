// A table gives the same dataset if it is compressed, in an archive, in another encoding, split, or on standard input.
#include "containers.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"

namespace negpipe {
namespace {

using test::gzipped;
using test::keep_everyone;
using test::temporary_folder;
using test::write_file;

std::string table() {
  std::string text = "user_id,item_id,timestamp\n";
  for (int i = 0; i < 40'000; ++i)
    text += std::to_string(i % 97) + ",i" + std::to_string(i) + "," + std::to_string(i) + "\n";
  return text;
}

std::string digest(const std::filesystem::path& file, const table_options& options = {}) {
  prepare_options all = keep_everyone();
  all.table = options;
  return prepare(file, all).digest();
}

std::string refusal(const std::filesystem::path& file, const table_options& options = {}) {
  try {
    return digest(file, options);
  } catch (const input_error& failure) {
    return failure.what();
  }
}

bool says(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

TEST(containers, give_the_table_inside) {
  const temporary_folder folder;
  const std::string text = table();
  write_file(folder / "plain", text);
  const std::string expected = digest(folder / "plain");
  const std::vector<std::pair<std::string, std::function<std::string(const std::string&)>>> forms = {
      {"gzip", gzipped}, {"zstd", test::zstd_of}, {"bzip2", test::bzip2_of}, {"xz", test::xz_of}};
  for (const auto& [name, make] : forms) {
    const std::string packed = make(text);
    write_file(folder / name, packed);
    EXPECT_EQ(digest(folder / name), expected) << name;
    write_file(folder / name, make(text.substr(0, 70'000)) + make(text.substr(70'000)));
    EXPECT_EQ(digest(folder / name), expected) << name << ", two members";
    write_file(folder / name, gzipped(packed));
    EXPECT_EQ(digest(folder / name), expected) << name << " in gzip";
    for (const std::size_t size : {packed.size() / 2, packed.size() - 1}) {
      write_file(folder / name, packed.substr(0, size));
      EXPECT_TRUE(says(refusal(folder / name), "truncated")) << name << ": " << refusal(folder / name);
    }
    std::string damaged = packed;
    for (std::size_t i = packed.size() / 2; i < packed.size() / 2 + 8; ++i) damaged[i] = static_cast<char>(~damaged[i]);
    write_file(folder / name, damaged);
    EXPECT_TRUE(says(refusal(folder / name), ": ")) << name << ": " << refusal(folder / name);
    write_file(folder / name, packed + "garbage");
    EXPECT_TRUE(says(refusal(folder / name), "fetch it again")) << name << ": " << refusal(folder / name);
  }
}

TEST(archives, need_one_table_or_its_name) {
  const temporary_folder folder;
  const std::string text = table();
  write_file(folder / "plain", text);
  const std::string expected = digest(folder / "plain");
  test::write_zip(folder / "one.zip", {{"set/README.txt", "read me"}, {"set/ratings.csv", text}, {"__MACOSX/x", "y"}});
  EXPECT_EQ(digest(folder / "one.zip"), expected);
  test::write_zip(folder / "packed.zip", {{"ratings.csv.gz", gzipped(text)}});
  EXPECT_EQ(digest(folder / "packed.zip"), expected);
  test::write_zip(folder / "two.zip", {{"set/movies.csv", "1,x\n"}, {"set/ratings.csv", text}});
  EXPECT_TRUE(says(refusal(folder / "two.zip"),
                   "holds 2 files, \"set/movies.csv\", \"set/ratings.csv\"; choose one with `member`"));
  EXPECT_EQ(digest(folder / "two.zip", {.member = "ratings.csv"}), expected);
  EXPECT_EQ(digest(folder / "two.zip", {.member = "set/ratings.csv"}), expected);
  EXPECT_TRUE(says(refusal(folder / "two.zip", {.member = "users.csv"}), "the archive has no member \"users.csv\""));
  EXPECT_TRUE(says(refusal(folder / "plain", {.member = "users.csv"}), "it is not a zip archive"));
  const std::string whole = test::read_file(folder / "one.zip");
  write_file(folder / "cut.zip", whole.substr(0, whole.size() / 2));
  EXPECT_TRUE(says(refusal(folder / "cut.zip"), "damaged or truncated"));
}

TEST(formats, that_are_unsupported_are_named_with_a_command) {
  const temporary_folder folder;
  std::string tar(1024, '\0');
  tar.replace(0, 11, "ratings.csv").replace(257, 5, "ustar");
  const std::vector<std::pair<std::string, std::string>> files = {
      {tar, "it is a tar archive; read it with: tar -xOf"},
      {gzipped(tar), "it is a tar archive"},
      {"PAR1\x15\x04", "it is a Parquet file; read it with: python3 -m negpipe prepare '"},
      {std::string("ARROW1").append(2, '\0'), "an Arrow (Feather) file"},
      {"[{\"user_id\": 1}]", "it is one JSON array"},
      {"{'reviewerID': 'A'}\n", "its lines are Python dictionaries"},
  };
  for (const auto& [bytes, part] : files) {
    write_file(folder / "file", bytes);
    EXPECT_TRUE(says(refusal(folder / "file"), part)) << refusal(folder / "file");
  }
}

TEST(encodings, give_the_same_ids) {
  const temporary_folder folder;
  const auto ids = [&](const std::string& text, text_encoding encoding) {
    write_file(folder / "r.csv", text);
    prepare_options options = keep_everyone();
    options.table.encoding = encoding;
    const dataset data = prepare(folder / "r.csv", options);
    return data.user_ids().to_string(0) + " " + data.item_ids().to_string(0) + " " + data.item_ids().to_string(1);
  };
  const std::u16string text = u"user_id,item_id,timestamp\r\nJos\u00e9,\u20ac,1\r\nJos\u00e9,\U0001F600,2\r\n";
  std::string little = "\xFF\xFE";
  std::string big = "\xFE\xFF";
  for (const char16_t c : text) {
    little += {static_cast<char>(c & 0xFF), static_cast<char>(c >> 8)};
    big += {static_cast<char>(c >> 8), static_cast<char>(c & 0xFF)};
  }
  const std::string expected = "Jos\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80";
  EXPECT_EQ(ids(little, text_encoding::detected), expected);
  EXPECT_EQ(ids(big, text_encoding::detected), expected);
  EXPECT_EQ(ids(little.substr(2), text_encoding::utf16), expected);
  EXPECT_EQ(ids("user_id,item_id,timestamp\nJos\xE9,\xD1,1\nJos\xE9,b,2\n", text_encoding::latin1),
            "Jos\xC3\xA9 \xC3\x91 b");
  write_file(folder / "r.csv", little.substr(2));
  EXPECT_TRUE(says(refusal(folder / "r.csv"), "set `encoding` to utf-16"));
  write_file(folder / "r.csv", big + std::string("\xD8\x00\x00\x41", 4));
  EXPECT_TRUE(says(refusal(folder / "r.csv"), "the text is not UTF-16 before its byte"));
}

TEST(line_ends, may_be_cr) {
  const dataset data = test::prepare_text("user_id,item_id,timestamp\r1,2,3\r1,3,4\r");
  EXPECT_EQ(data.item_count(), 2);
}

TEST(files, are_read_as_one_table_each_with_its_own_header) {
  const temporary_folder folder;
  write_file(folder / "a.csv", "user_id,item_id,timestamp\n1,10,1\n1,11,2\n");
  write_file(folder / "b.csv", gzipped("timestamp\titem_id\tuser_id\n3\t10\t2\n4\t12\t2\n"));
  write_file(folder / "c.csv", "user_id,item_id,timestamp\n\n2,12,9\n");
  prepare_summary summary;
  const std::vector<std::filesystem::path> two = {folder / "a.csv", folder / "b.csv"};
  const dataset data = prepare(two, keep_everyone(), {}, &summary);
  EXPECT_EQ(data.digest(), test::prepare_text("user_id,item_id,timestamp\n1,10,1\n1,11,2\n2,10,3\n2,12,4\n").digest());
  EXPECT_TRUE(says(summary.detected.assumed, "b.csv is read differently: gzip: 3 columns separated by tabs"));
  try {
    prepare(std::vector<std::filesystem::path>{folder / "a.csv", folder / "b.csv", folder / "c.csv"}, keep_everyone());
    ADD_FAILURE() << "a repeat across files was accepted";
  } catch (const input_error& failure) {
    EXPECT_TRUE(
        says(failure.what(), "c.csv:3: user 2 and item 12 are already in " + (folder / "b.csv").string() + ":3"))
        << failure.what();
  }
}

TEST(standard_input, may_be_a_pipe_and_is_read_again_for_text_ids) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text = "user_id,item_id,timestamp\n1,10,1\n1,eleven,2\n";
  ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  const int kept = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  ::close(ends[0]);
  prepare_options options = keep_everyone();
  const dataset data = prepare("-", options);
  if (kept >= 0) {
    ::dup2(kept, STDIN_FILENO);
    ::close(kept);
  }
  EXPECT_EQ(data.item_ids().to_string(1), "eleven");
}

}  // namespace
}  // namespace negpipe
