// Evaluation rows of distinct negatives by weight, as core::write_row defines them, from draws with replacement.
#pragma once

#include <cstdint>

#include "device_dataset.hpp"
#include "launch.hpp"
#include "negpipe/core/columns.hpp"
#include "negpipe/core/evaluation.hpp"

namespace negpipe::cuda {

/// Queues the repair of evaluation rows [first_row, first_row + row_count): draws negatives again that are the held-out
/// item or stand earlier in their row, repeats a row's negatives where evaluation_plan::fewer allows it, writes the
/// duplicate masks, and zeros the rows that are not evaluated.
/// - plan: with weights in device memory, without replacement.
/// - columns: device memory that holds the users, the held-out items and draws with replacement.
/// - Compares each negative of a row with those before it, 32 at a time. Throws backend_error.
void repair_rows_async(const core::evaluation_plan& plan, const device_view& data, std::uint64_t first_row,
                       std::uint64_t row_count, const core::evaluation_pointers& columns, const launcher& on);

}  // namespace negpipe::cuda
