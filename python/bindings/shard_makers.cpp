#include "shard_makers.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe::python {

namespace {

/// The columns of `parts` batches, one after the other.
std::vector<column> joined_columns(std::vector<column> columns, std::size_t parts) {
  for (column& one : columns) one.shape[0] *= parts;
  return columns;
}

/// Where part k of columns of `parts` batches begins.
std::vector<void*> targets_of_part(const std::vector<column>& of_part, std::span<void* const> targets, std::size_t k) {
  std::vector<void*> own;
  for (std::size_t i = 0; i < of_part.size(); ++i) {
    own.push_back(static_cast<std::byte*>(targets[i]) + k * of_part[i].bytes());
  }
  return own;
}

template <typename T>
std::span<T> values_at(void* address, std::size_t count) {
  return {static_cast<T*>(address), count};
}

/// Returns the batch of a shard for batch `number` of the run, or nothing past the last if padding is masked.
std::optional<std::uint64_t> batch_of_shard(const sampler& shard, std::uint64_t number) {
  if (number < shard.batch_count()) return number;
  if (shard.plan().pad == padding_policy::mask) return {};
  return number % shard.batch_count();
}

/// Makes batch `number` of the run in targets.
/// - columns: of the batch of a shard. make(shard, batch, targets) makes one.
/// - zero(bytes) and add(users, first_user) are called where memory is, for the columns of a shard.
template <typename Make, typename Zero, typename Add>
void make_joined(const shard_samplers& source, const std::vector<column>& columns, std::uint64_t number,
                 std::span<void* const> targets, const Make& make, const Zero& zero, const Add& add) {
  for (std::size_t k = 0; k < source.samplers.size(); ++k) {
    const std::vector<void*> own = targets_of_part(columns, targets, k);
    if (const auto batch = batch_of_shard(source.samplers[k], number)) {
      make(k, *batch, own);
    } else {
      for (std::size_t i = 0; i < own.size(); ++i) zero(values_at<std::byte>(own[i], columns[i].bytes()));
    }
    const std::int32_t first_user = source.samplers[k].data().first_user();
    add(own[0], columns[0].count(), first_user);
  }
}

class shard_training_maker final : public batch_maker {
 public:
  shard_training_maker(const shard_samplers& source, std::vector<std::shared_ptr<const batch_maker>> parts)
      : batch_maker(source.batch_count, joined_columns(parts[0]->columns(), parts.size())),
        source_(source), parts_(std::move(parts)) {}

  void make(std::uint32_t epoch, std::uint64_t number, std::span<void* const> targets) const override {
    const std::vector<column>& part = parts_[0]->columns();
    make_joined(
        source_, part, number, targets,
        [&](std::size_t k, std::uint64_t batch, std::span<void* const> own) { parts_[k]->make(epoch, batch, own); },
        [](std::span<std::byte> bytes) { std::ranges::fill(bytes, std::byte{0}); },
        [&](void* users, std::size_t count, std::int32_t first_user) {
          if (part[0].type == column_type::int64) {
            for (std::int64_t& user : values_at<std::int64_t>(users, count)) user += first_user;
          } else {
            for (std::int32_t& user : values_at<std::int32_t>(users, count)) user += first_user;
          }
        });
  }

 private:
  shard_samplers source_;
  std::vector<std::shared_ptr<const batch_maker>> parts_;
};

/// Columns in the types that kernels make.
std::vector<column> made_columns(std::vector<column> columns) {
  for (column& one : columns) one.type = made_type(one);
  return columns;
}

class device_shard_training_maker final : public device_maker {
 public:
  device_shard_training_maker(const shard_samplers& source, std::vector<std::shared_ptr<const device_maker>> parts)
      : device_maker(parts[0]->device(), source.batch_count, joined_columns(parts[0]->columns(), parts.size())),
        source_(source), parts_(std::move(parts)), part_columns_(made_columns(parts_[0]->columns())) {}

  void make_run(std::uint32_t epoch, std::uint64_t number, std::uint64_t, std::span<void* const> made,
                std::byte* workspace, device_stream stream) const override {
    make_joined(
        source_, part_columns_, number, made,
        [&](std::size_t k, std::uint64_t batch, std::span<void* const> own) {
          parts_[k]->make_run(epoch, batch, 1, own, workspace, stream);  // training needs no workspace
        },
        [&](std::span<std::byte> bytes) { zero_async(bytes, device(), stream); },
        [&](void* users, std::size_t count, std::int32_t first_user) {
          add_async(values_at<std::int32_t>(users, count), first_user, device(), stream);
        });
  }

 private:
  shard_samplers source_;
  std::vector<std::shared_ptr<const device_maker>> parts_;
  std::vector<column> part_columns_;
};

class shard_evaluation_maker final : public batch_maker {
 public:
  shard_evaluation_maker(const shard_samplers& source, std::vector<std::shared_ptr<const row_maker>> parts,
                         std::uint64_t rows)
      : batch_maker(source.batch_count, parts[0]->columns_of(rows)), parts_(std::move(parts)), rows_(rows) {
    for (const auto& part : parts_) ends_.push_back((ends_.empty() ? 0 : ends_.back()) + part->row_count());
  }

  void make(std::uint32_t, std::uint64_t batch, std::span<void* const> targets) const override {
    const std::uint64_t begin = batch * rows_;
    const std::uint64_t end = begin + rows_;
    std::uint64_t row = begin;
    for (std::size_t k = 0; k < parts_.size() && row < end; ++k) {
      if (row >= ends_[k]) continue;
      const std::uint64_t count = std::min(end, ends_[k]) - row;
      const std::uint64_t first = k == 0 ? 0 : ends_[k - 1];
      parts_[k]->make(row - first, count, targets_at(targets, row - begin));
      row += count;
    }
    parts_[0]->make_padding(end - row, targets_at(targets, row - begin));
  }

 private:
  std::vector<void*> targets_at(std::span<void* const> targets, std::uint64_t row) const {
    std::vector<void*> own;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const column& one = columns()[i];
      own.push_back(static_cast<std::byte*>(targets[i]) + row * one.shape[1] * bytes_of(one.type));
    }
    return own;
  }

  std::vector<std::shared_ptr<const row_maker>> parts_;
  std::uint64_t rows_;
  std::vector<std::uint64_t> ends_;  // rows of each part and those before it
};

sampler load_sampler(const sharded_dataset& shards, std::uint32_t number,
                     const std::function<sampler_options(std::uint32_t, const dataset&)>& options,
                     const run_control& control) {
  const dataset data = shards.load(number);
  try {
    return sampler(data, options(number, data), control);
  } catch (const infeasible_error& failure) {
    throw infeasible_error("shard " + std::to_string(number) + " of " + shards.folder().string() +
                           ", whose user 0 is user " + std::to_string(data.first_user()) +
                           " of the whole dataset: " + failure.what());
  }
}

}  // namespace

std::vector<sampler> load_samplers(const sharded_dataset& shards, const shard_range& range,
                                   const std::function<sampler_options(std::uint32_t, const dataset&)>& options,
                                   const run_control& control) {
  std::vector<std::optional<sampler>> made(range.count);
  std::atomic<std::uint32_t> next = 0;
  std::atomic<bool> failed = false;
  const auto work = [&] {
    try {
      for (std::uint32_t k = next++; k < range.count && !failed; k = next++) {
        control.throw_if_stopped();
        made[k].emplace(load_sampler(shards, range.first + k, options, control));
      }
    } catch (...) {
      failed = true;
      throw;
    }
  };
  std::vector<std::future<void>> workers;
  workers.push_back(std::async(std::launch::deferred, work));  // in this thread, by get()
  for (unsigned i = 1; i < std::min(range.threads, range.count); ++i) {
    try {
      workers.push_back(std::async(std::launch::async, work));
    } catch (const std::system_error&) {
      break;  // fewer threads do
    }
  }
  std::exception_ptr failure;
  for (std::future<void>& worker : workers) {
    try {
      worker.get();
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  std::vector<sampler> samplers;
  for (std::optional<sampler>& one : made) samplers.push_back(std::move(*one));
  return samplers;
}

std::shared_ptr<const batch_maker> make_shard_training_maker(const shard_samplers& source, const output_types& types) {
  std::vector<std::shared_ptr<const batch_maker>> parts;
  for (const sampler& part : source.samplers) parts.push_back(make_training_maker(part, types, 0, 1));
  return std::make_shared<shard_training_maker>(source, std::move(parts));
}

std::shared_ptr<const device_maker> make_device_shard_training_maker(const shard_samplers& source,
                                                                     const output_types& types, int device) {
  std::vector<std::shared_ptr<const device_maker>> parts;
  for (const sampler& part : source.samplers) parts.push_back(make_device_training_maker(part, types, 0, 1, device));
  return std::make_shared<device_shard_training_maker>(source, std::move(parts));
}

std::shared_ptr<const batch_maker> make_shard_evaluation_maker(const shard_samplers& source,
                                                               const output_types& types) {
  const evaluation_plan& plan = source.samplers[0].evaluation_plan();
  const std::uint64_t rows = plan.batch_size / plan.row_length();
  std::vector<std::shared_ptr<const row_maker>> parts;
  for (const sampler& part : source.samplers) parts.push_back(std::make_shared<row_maker>(part, types));
  return std::make_shared<shard_evaluation_maker>(source, std::move(parts), rows);
}

}  // namespace negpipe::python
