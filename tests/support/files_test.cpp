// Inputs are regular files, read within limits, and their descriptors are never those of standard streams.
#include "files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "negpipe/error.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::support {
namespace {

namespace fs = std::filesystem;

class files : public testing::Test {
 protected:
  files() {
    fs::create_directory(folder_ / "folder");
    std::ofstream(folder_ / "file") << "content";
  }

  test::temporary_folder folder_;
};

TEST_F(files, open_rejects_special_files_without_blocking) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  for (const fs::path& path : {folder_ / "fifo", folder_ / "folder", fs::path("/dev/null"), fs::path("/dev/zero")}) {
    EXPECT_THROW(file::open_read(path), io_error) << path;
    EXPECT_THROW(mapped_file{path}, io_error) << path;
    EXPECT_THROW(file_contents(path, 100), io_error) << path;
    EXPECT_THROW(read_text(path, 100), io_error) << path;
    EXPECT_THROW(file::open_or_create(path), io_error) << path;
  }
  EXPECT_NO_THROW(file::open_folder(folder_ / "folder"));
  EXPECT_THROW(file::open_folder(folder_ / "fifo"), io_error);
}

TEST_F(files, read_text_enforces_its_limit) {
  EXPECT_EQ(read_text(folder_ / "file", 7), "content");
  EXPECT_THROW(read_text(folder_ / "file", 6), format_error);
  fs::resize_file(folder_ / "file", std::uintmax_t{1} << 40);
  EXPECT_THROW(read_text(folder_ / "file", max_json_bytes), format_error);
}

TEST_F(files, contents_do_not_change_with_the_file) {
  const file_contents whole(folder_ / "file", 100);
  const file_contents part(folder_ / "file", 3);
  std::ofstream(folder_ / "file") << "other";
  const auto text = [](const file_contents& read) {
    return std::string(reinterpret_cast<const char*>(read.bytes().data()), read.bytes().size());
  };
  EXPECT_EQ(text(whole), "content");
  EXPECT_EQ(text(part), "con");
  EXPECT_EQ(part.file_size(), 7U);
}

TEST_F(files, descriptors_are_never_those_of_standard_streams) {
  const int kept = ::dup(STDIN_FILENO);
  ::close(STDIN_FILENO);
  const auto above = [](const file& opened) { return opened.descriptor() > STDERR_FILENO; };
  EXPECT_TRUE(above(file::open_read(folder_ / "file")));
  EXPECT_TRUE(above(file::open_folder(folder_ / "folder")));
  EXPECT_TRUE(above(file::create(folder_ / "created")));
  EXPECT_TRUE(above(*file::create_new(folder_ / "new")));
  EXPECT_TRUE(above(file::open_or_create(folder_ / "lock")));
  if (kept < 0) return;  // it was closed already
  ::dup2(kept, STDIN_FILENO);
  ::close(kept);
}

}  // namespace
}  // namespace negpipe::support
