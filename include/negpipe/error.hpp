// The exceptions that negpipe throws. Messages say where, what was found, what was expected and what to do. The library
// never prints, exits or aborts.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace negpipe {

/// Returns text with control characters as \xNN, except line feeds and tabs, so that bytes of an id or a file name
/// cannot cut a message short or control a terminal.
std::string printable(std::string_view text);

/// Base of all other exceptions. Copyable; what() is complete and printable. Messages name options by their field in
/// the option structs or in ready.json, with backticks inside a sentence: `batch_size`.
class error : public std::runtime_error {
 public:
  explicit error(const std::string& message);
  /// For an error in one option: what() is "FIELD: MESSAGE".
  error(std::string field, const std::string& message);
  /// Returns the option that the error is about, such as "batch_size"; empty if none.
  const std::string& field() const noexcept { return field_; }

 private:
  std::string field_;
};

/// Ratings cannot be parsed. The message names file, line and column.
class input_error : public error {
 public:
  using error::error;
};

/// An option or argument is out of range, or options exclude each other.
class option_error : public error {
 public:
  using error::error;
};

/// A user or item number is out of range.
class out_of_range_error : public option_error {
 public:
  using option_error::option_error;
};

/// A dataset folder or record file is damaged, incomplete or of another version.
class format_error : public error {
 public:
  using error::error;
};

/// The request cannot be satisfied, such as 999 distinct negatives for a user who has 10 items left.
class infeasible_error : public error {
 public:
  using error::error;
};

/// The operating system reported an error: no space, no permission, no such file.
class io_error : public error {
 public:
  using error::error;
};

/// The disk or the user's quota is full. A retry may succeed once files are deleted.
class disk_full_error : public io_error {
 public:
  using io_error::io_error;
};

/// A backend is unavailable or failed: no CUDA, no device, no memory.
class backend_error : public error {
 public:
  using error::error;
};

/// The device has too little memory for the request.
class device_memory_error : public backend_error {
 public:
  using backend_error::backend_error;
};

/// The device failed, and no later call of this process can use it.
class device_lost_error : public backend_error {
 public:
  using backend_error::backend_error;
};

/// The caller asked to stop (see run_control). Unfinished output has been removed.
class interrupted_error : public error {
 public:
  using error::error;
};

}  // namespace negpipe
