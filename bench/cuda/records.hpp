// Times batches on their way into records, as generate makes them, without files.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "negpipe/backend.hpp"
#include "negpipe/plan.hpp"

namespace negpipe::bench {

/// Makes records by several threads at once, some batches ahead of time, and returns points/s.
/// - in_place: a fill_queue writes the columns into page-locked records, whose checksums the CPU computes while the
///   next batch is filled. Otherwise each batch is filled into page-locked columns, then encoded by a copying pass.
/// - Throws backend_error unless the first record of both ways is the same.
nlohmann::ordered_json time_records(const backend& filler, const training_plan& plan, item_type width,
                                    unsigned threads, bool in_place, std::uint64_t batches);

}  // namespace negpipe::bench
