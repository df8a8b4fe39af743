#include "ready_file.hpp"

#include <fmt/core.h>

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "files.hpp"
#include "json_text.hpp"
#include "negpipe/error.hpp"
#include "staging.hpp"

namespace negpipe::record {

namespace {

using json = nlohmann::ordered_json;

template <typename Value>
using names_of = std::initializer_list<std::pair<Value, const char*>>;

const names_of<record_kind> kind_names{{record_kind::train, "train"}, {record_kind::eval, "eval"}};
const names_of<item_type> item_names{{item_type::uint16, "uint16"}, {item_type::int32, "int32"}};
const names_of<compression_type> compression_names{{compression_type::none, "none"}, {compression_type::gzip, "gzip"}};
const names_of<padding_policy> padding_names{{padding_policy::resample, "resample"},
                                             {padding_policy::mask, "mask"},
                                             {padding_policy::drop, "drop"}};

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
    dtypes[std::string(label_key)] = "int8";
    if (content.padding == padding_policy::mask) dtypes[std::string(valid_key)] = "int8";
  }
  return dtypes;
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
  } else {
    out["eval_negatives"] = content.negatives;
    out["mlperf"] = content.mlperf;
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

/// Takes fields out of a JSON object; what is missing or of another kind is an error that names file and field.
class field_reader {
 public:
  field_reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) fail("is no JSON object");
  }

  template <typename Number>
  Number number(std::string_view name) const {
    const json& value = at(name);
    const auto most = std::numeric_limits<Number>::max();
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
      fail(fmt::format("\"{}\" is {}, a whole number from 0 to {} wanted", name, value.dump(), most));
    }
    return static_cast<Number>(value.get<std::uint64_t>());
  }

  bool boolean(std::string_view name) const {
    if (!at(name).is_boolean()) fail(fmt::format("\"{}\" is {}, true or false wanted", name, at(name).dump()));
    return at(name).get<bool>();
  }

  std::string text(std::string_view name) const {
    if (!at(name).is_string()) fail(fmt::format("\"{}\" is {}, a text wanted", name, at(name).dump()));
    return at(name).get<std::string>();
  }

  template <typename Number>
  Number number_in_text(std::string_view name, int base) const {
    const std::string digits = text(name);
    Number value = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (digits.empty() || failure != std::errc() || end != digits.data() + digits.size()) {
      fail(fmt::format("\"{}\" is \"{}\", a number of at most {} bits (base {}) wanted", name, digits,
                       8 * sizeof(Number), base));
    }
    return value;
  }

  template <typename Value>
  Value one_of(std::string_view name, const names_of<Value>& names) const {
    const std::string found = text(name);
    std::string wanted;
    for (const auto& [value, candidate] : names) {
      if (found == candidate) return value;
      wanted += fmt::format("{}{}", wanted.empty() ? "" : " or ", candidate);
    }
    fail(fmt::format("\"{}\" is \"{}\", {} wanted", name, found, wanted));
  }

  field_reader object(std::string_view name) const { return {at(name), fmt::format("{}: \"{}\"", where_, name)}; }

  const json& array(std::string_view name) const {
    if (!at(name).is_array()) fail(fmt::format("\"{}\" is no array", name));
    return at(name);
  }

  [[noreturn]] void fail(const std::string& what) const { throw format_error(where_ + ": " + what); }

 private:
  const json& at(std::string_view name) const {
    const auto found = object_.find(std::string(name));
    if (found == object_.end()) fail(fmt::format("\"{}\" is missing", name));
    return *found;
  }

  const json& object_;
  std::string where_;
};

void read_kind_fields(const field_reader& fields, ready_file& content) {
  if (content.kind == record_kind::train) {
    content.cycle = fields.number<std::uint32_t>("cycle");
    content.epochs_per_cycle = fields.number<std::uint32_t>("epochs_per_cycle");
    content.negatives = fields.number<std::uint32_t>("num_neg");
    content.padding = fields.one_of("padding", padding_names);
  } else {
    content.negatives = fields.number<std::uint32_t>("eval_negatives");
    content.mlperf = fields.boolean("mlperf");
  }
}

void read_files(const field_reader& fields, ready_file& content, const std::string& where) {
  for (const json& element : fields.array("files")) {
    const field_reader entry(element, where + fmt::format(": \"files\"[{}]", content.files.size()));
    content.files.push_back({entry.text("name"), entry.number<std::uint64_t>("record_count"),
                             entry.number<std::uint64_t>("byte_count"),
                             entry.number_in_text<std::uint32_t>("crc32c", 16)});
  }
  const auto readers = fields.number<std::uint32_t>("readers");
  if (readers == 0 || readers != content.files.size()) {
    fields.fail(fmt::format("\"readers\" is {}, but {} files are listed", readers, content.files.size()));
  }
}

ready_file from_json(const json& root, const std::string& where) {
  const field_reader fields(root, where);
  ready_file content;
  content.format_version = fields.number<std::uint32_t>("format_version");
  if (content.format_version != format_version) {
    fields.fail(fmt::format("\"format_version\" is {}, {} wanted; read it with the negpipe that wrote it",
                            content.format_version, format_version));
  }
  content.stream_version = fields.number<std::uint32_t>("stream_version");
  content.library_version = fields.text("library_version");
  content.batch_size = fields.number<std::uint64_t>("batch_size");
  content.batch_count = fields.number<std::uint64_t>("batch_count");
  content.kind = fields.one_of("kind", kind_names);
  content.seed = fields.number_in_text<std::uint64_t>("seed", 10);
  read_kind_fields(fields, content);
  content.point_count = fields.number<std::uint64_t>("point_count");
  const field_reader dataset = fields.object("dataset");
  content.dataset_digest = dataset.text("digest");
  content.user_count = dataset.number<std::uint64_t>("user_count");
  content.item_count = dataset.number<std::uint64_t>("item_count");
  content.positive_count = dataset.number<std::uint64_t>("positive_count");
  const field_reader dtypes = fields.object("dtypes");
  content.items = dtypes.one_of(item_key, item_names);
  // Compared without regard to the order of names.
  const nlohmann::json found = root["dtypes"];
  if (const nlohmann::json wanted = dtypes_of(content); found != wanted) {
    fields.fail(fmt::format("\"dtypes\" is {}, {} wanted", found.dump(), wanted.dump()));
  }
  content.compression = fields.one_of("compression", compression_names);
  read_files(fields, content, where);
  return content;
}

}  // namespace

void write_ready_file(const std::filesystem::path& folder, const ready_file& content) {
  support::publish_file(folder / ready_file_name, to_json(content).dump(2) + "\n");
}

ready_file read_ready_file(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ready_file_name;
  const support::mapped_file file(path);
  const json root = support::parse_json(file.bytes());
  if (root.is_discarded()) throw format_error(path.string() + " is no valid JSON");
  return from_json(root, path.string());
}

}  // namespace negpipe::record
