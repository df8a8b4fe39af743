// The exceptions that negpipe throws. Messages are for the person at the other end: where, what was found, what
// was wanted, what to do. The library never prints, exits or aborts.
#pragma once

#include <stdexcept>

namespace negpipe {

/// Base of all others. Copyable; what() is complete and needs no context.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
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
