#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "command.hpp"
#include "dataset_summary.hpp"
#include "negpipe/core/csr.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/positives.hpp"

namespace negpipe::cli {

namespace {

using json = nlohmann::ordered_json;
using counts = std::vector<std::uint64_t>;

struct info_arguments {
  common_options common;
  std::filesystem::path folder;
};

counts positives_by_user(const dataset& data) {
  counts result(static_cast<std::size_t>(data.user_count()));
  const auto offsets = data.user_offsets();
  for (std::size_t u = 0; u < result.size(); ++u) result[u] = static_cast<std::uint64_t>(offsets[u + 1] - offsets[u]);
  return result;
}

counts positives_by_item(const dataset& data) {
  counts result(static_cast<std::size_t>(data.item_count()), 0);
  for (const std::int32_t item : data.positive_items()) ++result[static_cast<std::size_t>(item)];
  return result;
}

/// Distribution of counts: percentiles by nearest rank, and a histogram with the bins 0, 1, 2-3, 4-7, ...
struct distribution {
  static constexpr std::array<unsigned, 9> percents = {0, 5, 10, 25, 50, 75, 90, 95, 100};
  std::array<std::uint64_t, percents.size()> percentiles;
  double mean;
  counts bins;  ///< bins[b]: number of counts with b binary digits
};

distribution distribution_of(counts values) {
  std::sort(values.begin(), values.end());
  distribution result{};
  for (std::size_t i = 0; i < result.percents.size(); ++i) {
    const std::size_t rank = (values.size() * result.percents[i] + 99) / 100;
    result.percentiles[i] = values[rank == 0 ? 0 : rank - 1];
  }
  result.mean = static_cast<double>(std::accumulate(values.begin(), values.end(), std::uint64_t{0})) /
                static_cast<double>(values.size());
  result.bins.assign(static_cast<std::size_t>(std::bit_width(values.back())) + 1, 0);
  for (const std::uint64_t value : values) ++result.bins[static_cast<std::size_t>(std::bit_width(value))];
  return result;
}

json to_json(const distribution& spread) {
  json result = {{"mean", spread.mean}};
  for (std::size_t i = 0; i < spread.percents.size(); ++i) {
    result[fmt::format("p{}", spread.percents[i])] = spread.percentiles[i];
  }
  return result;
}

std::string to_text(const std::string& what, const distribution& spread) {
  std::string text = fmt::format("\nTraining positives per {0}: {1} to {2}, mean {3:.1f}\n  Percentiles:", what,
                                 spread.percentiles.front(), spread.percentiles.back(), spread.mean);
  for (std::size_t i = 1; i + 1 < spread.percents.size(); ++i) {
    text += fmt::format("{} {} %: {}", i == 1 ? "" : ",", spread.percents[i], spread.percentiles[i]);
  }
  text += fmt::format("\n  {:>9}   {:<9} {:>8}s\n", "Positives", "", what);
  constexpr std::uint64_t max_width = 50;
  const std::uint64_t largest = *std::max_element(spread.bins.begin(), spread.bins.end());
  for (std::size_t bin = 0; bin < spread.bins.size(); ++bin) {
    if (spread.bins[bin] == 0) continue;
    const std::uint64_t low = bin == 0 ? 0 : std::uint64_t{1} << (bin - 1);
    const std::uint64_t high = bin == 0 ? 0 : (low << 1) - 1;
    const auto width = static_cast<std::size_t>((spread.bins[bin] * max_width + largest - 1) / largest);
    text += fmt::format("  {:>9} - {:<9} {:>9} {}\n", low, high, spread.bins[bin], std::string(width, '#'));
  }
  return text;
}

/// Returns the expected share of candidates for training negatives that are rejected because they are positives. A
/// user's share of negatives is proportional to the user's positives; candidates are uniform.
double rejection_rate(const dataset& data, const counts& by_user) {
  double squares = 0;
  for (const std::uint64_t n : by_user) squares += static_cast<double>(n) * static_cast<double>(n);
  return squares / static_cast<double>(data.positive_count()) / data.item_count();
}

/// Returns the users with the most positives, in descending order.
std::vector<std::size_t> heaviest_users(const counts& by_user) {
  std::vector<std::size_t> users(by_user.size());
  std::iota(users.begin(), users.end(), std::size_t{0});
  const std::size_t shown = std::min<std::size_t>(users.size(), 5);
  std::partial_sort(
      users.begin(), users.begin() + static_cast<std::ptrdiff_t>(shown), users.end(),
      [&](std::size_t a, std::size_t b) { return by_user[a] != by_user[b] ? by_user[a] > by_user[b] : a < b; });
  users.resize(shown);
  return users;
}

/// Memory of each membership structure, in bytes, without the arrays of the dataset.
struct membership_bytes {
  std::uint64_t sorted_search;
  std::uint64_t bloom_filter;
  std::uint64_t bitset;
};

membership_bytes membership_bytes_of(const dataset& data) {
  const std::uint64_t samples = core::csr_view::sample_count(data.positive_count()) * sizeof(std::int32_t);
  return {samples, samples + bloom_filter_bytes(data.positive_count()),
          samples + bitset_bytes(data.user_count(), data.item_count())};
}

std::string to_text(const membership_bytes& membership) {
  const auto megabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  return fmt::format(
      "\nMemory to look up whether an item is a positive of a user: {:.1f} MB for sorted search, {:.1f} MB for a Bloom "
      "filter, {:.1f} MB for bitsets\n",
      megabytes(membership.sorted_search), megabytes(membership.bloom_filter), megabytes(membership.bitset));
}

json to_json(const dataset_origin& origin) {
  return {{"source", origin.source},
          {"source_digest", origin.source_digest},
          {"ties", origin.ties},
          {"seed", std::to_string(origin.seed)},
          {"rows", origin.row_count}};
}

std::string to_text(const dataset_origin& origin) {
  const bool is_seeded = origin.ties == "shuffled" || is_synthetic(origin);
  const std::string_view ties = origin.ties == "shuffled" ? "shuffled" : "in their order in the file";
  return fmt::format("Made from {}, {} rows; rows of a user with equal times {}{}\n", origin.source, origin.row_count,
                     ties, is_seeded ? fmt::format("; seed {}", origin.seed) : "");
}

void run_info(const info_arguments& arguments) {
  const dataset data = dataset::load(arguments.folder);
  const counts by_user = positives_by_user(data);
  const distribution users = distribution_of(by_user);
  const distribution items = distribution_of(positives_by_item(data));
  const membership_bytes membership = membership_bytes_of(data);
  const double rejected = rejection_rate(data, by_user);

  json summary = summarize(data, arguments.folder);
  summary["origin"] = to_json(data.origin());
  summary["positives_by_user"] = to_json(users);
  summary["positives_by_item"] = to_json(items);
  summary["membership_bytes"] = {{"sorted_search", membership.sorted_search},
                                 {"bloom_filter", membership.bloom_filter},
                                 {"bitset", membership.bitset}};
  summary["expected_rejection_rate"] = rejected;
  summary["fewest_negatives_left"] = json::array();

  std::string text = describe(data, arguments.folder) + to_text(data.origin());
  text += fmt::format("Digest of the content: {}\n", data.digest());
  text += to_text("user", users) + to_text("item", items);
  text += to_text(membership);
  text += fmt::format("{:.2f} % of the items drawn as training negatives are positives of the user and drawn again\n",
                      100 * rejected);
  text += "Users with the fewest items left as evaluation negatives:\n";
  for (const std::size_t user : heaviest_users(by_user)) {
    const std::uint64_t left = static_cast<std::uint64_t>(data.item_count()) - by_user[user] - 1;
    summary["fewest_negatives_left"].push_back(
        {{"user", user}, {"user_id", data.user_ids().to_string(user)}, {"positives", by_user[user]}, {"left", left}});
    text += fmt::format("  user {} (id {}): {} training positives, {} items left\n", user,
                        data.user_ids().to_string(user), by_user[user], left);
  }
  print_outcome(arguments.common, summary, text);
}

}  // namespace

void add_info(CLI::App& app) {
  auto arguments = std::make_shared<info_arguments>();
  CLI::App& command = *app.add_subcommand("info", "Show counts, distributions and sampling cost of a dataset");
  command.add_option("DATASET", arguments->folder, "a folder that prepare or synth wrote")->required();
  add_common_options(command, arguments->common, "negpipe info ml-1m",
                     "print only errors, and the object of --json: status 0 says that the dataset is undamaged");
  command.callback([arguments] { run_info(*arguments); });
}

}  // namespace negpipe::cli
