// generate with a backend that fails during the run: the error is passed on, published folders stay, and nothing
// incomplete is left.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <string>

#include "negpipe/error.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

/// Fills like the CPU backend, and throws after the given number of calls.
template <typename Failure>
class failing_backend final : public backend {
 public:
  failing_backend(const positives_index& index, int training_calls, int evaluation_calls)
      : inner_(make_cpu_backend(index, 1)), training_calls_(training_calls), evaluation_calls_(evaluation_calls) {}

  std::string description() const override { return "failing"; }
  void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     const training_columns& out) const override {
    if (training_calls_-- <= 0) throw Failure();
    inner_->fill_training(plan, key, first, count, out);
  }
  void fill_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  const pair_columns& out) const override {
    if (training_calls_-- <= 0) throw Failure();
    inner_->fill_pairs(plan, key, first, count, out);
  }
  void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       const evaluation_columns& out) const override {
    if (evaluation_calls_-- <= 0) throw Failure();
    inner_->fill_evaluation(plan, first_row, row_count, out);
  }

 private:
  std::unique_ptr<backend> inner_;
  mutable std::atomic<int> training_calls_;
  mutable std::atomic<int> evaluation_calls_;
};

struct lost_device : backend_error {
  lost_device() : backend_error("the device is gone") {}
};
struct foreign_exception : std::exception {};

std::set<std::string> entries(const fs::path& folder) {
  std::set<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) names.insert(fs::relative(entry.path(), folder).string());
  }
  return names;
}

constexpr int unlimited = 1 << 30;

class generate_with_a_failing_backend : public ::testing::TestWithParam<unsigned> {
 protected:
  generate_with_a_failing_backend() {
    options_.cycle_count = 3;  // seven batches each
    control_.threads = GetParam();
  }

  template <typename Failure>
  sampler failing(int training_calls, int evaluation_calls) const {
    return {index_, std::make_shared<failing_backend<Failure>>(index_, training_calls, evaluation_calls),
            options_.sampling};
  }

  template <typename Failure>
  void expect_failure(int training_calls, int evaluation_calls, const std::set<std::string>& left) {
    EXPECT_THROW(generate(failing<Failure>(training_calls, evaluation_calls), options_, control_), Failure);
    EXPECT_EQ(entries(options_.out), left) << training_calls << " " << evaluation_calls;
    if (left.empty()) {
      EXPECT_FALSE(fs::exists(options_.out)) << "an empty folder was left";
    } else {
      const verify_report report = verify(data_, options_.out);
      EXPECT_EQ(report.failure_count, 0U);
    }
    fs::remove_all(options_.out);
  }

  test::temporary_folder folder_;
  dataset data_ = test::small_dataset();
  positives_index index_{data_};
  test::run_options options_ = test::small_options(folder_ / "out");
  run_control control_;
};

TEST_P(generate_with_a_failing_backend, keeps_complete_cycles_only) {
  const std::string first = "training_epochs/cycle_00000";
  const std::string second = "training_epochs/cycle_00001";
  const std::string third = "training_epochs/cycle_00002";
  const std::string parent = "training_epochs";
  expect_failure<lost_device>(0, unlimited, {});
  expect_failure<lost_device>(6, unlimited, {});
  expect_failure<lost_device>(7, unlimited, {parent, first});
  expect_failure<lost_device>(7 + 3, unlimited, {parent, first});
  expect_failure<lost_device>(2 * 7 + 6, unlimited, {parent, first, second});
  expect_failure<lost_device>(unlimited, 0, {parent, first, second, third});
  expect_failure<lost_device>(unlimited, 2, {parent, first, second, third});
}

TEST_P(generate_with_a_failing_backend, passes_on_exceptions_of_any_type) {
  expect_failure<foreign_exception>(9, unlimited, {"training_epochs", "training_epochs/cycle_00000"});
  expect_failure<std::bad_alloc>(9, unlimited, {"training_epochs", "training_epochs/cycle_00000"});
}

TEST_P(generate_with_a_failing_backend, keeps_the_folder_it_should_replace) {
  options_.cycle_count = 1;
  test::generate_small(data_, options_);
  options_.replace = true;
  EXPECT_THROW(generate(failing<lost_device>(4, unlimited), options_, control_), lost_device);
  EXPECT_EQ(entries(options_.out),
            (std::set<std::string>{"eval_data", "training_epochs", "training_epochs/cycle_00000"}));
  EXPECT_EQ(verify(data_, options_.out).failure_count, 0U);
}

INSTANTIATE_TEST_SUITE_P(threads, generate_with_a_failing_backend, ::testing::Values(1U, 4U));

}  // namespace
}  // namespace negpipe
