#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "negpipe/error.hpp"
#include "negpipe/split.hpp"

namespace negpipe {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw option_error("split", fmt::format("\"{}\" given: {}; leave-one-out, leave-two-out, ratio:0.8,0.1,0.1 or "
                                          "time:2020-01-31 wanted",
                                          text, why));
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

double share_of(std::string_view text, std::string_view part) {
  double share = 0;
  const auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), share);
  if (failure != std::errc{} || end != part.data() + part.size() || !std::isfinite(share) || share < 0) {
    refuse(text, fmt::format("\"{}\" is not a share", part));
  }
  return share;
}

}  // namespace

split_options split_options::parse(std::string_view text) {
  if (text == "leave-one-out") return {};
  if (text == "leave-two-out") return {.kind = split_kind::leave_two_out};
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon == std::string_view::npos || (name != "ratio" && name != "time")) refuse(text, "there is no such split");
  const std::vector<std::string_view> parts = split_at_commas(text.substr(colon + 1));
  if (name == "ratio") {
    if (parts.size() < 2 || parts.size() > 3) refuse(text, fmt::format("{} shares, 2 or 3 wanted", parts.size()));
    const double middle = parts.size() == 3 ? share_of(text, parts[1]) : 0;
    const std::array<double, 3> ratio{share_of(text, parts.front()), middle, share_of(text, parts.back())};
    if (ratio[0] == 0 || ratio[2] == 0) refuse(text, "the shares of training and test are above 0");
    return {.kind = split_kind::ratio, .ratio = ratio};
  }
  if (parts.size() > 2 || parts.front().empty() || parts.back().empty()) refuse(text, "one or two times wanted");
  return {.kind = split_kind::time,
          .test_from = std::string(parts.back()),
          .validation_from = std::string(parts.size() == 2 ? parts.front() : std::string_view())};
}

std::string split_options::to_string() const {
  switch (kind) {
    case split_kind::leave_one_out:
      return "leave-one-out";
    case split_kind::leave_two_out:
      return "leave-two-out";
    case split_kind::ratio:
      return ratio[1] == 0 ? fmt::format("ratio:{},{}", ratio[0], ratio[2])
                           : fmt::format("ratio:{},{},{}", ratio[0], ratio[1], ratio[2]);
    case split_kind::time:
      return validation_from.empty() ? "time:" + test_from : fmt::format("time:{},{}", validation_from, test_from);
  }
  return {};
}

}  // namespace negpipe
