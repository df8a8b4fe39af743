#include "dataset_summary.hpp"

#include <fmt/core.h>

namespace negpipe::cli {

bool is_synthetic(const dataset_origin& origin) {
  const auto options = nlohmann::json::parse(origin.options, nullptr, /*allow_exceptions=*/false);
  return options.is_object() && options.value("command", nlohmann::json()) == "synth";
}

double density(const dataset& data) {
  return static_cast<double>(data.positive_count()) / data.user_count() / data.item_count();
}

nlohmann::ordered_json summarize(const dataset& data, const std::filesystem::path& folder) {
  return {{"dataset", folder.string()},         {"users", data.user_count()}, {"items", data.item_count()},
          {"positives", data.positive_count()}, {"density", density(data)},   {"digest", data.digest()}};
}

std::string describe(const dataset& data, const std::filesystem::path& folder) {
  return fmt::format(
      "{}: {} users, {} items, {} training positives ({:.3g} % of all pairs) and one held-out item per user\n",
      folder.string(), data.user_count(), data.item_count(), data.positive_count(), 100 * density(data));
}

}  // namespace negpipe::cli
