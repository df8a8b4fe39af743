// Checks and defaults of the options of produce().
#pragma once

#include "negpipe/produce.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe::pipeline {

/// Throws option_error for options that are wrong for every cache folder.
void check_produce(const sampler& source, const produce_options& options);

/// Returns the number of threads for all cycles but the first. The default leaves a quarter of them to the trainer.
unsigned later_threads(const produce_options& options, unsigned all_threads);

}  // namespace negpipe::pipeline
