// Names for what is in the making, or on its way out.
#pragma once

#include <filesystem>

namespace negpipe::support {

/// Returns PARENT/.NAME.partial-RANDOM, a name that nobody else has: not even the process number would tell two runs
/// apart, as it occurs again in every container, and on every machine, that shares the folder. Throws io_error.
std::filesystem::path staging_name(const std::filesystem::path& parent, const std::filesystem::path& final_name);

}  // namespace negpipe::support
