#include "generation.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "dataset_summary.hpp"
#include "negpipe/error.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"

namespace negpipe::cli {

namespace {

template <typename Value>
std::map<std::string, Value> words_of(std::initializer_list<std::pair<Value, const char*>> names) {
  std::map<std::string, Value> words;
  for (const auto& [value, name] : names) words.emplace(name, value);
  return words;
}

/// Adds --distribution, --alpha and --weights, with a prefix after the dashes.
void add_distribution_options(CLI::App& command, const std::string& prefix, const std::string& purpose,
                              distribution_arguments& arguments) {
  take_one_of<distribution_kind>(
      command.add_option("--" + prefix + "distribution", arguments.kind,
                         fmt::format("distribution of {} negatives: uniform, or popularity to the power of --{}alpha",
                                     purpose, prefix)),
      {{"uniform", distribution_kind::uniform}, {"popularity", distribution_kind::popularity}})
      ->default_str("uniform");
  command.add_option("--" + prefix + "alpha", arguments.alpha,
                     fmt::format("exponent of the popularity, 0 to 16 (default {})", arguments.default_alpha));
  command.add_option("--" + prefix + "weights", arguments.weights,
                     fmt::format("an .npy file with an integer weight per item, by which {} negatives are drawn",
                                 purpose));
}

}  // namespace

void add_map_option(CLI::App& command, std::uint64_t& map_from) {
  command
      .add_option("--map-from", map_from,
                  "map arrays of the dataset from this size on (bytes; suffixes k, M, G), so that processes share "
                  "their memory; smaller ones are read into memory, which is faster")
      ->transform(byte_count())
      ->capture_default_str();
}

void add_generation_options(CLI::App& command, generation_arguments& arguments) {
  generate_options& options = arguments.options;
  command.add_option("--first-cycle", options.first_cycle, "number of the first cycle; continues an earlier run")
      ->capture_default_str();
  command.add_option("--epochs-per-cycle", arguments.sampling.epochs_per_cycle, "epochs that are shuffled together")
      ->capture_default_str();
  command.add_option("--batch-size", arguments.sampling.batch_size, "points (pairwise: rows) in a training batch")
      ->capture_default_str();
  command
      .add_option("--eval-batch-size", arguments.eval_batch_size,
                  "rows times (1 + --eval-negatives) in an evaluation batch; the default is rounded to whole rows")
      ->default_str(std::to_string(arguments.evaluation.batch_size));
  command.add_option("--num-neg", arguments.sampling.negatives, "negatives for each positive")->capture_default_str();
  command.add_option("--eval-negatives", arguments.evaluation.negatives, "negatives for each evaluated user")
      ->capture_default_str();
  command.add_option("--readers", options.readers, "number of record files per cycle")->capture_default_str();
  command.add_option("--seed", arguments.seed, "random seed; if not given, one is drawn, shown and recorded");
  take_one_of<infeasible_policy>(
      command.add_option(
          "--eval-infeasible", arguments.evaluation.infeasible,
          "users with fewer items left than --eval-negatives: fail (error), do not evaluate them (skip), or use all "
          "items that they have left (fewer)"),
      {{"error", infeasible_policy::error}, {"skip", infeasible_policy::skip}, {"fewer", infeasible_policy::fewer}})
      ->default_str("skip");
  take_one_of<heldout_set>(
      command.add_option("--evaluate", arguments.evaluation.set, "the held-out items to evaluate: test or validation"),
      {{"test", heldout_set::test}, {"validation", heldout_set::validation}})
      ->default_str("test");
  command.add_flag("--mlperf", arguments.evaluation.mlperf,
                   "draw evaluation negatives with replacement, held-out item included, as the MLPerf reference does");
  take_one_of<padding_policy>(
      command.add_option("--padding", arguments.sampling.padding, "padding of the last batch: resample, mask or drop"),
      words_of(padding_names))
      ->default_str("resample");
  take_one_of<batch_layout>(
      command.add_option("--layout", arguments.sampling.layout,
                         "pointwise: users, items and labels; pairwise: users, positive items and --num-neg negatives "
                         "each, a row per positive"),
      words_of(layout_names))
      ->default_str("pointwise");
  add_distribution_options(command, "", "training", arguments.negatives);
  add_distribution_options(command, "eval-", "evaluation", arguments.eval_negatives);
  command.add_option("--device", arguments.sampling.device, "auto, cpu, cuda, cuda:N or cuda:all")
      ->capture_default_str();
  command
      .add_option("--bitset-budget", arguments.sampling.bitset_budget,
                  "memory limit of the bitsets of positives, in bytes (suffixes k, M, G); beyond it a Bloom filter "
                  "and sorted rows are used, or sorted rows alone if the filter does not fit")
      ->transform(byte_count())
      ->capture_default_str();
  take_one_of<compression_type>(command.add_option("--compression", options.compression, "none or gzip"),
                                {{"none", compression_type::none}, {"gzip", compression_type::gzip}})
      ->default_str("none");
  add_map_option(command, arguments.map_from);
  command.add_flag("--no-eval", arguments.no_evaluation, "write no evaluation data");
}

namespace {

void note_skipped(const dataset& data, const evaluation_options& options,
                  const std::function<void(const std::string&)>& say) {
  constexpr std::size_t max_named = 10;
  const std::vector<std::int32_t> users = skipped_users(data, options);
  if (users.empty()) return;
  std::string named;
  for (std::size_t i = 0; i < users.size() && i < max_named; ++i) {
    named += (i == 0 ? "" : ", ") + data.user_ids().to_string(static_cast<std::size_t>(users[i]));
  }
  const user_items& set = data.heldout(options.set);
  const auto lacks_item = [&](std::int32_t user) { return set.of(static_cast<std::size_t>(user)).empty(); };
  const auto without = static_cast<std::size_t>(std::ranges::count_if(users, lacks_item));
  const bool one_suffices = options.mlperf || options.infeasible == infeasible_policy::fewer;
  const std::string lacking = fmt::format("have fewer than {} items {}left", one_suffices ? 1 : options.negatives,
                                          options.weights.is_uniform() ? "" : "of positive weight ");
  std::string why = "they " + lacking;
  if (without == users.size()) {
    why = "they have no held-out item";
  } else if (without != 0) {
    why = fmt::format("{} have no held-out item, {} {}", without, users.size() - without, lacking);
  }
  say(fmt::format("{} of {} users are not evaluated: {} ({}{}); ready.json lists them", users.size(),
                  data.user_count(), why, named, users.size() > max_named ? ", ..." : ""));
}

}  // namespace

namespace {

item_weights find_weights(const distribution_arguments& arguments, const dataset& data) {
  const bool by_popularity = arguments.kind == distribution_kind::popularity;
  if (arguments.alpha && !by_popularity) throw option_error("alpha", "is for the distribution popularity only");
  if (by_popularity && !arguments.weights.empty()) {
    throw option_error("weights", "excludes the distribution popularity; leave one of them out");
  }
  if (by_popularity) return popularity_weights(data, arguments.alpha.value_or(arguments.default_alpha));
  return arguments.weights.empty() ? item_weights() : load_weights(arguments.weights);
}

/// Calls a function whose errors name the fields alpha and weights; they name eval_alpha and eval_weights instead.
template <typename Find>
item_weights find_for_evaluation(const Find& find) {
  try {
    return find();
  } catch (const option_error& failure) {
    if (failure.field().empty()) throw;
    throw option_error("eval_" + failure.field(), std::string(failure.what()).substr(failure.field().size() + 2));
  }
}

void refuse_without_evaluation(const distribution_arguments& arguments) {
  const auto refuse = [](const char* field) {
    throw option_error(field, "has no effect with `no_eval`; leave one of them out");
  };
  if (arguments.kind != distribution_kind::uniform) refuse("eval_distribution");
  if (arguments.alpha) refuse("eval_alpha");
  if (!arguments.weights.empty()) refuse("eval_weights");
}

/// Returns the evaluation batch size: by default a multiple of the row length, at least one row.
std::uint64_t find_eval_batch_size(const generation_arguments& arguments) {
  if (arguments.eval_batch_size) return *arguments.eval_batch_size;
  const std::uint64_t row = arguments.evaluation.negatives + std::uint64_t{1};
  return std::max(row, evaluation_options{}.batch_size / row * row);
}

/// Refuses early, with advice that only the program can give.
void check_evaluation(const dataset& data, const generation_arguments& arguments) {
  try {
    static_cast<void>(plan_evaluation(data, arguments.evaluation, *arguments.seed));
  } catch (const infeasible_error& failure) {
    throw infeasible_error(std::string(failure.what()) + "; or write no evaluation data (`no_eval`)");
  }
}

}  // namespace

item_weights load_eval_weights(const std::filesystem::path& path) {
  return find_for_evaluation([&] { return load_weights(path); });
}

void settle_generation(generation_arguments& arguments, const dataset& data,
                       const std::function<void(const std::string&)>& say) {
  if (!arguments.seed) {
    arguments.seed = random_seed();
    say(fmt::format("seed {} was drawn; give it with --seed to make the same output again", *arguments.seed));
  }
  arguments.sampling.seed = *arguments.seed;
  arguments.sampling.weights = find_weights(arguments.negatives, data);
  if (arguments.no_evaluation) refuse_without_evaluation(arguments.eval_negatives);
  arguments.evaluation.weights = find_for_evaluation([&] { return find_weights(arguments.eval_negatives, data); });
  arguments.evaluation.batch_size = find_eval_batch_size(arguments);
  const auto say_digest = [&](const char* what, const item_weights& weights) {
    if (!weights.is_uniform()) say(fmt::format("{}: MD5 {}, recorded in ready.json", what, weights.digest()));
  };
  say_digest("weights of the items", arguments.sampling.weights);
  arguments.sampling.threads = arguments.common.threads;
  if (!arguments.no_evaluation) {
    say_digest("weights of the items for evaluation", arguments.evaluation.weights);
    check_evaluation(data, arguments);
    arguments.sampling.evaluation = arguments.evaluation;
  }
  if (arguments.sampling.evaluation && arguments.evaluation.infeasible != infeasible_policy::error) {
    note_skipped(data, arguments.evaluation, say);
  }
  if (arguments.evaluation.mlperf && data.origin().ties != "shuffled" && !is_synthetic(data.origin())) {
    say("--mlperf: the dataset was prepared with --ties file; the MLPerf reference shuffles ties, and file order gives "
        "other hit rates. Prepare it with --mlperf to match");
  }
}

}  // namespace negpipe::cli
