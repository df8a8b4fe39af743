// The first kernel of a replay: turns the cursor in device memory into the input of the fill kernel.
#pragma once

#include "fill_points.hpp"

namespace negpipe::cuda {

/// Queues the kernel that writes the states of the next batch_count batches and advances the cursor. The fill kernel
/// must follow in the same stream. Throws backend_error.
void launch_take_batches(const core::training_plan& plan, batch_cursor* cursor, cursor_state* states,
                         unsigned batch_count, const core::training_pointers& columns, const launcher& on);

}  // namespace negpipe::cuda
