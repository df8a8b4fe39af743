#include "cuda_queue.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "column_fills.hpp"
#include "double_buffer.hpp"
#include "stream.hpp"

namespace negpipe::cuda {

namespace {

class cuda_queue final : public fill_queue {
 public:
  cuda_queue(const device_part& part, const dataset_counts& counts, unsigned block_size)
      : part_(part), counts_(counts), items_(item_type_for(counts.items)), block_size_(block_size) {}
  ~cuda_queue() override {
    const quiet_device_guard current(part_.device());
    if (buffers_ != nullptr) buffers_->drain();
    idle_.clear();
    pushed_.clear();
    buffers_.reset();
  }
  cuda_queue(const cuda_queue&) = delete;
  cuda_queue& operator=(const cuda_queue&) = delete;

  void push_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     column_bytes out) override {
    check_training_fill(plan, key, counts_, first, count, out);
    part_.check_weights(plan.weights);
    push(count, training_fill{plan, key, first, items_, plan.pad == padding_policy::mask, block_size_}, out);
  }

  void push_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  column_bytes out) override {
    check_pair_fill(plan, key, counts_, first, count, out);
    part_.check_weights(plan.weights);
    push(count, pairs_fill{plan, key, first, items_, plan.pad == padding_policy::mask, block_size_}, out);
  }

  void push_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       column_bytes out) override {
    check_evaluation_fill(plan, counts_, first_row, row_count, out);
    part_.check_weights(plan.weights);
    push(row_count * plan.row_length(), evaluation_fill{plan, first_row, items_, block_size_}, out);
  }

  void pop() override {
    for (const event& half : pushed_.front()) half.synchronize();
    idle_.push_back(std::move(pushed_.front()));
    pushed_.pop_front();
  }

 private:
  using fill_done = std::array<event, 2>;  // one for each half of the double buffer

  template <typename Fill>
  void push(std::uint64_t count, const Fill& fill, column_bytes out) {
    std::vector<void*> values;
    for (const std::span<std::byte> column : out) {
      if (!column.empty()) values.push_back(column.data());  // a pairwise layout may have no negatives
    }
    const device_guard current(part_.device());
    if (idle_.empty()) idle_.emplace_back();
    if (count != 0) {
      const std::vector<host_column> columns = host_columns_of(fill, values);
      reserve(double_buffer::bytes_for(fill.unit(), columns), double_buffer::bytes_for(count, columns));
      buffers_->queue(count, fill.unit(), columns,
                      [&](std::uint64_t begin, std::uint64_t length, piece_columns column, cudaStream_t stream) {
                        fill(part_, begin, length, column, stream);
                      });
      buffers_->record(idle_.back());
    }
    pushed_.push_back(std::move(idle_.back()));
    idle_.pop_back();
  }

  // Makes buffers as large as a batch, if the options allow it: a queue per thread takes less memory then.
  void reserve(std::size_t unit_bytes, std::size_t batch_bytes) {
    const std::size_t bytes = std::max(unit_bytes, std::min(batch_bytes, part_.buffer_bytes_for(unit_bytes)));
    if (buffers_ != nullptr && buffers_->buffer_bytes() >= bytes) return;
    if (buffers_ != nullptr) buffers_->drain();
    buffers_ = std::make_unique<double_buffer>(bytes, part_.memory());
  }

  const device_part& part_;
  dataset_counts counts_;
  item_type items_;
  unsigned block_size_;
  std::unique_ptr<double_buffer> buffers_;
  std::deque<fill_done> pushed_;
  std::vector<fill_done> idle_;
};

}  // namespace

std::unique_ptr<fill_queue> make_fill_queue(const device_part& part, const dataset_counts& counts,
                                            unsigned block_size) {
  return std::make_unique<cuda_queue>(part, counts, block_size);
}

}  // namespace negpipe::cuda
