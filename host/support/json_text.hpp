// JSON that others may have changed: parsed within bounds.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>

namespace negpipe::support {

/// Levels of arrays and objects that are read; no file of ours has more than five.
inline constexpr int most_json_levels = 32;

/// The value of a text, its objects' members in their order; a discarded one (is_discarded()) for what is no JSON or
/// nests deeper. What is built is then shallow enough for the library's recursion, over which a deep text would
/// overflow the stack as soon as the value is printed.
nlohmann::ordered_json parse_json(std::span<const std::byte> text);

}  // namespace negpipe::support
