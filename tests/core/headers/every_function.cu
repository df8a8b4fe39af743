// Calls every function of the core from a kernel, so that a host-only one fails to compile.
#include "negpipe/core/duplicate_mask.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/training.hpp"

namespace core = negpipe::core;

__global__ void call_every_function(core::training_plan training, core::evaluation_plan evaluation,
                                    core::positives_view view, std::uint64_t position, std::uint64_t* out) {
  const core::philox_source source{training.seed};
  const auto key = core::cycle_key::make(training, 1, source);
  const core::point point = core::point_at(training, key, view, training.first_position(position), source);
  const auto user = point.user;
  *out++ = static_cast<std::uint64_t>(index(user) + index(point.item));
  *out++ = key.order.inverse(key.order(position)) + training.padded_count();
  *out++ = static_cast<std::uint64_t>(index(core::eval_item_at(evaluation, view, user, 3, source)));
  *out++ = evaluation.padded_count() + evaluation.element_count();
  *out++ = static_cast<std::uint64_t>(core::is_repeat(view.csr.positive_items, 7));
  *out++ = core::divider32::make(7)(static_cast<std::uint32_t>(position)) + core::divider64::make(position)(9);
  *out++ = core::csr_view::sample_count(position) + core::bitset_view::row_words(9) + view.contains(user, 3);
  *out++ = core::bounded64::make(position).threshold + core::permutation::rounds_for(position);
}
