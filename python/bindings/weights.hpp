// Weights as Python gives them.
#pragma once

#include <nanobind/ndarray.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "negpipe/error.hpp"
#include "negpipe/item_weights.hpp"

namespace negpipe::python {

using weight_array = std::optional<nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>>;

/// Returns the caller's weights, or uniform ones. Throws option_error unless there is one per item.
inline item_weights weights_of(std::int32_t item_count, const weight_array& weights) {
  if (!weights) return {};
  if (weights->size() != static_cast<std::size_t>(item_count)) {
    throw option_error("weights", std::to_string(weights->size()) + " weights given; expected " +
                                      std::to_string(item_count) + ", one per item");
  }
  return item_weights(std::vector<std::uint32_t>(weights->data(), weights->data() + weights->size()));
}

/// Returns the weights of popularity if alpha is given, else the caller's, else uniform ones.
inline item_weights weights_of(const dataset& data, const weight_array& weights, std::optional<double> alpha) {
  return alpha ? popularity_weights(data, *alpha) : weights_of(data.item_count(), weights);
}

}  // namespace negpipe::python
