// Records of backends with a queue: the files of backends without one, and nothing left after a failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <memory>
#include <tuple>
#include <vector>

#include "negpipe/error.hpp"
#include "support/folder_content.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

/// Columns that are aligned to their types, copied to those of a queue.
void copy_out(std::vector<std::span<const std::byte>> from, const std::vector<std::span<std::byte>>& to) {
  for (std::size_t c = 0; c < to.size(); ++c) std::ranges::copy(from[c], to[c].begin());
}

std::span<const std::byte> bytes_of(item_view items) {
  return {static_cast<const std::byte*>(items.data()), items.size_bytes()};
}

/// Fills by the CPU in threads of its own. A pop after the given number of pushes throws.
class threaded_queue final : public fill_queue {
 public:
  /// max_in_queue: receives the most fills that were in the queue when one was popped.
  threaded_queue(const backend& filler, item_type items, int pushes, std::atomic<std::size_t>& max_in_queue)
      : filler_(filler), items_(items), left_(pushes), max_in_queue_(max_in_queue) {}

  void push_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     column_bytes out) override {
    start([=, this, &plan, to = std::vector(out.begin(), out.end())] {
      training_batch batch(count, items_, plan.pad == padding_policy::mask);
      filler_.fill_training(plan, key, first, count, batch.columns());
      copy_out({std::as_bytes(batch.users()), bytes_of(batch.items()), std::as_bytes(batch.labels()),
                std::as_bytes(batch.valid())},
               to);
    });
  }
  void push_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  column_bytes out) override {
    start([=, this, &plan, to = std::vector(out.begin(), out.end())] {
      pair_batch batch(count, plan.negatives, items_, plan.pad == padding_policy::mask);
      filler_.fill_pairs(plan, key, first, count, batch.columns());
      copy_out({std::as_bytes(batch.users()), bytes_of(batch.items()), bytes_of(batch.negatives()),
                std::as_bytes(batch.valid())},
               to);
    });
  }
  void push_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       column_bytes out) override {
    start([=, this, &plan, to = std::vector(out.begin(), out.end())] {
      evaluation_batch batch(row_count * plan.row_length(), items_);
      filler_.fill_evaluation(plan, first_row, row_count, batch.columns());
      copy_out({std::as_bytes(batch.users()), bytes_of(batch.items()), std::as_bytes(batch.duplicate_mask())}, to);
    });
  }
  void pop() override {
    max_in_queue_ = std::max(max_in_queue_.load(), fills_.size());
    fills_.front().get();
    fills_.pop_front();
  }

 private:
  template <typename Fill>
  void start(Fill fill) {
    const bool fails = left_-- <= 0;
    fills_.push_back(std::async(std::launch::async, [=] {
      if (fails) throw device_lost_error("the device is gone");
      fill();
    }));
  }

  const backend& filler_;
  item_type items_;
  int left_;
  std::atomic<std::size_t>& max_in_queue_;
  std::deque<std::future<void>> fills_;  // their destructors wait
};

class queueing_backend final : public backend {
 public:
  explicit queueing_backend(const positives_index& index, int pushes = 1 << 30)
      : inner_(make_cpu_backend(index, 1)), items_(item_type_for(index.source().item_count())), pushes_(pushes) {}

  std::string description() const override { return "queueing"; }
  void fill_training(const training_plan&, const core::cycle_key&, std::uint64_t, std::uint64_t,
                     const training_columns&) const override {
    throw backend_error("not queued");
  }
  void fill_pairs(const training_plan&, const core::cycle_key&, std::uint64_t, std::uint64_t,
                  const pair_columns&) const override {
    throw backend_error("not queued");
  }
  void fill_evaluation(const evaluation_plan&, std::uint64_t, std::uint64_t,
                       const evaluation_columns&) const override {
    throw backend_error("not queued");
  }
  std::unique_ptr<fill_queue> make_queue() const override {
    return std::make_unique<threaded_queue>(*inner_, items_, pushes_, max_in_queue_);
  }
  std::size_t max_in_queue() const { return max_in_queue_; }

 private:
  std::unique_ptr<backend> inner_;
  item_type items_;
  int pushes_;
  mutable std::atomic<std::size_t> max_in_queue_ = 0;
};

void generate_queued(const dataset& data, const test::run_options& options, unsigned threads) {
  const positives_index index(data);
  generate(sampler(index, std::make_shared<queueing_backend>(index), options.sampling), options,
           {.threads = threads});
}

TEST(record_lane, queued_batches_give_the_same_files) {
  const dataset data = test::small_dataset();
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask, padding_policy::drop}) {
    for (const batch_layout layout : {batch_layout::pointwise, batch_layout::pairwise}) {
      for (const auto& [threads, negatives, batch_size] :
           {std::tuple{1U, 3U, 100ULL}, {3U, 0U, 1ULL}, {8U, 2U, 7ULL}}) {
        test::temporary_folder folder;
        test::run_options options = test::small_options(folder / "cpu");
        options.sampling.padding = padding;
        options.sampling.layout = layout;
        options.sampling.negatives = negatives;
        options.sampling.batch_size = batch_size;
        options.compression = threads == 8 ? compression_type::gzip : compression_type::none;
        test::generate_small(data, options);
        options.out = folder / "queued";
        generate_queued(data, options, threads);
        EXPECT_EQ(test::differing_files(folder / "cpu", folder / "queued"), "")
            << threads << " threads, padding " << static_cast<int>(padding) << ", layout "
            << static_cast<int>(layout);
      }
    }
  }
}

TEST(record_lane, the_next_batch_is_queued_before_a_record_is_completed) {
  test::temporary_folder folder;
  const test::run_options options = test::small_options(folder / "out");
  const positives_index index(test::small_dataset());
  const auto filler = std::make_shared<queueing_backend>(index);
  generate(sampler(index, filler, options.sampling), options, {.threads = 1});
  EXPECT_EQ(filler->max_in_queue(), 2U);
}

TEST(record_lane, failing_fills_leave_nothing) {
  const dataset data = test::small_dataset();
  const positives_index index(data);
  for (const int pushes : {0, 1, 2, 4}) {
    for (const unsigned threads : {1U, 4U}) {
      for (const compression_type compression : {compression_type::none, compression_type::gzip}) {
        test::temporary_folder folder;
        test::run_options options = test::small_options(folder / "out");
        options.compression = compression;
        options.sampling.batch_size = 10;
        const sampler source(index, std::make_shared<queueing_backend>(index, pushes), options.sampling);
        EXPECT_THROW(generate(source, options, {.threads = threads}), device_lost_error);
        EXPECT_FALSE(fs::exists(options.out));
      }
    }
  }
}

TEST(record_lane, the_cpu_has_no_queue) {
  const sampler source(test::small_dataset(), test::small_options("").sampling);
  EXPECT_EQ(source.make_queue(), nullptr);
  EXPECT_EQ(source.make_evaluation_queue(), nullptr);
}

}  // namespace
}  // namespace negpipe
