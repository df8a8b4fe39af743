// The program as a process: its standard descriptors and its signals.
#pragma once

#include <atomic>

namespace negpipe::cli {

/// Opens /dev/null for each closed one of standard input, output and error. Otherwise a file opened later would get the
/// descriptor and receive printed output. Must be called before anything is opened. Ends the process with status 6 if
/// there is no /dev/null.
void open_standard_descriptors() noexcept;

/// Installs a handler that ends the process with status 6 and a message if a mapped file was truncated or became
/// unreadable (SIGBUS). Nothing is being written while mapped files are read.
void end_on_bus_error() noexcept;

/// Installs handlers that request a clean stop, for every signal that would end the process.
/// - Not for signals that report a fault of the program, nor for ignored ones (SIGHUP under nohup).
/// - SIGINT, SIGTERM and SIGQUIT are handled even if ignored; a second one ends the process at once.
/// Returns the flag that the handlers set.
const std::atomic<bool>& stop_on_signals() noexcept;

}  // namespace negpipe::cli
