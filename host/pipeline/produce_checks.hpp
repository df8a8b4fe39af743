// Checks of produce()'s options, and what they leave to it.
#pragma once

#include "negpipe/produce.hpp"
#include "negpipe/sampler.hpp"

namespace negpipe::pipeline {

/// Throws option_error for options with which nothing can be made, whatever the cache folder holds.
void check_produce(const sampler& source, const produce_options& options);

/// Returns the threads for all cycles but the first: by default a quarter of them is left to the trainer.
unsigned later_threads(const produce_options& options, unsigned all_threads);

}  // namespace negpipe::pipeline
