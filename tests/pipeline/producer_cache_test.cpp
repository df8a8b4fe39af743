#include "producer_cache.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "negpipe/error.hpp"
#include "negpipe/produce.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::pipeline {
namespace {

namespace fs = std::filesystem;

void touch(const fs::path& file) {
  fs::create_directories(file.parent_path());
  std::ofstream out(file);
}

class producer_cache_test : public ::testing::Test {
 protected:
  test::temporary_folder scratch_;
  fs::path root_ = scratch_.path() / "cache";
  fs::path cycles_ = root_ / "training_epochs";
};

TEST_F(producer_cache_test, is_locked_until_destroyed) {
  {
    const producer_cache first(root_);
    EXPECT_THROW(producer_cache second(root_), option_error);
  }
  EXPECT_NO_THROW(producer_cache second(root_));
}

TEST_F(producer_cache_test, a_cycle_is_ready_if_it_has_a_ready_file) {
  const producer_cache cache(root_);
  EXPECT_EQ(cache.list_cycles().after_last, 0);
  touch(cycles_ / "cycle_00002/ready.json");
  touch(cycles_ / "cycle_00004/train_0.tfrecords");
  touch(cycles_ / "cycle_00005");
  touch(cycles_ / "cycle_x/ready.json");
  touch(cycles_ / ".cycle_00009.partial-1/ready.json");
  fs::create_directories(cycles_ / "cycle_00003/ready.json");
  const cycle_list found = cache.list_cycles();
  EXPECT_EQ(found.ready, std::vector<fs::path>{cycles_ / "cycle_00002"});
  EXPECT_EQ(found.incomplete.size(), 3);
  EXPECT_EQ(found.after_last, 6);
}

TEST_F(producer_cache_test, clears_folders_of_record_files_without_a_ready_file) {
  const producer_cache cache(root_);
  touch(cycles_ / "cycle_00001/train_0.tfrecords");
  touch(cycles_ / "cycle_00001/train_12.tfrecords.idx");
  fs::create_directories(cycles_ / "cycle_00002");
  touch(cycles_ / "cycle_00003/train_.tfrecords");
  touch(cycles_ / "cycle_00004/ready.json");
  touch(root_ / "eval_data/eval_0.tfrecords");
  EXPECT_EQ(cache.clear_incomplete(), std::vector<fs::path>{cycles_ / "cycle_00003"});
  EXPECT_FALSE(fs::exists(cycles_ / "cycle_00001"));
  EXPECT_FALSE(fs::exists(cycles_ / "cycle_00002"));
  EXPECT_TRUE(fs::exists(cycles_ / "cycle_00004"));
  EXPECT_FALSE(fs::exists(root_ / "eval_data"));
}

TEST_F(producer_cache_test, keeps_unfinished_work_of_others_until_it_is_cleared) {
  const fs::path unfinished = root_ / ".partial/.cycle_00000.partial-1/train_0.tfrecords";
  touch(unfinished);
  { const producer_cache cache(root_); }
  EXPECT_TRUE(fs::exists(unfinished));
  {
    producer_cache cache(root_);
    touch(root_ / ".partial/.cycle_00001.partial-2/train_0.tfrecords");
    cache.clear_unfinished(".cycle_00000.partial-1");
    EXPECT_FALSE(fs::exists(root_ / ".partial/.cycle_00001.partial-2"));
  }
  EXPECT_TRUE(fs::exists(unfinished));
  {
    producer_cache cache(root_);
    cache.clear_unfinished();
    EXPECT_FALSE(fs::exists(unfinished));
    touch(unfinished);
  }
  EXPECT_FALSE(fs::exists(root_ / ".partial"));
}

TEST_F(producer_cache_test, removes_its_announcement_and_hidden_entries) {
  {
    producer_cache cache(root_);
    cache.announce();
    EXPECT_TRUE(cache.is_announced());
    EXPECT_TRUE(fs::exists(root_ / "subproc.alive"));
    cache.clear_unfinished();
  }
  EXPECT_FALSE(fs::exists(root_ / "subproc.alive"));
  EXPECT_FALSE(fs::exists(root_ / ".in-use"));
}

TEST(cache_folder, accepts_plain_names_only) {
  using namespace std::string_view_literals;
  EXPECT_EQ(cache_folder("data", "run-1"), fs::path("data/run-1_ncf_recommendation_cache"));
  for (const auto name : {""sv, "."sv, ".."sv, "../x"sv, "a/b"sv, ".x"sv, "a\0b"sv, "a\n"sv, " a"sv, "a "sv}) {
    EXPECT_THROW((void)cache_folder("data", name), option_error) << name;
  }
}

}  // namespace
}  // namespace negpipe::pipeline
