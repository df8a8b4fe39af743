// What the sources of the extension module share.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <future>
#include <utility>

#include "negpipe/error.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe::python {

namespace nb = nanobind;

/// Translates the library's exceptions to those of negpipe.errors.
void bind_errors();
void bind_dataset(nb::module_& module);
void bind_loader(nb::module_& module);
void bind_device(nb::module_& module);
void bind_device_negatives(nb::module_& module);
void bind_ranking(nb::module_& module);
void bind_negatives(nb::module_& module);
void bind_records(nb::module_& module);

/// Runs work(const run_control&) in another thread, without the GIL, and returns its result. Ctrl-C stops it: what the
/// signal's handler raised is raised here.
template <typename Work>
auto run_interruptibly(Work&& work) {
  std::atomic<bool> stop{false};
  run_control control;
  control.stop_requested = &stop;
  auto result = std::async(std::launch::async, [&] { return work(std::as_const(control)); });
  for (;;) {
    {
      const nb::gil_scoped_release released;
      if (result.wait_for(std::chrono::milliseconds(50)) == std::future_status::ready) break;
    }
    if (PyErr_CheckSignals() == 0) continue;
    nb::python_error raised;  // takes what the handler raised
    stop = true;
    {
      const nb::gil_scoped_release released;
      result.wait();
    }
    throw raised;
  }
  return result.get();
}

}  // namespace negpipe::python
