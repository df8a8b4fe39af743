// DeviceSource, DeviceStream, DeviceArray and Replay: batches in the memory of a CUDA device.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "batch_stream.hpp"
#include "bindings.hpp"
#include "buffer_pool.hpp"
#include "device_array.hpp"
#include "device_maker.hpp"
#include "shard_makers.hpp"

namespace negpipe::python {

namespace {

using addresses = std::vector<std::uintptr_t>;

device_stream stream_at(std::uintptr_t handle) { return reinterpret_cast<device_stream>(handle); }
std::byte* memory_at(std::uintptr_t address) { return reinterpret_cast<std::byte*>(address); }

std::vector<void*> targets_at(const addresses& given, std::size_t count) {
  if (given.size() != count) {
    throw option_error("`columns`: " + std::to_string(given.size()) + " addresses given; expected " +
                       std::to_string(count));
  }
  std::vector<void*> targets;
  for (const std::uintptr_t address : given) targets.push_back(reinterpret_cast<void*>(address));
  return targets;
}

/// (name, shape, name of the dtype) of each column.
nb::tuple describe(const std::vector<column>& columns) {
  nb::list all;
  for (const column& one : columns) all.append(nb::make_tuple(one.name, shape_of(one), name_of(one.type)));
  return nb::tuple(all);
}

/// Batches of one rank on a device. Members are called with the GIL.
class device_source {
 public:
  explicit device_source(std::shared_ptr<const device_maker> maker) : maker_(std::move(maker)) {}
  /// Waits for the device without the GIL, because its work may call Python, as host callbacks of JAX do.
  ~device_source() {
    const nb::gil_scoped_release released;
    maker_.reset();
    pool_.reset();
  }
  device_source(const device_source&) = delete;
  device_source& operator=(const device_source&) = delete;

  const device_maker& maker() const { return *maker_; }

  /// A tuple of DeviceArrays, in memory of this source and queued to its stream.
  nb::tuple make(std::uint32_t epoch, std::uint64_t batch) {
    check_process();
    std::optional<device_block> block;
    {
      const nb::gil_scoped_release released;
      block = queue(epoch, batch);
    }
    nb::list arrays;
    const std::vector<std::size_t> offsets = column_offsets(maker_->columns());
    for (std::size_t i = 0; i < maker_->columns().size(); ++i) {
      arrays.append(nb::cast(device_array(pool(), *block, offsets[i], maker_->columns()[i])));
    }
    return nb::tuple(arrays);
  }

  /// Fills arrays of the caller on a stream of the caller.
  void fill(std::uint32_t epoch, std::uint64_t batch, const std::vector<nb::ndarray<nb::c_contig>>& out,
            std::uintptr_t stream) {
    check_process();
    for (const auto& array : out) {
      if (array.device_type() == nb::device::cuda::value && array.device_id() == maker_->device()) continue;
      throw option_error("`out`: an array is not in the memory of cuda:" + std::to_string(maker_->device()));
    }
    const std::vector<void*> targets = targets_in(maker_->columns(), out);
    const nb::gil_scoped_release released;
    const device_block scratch = pool().take(std::max<std::size_t>(1, maker_->scratch_bytes()));
    scratch.finish_writing();
    scratch.lend_to(stream_at(stream));
    maker_->make(epoch, batch, targets, scratch.data(), stream_at(stream));
  }

  /// The same by addresses, for the batches first, first + step, ..., which lie one after the other in the columns.
  /// scratch: count * scratch_bytes, not used by concurrent work.
  void fill_at(std::uint32_t epoch, std::uint64_t first, const addresses& columns, std::uintptr_t scratch,
               std::uintptr_t stream, std::uint64_t count, std::uint64_t step) const {
    check_process();
    const std::vector<void*> targets = targets_at(columns, maker_->columns().size());
    const nb::gil_scoped_release released;
    maker_->make(epoch, first, targets, memory_at(scratch), stream_at(stream), count, step);
  }

 private:
  void check_process() const {
    if (pid_ == ::getpid()) return;
    throw fork_error("this process was forked after the loader began to use CUDA; use num_workers=0 (batches are made "
                     "on the device, workers gain nothing) or the start method spawn");
  }

  const device_pool& pool() {
    const std::lock_guard lock(mutex_);
    if (!pool_) pool_.emplace(maker_->device());
    return *pool_;
  }

  device_block queue(std::uint32_t epoch, std::uint64_t batch) {
    const device_pool& memory = pool();
    const std::vector<std::size_t> offsets = column_offsets(maker_->columns());
    // One allocation for both: it costs more than the scratch memory, which the batch keeps.
    const std::size_t columns_bytes = (offsets.back() + 255) / 256 * 256;
    const device_block block = memory.take(std::max<std::size_t>(1, columns_bytes + maker_->scratch_bytes()));
    std::vector<void*> targets;
    for (std::size_t i = 0; i < maker_->columns().size(); ++i) targets.push_back(block.data() + offsets[i]);
    maker_->make(epoch, batch, targets, block.data() + columns_bytes, memory.stream());
    block.finish_writing();
    return block;
  }

  std::shared_ptr<const device_maker> maker_;
  std::mutex mutex_;  ///< guards pool_
  std::optional<device_pool> pool_;
  ::pid_t pid_ = ::getpid();
};

/// Batches first, first + step, ... of an epoch; up to `ahead` are queued before they are asked for.
class device_stream_of_batches {
 public:
  device_stream_of_batches(std::shared_ptr<device_source> source, const stream_range& range, std::size_t ahead)
      : source_(std::move(source)), range_(range), ahead_(ahead) {}

  nb::object next() {
    if (!source_) return nb::none();
    while (queued_.size() <= ahead_ && range_.first < source_->maker().batch_count()) {
      queued_.push_back(source_->make(range_.epoch, range_.first));
      range_.first += range_.step;
    }
    if (queued_.empty()) return nb::none();
    nb::object batch = std::move(queued_.front());
    queued_.pop_front();
    return batch;
  }

  void close() {
    source_.reset();
    queued_.clear();
  }

 private:
  std::shared_ptr<device_source> source_;
  stream_range range_;
  std::size_t ahead_;
  std::deque<nb::object> queued_;
};

std::shared_ptr<device_source> training_source(const sampler& source, std::uint64_t rank, std::uint64_t world_size,
                                               int device, const std::string& users, const std::string& items,
                                               const std::string& labels) {
  const output_types types = types_of(users, items, labels);
  const nb::gil_scoped_release released;
  return std::make_shared<device_source>(make_device_training_maker(source, types, rank, world_size, device));
}

std::shared_ptr<device_source> shard_training_source(const shard_samplers& source, int device, const std::string& users,
                                                     const std::string& items, const std::string& labels) {
  const output_types types = types_of(users, items, labels);
  const nb::gil_scoped_release released;
  return std::make_shared<device_source>(make_device_shard_training_maker(source, types, device));
}

std::shared_ptr<device_source> evaluation_source(const sampler& source, std::uint64_t rank, std::uint64_t world_size,
                                                 int device, const std::string& users, const std::string& items) {
  const output_types types = types_of(users, items, "int8");
  const nb::gil_scoped_release released;
  return std::make_shared<device_source>(make_device_evaluation_maker(source, types, rank, world_size, device));
}

std::unique_ptr<replay_maker> replay(const sampler& source, std::uint64_t rank, std::uint64_t world_size, int device,
                                     const std::string& users, const std::string& items, const std::string& labels,
                                     std::uint32_t epoch, std::uint64_t batch) {
  const output_types types = types_of(users, items, labels);
  const nb::gil_scoped_release released;
  return std::make_unique<replay_maker>(source, types, rank, world_size, device, batch_cursor{epoch, batch});
}

void bind_sources(nb::module_& module) {
  nb::class_<device_stream_of_batches>(module, "DeviceStream")
      .def("next", &device_stream_of_batches::next, "A tuple of DeviceArrays, or None after the last batch.")
      .def("close", &device_stream_of_batches::close);
  nb::class_<device_source>(module, "DeviceSource")
      .def_prop_ro("batch_count", [](const device_source& source) { return source.maker().batch_count(); })
      .def_prop_ro("columns", [](const device_source& source) { return describe(source.maker().columns()); })
      .def_prop_ro("names", [](const device_source& source) { return names_of(source.maker().columns()); })
      .def_prop_ro("scratch_bytes", [](const device_source& source) { return source.maker().scratch_bytes(); })
      .def("make", &device_source::make, nb::arg("epoch"), nb::arg("batch"))
      .def("fill", &device_source::fill, nb::arg("epoch"), nb::arg("batch"), nb::arg("out").noconvert(),
           nb::arg("stream") = 0)
      .def("fill_at", &device_source::fill_at, nb::arg("epoch"), nb::arg("first"), nb::arg("columns"),
           nb::arg("scratch"), nb::arg("stream"), nb::arg("count") = 1, nb::arg("step") = 1)
      .def(
          "stream",
          [](std::shared_ptr<device_source> source, std::uint32_t epoch, std::uint64_t first, std::uint64_t step,
             unsigned prefetch) {
            return std::make_unique<device_stream_of_batches>(std::move(source), stream_range{epoch, first, step},
                                                              prefetch);
          },
          nb::arg("epoch"), nb::arg("first"), nb::arg("step"), nb::arg("prefetch"));
  module.def("training_device_source", &training_source, nb::arg("sampler"), nb::arg("rank"), nb::arg("world_size"),
             nb::arg("device"), nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"), nb::arg("label_dtype"));
  module.def("shard_training_device_source", &shard_training_source, nb::arg("samplers"), nb::arg("device"),
             nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"), nb::arg("label_dtype"));
  module.def("evaluation_device_source", &evaluation_source, nb::arg("sampler"), nb::arg("rank"),
             nb::arg("world_size"), nb::arg("device"), nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"));
}

void bind_replay(nb::module_& module) {
  nb::class_<replay_maker>(module, "Replay")
      .def_prop_ro("columns", [](const replay_maker& source) { return describe(source.columns()); })
      .def_prop_ro("scratch_bytes", &replay_maker::scratch_bytes)
      .def(
          "fill_next",
          [](const replay_maker& source, const addresses& columns, std::uintptr_t scratch, std::uintptr_t stream) {
            source.make_next(targets_at(columns, source.columns().size()), memory_at(scratch), stream_at(stream));
          },
          nb::arg("columns"), nb::arg("scratch"), nb::arg("stream"))
      .def(
          "seek",
          [](const replay_maker& source, std::uint32_t epoch, std::uint64_t batch, std::uintptr_t stream) {
            source.seek({epoch, batch}, stream_at(stream));
          },
          nb::arg("epoch"), nb::arg("batch"), nb::arg("stream"))
      .def(
          "position",
          [](const replay_maker& source, std::uintptr_t stream) {
            batch_cursor next;
            {
              const nb::gil_scoped_release released;
              next = source.position(stream_at(stream));
            }
            return nb::make_tuple(next.cycle, next.batch);
          },
          nb::arg("stream"));
  module.def("replay", &replay, nb::arg("sampler"), nb::arg("rank"), nb::arg("world_size"), nb::arg("device"),
             nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"), nb::arg("label_dtype"), nb::arg("epoch"),
             nb::arg("batch"));
}

}  // namespace

void bind_device(nb::module_& module) {
  bind_device_array(module);
  bind_sources(module);
  bind_replay(module);
}

}  // namespace negpipe::python
