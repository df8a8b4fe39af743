// Names of unfinished outputs, and of outputs that are being removed.
#pragma once

#include <filesystem>

namespace negpipe::support {

/// Returns PARENT/.NAME.partial-RANDOM, a unique name. A process number would not be unique: containers and machines
/// that share the folder reuse it. Throws io_error.
std::filesystem::path staging_name(const std::filesystem::path& parent, const std::filesystem::path& final_name);

}  // namespace negpipe::support
