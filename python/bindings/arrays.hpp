// Columns of a batch as arrays of Python.
#pragma once

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <string>
#include <vector>

#include "batch_maker.hpp"
#include "bindings.hpp"

namespace negpipe::python {

nb::dlpack::dtype dtype_of(column_type type);
nb::tuple shape_of(const column& one);
nb::tuple names_of(const std::vector<column>& columns);

/// The types of a loader by name. Throws option_error.
output_types types_of(const std::string& users, const std::string& items, const std::string& labels);

/// Where the caller's arrays lie. Throws option_error unless they have the columns' types and sizes.
std::vector<void*> targets_in(const std::vector<column>& columns, const std::vector<nb::ndarray<nb::c_contig>>& arrays);

}  // namespace negpipe::python
