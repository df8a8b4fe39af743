// Which process this is, in a form that outlives it.
#pragma once

#include <string>

namespace negpipe::pipeline {

/// Returns the content of subproc.alive: pid, start time, the kernel's start ticks, boot id and pid namespace, as JSON.
/// With the start ticks a pid is never taken for that of a later process; boot id and namespace say among which
/// processes the pid counts.
std::string process_identity_text();

}  // namespace negpipe::pipeline
