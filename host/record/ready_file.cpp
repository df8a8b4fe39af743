#include "ready_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "json_text.hpp"
#include "negpipe/error.hpp"
#include "negpipe/item_weights.hpp"
#include "staging.hpp"

namespace negpipe::record {

namespace {

using json = nlohmann::ordered_json;
using support::json_fields;

constexpr std::string_view remedy = "generate the folder again";

template <typename Value>
using names_of = json_fields::names_of<Value>;

const names_of<record_kind> kind_names{{record_kind::train, "train"}, {record_kind::eval, "eval"}};
const names_of<item_type> item_names{{item_type::uint16, "uint16"}, {item_type::int32, "int32"}};
const names_of<compression_type> compression_names{{compression_type::none, "none"}, {compression_type::gzip, "gzip"}};

const names_of<heldout_set> evaluated_names{{heldout_set::test, "test"}, {heldout_set::validation, "validation"}};
const names_of<infeasible_policy> infeasible_names{{infeasible_policy::skip, "skip"},
                                                   {infeasible_policy::fewer, "fewer"}};

template <typename Value>
const char* name_of(const names_of<Value>& names, Value value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  return "";
}

json dtypes_of(const ready_file& content) {
  json dtypes{{user_key, "int32"}, {item_key, name_of(item_names, content.items)}};
  if (content.kind == record_kind::eval) {
    dtypes[std::string(duplicate_key)] = "int8";
  } else {
    if (content.layout == batch_layout::pairwise) {
      dtypes[std::string(negative_key)] = name_of(item_names, content.items);
    } else {
      dtypes[std::string(label_key)] = "int8";
    }
    if (content.padding == padding_policy::mask) dtypes[std::string(valid_key)] = "int8";
  }
  return dtypes;
}

/// Uniform draws are the usual case, in which the fields are absent.
void write_distribution(const ready_file& content, json& out) {
  if (content.distribution == "uniform") return;
  out["distribution"] = content.distribution;
  if (content.distribution == "popularity") out["alpha"] = content.alpha;
  out["weights_digest"] = content.weights_digest;
}

json to_json(const ready_file& content) {
  json out;
  out["batch_size"] = content.batch_size;
  out["batch_count"] = content.batch_count;
  out["format_version"] = content.format_version;
  out["stream_version"] = content.stream_version;
  out["library_version"] = content.library_version;
  out["kind"] = name_of(kind_names, content.kind);
  // Text: a JSON number of 64 bits loses its last digits in readers that keep numbers as doubles.
  out["seed"] = std::to_string(content.seed);
  if (content.kind == record_kind::train) {
    out["cycle"] = content.cycle;
    out["epochs_per_cycle"] = content.epochs_per_cycle;
    out["num_neg"] = content.negatives;
    out["padding"] = name_of(padding_names, content.padding);
    out["layout"] = name_of(layout_names, content.layout);
    write_distribution(content, out);
  } else {
    out["eval_negatives"] = content.negatives;
    out["mlperf"] = content.mlperf;
    // Absent in the usual case, and in files of earlier versions.
    if (content.evaluated == heldout_set::validation) out["evaluated"] = "validation";
    if (content.infeasible == infeasible_policy::fewer) out["eval_infeasible"] = "fewer";
    write_distribution(content, out);
    if (!content.skipped_users.empty()) out["skipped_users"] = content.skipped_users;
  }
  out["point_count"] = content.point_count;
  out["dtypes"] = dtypes_of(content);
  out["dataset"] = {{"digest", content.dataset_digest},
                    {"user_count", content.user_count},
                    {"item_count", content.item_count},
                    {"positive_count", content.positive_count}};
  out["compression"] = name_of(compression_names, content.compression);
  out["readers"] = content.files.size();
  out["files"] = json::array();
  for (const auto& file : content.files) {
    out["files"].push_back({{"name", file.name},
                            {"record_count", file.record_count},
                            {"byte_count", file.byte_count},
                            {"crc32c", fmt::format("{:08x}", file.crc32c)}});
  }
  return out;
}

bool is_digest(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 32 && std::ranges::all_of(text, is_digit);
}

void read_distribution(const json_fields& fields, ready_file& content) {
  if (!fields.contains("distribution") && !fields.contains("weights_digest")) return;
  content.distribution =
      fields.one_of<const char*>("distribution", {{"popularity", "popularity"}, {"weights", "weights"}});
  if (content.distribution == "popularity") {
    content.alpha = fields.real("alpha");
    if (!(content.alpha >= 0 && content.alpha <= max_alpha)) fields.fail_at("alpha", "a number from 0 to 16");
  }
  content.weights_digest = fields.text("weights_digest");
  if (!is_digest(content.weights_digest)) fields.fail_at("weights_digest", "32 hexadecimal digits");
}

void read_kind_fields(const json_fields& fields, ready_file& content) {
  if (content.kind == record_kind::train) {
    content.cycle = fields.number<std::uint32_t>("cycle");
    content.epochs_per_cycle = fields.number<std::uint32_t>("epochs_per_cycle");
    content.negatives = fields.number<std::uint32_t>("num_neg");
    content.padding = fields.one_of("padding", padding_names);
    if (fields.contains("layout")) content.layout = fields.one_of("layout", layout_names);
  } else {
    content.negatives = fields.number<std::uint32_t>("eval_negatives");
    content.mlperf = fields.boolean("mlperf");
    if (fields.contains("evaluated")) content.evaluated = fields.one_of("evaluated", evaluated_names);
    if (fields.contains("eval_infeasible")) {
      content.infeasible = fields.one_of("eval_infeasible", infeasible_names);
    }
  }
  read_distribution(fields, content);
}

/// batch_size bounds the size of a record and of a file. Rejects larger sizes before they cost memory or time.
void check_file_size(const json_fields& entry, const record_file& file, const ready_file& content) {
  constexpr std::uint64_t gzip_header_and_trailer_bytes = 1024;
  std::uint64_t bytes = file.byte_count;
  if (content.compression == compression_type::gzip) {
    // Deflate stores incompressible data with an overhead of a few bytes per block.
    bytes = (bytes - std::min(bytes, gzip_header_and_trailer_bytes)) / 2;
  }
  const std::uint64_t record_bytes = max_record_payload_bytes(content) + frame_bytes;
  const std::uint64_t records_needed = bytes / record_bytes + (bytes % record_bytes != 0 ? 1 : 0);
  if (records_needed <= file.record_count) return;
  entry.fail(fmt::format("\"byte_count\" is {}, which is too much for {} records of {} values", file.byte_count,
                         file.record_count, content.batch_size));
}

void read_files(const json_fields& fields, ready_file& content) {
  const json& files = fields.array("files");
  const auto readers = fields.number<std::uint32_t>("readers");
  if (readers == 0 || readers != files.size()) {
    fields.fail(fmt::format("\"readers\" is {}, but {} files are listed", readers, files.size()));
  }
  const auto prefix = content.kind == record_kind::eval ? evaluation_prefix : training_prefix;
  const file_layout layout{content.batch_count, readers};
  for (std::uint32_t f = 0; f < readers; ++f) {
    const json_fields entry = fields.element("files", f);
    const record_file file{entry.text("name"), entry.number<std::uint64_t>("record_count"),
                           entry.number<std::uint64_t>("byte_count"), entry.checksum("crc32c")};
    // Fixed names keep files in the order of batches, and inside this folder.
    if (const std::string wanted = record_file_name(prefix, f); file.name != wanted) {
      entry.fail(fmt::format("\"name\" is {}, \"{}\" wanted", json(file.name).dump(), wanted));
    }
    if (file.record_count != layout.batches_in(f)) {
      entry.fail(fmt::format("\"record_count\" is {}, {} wanted: {} batches in {} files", file.record_count,
                             layout.batches_in(f), content.batch_count, readers));
    }
    check_file_size(entry, file, content);
    content.files.push_back(file);
  }
}

void read_dataset_fields(const json_fields& dataset, ready_file& content) {
  content.dataset_digest = dataset.text("digest");
  if (!is_digest(content.dataset_digest)) dataset.fail_at("digest", "32 hexadecimal digits");
  content.user_count = dataset.number<std::uint64_t>("user_count");
  content.item_count = dataset.number<std::uint64_t>("item_count");
  content.positive_count = dataset.number<std::uint64_t>("positive_count");
}

ready_file from_json(const json& root, const std::string& where) {
  const json_fields fields(root, where, remedy);
  ready_file content;
  content.format_version = fields.number<std::uint32_t>("format_version");
  if (content.format_version != format_version) {
    throw format_error(fmt::format("{}: \"format_version\" is {}, {} wanted; read it with the negpipe that wrote it",
                                   where, content.format_version, format_version));
  }
  content.stream_version = fields.number<std::uint32_t>("stream_version");
  content.library_version = fields.text("library_version");
  // The arrays of a batch have at least 6 bytes a value, and a record is at most 2 GiB.
  content.batch_size = fields.number<std::uint64_t>("batch_size", max_payload_bytes / 6);
  content.batch_count = fields.number<std::uint64_t>("batch_count");
  if (content.batch_size == 0) fields.fail("\"batch_size\" is 0, 1 or more wanted");
  content.kind = fields.one_of("kind", kind_names);
  content.seed = fields.number_in_text("seed");
  read_kind_fields(fields, content);
  content.point_count = fields.number<std::uint64_t>("point_count");
  read_dataset_fields(fields.object("dataset"), content);
  content.items = fields.object("dtypes").one_of(item_key, item_names);
  // nlohmann::json, unlike ordered_json, compares without regard to order.
  const nlohmann::json wanted = dtypes_of(content);
  if (nlohmann::json(root["dtypes"]) != wanted) fields.fail_at("dtypes", wanted.dump());
  content.compression = fields.one_of("compression", compression_names);
  read_files(fields, content);
  return content;
}

}  // namespace

std::vector<column_spec> columns_of(const ready_file& content) {
  if (content.kind == record_kind::eval) return evaluation_record_columns(content.batch_size, content.items);
  const bool with_mask = content.padding == padding_policy::mask;
  if (content.layout == batch_layout::pairwise) {
    return pair_record_columns(content.batch_size, content.negatives, content.items, with_mask);
  }
  return training_record_columns(content.batch_size, content.items, with_mask);
}

std::uint64_t max_record_payload_bytes(const ready_file& content) {
  constexpr std::uint64_t names_and_lengths_bytes = 1024;
  std::uint64_t bytes = names_and_lengths_bytes;
  for (const column_spec& column : columns_of(content)) bytes += 2 * column.byte_count;
  return std::min(bytes, max_payload_bytes);
}

std::string ready_text(const ready_file& content) { return to_json(content).dump(2) + "\n"; }

void write_ready_file(const std::filesystem::path& folder, const ready_file& content) {
  support::publish_file(folder / ready_file_name, ready_text(content));
}

ready_file parse_ready_text(std::string_view text, const std::string& where) {
  const json root = support::parse_json(text);
  if (root.is_discarded()) throw format_error(where + ": not valid JSON; " + std::string(remedy));
  return from_json(root, where);
}

ready_file read_ready_file(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ready_file_name;
  return from_json(support::read_json(path, remedy), path.string());
}

}  // namespace negpipe::record
