#include "record_lane.hpp"

#include <array>
#include <utility>
#include <vector>

namespace negpipe {

bool batch_order::next(std::uint64_t& batch) {
  for (;;) {
    const std::uint64_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t within = turn / range_.count;
    if (within >= layout_.batches_per_file()) return false;
    const auto file = range_.first + static_cast<std::uint32_t>(turn % range_.count);
    if (within >= layout_.batches_in(file)) continue;
    batch = layout_.first_batch(file) + within;
    return true;
  }
}

namespace {

class filling_lane final : public record_lane {
 public:
  filling_lane(const batch_source& batches, const sampler& source, const record::record_template& shape,
               batch_order& order)
      : batches_(batches),
        source_(source),
        shape_(shape),
        order_(order),
        buffers_(batches.shape, source),
        record_(shape.record_bytes()) {}

  std::span<const std::byte> next(std::uint64_t& batch) override {
    if (!order_.next(batch)) return {};
    batches_.fill(source_, batch, buffers_);
    shape_.encode(buffers_.columns(), record_);
    return record_;
  }

 private:
  const batch_source& batches_;
  const sampler& source_;
  const record::record_template& shape_;
  batch_order& order_;
  batch_buffers buffers_;
  std::vector<std::byte> record_;
};

/// Takes two batches ahead of their turn: one that is filled, one that is returned. gzip files may wait for the batches
/// before a record: the earliest batch that is not yet written is always the one that its lane returns next, so they
/// do not wait for each other.
class queueing_lane final : public record_lane {
 public:
  queueing_lane(const batch_source& batches, const sampler& source, const record::record_template& shape,
                batch_order& order, std::unique_ptr<fill_queue> queue)
      : batches_(batches), source_(source), shape_(shape), order_(order) {
    for (slot& one : slots_) {
      one.memory = source.allocate_host(shape.record_bytes());
      one.record = {one.memory.get(), shape.record_bytes()};
      shape.lay_out(one.record);
      for (std::size_t c = 0; c < batches.shape.columns.size(); ++c) one.columns.push_back(shape.column(c, one.record));
    }
    queue_ = std::move(queue);
  }

  std::span<const std::byte> next(std::uint64_t& batch) override {
    while (filling_ < slots_.size() && begin(slots_[(oldest_ + filling_) % slots_.size()])) ++filling_;
    if (filling_ == 0) return {};
    const slot& made = slots_[oldest_];
    queue_->pop();
    --filling_;
    oldest_ = (oldest_ + 1) % slots_.size();
    shape_.seal(made.record);
    batch = made.batch;
    return made.record;
  }

 private:
  struct slot {
    std::shared_ptr<std::byte[]> memory;
    std::span<std::byte> record;
    std::vector<std::span<std::byte>> columns;
    std::uint64_t batch = 0;
  };

  bool begin(slot& free) {
    if (!order_.next(free.batch)) return false;
    batches_.push(source_, free.batch, *queue_, free.columns);
    return true;
  }

  const batch_source& batches_;
  const sampler& source_;
  const record::record_template& shape_;
  batch_order& order_;
  std::array<slot, 2> slots_;
  std::size_t oldest_ = 0;   ///< the slot of the oldest fill
  std::size_t filling_ = 0;  ///< fills in the queue
  std::unique_ptr<fill_queue> queue_;  ///< destroyed first: fills may still write to the slots
};

}  // namespace

std::unique_ptr<record_lane> make_record_lane(const batch_source& batches, const sampler& source,
                                              const record::record_template& shape, batch_order& order) {
  if (std::unique_ptr<fill_queue> queue = batches.make_queue(source)) {
    return std::make_unique<queueing_lane>(batches, source, shape, order, std::move(queue));
  }
  return std::make_unique<filling_lane>(batches, source, shape, order);
}

}  // namespace negpipe
