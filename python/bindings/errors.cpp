#include <exception>

#include "bindings.hpp"
#include "buffer_pool.hpp"

namespace negpipe::python {

namespace {

/// Raises negpipe.errors.NAME. The module is imported already: importing negpipe._native does it.
void raise(const char* name, const char* message) {
  const nb::object type = nb::module_::import_("negpipe.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const input_error& failure) {
    raise("InputError", failure.what());
  } catch (const out_of_range_error& failure) {
    raise("OutOfRangeError", failure.what());
  } catch (const option_error& failure) {
    raise("OptionError", failure.what());
  } catch (const format_error& failure) {
    raise("FormatError", failure.what());
  } catch (const infeasible_error& failure) {
    raise("InfeasibleError", failure.what());
  } catch (const disk_full_error& failure) {
    raise("DiskFullError", failure.what());
  } catch (const io_error& failure) {
    raise("FileError", failure.what());
  } catch (const fork_error& failure) {
    raise("ForkError", failure.what());
  } catch (const device_memory_error& failure) {
    raise("DeviceMemoryError", failure.what());
  } catch (const device_lost_error& failure) {
    raise("DeviceLostError", failure.what());
  } catch (const backend_error& failure) {
    raise("BackendError", failure.what());
  } catch (const error& failure) {
    raise("Error", failure.what());
  }
}

}  // namespace

void bind_errors() {
  nb::module_::import_("negpipe.errors");
  nb::register_exception_translator(translate);
}

}  // namespace negpipe::python
