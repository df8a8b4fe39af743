#include "arrays.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

#include "negpipe/error.hpp"

namespace negpipe::python {

namespace {

std::string describe(const nb::ndarray<nb::c_contig>& array) {
  std::string shape;
  for (std::size_t i = 0; i < array.ndim(); ++i) shape += (i == 0 ? "" : ", ") + std::to_string(array.shape(i));
  return std::to_string(array.dtype().bits) + "-bit [" + shape + "]";
}

}  // namespace

nb::dlpack::dtype dtype_of(column_type type) {
  switch (type) {
    case column_type::boolean: return nb::dtype<bool>();
    case column_type::int8: return nb::dtype<std::int8_t>();
    case column_type::uint16: return nb::dtype<std::uint16_t>();
    case column_type::int32: return nb::dtype<std::int32_t>();
    case column_type::int64: return nb::dtype<std::int64_t>();
    case column_type::float32: return nb::dtype<float>();
  }
  throw std::logic_error("unknown column type");
}

nb::tuple shape_of(const column& one) {
  nb::list shape;
  for (const std::size_t size : one.shape) shape.append(size);
  return nb::tuple(shape);
}

nb::tuple names_of(const std::vector<column>& columns) {
  nb::list names;
  for (const column& one : columns) names.append(one.name);
  return nb::tuple(names);
}

output_types types_of(const std::string& users, const std::string& items, const std::string& labels) {
  using enum column_type;
  return {.users = column_type_of("user_dtype", users, std::array{int32, int64}),
          .items = column_type_of("item_dtype", items, std::array{uint16, int32, int64}),
          .labels = column_type_of("label_dtype", labels, std::array{int8, int64, float32})};
}

std::vector<void*> targets_in(const std::vector<column>& columns,
                              const std::vector<nb::ndarray<nb::c_contig>>& arrays) {
  if (arrays.size() != columns.size()) {
    throw option_error("`out`: " + std::to_string(arrays.size()) + " arrays given; expected " +
                       std::to_string(columns.size()));
  }
  std::vector<void*> targets;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (arrays[i].dtype() != dtype_of(columns[i].type) || arrays[i].size() != columns[i].count()) {
      throw option_error("`out`: " + columns[i].name + " is " + describe(arrays[i]) + "; expected " +
                         std::to_string(columns[i].count()) + " values of " +
                         std::to_string(dtype_of(columns[i].type).bits) + " bits");
    }
    targets.push_back(arrays[i].data());
  }
  return targets;
}

}  // namespace negpipe::python
