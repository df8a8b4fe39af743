// Rates of all draws but uniform points: pairs, draws by popularity, free draws, masks, replays and builds.
#pragma once

#include <nlohmann/json.hpp>

#include "draw_list.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::bench {

/// Returns a list of {work, form, distribution, negatives, batch, median_seconds, p95_seconds, per_second, late_runs}.
/// Cases that differ from the CPU are added to failures instead.
nlohmann::ordered_json time_draws(const draw_bench& on, const positives_index& index,
                                  nlohmann::ordered_json& failures);

/// Adds free draws and look-ups of device_negative_sampler, with each membership form.
void add_free_draws(draw_list& list, const positives_index& index);

/// Adds replays and builds of device_sampler, its padded batches, and duplicate masks.
void add_sampler_work(draw_list& list, const positives_index& index);

}  // namespace negpipe::bench
