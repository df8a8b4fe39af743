#include <exception>
#include <map>
#include <string>
#include <string_view>

#include "bindings.hpp"
#include "buffer_pool.hpp"

namespace negpipe::python {

namespace {

/// The argument of Python for a field of the library's options.
std::string argument_of(std::string_view field) {
  static const std::map<std::string_view, std::string_view> arguments{
      {"user_column", "user"},
      {"item_column", "item"},
      {"time_column", "time"},
      {"rating_column", "rating"},
      {"num_neg", "num_negatives"},
      {"eval_negatives", "num_negatives"},
      {"eval_batch_size", "batch_size"},
      {"eval_infeasible", "infeasible"},
      {"eval_weights", "weights"},
      {"replace", "overwrite"},
      {"temporary_folder", "temporary"}};
  const auto found = arguments.find(field);
  return std::string(found == arguments.end() ? field : found->second);
}

/// The message with the names of Python: the field that it begins with, and those in backticks.
std::string with_arguments(const error& failure) {
  std::string_view rest = failure.what();
  std::string text;
  if (const std::string& field = failure.field(); !field.empty() && rest.starts_with(field)) {
    text = argument_of(field);
    rest.remove_prefix(field.size());
  }
  for (std::size_t begin = rest.find('`'); begin != rest.npos; begin = rest.find('`')) {
    const std::size_t end = rest.find('`', begin + 1);
    if (end == rest.npos) break;
    text += rest.substr(0, begin + 1);
    text += argument_of(rest.substr(begin + 1, end - begin - 1)) + "`";
    rest.remove_prefix(end + 1);
  }
  return text.append(rest);
}

/// Raises negpipe.errors.NAME. The module is imported already: importing negpipe._native does it.
void raise(const char* name, const error& failure) {
  const nb::object type = nb::module_::import_("negpipe.errors").attr(name);
  PyErr_SetString(type.ptr(), with_arguments(failure).c_str());
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const input_error& failure) {
    raise("InputError", failure);
  } catch (const out_of_range_error& failure) {
    raise("OutOfRangeError", failure);
  } catch (const option_error& failure) {
    raise("OptionError", failure);
  } catch (const format_error& failure) {
    raise("FormatError", failure);
  } catch (const infeasible_error& failure) {
    raise("InfeasibleError", failure);
  } catch (const disk_full_error& failure) {
    raise("DiskFullError", failure);
  } catch (const io_error& failure) {
    raise("FileError", failure);
  } catch (const fork_error& failure) {
    raise("ForkError", failure);
  } catch (const device_memory_error& failure) {
    raise("DeviceMemoryError", failure);
  } catch (const device_lost_error& failure) {
    raise("DeviceLostError", failure);
  } catch (const backend_error& failure) {
    raise("BackendError", failure);
  } catch (const error& failure) {
    raise("Error", failure);
  }
}

}  // namespace

void bind_errors() {
  nb::module_::import_("negpipe.errors");
  nb::register_exception_translator(translate);
}

}  // namespace negpipe::python
