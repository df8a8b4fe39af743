#include "command.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string_view>

#include "negpipe/error.hpp"
#include "numbers.hpp"
#include "process.hpp"
#include "progress_display.hpp"

namespace negpipe::cli {

namespace {

progress_display display;

/// Replaces text by the plain form of its decimal number; returns an error message otherwise. CLI11 uses strtoull in
/// any base, which reads -1 as 2^64 - 1, saturates on overflow, and reads 010 as 8.
template <typename Number>
std::string normalize_number(std::string& text) {
  Number number{};
  std::string_view rest = text;
  if (!take_number(rest, number) || !rest.empty()) {
    return text + " given, a whole number from " + std::to_string(std::numeric_limits<Number>::min()) + " to " +
           std::to_string(std::numeric_limits<Number>::max()) + " wanted";
  }
  text = std::to_string(number);
  return {};
}

/// Replaces text by its number of bytes; returns an error message otherwise. "64M", "64 MiB" and "67108864" are equal.
std::string normalize_bytes(std::string& text) {
  const auto refusal = [&] { return text + " given, a number of bytes wanted, such as 1073741824, 1024M or 1G"; };
  std::uint64_t number = 0;
  std::string_view rest = text;
  if (!take_number(rest, number)) return refusal();
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  std::string unit(rest);
  std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit.ends_with('b')) unit.pop_back();
  if (unit.size() == 2 && unit.back() == 'i') unit.pop_back();
  const std::size_t power = unit.empty() ? 0 : std::string_view("kmgtpe").find(unit) + 1;
  if (unit.size() > 1 || (power == 0 && !unit.empty())) return refusal();
  if (power != 0 && number > std::numeric_limits<std::uint64_t>::max() >> (10 * power)) {
    return text + " given, less than 16E wanted, such as 1G";
  }
  text = std::to_string(number << (10 * power));
  return {};
}

}  // namespace

void add_common_options(CLI::App& command, common_options& options, const std::string& example,
                        const std::string& quiet) {
  command.add_flag("--json", options.json, "print one JSON object instead of text");
  command.add_flag("--quiet", options.quiet, quiet);
  command.add_option("--threads", options.threads, "number of threads; 0: one per core. Results do not depend on it")
      ->capture_default_str()
      ->check(CLI::Validator(
          [](std::string& text) {
            return text.size() < 10 && std::stoul(text) <= max_threads
                       ? std::string()
                       : text + " given, at most " + std::to_string(max_threads) + " wanted";
          },
          ""));
  command.footer("Example:\n  " + example);
}

CLI::Validator count_up_to(std::uint64_t max) {
  return {[max](std::string& text) {
            const bool is_number = normalize_number<std::uint64_t>(text).empty();
            if (is_number && std::stoull(text) <= max) return std::string();
            return text + " given, a whole number from 0 to " + std::to_string(max) + " wanted";
          },
          ""};
}

CLI::Validator byte_count() { return {normalize_bytes, "SIZE"}; }

void check_values(CLI::App& app) {
  const CLI::Validator whole_number(normalize_number<std::uint64_t>, "");
  const CLI::Validator signed_number(normalize_number<std::int64_t>, "");
  const CLI::Validator some_text(
      [](std::string& text) { return text.empty() ? std::string("empty text given, a name wanted") : std::string(); },
      "");
  for (CLI::App* command : app.get_subcommands(/*filter=*/{})) {
    for (CLI::Option* option : command->get_options()) {
      const std::string type = option->get_type_name();
      if (type == "TEXT") option->check(some_text);
      if (type == "INT") option->transform(signed_number);
      // The names of an option's checks follow that of its type.
      if (type == "UINT" || type.starts_with("UINT:UINT")) option->transform(whole_number);
    }
  }
}

run_control make_control(const common_options& options) {
  run_control control;
  control.threads = options.threads;
  control.stop_requested = &stop_on_signals();
  if (!options.quiet) {
    control.on_progress = [](const progress& now) { display.show(now); };
  }
  return control;
}

std::string flag_of(std::string_view field) {
  static const std::map<std::string_view, std::string_view> flags{
      {"threads", "--threads"},
      {"replace", "--force"},
      {"resume", "--resume"},
      {"batch_size", "--batch-size"},
      {"num_neg", "--num-neg"},
      {"epochs_per_cycle", "--epochs-per-cycle"},
      {"padding", "--padding"},
      {"readers", "--readers"},
      {"compression", "--compression"},
      {"first_cycle", "--first-cycle"},
      {"cycle_count", "--cycles"},
      {"cycles_ahead", "--cycles-ahead"},
      {"timeout", "--timeout"},
      {"out", "--out"},
      {"part", "--part"},
      {"memory", "--memory"},
      {"shards", "--shards"},
      {"seed", "--seed"},
      {"mlperf", "--mlperf"},
      {"no_eval", "--no-eval"},
      {"eval_negatives", "--eval-negatives"},
      {"eval_batch_size", "--eval-batch-size"},
      {"eval_infeasible", "--eval-infeasible"},
      {"bitset_budget", "--bitset-budget"},
      {"device", "--device"},
      {"data_dir", "--data-dir"},
      {"cache_id", "--cache-id"},
      {"background_threads", "--background-threads"},
      {"user_column", "--user-column"},
      {"item_column", "--item-column"},
      {"time_column", "--time-column"},
      {"rating_column", "--rating-column"},
      {"order", "--order"},
      {"split", "--split"},
      {"unknown", "--unknown"},
      {"separator", "--separator"},
      {"header", "--no-header"},
      {"comment", "--comment"},
      {"quotes", "--no-quotes"},
      {"encoding", "--encoding"},
      {"layout", "--layout"},
      {"distribution", "--distribution"},
      {"alpha", "--alpha"},
      {"weights", "--weights"},
      {"eval_distribution", "--eval-distribution"},
      {"eval_alpha", "--eval-alpha"},
      {"eval_weights", "--eval-weights"},
      {"member", "--member"},
      {"names", "--name"},
      {"missing", "--missing"},
      {"na_values", "--na-values"},
      {"min_rating", "--min-rating"},
      {"min_ratings", "--min-ratings"},
      {"min_item_ratings", "--min-item-ratings"},
      {"k_core", "--k-core"},
      {"duplicates", "--duplicates"},
      {"ties", "--ties"},
      {"expect", "--expect"},
      {"users", "--users"},
      {"items", "--items"},
      {"interactions", "--positives"},
      {"csv", "--csv"}};
  const auto found = flags.find(field);
  return std::string(found == flags.end() ? field : found->second);
}

std::string with_flags(const error& failure) {
  std::string_view rest = failure.what();
  std::string text;
  if (const std::string& field = failure.field(); !field.empty() && rest.starts_with(field)) {
    text = flag_of(field);
    rest.remove_prefix(field.size());
  }
  for (std::size_t begin = rest.find('`'); begin != rest.npos; begin = rest.find('`')) {
    const std::size_t end = rest.find('`', begin + 1);
    if (end == rest.npos) break;
    const std::string_view field = rest.substr(begin + 1, end - begin - 1);
    const std::string flag = flag_of(field);
    text += rest.substr(0, begin);
    text += flag == field ? std::string(rest.substr(begin, end - begin + 1)) : flag;
    rest.remove_prefix(end + 1);
  }
  return text.append(rest);
}

void flush_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw io_error(std::string("cannot write to standard output: ") + std::strerror(errno));
}

void print_outcome(const common_options& options, const nlohmann::ordered_json& summary, const std::string& text) {
  display.finish();
  if (options.json) {
    std::printf("%s\n", summary.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else if (!options.quiet) {
    std::fputs(printable(text).c_str(), stdout);
  }
  flush_output();
}

void print_note(const common_options& options, const std::string& text) {
  if (options.quiet) return;
  display.finish();
  std::fprintf(stderr, "%s\n", printable(text).c_str());
}

}  // namespace negpipe::cli
