// The program as a process: its standard descriptors and its signals.
#pragma once

#include <atomic>

namespace negpipe::cli {

/// Opens /dev/null for each of standard input, output and error that is closed: else a file that the program opens
/// later would get the descriptor, and receive what is printed. Must be called before anything is opened. Ends the
/// process with status 6 if there is no /dev/null.
void open_standard_descriptors() noexcept;

/// Ends the process with status 6 and a message when a mapped file turns out shorter than it was, or unreadable
/// (SIGBUS): such a file is only read while nothing is written.
void end_on_bus_error() noexcept;

/// Makes every signal that would end the process ask for a clean end instead, except those that report a fault of the
/// program, and except ignored ones (as SIGHUP under nohup): SIGINT, SIGTERM and SIGQUIT are taken also when ignored.
/// A second SIGINT, SIGTERM or SIGQUIT ends the process at once. Returns the flag that is set.
const std::atomic<bool>& stop_on_signals() noexcept;

}  // namespace negpipe::cli
