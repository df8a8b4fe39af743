// Removal of folders: complete, without following links, never across a mount.
#include "removal.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "files.hpp"
#include "negpipe/error.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::support {
namespace {

namespace fs = std::filesystem;

class removal : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "old/a/b");
    fs::create_directories(folder_ / "precious");
    for (const char* name : {"old/file", "old/a/b/file", "precious/thesis"}) std::ofstream(folder_ / name) << name;
  }

  std::vector<std::string> names(const fs::path& below = {}) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ / below)) found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }

  const test::temporary_folder folder_;
};

/// Bind-mounts one folder or file at another, and unmounts it.
class bind_mount {
 public:
  bind_mount(const fs::path& what, const fs::path& where) : where_(where) {
    works_ = ::mount(what.c_str(), where.c_str(), nullptr, MS_BIND, nullptr) == 0;
  }
  ~bind_mount() {
    if (works_) ::umount(where_.c_str());
  }
  bind_mount(const bind_mount&) = delete;
  bind_mount& operator=(const bind_mount&) = delete;
  bool works() const { return works_; }

 private:
  fs::path where_;
  bool works_;
};

TEST_F(removal, removes_the_folder_and_nothing_else) {
  remove_tree(folder_ / "old");
  remove_tree(folder_ / "precious/thesis");
  remove_tree(folder_ / "nothing");
  EXPECT_EQ(names(), std::vector<std::string>{"precious"});
  EXPECT_TRUE(names("precious").empty());
}

TEST_F(removal, does_not_follow_links) {
  fs::create_symlink("../precious", folder_ / "old/link");
  fs::create_symlink("../../../precious/thesis", folder_ / "old/a/b/link");
  fs::create_symlink("precious", folder_ / "link");
  remove_tree(folder_ / "old");
  remove_tree(folder_ / "link");
  EXPECT_EQ(names(), std::vector<std::string>{"precious"});
  EXPECT_EQ(names("precious"), std::vector<std::string>{"thesis"});
}

TEST_F(removal, hides_a_folder_in_the_given_folder) {
  // If entries cannot be removed after all, the hidden name is left, not the visible one.
  fs::create_directories(folder_ / "aside");
  remove_tree(folder_ / "old", folder_ / "aside");
  EXPECT_EQ(names(), (std::vector<std::string>{"aside", "precious"}));
  EXPECT_TRUE(names("aside").empty());
  EXPECT_THROW(remove_tree(folder_ / "precious", folder_ / "nowhere"), io_error);
  EXPECT_EQ(names("precious"), std::vector<std::string>{"thesis"}) << "nothing is deleted under a visible name";
}

TEST_F(removal, rejects_a_mount_at_any_depth_before_removing_anything) {
  std::ofstream(folder_ / "old/target");
  for (const char* where : {"old", "old/a", "old/a/b", "old/target"}) {
    const bool is_file = std::string(where) == "old/target";
    const bind_mount mounted(folder_ / (is_file ? "precious/thesis" : "precious"), folder_ / where);
    if (!mounted.works()) GTEST_SKIP() << "mounts need root";
    for (const bool hidden : {false, true}) {
      try {
        hidden ? remove_hidden_tree(folder_ / "old") : remove_tree(folder_ / "old");
        ADD_FAILURE() << where << " was removed";
      } catch (const option_error& refusal) {
        EXPECT_NE(std::string(refusal.what()).find((folder_ / where).string()), std::string::npos) << refusal.what();
      }
      EXPECT_EQ(names("precious"), std::vector<std::string>{"thesis"});
      EXPECT_TRUE(is_taken(folder_ / "old")) << where;
    }
    try_remove_hidden_tree(folder_ / "old");
    EXPECT_EQ(names("precious"), std::vector<std::string>{"thesis"});
  }
  EXPECT_TRUE(is_file(folder_ / "old/a/b/file"));
  remove_tree(folder_ / "old");
  EXPECT_EQ(names(), std::vector<std::string>{"precious"});
}

TEST_F(removal, rejects_a_read_only_folder_before_removing_anything) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write to every folder";
  for (const char* where : {"old", "old/a/b"}) {
    fs::permissions(folder_ / where, fs::perms::owner_read | fs::perms::owner_exec);
    EXPECT_THROW(check_removable(folder_ / "old"), io_error);
    EXPECT_THROW(remove_tree(folder_ / "old"), io_error);
    fs::permissions(folder_ / where, fs::perms::owner_all);
    EXPECT_TRUE(is_file(folder_ / "old/file") && is_file(folder_ / "old/a/b/file")) << where;
  }
}

}  // namespace
}  // namespace negpipe::support
