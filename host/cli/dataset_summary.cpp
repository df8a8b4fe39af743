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

namespace {

std::size_t users_without(const user_items& set) {
  std::size_t count = 0;
  for (std::size_t user = 0; user + 1 < set.offsets.size(); ++user) count += set.of(user).empty() ? 1U : 0U;
  return count;
}

std::string describe(const user_items& set, const char* name) {
  const std::size_t users = set.offsets.size() - 1;
  const std::size_t without = users_without(set);
  if (without == 0 && set.items.size() == users) return fmt::format("one {} item per user", name);
  const std::string lacking = without == 0 ? "" : fmt::format(" ({} users have none)", without);
  return fmt::format("{} {} items{}", set.items.size(), name, lacking);
}

}  // namespace

nlohmann::ordered_json summarize(const dataset& data, const std::filesystem::path& folder) {
  nlohmann::ordered_json summary = {
      {"dataset", folder.string()},         {"users", data.user_count()}, {"items", data.item_count()},
      {"positives", data.positive_count()}, {"density", density(data)},   {"digest", data.digest()}};
  summary["test_items"] = data.heldout(heldout_set::test).items.size();
  summary["users_without_test_items"] = users_without(data.heldout(heldout_set::test));
  if (data.has_validation()) {
    summary["validation_items"] = data.heldout(heldout_set::validation).items.size();
    summary["users_without_validation_items"] = users_without(data.heldout(heldout_set::validation));
  }
  return summary;
}

std::string describe(const dataset& data, const std::filesystem::path& folder) {
  std::string text =
      fmt::format("{}: {} users, {} items, {} training positives ({:.3g} % of all pairs)", folder.string(),
                  data.user_count(), data.item_count(), data.positive_count(), 100 * density(data));
  if (data.has_validation()) text += ", " + describe(data.heldout(heldout_set::validation), "validation");
  return text + " and " + describe(data.heldout(heldout_set::test), "test") + "\n";
}

}  // namespace negpipe::cli
