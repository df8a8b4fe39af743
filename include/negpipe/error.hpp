// The exceptions that negpipe throws. Messages are for the person at the other end: where, what was found, what
// was wanted, what to do. The library never prints, exits or aborts.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace negpipe {

/// Returns a text with its control characters as \xNN, line feeds and tabs excepted: no byte of an id or a file name
/// ends a message early or steers a terminal.
std::string printable(std::string_view text);

/// Base of all others. Copyable; what() is complete, printable, and needs no context. Messages name options by their
/// field in the option structs or in ready.json, in backticks where a sentence mentions one: `batch_size`.
class error : public std::runtime_error {
 public:
  explicit error(const std::string& message);
  /// For an error in one option: what() is "FIELD: MESSAGE".
  error(std::string field, const std::string& message);
  /// The option that the error is about, such as "batch_size"; empty when it is about none.
  const std::string& field() const noexcept { return field_; }

 private:
  std::string field_;
};

/// Ratings that cannot be read as they stand: names file, line and column.
class input_error : public error {
 public:
  using error::error;
};

/// An option or an argument out of its range, or options that exclude each other.
class option_error : public error {
 public:
  using error::error;
};

/// A dataset folder or a record file that is damaged, incomplete or of another version.
class format_error : public error {
 public:
  using error::error;
};

/// What was asked for does not exist, such as 999 distinct negatives of a user who has 10 items left.
class infeasible_error : public error {
 public:
  using error::error;
};

/// The operating system refused: no space, no permission, no such file.
class io_error : public error {
 public:
  using error::error;
};

/// There is no room left on the disk, or in the user's share of it: worth trying again once something is deleted.
class disk_full_error : public io_error {
 public:
  using io_error::io_error;
};

/// A backend that is not there or failed: no CUDA, no device, no memory.
class backend_error : public error {
 public:
  using error::error;
};

/// The device has too little memory for what was asked.
class device_memory_error : public backend_error {
 public:
  using backend_error::backend_error;
};

/// The device failed in a way that no later call of this process recovers from.
class device_lost_error : public backend_error {
 public:
  using backend_error::backend_error;
};

/// The caller asked to stop (see run_control). Nothing half-made is left.
class interrupted_error : public error {
 public:
  using error::error;
};

}  // namespace negpipe
