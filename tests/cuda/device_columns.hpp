// Batches in device memory, and their comparison with the CPU.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "equality/reference_columns.hpp"
#include "memory.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::test {

/// A column of count values of value_bytes each, between two guards, in device memory.
class device_column {
 public:
  device_column(std::uint64_t count, std::uint64_t value_bytes, cuda::device_memory& memory, cudaStream_t stream)
      : bytes_(count * value_bytes), stored_(bytes_ + 2 * guard_bytes, memory, stream) {
    clear(stream);
  }

  std::byte* data() { return stored_.data() + guard_bytes; }

  void clear(cudaStream_t stream) {
    NEGPIPE_CUDA_CHECK(cudaMemsetAsync(stored_.data(), filler, stored_.size_bytes(), stream));
  }

  /// Waits for the stream. Returns "" if the column holds the wanted bytes and the guards are unchanged.
  std::string difference(const char* name, const void* wanted, cudaStream_t stream) const {
    std::vector<std::byte> found(stored_.size());
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
    NEGPIPE_CUDA_CHECK(cudaMemcpy(found.data(), stored_.data(), found.size(), cudaMemcpyDeviceToHost));
    std::vector<std::byte> expected(found.size(), std::byte{filler});
    std::memcpy(expected.data() + guard_bytes, wanted, bytes_);
    return found == expected ? "" : std::string(name) + " differs; ";
  }

  /// Waits for the stream. Returns true if nothing was written.
  bool is_untouched(cudaStream_t stream) const {
    const std::vector<std::byte> nothing(bytes_, std::byte{filler});
    return difference("", nothing.data(), stream).empty();
  }

 private:
  static constexpr std::uint64_t guard_bytes = 256;
  static constexpr int filler = 0x5A;
  std::uint64_t bytes_;
  cuda::device_buffer<std::byte> stored_;
};

/// Training columns in device memory.
class device_points {
 public:
  device_points(std::uint64_t count, item_type width, bool masked, cuda::device_memory& memory, cudaStream_t stream)
      : count_(count),
        width_(width),
        masked_(masked),
        users_(count, 4, memory, stream),
        items_(count, item_bytes(width), memory, stream),
        labels_(count, 1, memory, stream),
        valid_(count, 1, memory, stream) {}

  training_columns columns() {
    return {{reinterpret_cast<std::int32_t*>(users_.data()), count_},
            item_column(items_.data(), width_, count_),
            {reinterpret_cast<std::int8_t*>(labels_.data()), count_},
            masked_ ? std::span(reinterpret_cast<std::int8_t*>(valid_.data()), count_) : std::span<std::int8_t>()};
  }

  void clear(cudaStream_t stream) {
    for (device_column* column : {&users_, &items_, &labels_, &valid_}) column->clear(stream);
  }

  /// Waits for the stream. Returns "" if the columns hold batches [first, first + n) of a cycle in record order.
  std::string difference(const training_plan& plan, std::uint32_t cycle, std::uint64_t first,
                         const core::positives_view& positives, cudaStream_t stream) const {
    std::vector<std::int32_t> users(count_);
    std::vector<std::byte> items(count_ * item_bytes(width_));
    std::vector<std::int8_t> labels(count_);
    std::vector<std::int8_t> valid(count_);
    for (std::uint64_t begin = 0; begin < count_; begin += plan.batch_size) {
      if (first == plan.batch_count) {
        first = 0;
        ++cycle;
      }
      write_reference_points(plan, make_cycle_key(plan, cycle), positives, plan.first_position(first++),
                             plan.batch_size,
                             {{users.data() + begin, plan.batch_size},
                              item_column(items.data() + begin * item_bytes(width_), width_, plan.batch_size),
                              {labels.data() + begin, plan.batch_size},
                              {valid.data() + begin, plan.batch_size}});
    }
    return users_.difference("users", users.data(), stream) + items_.difference("items", items.data(), stream) +
           labels_.difference("labels", labels.data(), stream) +
           (masked_ ? valid_.difference("valid", valid.data(), stream) : "");
  }

  bool is_untouched(cudaStream_t stream) const {
    return users_.is_untouched(stream) && items_.is_untouched(stream) && labels_.is_untouched(stream) &&
           valid_.is_untouched(stream);
  }

 private:
  std::uint64_t count_;
  item_type width_;
  bool masked_;
  device_column users_, items_, labels_, valid_;
};

/// Columns of the pairwise layout in device memory: one batch.
class device_pairs {
 public:
  device_pairs(const training_plan& plan, item_type width, cuda::device_memory& memory, cudaStream_t stream)
      : plan_(plan),
        width_(width),
        users_(plan.batch_size, 4, memory, stream),
        items_(plan.batch_size, item_bytes(width), memory, stream),
        negatives_(plan.batch_size * plan.negatives, item_bytes(width), memory, stream),
        valid_(plan.batch_size, 1, memory, stream) {}

  pair_columns columns() {
    return {{reinterpret_cast<std::int32_t*>(users_.data()), plan_.batch_size},
            item_column(items_.data(), width_, plan_.batch_size),
            item_column(negatives_.data(), width_, plan_.batch_size * plan_.negatives),
            is_masked() ? std::span(reinterpret_cast<std::int8_t*>(valid_.data()), plan_.batch_size)
                        : std::span<std::int8_t>()};
  }

  void clear(cudaStream_t stream) {
    for (device_column* column : {&users_, &items_, &negatives_, &valid_}) column->clear(stream);
  }

  /// Waits for the stream. Returns "" if the columns hold the batch.
  std::string difference(std::uint32_t cycle, std::uint64_t batch, const core::positives_view& positives,
                         cudaStream_t stream) const {
    pair_batch wanted(plan_.batch_size, plan_.negatives, width_, is_masked());
    write_reference_pairs(plan_, make_cycle_key(plan_, cycle), positives, plan_.first_position(batch),
                          plan_.batch_size, wanted.columns());
    return users_.difference("users", wanted.users().data(), stream) +
           items_.difference("items", wanted.items().data(), stream) +
           negatives_.difference("negatives", wanted.negatives().data(), stream) +
           (is_masked() ? valid_.difference("valid", wanted.valid().data(), stream) : "");
  }

 private:
  bool is_masked() const { return plan_.pad == padding_policy::mask; }

  training_plan plan_;
  item_type width_;
  device_column users_, items_, negatives_, valid_;
};

/// Evaluation columns in device memory.
class device_rows {
 public:
  device_rows(std::uint64_t count, item_type width, cuda::device_memory& memory, cudaStream_t stream)
      : count_(count),
        width_(width),
        users_(count, 4, memory, stream),
        items_(count, item_bytes(width), memory, stream),
        mask_(count, 1, memory, stream) {}

  evaluation_columns columns() {
    return {{reinterpret_cast<std::int32_t*>(users_.data()), count_},
            item_column(items_.data(), width_, count_),
            {reinterpret_cast<std::int8_t*>(mask_.data()), count_}};
  }

  /// Waits for the stream. Returns "" if the columns hold the batch.
  std::string difference(const evaluation_plan& plan, std::uint64_t batch, const core::positives_view& positives,
                         cudaStream_t stream) const {
    std::vector<std::int32_t> users(count_);
    std::vector<std::byte> items(count_ * item_bytes(width_));
    std::vector<std::int8_t> mask(count_);
    const std::uint64_t rows = plan.batch_size / plan.row_length();
    write_reference_rows(plan, positives, batch * rows, rows,
                         {users, item_column(items.data(), width_, count_), mask});
    return users_.difference("users", users.data(), stream) + items_.difference("items", items.data(), stream) +
           mask_.difference("duplicate_mask", mask.data(), stream);
  }

 private:
  std::uint64_t count_;
  item_type width_;
  device_column users_, items_, mask_;
};

}  // namespace negpipe::test
