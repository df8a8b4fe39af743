// What an output may take the place of, and what is refused by name.
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

/// The marker lists a name a line, after a line that says what it is.
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

/// The refusal's message; empty if there is none.
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
  output_path() : before_(fs::current_path()) { fs::create_directory(folder_ / "place"); }
  ~output_path() override { fs::current_path(before_); }

  void expect_refused(const std::string& found, const folder_kind& replaces = kind) {
    const std::string message = refusal(folder_ / "place", replaces);
    EXPECT_NE(message.find(found), std::string::npos) << message << "; wanted: " << found;
  }

  fs::path before_;
  test::temporary_folder folder_;
};

TEST_F(output_path, a_free_path_may_be_taken) {
  EXPECT_EQ(refusal(folder_ / "nothing", {}), "");
  EXPECT_EQ(refusal(folder_ / "nothing", kind), "");
  EXPECT_EQ(refusal(folder_ / "not/there", kind), "");
  EXPECT_NE(refusal(folder_ / "place", {}).find("exists already"), std::string::npos);
}

TEST_F(output_path, an_empty_folder_may_be_replaced) { EXPECT_EQ(refusal(folder_ / "place", kind), ""); }

TEST_F(output_path, a_folder_of_listed_files_may_be_replaced) {
  write_file(folder_ / "place/dataset.json", "a list\nother\nmissing\n");
  write_file(folder_ / "place/other");
  fs::create_symlink("place", folder_ / "link");
  EXPECT_EQ(refusal(folder_ / "place", kind), "");
  EXPECT_EQ(refusal(folder_ / "place/", kind), "");
  EXPECT_EQ(refusal(folder_ / "link", kind), "");
  EXPECT_EQ(check_replaceable(folder_ / "place", kind), (std::vector<std::string>{"dataset.json", "other"}));
  expect_refused("no ready.json", records);
}

TEST_F(output_path, a_file_that_the_marker_does_not_list_is_named) {
  write_file(folder_ / "place/dataset.json", "a list\nlisted\nfolder\nlink\n");
  write_file(folder_ / "place/listed");
  write_file(folder_ / "place/thesis");
  expect_refused("holds thesis, which dataset.json does not list");
  fs::remove(folder_ / "place/thesis");
  for (const char* name : {"folder", "link"}) {
    name == std::string("folder") ? (void)fs::create_directory(folder_ / "place/folder")
                                  : fs::create_symlink("listed", folder_ / "place/link");
    expect_refused("holds " + std::string(name));
    fs::remove(folder_ / "place" / name);
  }
  EXPECT_EQ(refusal(folder_ / "place", kind), "");
}

TEST_F(output_path, another_folder_is_refused_with_what_it_holds) {
  write_file(folder_ / "place/thesis.tex");
  expect_refused("holds thesis.tex, but no dataset.json");
  write_file(folder_ / "place/data");
  expect_refused("holds data and thesis.tex, but");
  write_file(folder_ / "place/more");
  expect_refused("holds data, more and thesis.tex, but");
  write_file(folder_ / "place/a");
  expect_refused("holds a, data and 2 more, but");
  write_file(folder_ / "place/dataset.json", "of pictures");
  expect_refused("holds a dataset.json that is not of this program");
  fs::remove(folder_ / "place/dataset.json");
  fs::create_directory(folder_ / "place/dataset.json");
  EXPECT_NE(refusal(folder_ / "place", kind), "");
}

TEST_F(output_path, what_is_no_folder_is_refused) {
  fs::remove(folder_ / "place");
  write_file(folder_ / "place");
  expect_refused("is no folder");
  fs::remove(folder_ / "place");
  fs::create_symlink("nowhere", folder_ / "place");
  expect_refused("is no folder");
}

TEST_F(output_path, the_working_directory_and_those_above_it_are_refused) {
  fs::create_directories(folder_ / "place/below/further");
  fs::create_symlink("place", folder_ / "link");
  for (const char* marked : {"place", "place/below", "place/below/further"}) {
    write_file(folder_ / marked / "dataset.json", "a list\n");
  }
  fs::current_path(folder_ / "place/below");
  expect_refused("working directory");
  EXPECT_NE(refusal(folder_ / "link", kind).find("working directory"), std::string::npos);
  EXPECT_NE(refusal("../below", kind).find("working directory"), std::string::npos);
  EXPECT_EQ(refusal("further", kind), "");
  EXPECT_EQ(refusal(folder_ / "place/below/further", kind), "");
}

TEST_F(output_path, a_mount_point_is_refused) {
  EXPECT_TRUE(is_mount_point("/proc"));
  EXPECT_FALSE(is_mount_point("/proc/self"));
  EXPECT_FALSE(is_mount_point(folder_.path()));
  fs::create_symlink("/proc", folder_ / "link");
  EXPECT_FALSE(is_mount_point(folder_ / "link")) << "a link can be renamed";
  EXPECT_FALSE(is_mount_point(folder_ / "nothing"));
  EXPECT_NE(refusal("/proc", kind).find("choose a folder inside it"), std::string::npos);
}

TEST_F(output_path, a_working_directory_that_is_gone_is_no_obstacle) {
  fs::create_directory(folder_ / "gone");
  fs::current_path(folder_ / "gone");
  fs::remove(folder_ / "gone");
  EXPECT_EQ(refusal(folder_ / "place", kind), "");
  EXPECT_THROW(check_output_folder("place", kind), io_error);
}

TEST_F(output_path, above_a_link_is_the_folder_that_the_system_means) {
  fs::create_directories(folder_ / "other/deep");
  fs::create_symlink("other/deep", folder_ / "link");
  fs::create_symlink("place", folder_ / "end");
  const fs::path root = fs::canonical(folder_.path());
  EXPECT_EQ(full_path(folder_ / "link/../out"), root / "other/out");
  EXPECT_EQ(full_path(folder_ / "link/.././out/."), root / "other/out");
  EXPECT_EQ(full_path(folder_ / "link/.."), root / "other");
  EXPECT_EQ(full_path(folder_ / "link/../"), root / "other");
  EXPECT_EQ(full_path(folder_ / "place/../end/"), root / "end") << "a link at the end stays one";
  EXPECT_EQ(full_path(folder_ / "place/not/../there"), root / "place/there");
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
  EXPECT_NE(refusal(folder_ / "link/../out", kind).find("other/out is no folder"), std::string::npos);
}

TEST_F(output_path, a_file_replaces_only_files) {
  write_file(folder_ / "file");
  fs::create_symlink("file", folder_ / "link");
  EXPECT_NO_THROW(check_output_file(folder_ / "nothing", false));
  EXPECT_NO_THROW(check_output_file(folder_ / "file", true));
  EXPECT_NO_THROW(check_output_file(folder_ / "link", true));
  EXPECT_THROW(check_output_file(folder_ / "file", false), option_error);
  EXPECT_THROW(check_output_file(folder_ / "place", true), option_error);
  EXPECT_THROW(check_output_file("/dev/null", true), option_error);
}

TEST_F(output_path, a_path_below_a_file_is_an_error_of_the_system) {
  write_file(folder_ / "file");
  EXPECT_THROW(check_output_folder(folder_ / "file/below", {}), io_error);
  EXPECT_THROW(check_output_folder(folder_ / std::string(256, 'n'), kind), io_error);
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THROW(check_output_folder(folder_ / "loop/below", kind), io_error);
  EXPECT_THROW(check_output_file(folder_ / "file/below", true), io_error);
}

TEST_F(output_path, a_path_below_a_dangling_link_is_refused) {
  fs::create_symlink("nowhere", folder_ / "link");
  for (const char* below : {"link/below", "link/far/below"}) {
    EXPECT_NE(refusal(folder_ / below, {}).find("link is a link to nowhere, which does not exist"), std::string::npos);
    EXPECT_NE(refusal(folder_ / below, kind).find("link is a link to nowhere"), std::string::npos);
  }
  fs::create_directory(folder_ / "nowhere");
  EXPECT_EQ(refusal(folder_ / "link/below", {}), "");
}

TEST_F(output_path, lies_in_a_folder_by_whatever_name) {
  fs::create_symlink("place", folder_ / "link");
  EXPECT_TRUE(lies_in(folder_ / "place", folder_ / "place"));
  EXPECT_TRUE(lies_in(folder_ / "place/not/there", folder_ / "place/"));
  EXPECT_TRUE(lies_in(folder_ / "link/file", folder_ / "place"));
  EXPECT_TRUE(lies_in(folder_ / "place/file", folder_ / "link"));
  EXPECT_FALSE(lies_in(folder_ / "places", folder_ / "place"));
  EXPECT_FALSE(lies_in(folder_.path(), folder_ / "place"));
  EXPECT_FALSE(lies_in(folder_ / "place/../file", folder_ / "place"));
}

TEST_F(output_path, holds_what_a_link_in_it_leads_to) {
  fs::create_directory(folder_ / "elsewhere");
  fs::create_symlink("../elsewhere", folder_ / "place/sub");
  fs::create_symlink("place", folder_ / "link");
  EXPECT_TRUE(lies_in(folder_ / "place/sub/file", folder_ / "place"));
  EXPECT_TRUE(lies_in(folder_ / "link/sub/not/there", folder_ / "place"));
  EXPECT_TRUE(lies_in(folder_ / "place/sub/file", folder_ / "link"));
  EXPECT_FALSE(lies_in(folder_ / "elsewhere/file", folder_ / "place"));
  EXPECT_FALSE(lies_in(folder_ / "link/../elsewhere/file", folder_ / "place"));
}

}  // namespace
}  // namespace negpipe::support
