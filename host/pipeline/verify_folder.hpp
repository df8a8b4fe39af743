// Verification of one folder of records.
#pragma once

#include "record_folders.hpp"
#include "verification.hpp"

namespace negpipe::pipeline {

/// Checks ready.json against the dataset, files against ready.json, and records against all guarantees. Reports
/// failures to the run. Throws format_error for records of other data; io_error, interrupted_error.
void verify_folder(const verification& run, const record_folder& folder);

}  // namespace negpipe::pipeline
