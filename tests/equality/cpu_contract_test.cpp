// The CPU backend fulfils the contract with every supported instruction set, any number of threads and any block size;
// and its threads share the blocks of one call.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include "cpu_backend.hpp"
#include "equality/backend_contract.hpp"
#include "equality/backend_refusals.hpp"
#include "equality/pair_contract.hpp"
#include "equality/weighted_contract.hpp"

namespace negpipe::test {

namespace {

/// Most calls of the contract are shorter than a default block, which one thread would fill alone. Small odd blocks cut
/// groups of four, rows and padding, and give every thread several blocks.
struct sharing {
  unsigned threads;
  std::uint64_t points_per_block;
  std::uint64_t values_per_block;
};

std::vector<backend_case> cpu_cases() {
  std::vector<backend_case> cases;
  for (const kernel_set& kernels : supported_kernels()) {
    const cpu_backend_options usual;
    const sharing alone{1, usual.points_per_block, usual.values_per_block};
    for (const sharing& how : {alone, sharing{5, alone.points_per_block, alone.values_per_block}, sharing{2, 61, 97},
                               sharing{5, 259, 2'221}}) {
      const cpu_backend_options options{how.threads, kernels, how.points_per_block, how.values_per_block};
      std::string name = std::string(kernels.name) + "_threads_" + std::to_string(how.threads) + "_blocks_of_" +
                         std::to_string(how.points_per_block) + "_" + std::to_string(how.values_per_block);
      for (char& c : name) c = c == '-' ? '_' : c;
      cases.push_back({std::move(name),
                       [options](const positives_index& index, const std::vector<dataset_weights>&) {
                         return make_cpu_backend(index, options);
                       },
                       "cpu (" + std::string(kernels.name) + ", " + std::to_string(how.threads) + " thread"});
    }
  }
  return cases;
}

// ---- kernels that block every thread until all have arrived

constexpr unsigned meeting_threads = 5;

/// Meeting point of the threads of one call: a single thread that fills all blocks would wait here in vain.
class meeting {
 public:
  void attend() {
    std::unique_lock lock(mutex_);
    ++blocks_;
    threads_.insert(std::this_thread::get_id());
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(60), [this] { return threads_.size() >= meeting_threads; });
  }
  std::size_t threads() const { return threads_.size(); }
  std::uint64_t blocks() const { return blocks_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::thread::id> threads_;
  std::uint64_t blocks_ = 0;
};

meeting* current = nullptr;

const kernel_set meeting_kernels{
    "meeting",
    [](const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
       std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
      current->attend();
      supported_kernels().front().fill_points(plan, key, view, first, count, out);
    },
    [](const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
       std::uint64_t first, std::uint64_t count, const core::pair_pointers& out) {
      current->attend();
      supported_kernels().front().fill_pairs(plan, key, view, first, count, out);
    },
    [](const core::evaluation_plan& plan, const core::positives_view& view, user_id user, std::int32_t* items) {
      current->attend();
      supported_kernels().front().fill_negatives(plan, view, user, items);
    }};

}  // namespace

INSTANTIATE_TEST_SUITE_P(cpu, backend_contract, testing::ValuesIn(cpu_cases()),
                         [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(cpu, pair_contract, testing::ValuesIn(cpu_cases()),
                         [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(cpu, weighted_contract, testing::ValuesIn(cpu_cases()),
                         [](const auto& instance) { return instance.param.name; });

// Several blocks of the default size in one call: 163,400 points, 300 rows of 1,000.
TEST_P(backend_contract, calls_of_many_blocks_equal_core) {
  std::vector<std::int32_t> degrees(300);
  for (std::size_t user = 0; user < degrees.size(); ++user) degrees[user] = static_cast<std::int32_t>(user % 219);
  const dataset data = random_dataset(degrees, 1300, 13);
  const positives_index index(data);
  const auto filler = make(index);
  const training_plan plan = plan_training(data, {21, 4, 1, 777, padding_policy::mask});
  ASSERT_GT(plan.padded_count(), 100'000U);
  expect_points(*filler, index, plan, make_cycle_key(plan, 1), 3, plan.padded_count() - 3);
  for (const bool with_replacement : {false, true}) {
    const evaluation_plan evaluation = plan_evaluation(data, {999, 7'000, with_replacement}, 21);
    expect_rows(*filler, index, evaluation, 0, evaluation.padded_count() / evaluation.row_length());
  }
}

TEST(cpu_backend, shares_the_blocks_of_a_call_between_all_threads) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const auto filler = make_cpu_backend(index, cpu_backend_options{meeting_threads, meeting_kernels, 61, 20});
  meeting points;
  current = &points;
  const training_plan plan = plan_training(data, {42, 4, 1, 64, padding_policy::drop});
  const std::uint64_t count = plan.padded_count();
  point_buffer found(count, item_type::uint16, false);
  filler->fill_training(plan, make_cycle_key(plan, 0), 0, count, found.columns());
  EXPECT_EQ(points.threads(), meeting_threads);
  EXPECT_EQ(points.blocks(), (count + 60) / 61);

  meeting pairs;
  current = &pairs;
  const training_plan pair_plan = plan_training(data, pairwise({42, 9, 2, 64, padding_policy::drop}));
  const std::uint64_t pair_count = pair_plan.padded_count();
  pair_buffer found_pairs(pair_count, 9, item_type::uint16, false);
  filler->fill_pairs(pair_plan, make_cycle_key(pair_plan, 0), 0, pair_count, found_pairs.columns());
  EXPECT_EQ(pairs.threads(), meeting_threads) << "six rows of a positive and nine negatives are a block";
  EXPECT_EQ(pairs.blocks(), (pair_count + 5) / 6);

  meeting rows;
  current = &rows;
  const evaluation_plan evaluation = plan_evaluation(data, {9, 10, true}, 42);
  row_buffer found_rows(evaluation.padded_count(), item_type::uint16);
  filler->fill_evaluation(evaluation, 0, evaluation.user_count, found_rows.columns());
  EXPECT_EQ(rows.threads(), meeting_threads) << "two rows of ten values are a block";
  EXPECT_EQ(rows.blocks(), evaluation.user_count) << "each user's negatives once";
}

// ---- concurrent calls

/// The first call ends only after the second one. If the second waited for the threads, neither would end.
class turnstile {
 public:
  void enter() {
    std::unique_lock lock(mutex_);
    entered_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(60), [this] { return second_ended_; });
    passed_ = second_ended_;
  }
  bool wait_for_entry() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [this] { return entered_; });
  }
  void end_second() {
    const std::lock_guard lock(mutex_);
    second_ended_ = true;
    changed_.notify_all();
  }
  bool passed() const { return passed_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool entered_ = false;
  bool second_ended_ = false;
  bool passed_ = false;
};

turnstile* gate = nullptr;

const kernel_set gated_kernels{
    "gated",
    [](const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
       std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
      if (key.cycle == 0) gate->enter();
      supported_kernels().front().fill_points(plan, key, view, first, count, out);
    },
    supported_kernels().front().fill_pairs, supported_kernels().front().fill_negatives};

TEST(cpu_backend, a_call_works_alone_while_the_threads_are_busy) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  const auto filler = make_cpu_backend(index, cpu_backend_options{2, gated_kernels, 61, 20});
  const training_plan plan = plan_training(data, {42, 4, 1, 64, padding_policy::drop});
  const std::uint64_t count = plan.padded_count();
  turnstile here;
  gate = &here;
  point_buffer first(count, item_type::uint16, false);
  point_buffer second(count, item_type::uint16, false);
  std::thread caller([&] { filler->fill_training(plan, make_cycle_key(plan, 0), 0, count, first.columns()); });
  EXPECT_TRUE(here.wait_for_entry());
  filler->fill_training(plan, make_cycle_key(plan, 1), 0, count, second.columns());
  here.end_second();
  caller.join();
  EXPECT_TRUE(here.passed()) << "the second call waited for the first";
}

}  // namespace negpipe::test
