// Which existing paths an output may replace, and what the errors of the others name.
#include "output_path.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "files.hpp"
#include "negpipe/error.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::support {
namespace {

namespace fs = std::filesystem;

/// Reads a marker: a line "a list", then one name per line.
template <const char* marker>
std::vector<std::string> files_of(const fs::path& folder) {
  std::ifstream in(folder / marker);
  std::string line;
  if (!std::getline(in, line) || line != "a list") throw format_error("no list");
  std::vector<std::string> names{marker};
  while (std::getline(in, line)) names.push_back(line);
  return names;
}

constexpr char dataset_marker[] = "dataset.json";
constexpr char record_marker[] = "ready.json";
constexpr folder_kind kind{"a dataset", dataset_marker, files_of<dataset_marker>};
constexpr folder_kind records{"records", record_marker, files_of<record_marker>};

void write_file(const fs::path& path, const std::string& text = {}) { std::ofstream(path) << text; }

/// Returns the error's message; empty if there is none.
std::string refusal(const fs::path& folder, const std::optional<folder_kind>& replaces) {
  try {
    check_output_folder(folder, replaces);
  } catch (const option_error& refused) {
    EXPECT_NE(std::string(refused.what()).find(folder.filename()), std::string::npos) << refused.what();
    return refused.what();
  }
  return {};
}

class output_path : public testing::Test {
 protected:
  output_path() : before_(fs::current_path()) { fs::create_directory(folder_ / "out"); }
  ~output_path() override { fs::current_path(before_); }

  void expect_refused(const std::string& found, const folder_kind& replaces = kind) {
    const std::string message = refusal(folder_ / "out", replaces);
    EXPECT_NE(message.find(found), std::string::npos) << message << "; wanted: " << found;
  }

  fs::path before_;
  test::temporary_folder folder_;
};

TEST_F(output_path, accepts_a_free_path) {
  EXPECT_EQ(refusal(folder_ / "nothing", {}), "");
  EXPECT_EQ(refusal(folder_ / "nothing", kind), "");
  EXPECT_EQ(refusal(folder_ / "not/there", kind), "");
  EXPECT_NE(refusal(folder_ / "out", {}).find("exists already"), std::string::npos);
}

TEST_F(output_path, accepts_an_empty_folder) { EXPECT_EQ(refusal(folder_ / "out", kind), ""); }

TEST_F(output_path, accepts_a_folder_of_listed_files) {
  write_file(folder_ / "out/dataset.json", "a list\nother\nmissing\n");
  write_file(folder_ / "out/other");
  fs::create_symlink("out", folder_ / "link");
  EXPECT_EQ(refusal(folder_ / "out", kind), "");
  EXPECT_EQ(refusal(folder_ / "out/", kind), "");
  EXPECT_EQ(refusal(folder_ / "link", kind), "");
  EXPECT_EQ(check_replaceable(folder_ / "out", kind), (std::vector<std::string>{"dataset.json", "other"}));
  expect_refused("no ready.json", records);
}

TEST_F(output_path, names_a_file_that_the_marker_does_not_list) {
  write_file(folder_ / "out/dataset.json", "a list\nlisted\nfolder\nlink\n");
  write_file(folder_ / "out/listed");
  write_file(folder_ / "out/thesis");
  expect_refused("holds thesis, which dataset.json does not list");
  fs::remove(folder_ / "out/thesis");
  for (const char* name : {"folder", "link"}) {
    name == std::string("folder") ? (void)fs::create_directory(folder_ / "out/folder")
                                  : fs::create_symlink("listed", folder_ / "out/link");
    expect_refused("holds " + std::string(name));
    fs::remove(folder_ / "out" / name);
  }
  EXPECT_EQ(refusal(folder_ / "out", kind), "");
}

TEST_F(output_path, rejects_another_folder_and_names_its_content) {
  write_file(folder_ / "out/thesis.tex");
  expect_refused("holds thesis.tex, but no dataset.json");
  write_file(folder_ / "out/data");
  expect_refused("holds data and thesis.tex, but");
  write_file(folder_ / "out/more");
  expect_refused("holds data, more and thesis.tex, but");
  write_file(folder_ / "out/a");
  expect_refused("holds a, data and 2 more, but");
  write_file(folder_ / "out/dataset.json", "of pictures");
  expect_refused("holds a dataset.json that negpipe did not write");
  fs::remove(folder_ / "out/dataset.json");
  fs::create_directory(folder_ / "out/dataset.json");
  EXPECT_NE(refusal(folder_ / "out", kind), "");
}

TEST_F(output_path, rejects_what_is_not_a_folder) {
  fs::remove(folder_ / "out");
  write_file(folder_ / "out");
  expect_refused("is not a folder");
  fs::remove(folder_ / "out");
  fs::create_symlink("nowhere", folder_ / "out");
  expect_refused("is not a folder");
}

TEST_F(output_path, rejects_the_working_directory_and_its_parents) {
  fs::create_directories(folder_ / "out/below/further");
  fs::create_symlink("out", folder_ / "link");
  for (const char* marked : {"out", "out/below", "out/below/further"}) {
    write_file(folder_ / marked / "dataset.json", "a list\n");
  }
  fs::current_path(folder_ / "out/below");
  expect_refused("working directory");
  EXPECT_NE(refusal(folder_ / "link", kind).find("working directory"), std::string::npos);
  EXPECT_NE(refusal("../below", kind).find("working directory"), std::string::npos);
  EXPECT_EQ(refusal("further", kind), "");
  EXPECT_EQ(refusal(folder_ / "out/below/further", kind), "");
}

TEST_F(output_path, rejects_a_mount_point) {
  EXPECT_TRUE(is_mount_point("/proc"));
  EXPECT_FALSE(is_mount_point("/proc/self"));
  EXPECT_FALSE(is_mount_point(folder_.path()));
  fs::create_symlink("/proc", folder_ / "link");
  EXPECT_FALSE(is_mount_point(folder_ / "link")) << "a link to a mount point can be renamed";
  EXPECT_FALSE(is_mount_point(folder_ / "nothing"));
  EXPECT_NE(refusal("/proc", kind).find("choose a folder inside it"), std::string::npos);
}

TEST_F(output_path, works_in_a_removed_working_directory) {
  fs::create_directory(folder_ / "gone");
  fs::current_path(folder_ / "gone");
  fs::remove(folder_ / "gone");
  EXPECT_EQ(refusal(folder_ / "out", kind), "");
  EXPECT_THROW(check_output_folder("out", kind), io_error);
}

TEST_F(output_path, full_path_resolves_parents_of_links_like_the_system) {
  fs::create_directories(folder_ / "other/deep");
  fs::create_symlink("other/deep", folder_ / "link");
  fs::create_symlink("out", folder_ / "end");
  const fs::path root = fs::canonical(folder_.path());
  EXPECT_EQ(full_path(folder_ / "link/../out"), root / "other/out");
  EXPECT_EQ(full_path(folder_ / "link/.././out/."), root / "other/out");
  EXPECT_EQ(full_path(folder_ / "link/.."), root / "other");
  EXPECT_EQ(full_path(folder_ / "link/../"), root / "other");
  EXPECT_EQ(full_path(folder_ / "out/../end/"), root / "end") << "a link at the end is not followed";
  EXPECT_EQ(full_path(folder_ / "out/not/../there"), root / "out/there");
  EXPECT_EQ(full_path(folder_ / "./link//"), folder_ / "link");
  EXPECT_EQ(full_path("/"), "/");
  EXPECT_EQ(full_path("/.."), "/");
  EXPECT_EQ(full_path("/."), "/");
  fs::current_path(folder_ / "link");
  EXPECT_EQ(full_path("."), root / "other/deep");
  EXPECT_EQ(full_path("../out"), root / "other/out");
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THROW(full_path(folder_ / "loop/../out"), io_error);
  write_file(folder_ / "out/dataset.json");
  write_file(folder_ / "other/out");
  EXPECT_NE(refusal(folder_ / "link/../out", kind).find("other/out is not a folder"), std::string::npos);
}

TEST_F(output_path, a_file_replaces_only_files) {
  write_file(folder_ / "file");
  fs::create_symlink("file", folder_ / "link");
  EXPECT_NO_THROW(check_output_file(folder_ / "nothing", false));
  EXPECT_NO_THROW(check_output_file(folder_ / "file", true));
  EXPECT_NO_THROW(check_output_file(folder_ / "link", true));
  EXPECT_THROW(check_output_file(folder_ / "file", false), option_error);
  EXPECT_THROW(check_output_file(folder_ / "out", true), option_error);
  EXPECT_THROW(check_output_file("/dev/null", true), option_error);
}

TEST_F(output_path, a_path_below_a_file_is_an_io_error) {
  write_file(folder_ / "file");
  EXPECT_THROW(check_output_folder(folder_ / "file/below", {}), io_error);
  EXPECT_THROW(check_output_folder(folder_ / std::string(256, 'n'), kind), io_error);
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THROW(check_output_folder(folder_ / "loop/below", kind), io_error);
  EXPECT_THROW(check_output_file(folder_ / "file/below", true), io_error);
}

TEST_F(output_path, rejects_a_path_below_a_dangling_link) {
  fs::create_symlink("nowhere", folder_ / "link");
  for (const char* below : {"link/below", "link/far/below"}) {
    EXPECT_NE(refusal(folder_ / below, {}).find("link is a link to nowhere, which does not exist"), std::string::npos);
    EXPECT_NE(refusal(folder_ / below, kind).find("link is a link to nowhere"), std::string::npos);
  }
  fs::create_directory(folder_ / "nowhere");
  EXPECT_EQ(refusal(folder_ / "link/below", {}), "");
}

TEST_F(output_path, lies_in_resolves_links) {
  fs::create_symlink("out", folder_ / "link");
  EXPECT_TRUE(lies_in(folder_ / "out", folder_ / "out"));
  EXPECT_TRUE(lies_in(folder_ / "out/not/there", folder_ / "out/"));
  EXPECT_TRUE(lies_in(folder_ / "link/file", folder_ / "out"));
  EXPECT_TRUE(lies_in(folder_ / "out/file", folder_ / "link"));
  EXPECT_FALSE(lies_in(folder_ / "outs", folder_ / "out"));
  EXPECT_FALSE(lies_in(folder_.path(), folder_ / "out"));
  EXPECT_FALSE(lies_in(folder_ / "out/../file", folder_ / "out"));
}

TEST_F(output_path, lies_in_includes_targets_of_links_in_the_folder) {
  fs::create_directory(folder_ / "elsewhere");
  fs::create_symlink("../elsewhere", folder_ / "out/sub");
  fs::create_symlink("out", folder_ / "link");
  EXPECT_TRUE(lies_in(folder_ / "out/sub/file", folder_ / "out"));
  EXPECT_TRUE(lies_in(folder_ / "link/sub/not/there", folder_ / "out"));
  EXPECT_TRUE(lies_in(folder_ / "out/sub/file", folder_ / "link"));
  EXPECT_FALSE(lies_in(folder_ / "elsewhere/file", folder_ / "out"));
  EXPECT_FALSE(lies_in(folder_ / "link/../elsewhere/file", folder_ / "out"));
}

}  // namespace
}  // namespace negpipe::support
