// What an output may take the place of, and what is refused by name.
#include "place.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "files.hpp"
#include "negpipe/error.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::support {
namespace {

namespace fs = std::filesystem;

constexpr folder_mark mark{"a dataset", "dataset.json", "negpipe dataset"};
constexpr folder_mark any_content{"records", "ready.json", {}};

void write_file(const fs::path& path, const std::string& text = {}) { std::ofstream(path) << text; }

/// The refusal's message; empty if there is none.
std::string refusal(const fs::path& folder, const std::optional<folder_mark>& replaces) {
  try {
    check_folder_place(folder, replaces);
  } catch (const option_error& refused) {
    EXPECT_NE(std::string(refused.what()).find(folder.filename()), std::string::npos) << refused.what();
    return refused.what();
  }
  return {};
}

class Place : public testing::Test {
 protected:
  Place() : before_(fs::current_path()) { fs::create_directory(folder_ / "place"); }
  ~Place() override { fs::current_path(before_); }

  void expect_refused(const std::string& found, const folder_mark& replaces = mark) {
    const std::string message = refusal(folder_ / "place", replaces);
    EXPECT_NE(message.find(found), std::string::npos) << message << "; wanted: " << found;
  }

  fs::path before_;
  test::temporary_folder folder_;
};

TEST_F(Place, ThatIsFreeIsTaken) {
  EXPECT_EQ(refusal(folder_ / "nothing", {}), "");
  EXPECT_EQ(refusal(folder_ / "nothing", mark), "");
  EXPECT_EQ(refusal(folder_ / "not/there", mark), "");
  EXPECT_NE(refusal(folder_ / "place", {}).find("exists already"), std::string::npos);
}

TEST_F(Place, OfAnEmptyFolderMayBeTaken) { EXPECT_EQ(refusal(folder_ / "place", mark), ""); }

TEST_F(Place, OfAFolderWithTheMarkMayBeTaken) {
  write_file(folder_ / "place/dataset.json", R"({"format": "negpipe dataset"})");
  write_file(folder_ / "place/other");
  fs::create_symlink("place", folder_ / "link");
  EXPECT_EQ(refusal(folder_ / "place", mark), "");
  EXPECT_EQ(refusal(folder_ / "place/", mark), "");
  EXPECT_EQ(refusal(folder_ / "link", mark), "");
  expect_refused("no ready.json", any_content);
  write_file(folder_ / "place/ready.json");
  EXPECT_EQ(refusal(folder_ / "place", any_content), "");
}

TEST_F(Place, OfAnyOtherFolderIsRefusedWithWhatItHolds) {
  write_file(folder_ / "place/thesis.tex");
  expect_refused("holds thesis.tex, but no dataset.json");
  write_file(folder_ / "place/data");
  expect_refused("holds data and thesis.tex, but");
  write_file(folder_ / "place/more");
  expect_refused("holds data, more and thesis.tex, but");
  write_file(folder_ / "place/a");
  expect_refused("holds a, data and 2 more, but");
  write_file(folder_ / "place/dataset.json", R"({"format": "of pictures"})");
  expect_refused("holds a dataset.json that is not of this program");
  fs::remove(folder_ / "place/dataset.json");
  fs::create_directory(folder_ / "place/dataset.json");
  expect_refused("holds a dataset.json that is not of this program");
}

TEST_F(Place, OfWhatIsNoFolderIsRefused) {
  fs::remove(folder_ / "place");
  write_file(folder_ / "place");
  expect_refused("is no folder");
  fs::remove(folder_ / "place");
  fs::create_symlink("nowhere", folder_ / "place");
  expect_refused("is no folder");
}

TEST_F(Place, OfTheWorkingDirectoryAndThoseAboveItIsRefused) {
  fs::create_directories(folder_ / "place/below/further");
  fs::create_symlink("place", folder_ / "link");
  for (const char* marked : {"place", "place/below", "place/below/further"}) {
    write_file(folder_ / marked / "dataset.json", "negpipe dataset");
  }
  EXPECT_EQ(refusal(folder_ / "place", mark), "");
  fs::current_path(folder_ / "place/below");
  expect_refused("working directory");
  EXPECT_NE(refusal(folder_ / "link", mark), "");
  EXPECT_NE(refusal("../below", mark), "");
  EXPECT_EQ(refusal("further", mark), "");
  EXPECT_EQ(refusal(folder_ / "place/below/further", mark), "");
}

TEST_F(Place, OfAMountPointIsRefused) {
  EXPECT_TRUE(is_mount_point("/proc"));
  EXPECT_FALSE(is_mount_point("/proc/self"));
  EXPECT_FALSE(is_mount_point(folder_.path()));
  fs::create_symlink("/proc", folder_ / "link");
  EXPECT_FALSE(is_mount_point(folder_ / "link")) << "a link can be renamed";
  EXPECT_FALSE(is_mount_point(folder_ / "nothing"));
  EXPECT_NE(refusal("/proc", mark).find("choose a folder inside it"), std::string::npos);
}

TEST_F(Place, IsLookedAtFromAWorkingDirectoryThatIsGone) {
  fs::create_directory(folder_ / "gone");
  fs::current_path(folder_ / "gone");
  fs::remove(folder_ / "gone");
  EXPECT_EQ(refusal(folder_ / "place", mark), "");
  EXPECT_THROW(check_folder_place("place", mark), io_error);
}

TEST_F(Place, AboveALinkIsThatOfTheSystem) {
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
  EXPECT_NE(refusal(folder_ / "link/../out", mark).find("other/out is no folder"), std::string::npos);
}

TEST_F(Place, OfAFileIsTakenByAFileAlone) {
  write_file(folder_ / "file");
  fs::create_symlink("file", folder_ / "link");
  EXPECT_NO_THROW(check_file_place(folder_ / "nothing", false));
  EXPECT_NO_THROW(check_file_place(folder_ / "file", true));
  EXPECT_NO_THROW(check_file_place(folder_ / "link", true));
  EXPECT_THROW(check_file_place(folder_ / "file", false), option_error);
  EXPECT_THROW(check_file_place(folder_ / "place", true), option_error);
  EXPECT_THROW(check_file_place("/dev/null", true), option_error);
}

TEST_F(Place, BelowAFileIsRefusedByTheSystem) {
  write_file(folder_ / "file");
  EXPECT_THROW(check_folder_place(folder_ / "file/below", {}), io_error);
  EXPECT_THROW(check_folder_place(folder_ / std::string(256, 'n'), mark), io_error);
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THROW(check_folder_place(folder_ / "loop/below", mark), io_error);
  EXPECT_THROW(check_file_place(folder_ / "file/below", true), io_error);
}

TEST_F(Place, BelowALinkThatLeadsNowhereIsRefused) {
  fs::create_symlink("nowhere", folder_ / "link");
  for (const char* below : {"link/below", "link/far/below"}) {
    EXPECT_NE(refusal(folder_ / below, {}).find("link is a link to nowhere, which is not there"), std::string::npos);
    EXPECT_NE(refusal(folder_ / below, mark).find("link is a link to nowhere"), std::string::npos);
  }
  fs::create_directory(folder_ / "nowhere");
  EXPECT_EQ(refusal(folder_ / "link/below", {}), "");
}

TEST_F(Place, LiesInAFolderByWhateverName) {
  fs::create_symlink("place", folder_ / "link");
  EXPECT_TRUE(lies_in(folder_ / "place", folder_ / "place"));
  EXPECT_TRUE(lies_in(folder_ / "place/not/there", folder_ / "place/"));
  EXPECT_TRUE(lies_in(folder_ / "link/file", folder_ / "place"));
  EXPECT_TRUE(lies_in(folder_ / "place/file", folder_ / "link"));
  EXPECT_FALSE(lies_in(folder_ / "places", folder_ / "place"));
  EXPECT_FALSE(lies_in(folder_.path(), folder_ / "place"));
  EXPECT_FALSE(lies_in(folder_ / "place/../file", folder_ / "place"));
}

TEST_F(Place, HoldsWhatALinkInItLeadsTo) {
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
