#include "records.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "example_encoder.hpp"
#include "negpipe/error.hpp"

namespace negpipe::bench {

namespace {

using json = nlohmann::ordered_json;

/// One thread's buffers and its way of making records.
class record_maker {
 public:
  record_maker(const backend& filler, const training_plan& plan, item_type width)
      : filler_(filler),
        plan_(plan),
        key_(make_cycle_key(plan, 0)),
        width_(width),
        shape_(record::training_record_columns(plan.batch_size, width, false)) {
    for (slot& one : slots_) {
      one.memory = filler.allocate_host(shape_.record_bytes());
      one.record = {one.memory.get(), shape_.record_bytes()};
      shape_.lay_out(one.record);
      for (std::size_t c = 0; c < 3; ++c) one.columns.push_back(shape_.column(c, one.record));
    }
    for (const std::uint64_t bytes : {4 * plan.batch_size, item_bytes(width) * plan.batch_size, plan.batch_size}) {
      memory_.push_back(filler.allocate_host(bytes));
      columns_.emplace_back(memory_.back().get(), bytes);
    }
    queue_ = filler.make_queue();
  }

  /// Calls next for the number of each batch, until it gives none.
  template <typename Next>
  void make_in_place(const Next& next) {
    std::size_t current = 0;
    bool more = begin(next, current);
    while (more) {
      more = begin(next, 1 - current);
      queue_->pop();
      shape_.seal(slots_[current].record);
      current = 1 - current;
    }
  }

  template <typename Next>
  void make_by_copy(const Next& next) {
    for (std::uint64_t batch = 0; next(batch);) {
      const std::uint64_t count = plan_.batch_size;
      filler_.fill_training(plan_, key_, batch * count, count,
                            {{reinterpret_cast<std::int32_t*>(memory_[0].get()), count},
                             {memory_[1].get(), width_, count},
                             {reinterpret_cast<std::int8_t*>(memory_[2].get()), count},
                             {}});
      shape_.encode(columns_, slots_[0].record);
    }
  }

  std::span<const std::byte> record() const { return slots_[0].record; }

 private:
  struct slot {
    std::shared_ptr<std::byte[]> memory;
    std::span<std::byte> record;
    std::vector<std::span<std::byte>> columns;
  };

  template <typename Next>
  bool begin(const Next& next, std::size_t s) {
    std::uint64_t batch = 0;
    if (!next(batch)) return false;
    queue_->push_training(plan_, key_, batch * plan_.batch_size, plan_.batch_size, slots_[s].columns);
    return true;
  }

  const backend& filler_;
  const training_plan& plan_;
  core::cycle_key key_;
  item_type width_;
  record::record_template shape_;
  std::array<slot, 2> slots_;
  std::vector<std::shared_ptr<std::byte[]>> memory_;
  std::vector<std::span<const std::byte>> columns_;
  std::unique_ptr<fill_queue> queue_;  // destroyed first: it may still write to the slots
};

void check_equal(record_maker& one, record_maker& other) {
  const auto first_only = [](bool& done) {
    return [&done](std::uint64_t& batch) { return batch = 0, !std::exchange(done, true); };
  };
  bool first_done = false;
  bool second_done = false;
  one.make_in_place(first_only(first_done));
  other.make_by_copy(first_only(second_done));
  if (std::ranges::equal(one.record(), other.record())) return;
  throw backend_error("a record made in place differs from an encoded one; nothing is measured");
}

}  // namespace

json time_records(const backend& filler, const training_plan& plan, item_type width, unsigned threads, bool in_place,
                  std::uint64_t batches) {
  std::vector<std::unique_ptr<record_maker>> makers;
  for (unsigned t = 0; t < std::max(2U, threads); ++t) {
    makers.push_back(std::make_unique<record_maker>(filler, plan, width));
  }
  check_equal(*makers[0], *makers[1]);
  std::atomic<std::uint64_t> taken{0};
  const auto next = [&](std::uint64_t& batch) {
    const std::uint64_t turn = taken++;
    batch = turn % plan.batch_count;
    return turn < batches;
  };
  const auto work = [&](unsigned t) { in_place ? makers[t]->make_in_place(next) : makers[t]->make_by_copy(next); };
  const auto run = [&] {
    taken = 0;
    std::vector<std::future<void>> others;
    for (unsigned t = 1; t < threads; ++t) others.push_back(std::async(std::launch::async, work, t));
    work(0);
    for (std::future<void>& other : others) other.get();
  };
  run();
  const auto begin = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {{"threads", threads},
          {"in_place", in_place},
          {"points_per_second", static_cast<double>(batches * plan.batch_size) / seconds.count()}};
}

}  // namespace negpipe::bench
