#include "text_source.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {
namespace {

using test::gzipped;
using test::temporary_folder;
using test::write_file;

std::string lines(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i * i) + "\n";
  return text;
}

// Returns all blocks joined; each must end with a complete line.
std::string read_blocks(const std::filesystem::path& path) {
  text_source source{input_file(path)};
  block_reader reader(source);
  std::string text;
  std::vector<char> block;
  bool ended = true;
  while (reader.next(block)) {
    EXPECT_TRUE(ended) << "only the last block may lack a newline";
    EXPECT_LE(block.size(), block_reader::block_bytes);
    ended = block.back() == '\n';
    text.append(block.begin(), block.end());
  }
  return text;
}

TEST(text_source, gives_whole_lines_whatever_the_size) {
  const temporary_folder folder;
  const std::size_t block = block_reader::block_bytes;
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("a"), lines(block / 2), lines(3 * block),
        lines(2 * block) + "no newline", std::string(block - 1, 'x') + "\n" + std::string(block - 1, 'y') + "\nz"}) {
    write_file(folder / "plain", text);
    EXPECT_TRUE(read_blocks(folder / "plain") == text) << text.size();
    write_file(folder / "packed", gzipped(text));
    EXPECT_TRUE(read_blocks(folder / "packed") == text) << text.size();
    const std::size_t half = text.size() / 2;
    write_file(folder / "members", gzipped(text.substr(0, half)) + gzipped("") + gzipped(text.substr(half)));
    EXPECT_TRUE(read_blocks(folder / "members") == text) << text.size();
  }
}

TEST(text_source, digests_the_file_not_the_text) {
  const temporary_folder folder;
  write_file(folder / "plain", "abc");
  text_source source{input_file(folder / "plain")};
  std::vector<char> buffer(10);
  EXPECT_EQ(source.read(buffer), 3U);
  EXPECT_EQ(source.digest(), "900150983cd24fb0d6963f7d28e17f72");
  const std::string packed = gzipped("abc");
  write_file(folder / "packed", packed);
  text_source other{input_file(folder / "packed")};
  EXPECT_EQ(other.read(buffer), 3U);
  EXPECT_EQ(other.bytes_consumed(), packed.size());
  EXPECT_NE(other.digest(), source.digest());
}

TEST(text_source, refuses_damaged_compression) {
  const temporary_folder folder;
  const std::string whole = gzipped(lines(100'000));
  std::string flipped = whole;
  flipped[whole.size() - 6] ^= 1;  // in the trailer's CRC
  for (const std::string& bytes : {whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 1), flipped,
                                   whole + "garbage", whole + whole.substr(0, 5)}) {
    write_file(folder / "damaged.gz", bytes);
    EXPECT_THROW(read_blocks(folder / "damaged.gz"), input_error) << bytes.size();
  }
}

TEST(text_source, refuses_to_expand_a_file_without_limit) {
  const temporary_folder folder;
  const std::string bomb = gzipped(std::string(text_source::min_text_limit_bytes + (1U << 20), '\n'));
  write_file(folder / "bomb.gz", bomb);
  try {
    read_blocks(folder / "bomb.gz");
    ADD_FAILURE() << "expanded " << bomb.size() << " bytes";
  } catch (const input_error& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("give the plain file"), std::string::npos) << refusal.what();
  }
  const std::string small = gzipped(std::string(1U << 20, '\n'));
  write_file(folder / "small.gz", small);
  EXPECT_NO_THROW(read_blocks(folder / "small.gz")) << "a small file may shrink to " << small.size() << " bytes";
}

TEST(text_source, ignores_zeros_after_the_last_gzip_member) {
  const temporary_folder folder;
  const std::string text = lines(1000);
  for (const std::size_t zeros : {std::size_t{1}, std::size_t{512}, std::size_t{300'000}}) {
    write_file(folder / "padded.gz", gzipped(text) + std::string(zeros, '\0'));
    EXPECT_TRUE(read_blocks(folder / "padded.gz") == text) << zeros;
    write_file(folder / "padded.gz", gzipped(text) + std::string(zeros, '\0') + "x");
    EXPECT_THROW(read_blocks(folder / "padded.gz"), input_error) << zeros;
  }
}

TEST(block_reader, keeps_line_ends_in_quoted_fields_within_a_block) {
  const temporary_folder folder;
  std::string text;
  for (int i = 0; text.size() < 3 * block_reader::block_bytes; ++i) {
    text += std::to_string(i) + ",\"a\nb \"\"\n\",plain\n" + std::to_string(i) + ",x,no \" quote\n";
  }
  write_file(folder / "quoted", text);
  text_source source{input_file(folder / "quoted")};
  block_reader reader(source);
  EXPECT_EQ(reader.beginning().back(), '\n');
  reader.cut_rows({separator::comma}, '\0', 0);
  std::string all;
  for (std::vector<char> block; reader.next(block);) {
    const std::string_view rows(block.data(), block.size());
    EXPECT_TRUE(rows.ends_with("plain\n") || rows.ends_with("no \" quote\n"));
    all += rows;
  }
  EXPECT_TRUE(all == text);
}

TEST(block_reader, refuses_a_quote_that_is_never_closed) {
  const temporary_folder folder;
  write_file(folder / "open", "1,\"2\n" + lines(3'000'000));
  text_source source{input_file(folder / "open")};
  block_reader reader(source);
  reader.beginning();
  reader.cut_rows({separator::comma}, '\0', 0);
  std::vector<char> block;
  EXPECT_THROW(reader.next(block), input_error);
}

TEST(text_source, refuses_lines_that_fill_a_block) {
  const temporary_folder folder;
  write_file(folder / "long", "1\n" + std::string(block_reader::block_bytes, 'x') + "\n");
  EXPECT_THROW(read_blocks(folder / "long"), input_error);
}

TEST(text_source, refuses_pipes) {
  const temporary_folder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  try {
    text_source source{input_file(folder / "pipe")};
    ADD_FAILURE() << "a pipe was accepted";
  } catch (const input_error& refusal) {
    EXPECT_NE(std::string(refusal.what()).find("write them to a file"), std::string::npos) << refusal.what();
  }
}

TEST(text_source, reports_system_errors) {
  const temporary_folder folder;
  EXPECT_THROW(read_blocks(folder / "missing"), io_error);
  EXPECT_THROW(read_blocks(folder.path()), io_error);
}

}  // namespace
}  // namespace negpipe::ingest
