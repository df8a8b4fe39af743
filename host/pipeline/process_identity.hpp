// Identity of this process, valid beyond its end.
#pragma once

#include <string>

namespace negpipe::pipeline {

/// Returns the content of subproc.alive as JSON: pid, start time, the kernel's start ticks, boot id and pid namespace.
/// Start ticks distinguish a later process with the same pid; boot id and namespace are the scope of the pid.
std::string process_identity_text();

}  // namespace negpipe::pipeline
