#include "json_text.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "files.hpp"
#include "negpipe/error.hpp"

namespace negpipe::support {

using json = nlohmann::ordered_json;

namespace {

/// Stops the parser from building values past a limit. Parsing on to the end uses no stack.
class limits {
 public:
  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    passed_ = passed_ || (opens && depth >= max_json_levels);
    if (passed_) return false;
    auto& names = names_[static_cast<std::size_t>(depth)];
    if (event == json::parse_event_t::object_start) names_[static_cast<std::size_t>(depth) + 1].clear();
    if (event == json::parse_event_t::key) {
      passed_ = !names.insert(parsed.get_ref<const std::string&>()).second || names.size() > max_json_members;
    }
    return !passed_;
  }
  bool passed() const { return passed_; }

 private:
  std::array<std::set<std::string>, max_json_levels + 1> names_;  ///< of the open object at each depth
  bool passed_ = false;
};

}  // namespace

json parse_json(std::string_view text) {
  // The parser treats NUL as the end of the text, and skips a byte order mark.
  if (text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF")) {
    return json(json::value_t::discarded);
  }
  limits watch;
  json value = json::parse(text, std::ref(watch), /*allow_exceptions=*/false);
  return watch.passed() ? json(json::value_t::discarded) : value;
}

json read_json(const std::filesystem::path& path, std::string_view remedy) {
  json value = parse_json(read_text(path, max_json_bytes));
  if (!value.is_discarded()) return value;
  throw format_error(path.string() + " is not valid JSON: the file was damaged or changed; " + std::string(remedy));
}

json_fields::json_fields(const json& object, std::string where, std::string_view remedy)
    : object_(object), where_(std::move(where)), remedy_(remedy) {
  if (!object_.is_object()) fail("is not a JSON object");
}

double json_fields::real(std::string_view name) const {
  if (!at(name).is_number()) fail_at(name, "a number");
  return at(name).get<double>();
}

bool json_fields::boolean(std::string_view name) const {
  if (!at(name).is_boolean()) fail_at(name, "true or false");
  return at(name).get<bool>();
}

const std::string& json_fields::text(std::string_view name) const {
  if (!at(name).is_string()) fail_at(name, "a text");
  return at(name).get_ref<const std::string&>();
}

std::uint64_t json_fields::number_in_text(std::string_view name) const {
  constexpr std::size_t max_digits = 20;
  const std::string& digits = text(name);
  const auto value = whole_number<std::uint64_t>(digits);
  if (!value || digits.size() > max_digits) fail_at(name, "the digits of a number of at most 64 bits");
  return *value;
}

std::uint64_t json_fields::number_or_text(std::string_view name) const {
  return at(name).is_number() ? number<std::uint64_t>(name) : number_in_text(name);
}

std::uint32_t json_fields::checksum(std::string_view name) const {
  const std::string& digits = text(name);
  const bool is_lower = std::ranges::none_of(digits, [](char c) { return c >= 'A' && c <= 'F'; });
  const auto value = whole_number<std::uint32_t>(digits, 16);
  if (!value || digits.size() != 8 || !is_lower) fail_at(name, "eight hexadecimal digits");
  return *value;
}

json_fields json_fields::object(std::string_view name) const {
  return {at(name), where_ + ": \"" + std::string(name) + '"', remedy_};
}

json_fields json_fields::element(std::string_view name, std::size_t i) const {
  return {array(name).at(i), where_ + ": \"" + std::string(name) + "\"[" + std::to_string(i) + ']', remedy_};
}

const json& json_fields::array(std::string_view name) const {
  if (!at(name).is_array()) fail_at(name, "an array");
  return at(name);
}

bool json_fields::contains(std::string_view name) const { return object_.contains(std::string(name)); }

void json_fields::fail(const std::string& what) const {
  throw format_error(where_ + ": " + what + "; " + remedy_);
}

const json& json_fields::at(std::string_view name) const {
  const auto found = object_.find(std::string(name));
  if (found == object_.end()) fail('"' + std::string(name) + "\" is missing");
  return *found;
}

void json_fields::fail_at(std::string_view name, std::string_view wanted) const {
  constexpr std::size_t max_shown = 200;
  std::string found = at(name).dump();
  if (found.size() > max_shown) found = "a value of " + std::to_string(found.size()) + " bytes";
  fail('"' + std::string(name) + "\" is " + found + ", " + std::string(wanted) + " wanted");
}

std::uint64_t json_fields::number_up_to(std::string_view name, std::uint64_t max) const {
  const json& value = at(name);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > max) {
    fail_at(name, "a whole number from 0 to " + std::to_string(max));
  }
  return value.get<std::uint64_t>();
}

}  // namespace negpipe::support
