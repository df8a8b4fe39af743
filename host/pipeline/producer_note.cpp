#include "producer_note.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "files.hpp"
#include "json_text.hpp"
#include "negpipe/error.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/produce.hpp"
#include "negpipe/version.hpp"
#include "whole_number.hpp"

namespace negpipe::pipeline {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

namespace {

constexpr const char* compression_names[] = {"none", "gzip"};

/// Returns the noted seed; empty unless it is a text of decimal digits that fits 64 bits.
std::optional<std::uint64_t> seed_of(const json& options) {
  const auto noted = options.value("seed", json());
  if (!noted.is_string()) return {};
  return support::whole_number<std::uint64_t>(noted.get_ref<const std::string&>());
}

/// Returns "num_neg" for "--num-neg"; other names unchanged.
std::string field_of(std::string name) {
  if (!name.starts_with("--")) return name;
  name.erase(0, 2);
  std::ranges::replace(name, '-', '_');
  return name;
}

json by_field(const json& options) {
  json renamed = json::object();
  for (const auto& [name, value] : options.items()) renamed[field_of(name)] = value;
  return renamed;
}

/// Returns whether a name can be that of an entry of staging(). A note is untrusted input.
bool is_hidden_name(const std::string& name) {
  return name.starts_with(".cycle_") && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

std::string digest_or_uniform(const item_weights& weights) {
  return weights.is_uniform() ? "uniform" : weights.digest();
}

bool is_complete(const json& note) {
  if (!note.is_object() || !note.contains("next_cycle") || !note.contains("options")) return false;
  if (!note["next_cycle"].is_number_unsigned() || !note["options"].is_object()) return false;
  if (!note.contains("publishing")) return true;
  const bool is_name = note["publishing"].is_string() && is_hidden_name(note["publishing"].get<std::string>());
  return is_name && note["next_cycle"].get<std::uint64_t>() > 0;
}

}  // namespace

std::optional<producer_note> read_note(const fs::path& cache) {
  const fs::path path = cache / note_name;
  if (!support::exists(path)) return {};
  const std::string text = support::read_text(path, support::max_json_bytes);
  const json content = support::parse_json(text);
  if (is_complete(content)) {
    producer_note note{content["next_cycle"].get<std::uint64_t>(), content.value("publishing", std::string()),
                       by_field(content["options"])};
    if (seed_of(note.options)) return note;
  }
  throw format_error(path.string() + " is not what a producer notes; start again with `replace`");
}

std::string to_text(const producer_note& note) {
  json content{{"next_cycle", note.next_cycle}};
  if (!note.publishing.empty()) content["publishing"] = note.publishing;
  content["options"] = note.options;
  return content.dump(2) + "\n";
}

json note_options(const sampler& source, const generate_options& options) {
  const sampler_options& sampled = source.options();
  json out{{"dataset", source.data().digest()},
           {"stream_version", stream_version},
           {"seed", std::to_string(sampled.seed)},
           {"first_cycle", options.first_cycle},
           {"epochs_per_cycle", sampled.epochs_per_cycle},
           {"batch_size", sampled.batch_size},
           {"num_neg", sampled.negatives},
           {"padding", padding_names.begin()[static_cast<int>(sampled.padding)].second},
           {"layout", layout_names.begin()[static_cast<int>(sampled.layout)].second},
           {"weights", digest_or_uniform(sampled.weights)},
           {"readers", options.readers},
           {"compression", compression_names[static_cast<int>(options.compression)]}};
  if (sampled.evaluation) {
    out["eval_batch_size"] = sampled.evaluation->batch_size;
    out["eval_negatives"] = sampled.evaluation->negatives;
    out["mlperf"] = sampled.evaluation->mlperf;
    out["evaluate"] = sampled.evaluation->set == heldout_set::validation ? "validation" : "test";
    out["eval_infeasible"] = sampled.evaluation->infeasible == infeasible_policy::fewer ? "fewer" : "skip";
    out["eval_weights"] = digest_or_uniform(sampled.evaluation->weights);
  }
  return out;
}

void require_same_options(const json& noted, const json& now, const fs::path& cache) {
  // Absent in notes of earlier versions.
  const json usual{{"layout", "pointwise"},
                   {"evaluate", "test"},
                   {"eval_infeasible", "skip"},
                   {"weights", "uniform"},
                   {"eval_weights", "uniform"}};
  for (const auto& [name, value] : now.items()) {
    const json before = noted.value(name, usual.value(name, json()));
    if (before == value) continue;
    throw option_error("resume", fmt::format("`{}` was {} when {} was begun and is {} now; give the same options "
                                             "again, or start anew with `replace`",
                                             name, before.dump(), cache.string(), value.dump()));
  }
}

}  // namespace negpipe::pipeline

namespace negpipe {

std::optional<std::uint64_t> recorded_seed(const std::filesystem::path& cache) {
  const auto note = pipeline::read_note(cache);
  if (!note) return {};
  return pipeline::seed_of(note->options);
}

}  // namespace negpipe
