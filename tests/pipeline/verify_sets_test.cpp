// Evaluation data of either held-out set: what ready.json says, and that verify recomputes it.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "written_run.hpp"

namespace negpipe {
namespace {

test::run_options options_for(const std::filesystem::path& out, heldout_set set, bool mlperf,
                              infeasible_policy infeasible) {
  auto options = test::small_options(out);
  options.sampling.batch_size = 16;
  options.sampling.evaluation = {
      .negatives = 3, .batch_size = 8, .mlperf = mlperf, .infeasible = infeasible, .set = set};
  return options;
}

TEST(verify_sets, accepts_each_set_and_policy) {
  const dataset data = test::dataset_with_validation();
  for (const heldout_set set : {heldout_set::test, heldout_set::validation}) {
    for (const bool mlperf : {false, true}) {
      for (const infeasible_policy policy : {infeasible_policy::skip, infeasible_policy::fewer}) {
        const test::temporary_folder folder;
        const auto options = options_for(folder / "out", set, mlperf, policy);
        test::generate_small(data, options);
        const record::ready_file ready = record::read_ready_file(folder / "out" / "eval_data");
        EXPECT_EQ(ready.evaluated, set);
        EXPECT_EQ(ready.infeasible, policy);
        const verify_report report = verify(data, options.out);
        EXPECT_EQ(report.failure_count, 0U) << (report.failures.empty() ? "" : report.failures[0].message);
        EXPECT_TRUE(report.has_evaluation);
      }
    }
  }
}

TEST(verify_sets, detects_the_item_of_another_set_among_the_negatives) {
  const dataset data = test::dataset_with_validation();
  const test::temporary_folder folder;
  const auto options = options_for(folder / "out", heldout_set::validation, false, infeasible_policy::skip);
  test::generate_small(data, options);
  auto batches = test::read_batches(folder / "out" / "eval_data");
  ASSERT_EQ(batches[0].items[0], 11U);
  batches[0].items[2] = 9;  // the test item of user 0
  test::write_batches(folder / "out" / "eval_data", batches);
  const verify_report report = verify(data, options.out);
  ASSERT_NE(report.failure_count, 0U);
  EXPECT_NE(report.failures[0].message.find("item 9"), std::string::npos) << report.failures[0].message;
}

}  // namespace
}  // namespace negpipe
