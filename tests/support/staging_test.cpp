// Unfinished files and folders have unique names, and nothing is left of unpublished ones.
#include "staging.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "negpipe/error.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::support {
namespace {

namespace fs = std::filesystem;

/// A folder with a marker and any of three files.
constexpr folder_kind kind{"a thing", "mark", [](const fs::path&) {
                             return std::vector<std::string>{"mark", "first", "second", "third"};
                           }};

void write_file(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> names(const fs::path& folder) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) found.insert(entry.path().filename());
  return found;
}

TEST(staged_folder, has_a_unique_name) {
  const test::temporary_folder folder;
  {
    const staged_folder one(folder / "made", {});
    write_file(one.path() / "of_one", "");
    const staged_folder other(folder / "made", {});
    EXPECT_NE(one.path(), other.path());
    EXPECT_TRUE(fs::exists(one.path() / "of_one"));
    EXPECT_TRUE(one.path().filename().string().starts_with(".made.partial-"));
    EXPECT_EQ(one.path().parent_path(), folder.path());
  }
  EXPECT_TRUE(fs::is_empty(folder.path())) << "nothing was published";
}

TEST(staged_folder, does_not_replace_what_appeared_meanwhile) {
  const test::temporary_folder folder;
  for (const auto make : {+[](const fs::path& path) { fs::create_directory(path); },
                          +[](const fs::path& path) { write_file(path, "theirs"); },
                          +[](const fs::path& path) { fs::create_symlink("nowhere", path); }}) {
    {
      staged_folder staged(folder / "made", {});
      make(folder / "made");
      EXPECT_THROW(staged.publish(), option_error);
    }
    EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"});
    fs::remove(folder / "made");
  }
}

TEST(staged_folder, removes_parents_that_stay_empty) {
  const test::temporary_folder folder;
  fs::create_directory(folder / "theirs");
  { const staged_folder staged(folder / "theirs/a/b/made", {}); }
  EXPECT_EQ(names(folder / "theirs"), std::set<std::string>{});
  {
    const staged_folder staged(folder / "theirs/a/b/made", {});
    write_file(folder / "theirs/a/used", "by another");
  }
  EXPECT_EQ(names(folder / "theirs/a"), std::set<std::string>{"used"});
  write_file(folder / "file", "");
  EXPECT_THROW(staged_folder(folder / "file/made", {}), io_error);
  EXPECT_THROW(staged_folder(folder / "new" / std::string(256, 'n') / "made", {}), io_error);
  EXPECT_EQ(names(folder.path()), (std::set<std::string>{"theirs", "file"}));
  staged_folder(folder / "b/c/made", {}).publish();
  EXPECT_TRUE(fs::is_empty(folder / "b/c/made"));
}

TEST(staged_folder, survives_others_that_remove_their_parents) {
  const test::temporary_folder folder;
  // A run removes two parents, so it causes at most two failed attempts of the other: fewer than it has in total.
  const auto begin_and_fail = [&](const std::string& name) {
    for (int i = 0; i < 300; ++i) {
      const staged_folder staged(folder / "out/training" / name, {});
      write_file(staged.path() / "file", name);
      ASSERT_EQ(read_file(staged.path() / "file"), name);
    }
  };
  {
    const std::jthread one([&] { begin_and_fail("one"); });
    const std::jthread other([&] { begin_and_fail("other"); });
  }
  // A parent that one run made while another used it may remain.
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    EXPECT_TRUE(entry.path() == folder / "out" || entry.path() == folder / "out/training") << entry.path();
  }
}

TEST(staged_folder, is_exchanged_for_what_it_replaces) {
  const test::temporary_folder folder;
  for (const std::string turn : {"first", "second", "third"}) {
    staged_folder staged(folder / "made", kind);
    write_file(staged.path() / "mark", turn);
    write_file(staged.path() / turn, turn);
    staged.publish();
    EXPECT_EQ(names(folder / "made"), (std::set<std::string>{turn, "mark"}));
    EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"}) << "the replaced folder was not removed";
  }
}

TEST(staged_folder, replaces_nothing_unless_published) {
  const test::temporary_folder folder;
  fs::create_directory(folder / "made");
  write_file(folder / "made" / "mark", "before");
  { const staged_folder staged(folder / "made", kind); }
  EXPECT_EQ(read_file(folder / "made" / "mark"), "before");
  EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"});
}

TEST(staged_folder, does_not_replace_other_files_that_appeared_meanwhile) {
  const test::temporary_folder folder;
  {
    staged_folder staged(folder / "made", kind);
    fs::create_directory(folder / "made");
    write_file(folder / "made" / "thesis", "");
    EXPECT_THROW(staged.publish(), option_error);
  }
  EXPECT_EQ(names(folder / "made"), std::set<std::string>{"thesis"});
  EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"});
}

TEST(staged_folder, keeps_a_foreign_file_in_the_replaced_folder) {
  const test::temporary_folder folder;
  fs::create_directory(folder / "made");
  write_file(folder / "made/mark", "before");
  staged_folder staged(folder / "made", kind);
  write_file(folder / "made/thesis", "years of work");
  EXPECT_THROW(staged.publish(), option_error);
  EXPECT_EQ(names(folder / "made"), (std::set<std::string>{"mark", "thesis"}));
  EXPECT_EQ(read_file(folder / "made/mark"), "before");
}

TEST(staged_file, replaces_only_regular_files) {
  const test::temporary_folder folder;
  {
    staged_file staged(folder / "made");
    staged.finish();
    fs::create_directory(folder / "made");
    EXPECT_THROW(staged.publish(true), option_error);
    fs::remove(folder / "made");
    ASSERT_EQ(::mkfifo((folder / "made").c_str(), 0600), 0);
    EXPECT_THROW(staged.publish(true), option_error);
    fs::remove(folder / "made");
    staged.publish(true);
  }
  EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"});
}

TEST(staged_file, can_be_withdrawn) {
  for (const bool exists : {false, true}) {
    const test::temporary_folder folder;
    if (exists) write_file(folder / "made", "old");
    {
      staged_file staged(folder / "made");
      staged.out().write(std::as_bytes(std::span("new", 3)));
      staged.finish();
      staged.take_path(/*replace=*/exists);
      EXPECT_EQ(read_file(folder / "made"), "new");
      staged.withdraw();
    }
    EXPECT_EQ(names(folder.path()).size(), exists ? 1U : 0U);
    if (exists) {
      EXPECT_EQ(read_file(folder / "made"), "old");
    }
  }
}

TEST(staged_file, does_not_withdraw_what_replaced_it) {
  const test::temporary_folder folder;
  staged_file staged(folder / "made");
  staged.finish();
  staged.take_path(/*replace=*/false);
  write_file(folder / "other", "of another process");
  fs::rename(folder / "other", folder / "made");
  staged.withdraw();
  EXPECT_EQ(read_file(folder / "made"), "of another process");
}

TEST(staged_file, has_a_unique_name) {
  const test::temporary_folder folder;
  {
    staged_file one(folder / "made");
    staged_file other(folder / "made");
    one.out().write(std::as_bytes(std::span(std::string_view("one"))));
    other.out().write(std::as_bytes(std::span(std::string_view("other"))));
    for (staged_file* staged : {&one, &other}) staged->finish();
    EXPECT_EQ(names(folder.path()).size(), 2U);
    one.publish(false);
    EXPECT_THROW(other.publish(false), option_error);
    EXPECT_EQ(read_file(folder / "made"), "one");
    other.publish(true);
  }
  EXPECT_EQ(read_file(folder / "made"), "other");
  EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"});
}

TEST(staged_file, leaves_nothing_unless_published) {
  const test::temporary_folder folder;
  write_file(folder / "made", "before");
  { staged_file(folder / "made").finish(); }
  { const staged_file unfinished(folder / "made"); }
  EXPECT_EQ(read_file(folder / "made"), "before");
  EXPECT_EQ(names(folder.path()), std::set<std::string>{"made"});
}

TEST(publish_file, can_stage_in_another_folder) {
  const test::temporary_folder folder;
  fs::create_directory(folder / "elsewhere");
  publish_file(folder / "note", "first", folder / "elsewhere");
  publish_file(folder / "note", "second");
  EXPECT_EQ(read_file(folder / "note"), "second");
  EXPECT_TRUE(fs::is_empty(folder / "elsewhere"));
  EXPECT_EQ(names(folder.path()), (std::set<std::string>{"elsewhere", "note"}));
}

TEST(create_new, returns_empty_if_the_name_is_taken) {
  const test::temporary_folder folder;
  write_file(folder / "file", "before");
  fs::create_symlink("nowhere", folder / "link");
  EXPECT_FALSE(file::create_new(folder / "file"));
  EXPECT_FALSE(file::create_new(folder / "link"));
  EXPECT_TRUE(file::create_new(folder / "new"));
  EXPECT_EQ(read_file(folder / "file"), "before");
}

}  // namespace
}  // namespace negpipe::support
