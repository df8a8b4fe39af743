// Full ranking on the CPU.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <optional>
#include <string>

#include "bindings.hpp"
#include "negpipe/mask_positives.hpp"

namespace negpipe::python {

namespace {

using score_array = nb::ndarray<nb::ndim<2>, nb::device::cpu>;
using user_array = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

score_type type_of(const nb::dlpack::dtype& type) {
  const auto is_float = type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.lanes == 1;
  if (is_float && type.bits == 16) return score_type::float16;
  if (is_float && type.bits == 32) return score_type::float32;
  if (is_float && type.bits == 64) return score_type::float64;
  if (type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat)) return score_type::bfloat16;
  throw option_error("scores", "expected float16, bfloat16, float32 or float64");
}

/// as_bfloat16: scores is any 16-bit type and holds bfloat16, which NumPy does not hand over.
/// also: "test", "validation", or empty.
void mask(const dataset& data, const score_array& scores, const user_array& users, bool as_bfloat16,
          const std::string& also) {
  const score_matrix matrix{.data = scores.data(),
                            .type = as_bfloat16 ? score_type::bfloat16 : type_of(scores.dtype()),
                            .row_count = static_cast<std::int64_t>(scores.shape(0)),
                            .item_count = static_cast<std::int64_t>(scores.shape(1)),
                            .row_stride = scores.stride(0),
                            .item_stride = scores.stride(1)};
  const nb::gil_scoped_release released;
  std::optional<heldout_set> set;
  if (!also.empty()) set = also == "test" ? heldout_set::test : heldout_set::validation;
  mask_positives(data, {users.data(), users.size()}, matrix, set);
}

}  // namespace

void bind_ranking(nb::module_& module) {
  module.def("mask_positives", &mask, nb::arg("data"), nb::arg("scores").noconvert(), nb::arg("users"),
             nb::kw_only(), nb::arg("as_bfloat16") = false, nb::arg("also") = "");
}

}  // namespace negpipe::python
