// The first kernel of a replay: from a cursor in device memory to what the fill kernel reads.
#pragma once

#include "fill_points.hpp"

namespace negpipe::cuda {

/// Queues the kernel that writes the states of the next batch_count batches and moves the cursor past them. The fill
/// kernel must follow in the same stream. Throws backend_error.
void launch_take_batches(const core::training_plan& plan, batch_cursor* cursor, cursor_state* states,
                         unsigned batch_count, const core::training_pointers& columns, const launcher& on);

}  // namespace negpipe::cuda
