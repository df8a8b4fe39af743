// DeviceArray: a column in device memory, for every framework that reads DLPack or __cuda_array_interface__.
#pragma once

#include <cstddef>
#include <utility>

#include "batch_maker.hpp"
#include "bindings.hpp"
#include "negpipe/device_pool.hpp"

namespace negpipe::python {

class device_array {
 public:
  device_array(device_pool pool, device_block block, std::size_t offset, column shape)
      : pool_(std::move(pool)), block_(std::move(block)), offset_(offset), column_(std::move(shape)) {}

  int device() const { return pool_.device(); }
  const column& shape() const { return column_; }

  /// Version 3: readers must wait for the stream that it names.
  nb::dict cuda_array_interface() const;
  /// A capsule. Makes the consumer's stream wait, on the device; see the Python array API for the arguments.
  nb::object dlpack(const nb::object& stream, const nb::object& max_version, const nb::object& dl_device,
                    const nb::object& copy) const;
  /// A copy in host memory; waits.
  nb::object array(const nb::object& dtype, const nb::object& copy) const;

 private:
  void* data() const { return block_.data() + offset_; }

  device_pool pool_;
  device_block block_;
  std::size_t offset_;
  column column_;
};

void bind_device_array(nb::module_& module);

}  // namespace negpipe::python
