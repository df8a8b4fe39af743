#include "json_text.hpp"

namespace negpipe::support {

nlohmann::ordered_json parse_json(std::span<const std::byte> text) {
  using json = nlohmann::ordered_json;
  bool too_deep = false;
  const auto* const begin = reinterpret_cast<const char*>(text.data());
  // What is refused is not built; reading on to the end of it takes no stack.
  const auto keep = [&](int depth, json::parse_event_t, const json&) {
    too_deep = too_deep || depth > most_json_levels;
    return !too_deep;
  };
  json value = json::parse(begin, begin + text.size(), keep, /*allow_exceptions=*/false);
  return too_deep ? json(json::value_t::discarded) : value;
}

}  // namespace negpipe::support
