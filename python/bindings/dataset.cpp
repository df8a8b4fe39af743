#include "negpipe/dataset.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "bindings.hpp"
#include "negpipe/arrow.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/prepare_on_disk.hpp"
#include "negpipe/shards.hpp"
#include "negpipe/synth.hpp"

namespace negpipe::python {

namespace {

template <typename T>
using input_array = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using view_array = nb::ndarray<nb::numpy, const T, nb::ndim<1>>;
using id_input = std::variant<input_array<std::int64_t>, std::vector<nb::bytes>>;

/// A read-only NumPy array over the dataset's memory, which it keeps alive.
template <typename T>
view_array<T> view(nb::handle owner, std::span<const T> values) {
  return view_array<T>(values.data(), {values.size()}, owner);
}

template <typename T>
std::vector<T> copied(const input_array<T>& values) {
  return {values.data(), values.data() + values.size()};
}

std::variant<std::vector<std::int64_t>, std::vector<std::string>> copied_ids(const id_input& ids) {
  if (const auto* numbers = std::get_if<input_array<std::int64_t>>(&ids)) return copied(*numbers);
  std::vector<std::string> texts;
  for (const nb::bytes& id : std::get<std::vector<nb::bytes>>(ids)) texts.emplace_back(id.c_str(), id.size());
  return texts;
}

/// int64 [n], or a list of str. Bytes that are not UTF-8 come as surrogates, as os.fsdecode has it.
nb::object ids_of(nb::handle owner, const raw_ids& ids) {
  if (!ids.is_text()) return nb::cast(view(owner, ids.numbers_or_offsets()));
  nb::list texts;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string text = ids.to_string(i);
    PyObject* decoded = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
    if (decoded == nullptr) throw nb::python_error();
    texts.append(nb::steal(decoded));
  }
  return nb::object(texts);
}

/// Offsets [user_count + 1] and items.
using heldout_arrays = std::pair<input_array<std::int64_t>, input_array<std::int32_t>>;

dataset from_parts(const input_array<std::int64_t>& user_offsets, const input_array<std::int32_t>& positive_items,
                   const heldout_arrays& test, const std::optional<heldout_arrays>& validation,
                   const id_input& user_ids, const id_input& item_ids, const std::string& source) {
  dataset_arrays arrays{.user_offsets = copied(user_offsets),
                        .positive_items = copied(positive_items),
                        .heldout_items = copied(test.second),
                        .user_ids = copied_ids(user_ids),
                        .item_ids = copied_ids(item_ids),
                        .test_offsets = copied(test.first)};
  if (validation) {
    arrays.validation_offsets = copied(validation->first);
    arrays.validation_items = copied(validation->second);
  }
  dataset_origin origin{.source = source, .options = "{}"};
  const nb::gil_scoped_release released;
  return dataset(std::move(arrays), std::move(origin));
}

dataset load(const std::filesystem::path& folder) {
  return run_interruptibly([&](const run_control&) { return dataset::load(folder); });
}

dataset load_shard(const sharded_dataset& shards, std::uint32_t shard) {
  return run_interruptibly([&](const run_control&) { return shards.load(shard); });
}

/// uint64 [item_count].
nb::object count_items(const sharded_dataset& shards) {
  auto* const counts = new std::vector<std::uint64_t>(
      run_interruptibly([&](const run_control&) { return shards.count_items(); }));
  const nb::capsule owner(counts, [](void* held) noexcept { delete static_cast<std::vector<std::uint64_t>*>(held); });
  return nb::cast(nb::ndarray<nb::numpy, std::uint64_t, nb::ndim<1>>(counts->data(), {counts->size()}, owner));
}

std::vector<std::int32_t> first_users(const sharded_dataset& shards) {
  return {shards.first_users().begin(), shards.first_users().end()};
}

std::vector<std::uint64_t> positive_counts(const sharded_dataset& shards) {
  return {shards.positive_counts().begin(), shards.positive_counts().end()};
}

void join(const std::filesystem::path& shards, const std::filesystem::path& folder, bool overwrite) {
  run_interruptibly([&](const run_control&) { dataset::join(shards, folder, overwrite); });
}

void save(const dataset& data, const std::filesystem::path& folder, bool overwrite, std::uint32_t shards) {
  const nb::gil_scoped_release released;
  data.save(folder, overwrite, shards);
}

nb::dict to_dict(const prepare_summary& summary) {
  nb::dict counts;
  counts["rows_read"] = summary.rows_read;
  counts["rows_missing"] = summary.rows_missing;
  counts["rows_below_rating"] = summary.rows_below_rating;
  counts["duplicates_dropped"] = summary.duplicates_dropped;
  counts["users_dropped"] = summary.users_dropped;
  counts["items_dropped"] = summary.items_dropped;
  counts["rows_dropped"] = summary.rows_dropped;
  counts["unknown_rows"] = summary.unknown_rows;
  counts["unknown_users"] = summary.unknown_users;
  counts["unknown_items"] = summary.unknown_items;
  counts["detected"] = summary.detected.to_string();
  return counts;
}

template <typename Value>
using named_values = std::vector<std::pair<const char*, Value>>;

template <typename Value>
Value choose(const std::string& field, const std::string& name, const named_values<Value>& known) {
  std::string names;
  for (const auto& [known_name, value] : known) {
    if (name == known_name) return value;
    names += std::string(names.empty() ? "" : ", ") + known_name;
  }
  throw option_error(field + ": \"" + name + "\" given; expected one of " + names);
}

void set_field(table_options& table, const std::string& name, nb::handle value) {
  if (name == "user") {
    table.user_column = nb::cast<std::string>(value);
  } else if (name == "item") {
    table.item_column = nb::cast<std::string>(value);
  } else if (name == "time") {
    table.time_column = nb::cast<std::string>(value);
  } else if (name == "rating") {
    table.rating_column = nb::cast<std::string>(value);
  } else if (name == "separator") {
    table.separator = nb::cast<std::string>(value);
  } else if (name == "header") {
    table.header = nb::cast<bool>(value);
  } else if (name == "comment") {
    table.comment = nb::cast<std::string>(value);
  } else if (name == "quotes") {
    table.quotes = nb::cast<bool>(value);
  } else if (name == "member") {
    table.member = nb::cast<std::string>(value);
  } else if (name == "encoding") {
    table.encoding = choose<text_encoding>(
        name, nb::cast<std::string>(value),
        {{"utf-8", text_encoding::utf8}, {"utf-16", text_encoding::utf16}, {"latin-1", text_encoding::latin1}});
  } else if (name == "layout") {
    table.layout = choose<row_layout>(name, nb::cast<std::string>(value),
                                      {{"table", row_layout::table}, {"item-lists", row_layout::item_lists}});
  } else if (name == "na_values") {
    table.na_values = nb::cast<std::vector<std::string>>(value);
  } else if (name == "order") {
    table.order = choose<row_order>(name, nb::cast<std::string>(value),
                                    {{"time", row_order::time}, {"file", row_order::file}});
  } else if (name == "missing") {
    table.missing = choose<missing_policy>(name, nb::cast<std::string>(value),
                                           {{"error", missing_policy::error}, {"drop", missing_policy::drop}});
  } else {
    throw option_error("there is no option " + name);
  }
}

void set_option(prepare_options& options, const std::string& name, nb::handle value) {
  if (name == "min_rating") {
    options.min_rating = nb::cast<double>(value);
  } else if (name == "min_ratings") {
    options.min_ratings = nb::cast<std::uint32_t>(value);
  } else if (name == "min_item_ratings") {
    options.min_item_ratings = nb::cast<std::uint32_t>(value);
  } else if (name == "k_core") {
    options.k_core = nb::cast<bool>(value);
  } else if (name == "split") {
    options.split = split_options::parse(nb::cast<std::string>(value));
  } else if (name == "unknown") {
    options.unknown = choose<unknown_policy>(
        name, nb::cast<std::string>(value),
        {{"drop", unknown_policy::drop}, {"keep", unknown_policy::keep}, {"error", unknown_policy::error}});
  } else if (name == "seed") {
    options.seed = nb::cast<std::uint64_t>(value);
  } else if (name == "duplicates") {
    options.duplicates = choose<duplicate_policy>(
        name, nb::cast<std::string>(value),
        {{"error", duplicate_policy::error}, {"first", duplicate_policy::first}, {"last", duplicate_policy::last}});
  } else if (name == "ties") {
    options.ties = choose<tie_order>(name, nb::cast<std::string>(value),
                                     {{"file", tie_order::file}, {"shuffled", tie_order::shuffled}});
  } else if (name == "expect") {
    options.expect = choose<known_dataset>(name, nb::cast<std::string>(value),
                                           {{"ml-1m", known_dataset::ml_1m}, {"ml-20m", known_dataset::ml_20m}});
  } else {
    set_field(options.table, name, value);
  }
}

/// From a dict of the options that were given: those of negpipe.Dataset.from_ratings, None left out.
prepare_options options_from(const nb::dict& given) {
  prepare_options options;
  for (const auto& [key, value] : given) {
    const auto name = nb::cast<std::string>(key);
    try {
      set_option(options, name, value);
    } catch (const nb::cast_error&) {
      throw option_error("`" + name + "`: " + nb::cast<std::string>(nb::repr(value)) +
                         " given, which is of another type or out of range");
    }
  }
  return options;
}

using path_list = std::vector<std::filesystem::path>;

/// Bytes, and the folder for temporary files.
using given_limit = std::optional<std::pair<std::uint64_t, std::filesystem::path>>;

template <typename Input>
nb::tuple prepare_within(const given_limit& limit, const Input& input, const prepare_options& options) {
  prepare_summary summary;
  dataset made = run_interruptibly([&](const run_control& control) {
    return limit ? prepare(input, options, memory_limit{limit->first, limit->second}, control, &summary)
                 : prepare(input, options, control, &summary);
  });
  return nb::make_tuple(std::move(made), to_dict(summary));
}

nb::tuple from_ratings(const path_list& ratings, const path_list& test, const path_list& validation,
                       const given_limit& limit, const nb::dict& given) {
  const prepare_options options = options_from(given);
  return test.empty() ? prepare_within(limit, std::span(ratings), options)
                      : prepare_within(limit, split_files{ratings, test, validation}, options);
}

/// int64 [n], or text as (offsets int64 [n + 1], bytes uint8).
using id_columns = std::variant<input_array<std::int64_t>,
                                std::pair<input_array<std::int64_t>, input_array<std::uint8_t>>>;

template <typename T>
std::span<const T> span_of(const input_array<T>& array) {
  return {array.data(), array.size()};
}

template <typename T>
std::span<const T> span_of(const std::optional<input_array<T>>& array) {
  return array ? span_of(*array) : std::span<const T>{};
}

raw_ids ids_in(const id_columns& columns) {
  if (const auto* numbers = std::get_if<input_array<std::int64_t>>(&columns)) return raw_ids(span_of(*numbers));
  const auto& [offsets, bytes] = std::get<1>(columns);
  return raw_ids(span_of(offsets), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// users, items, times or None, ratings or None, valid or None.
using table_columns = std::tuple<id_columns, id_columns, std::optional<input_array<std::int64_t>>,
                                 std::optional<input_array<double>>, std::optional<input_array<std::uint8_t>>>;

rating_table table_of(const table_columns& columns, std::string_view name) {
  const auto& [users, items, times, ratings, valid] = columns;
  return {ids_in(users), ids_in(items), span_of(times), span_of(ratings), span_of(valid), name};
}

nb::tuple from_columns(const table_columns& table, const std::optional<table_columns>& test,
                       const std::optional<table_columns>& validation, const std::string& name, const nb::dict& given) {
  prepare_options options = options_from(given);
  options.table.order = std::get<2>(table) ? row_order::time : row_order::file;
  prepare_summary summary;
  dataset made = run_interruptibly([&](const run_control& control) {
    const rating_table training = table_of(table, name);
    if (!test) return prepare(training, options, control, &summary);
    split_tables tables{training, table_of(*test, "test")};
    if (validation) tables.validation = table_of(*validation, "validation");
    return prepare(tables, options, control, &summary);
  });
  return nb::make_tuple(std::move(made), to_dict(summary));
}

/// The stream in a capsule of __arrow_c_stream__, which keeps and releases it. argument: its name, for errors.
arrow_table stream_in(const nb::object& capsule, std::string_view name, const char* argument) {
  constexpr const char* kind = "arrow_array_stream";
  if (PyCapsule_IsValid(capsule.ptr(), kind) == 0) {
    const std::string found = nb::cast<std::string>(nb::repr(capsule));
    throw nb::type_error((std::string("`") + argument + "`: __arrow_c_stream__ gave " + found +
                          "; expected a capsule of the name " + kind).c_str());
  }
  return {static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule.ptr(), kind)), name};
}

nb::tuple from_arrow(const nb::object& table, const nb::object& test, const nb::object& validation,
                     const std::string& name, const given_limit& limit, const nb::dict& given) {
  const prepare_options options = options_from(given);
  const arrow_table training = stream_in(table, name, "table");
  if (test.is_none()) return prepare_within(limit, training, options);
  arrow_split split{training, stream_in(test, "test", "test")};
  if (!validation.is_none()) split.validation = stream_in(validation, "validation", "validation");
  return prepare_within(limit, split, options);
}

dataset synthetic(const std::optional<std::string>& like, std::optional<std::int32_t> users,
                  std::optional<std::int32_t> items, std::optional<std::uint64_t> interactions,
                  std::optional<std::uint32_t> min_ratings, std::uint64_t seed) {
  synth_options shape = like ? synth_shape(*like) : synth_options{};
  shape.users = users.value_or(shape.users);
  shape.items = items.value_or(shape.items);
  shape.interactions = interactions.value_or(shape.interactions);
  shape.min_ratings = min_ratings.value_or(shape.min_ratings);
  shape.seed = seed;
  return run_interruptibly([&](const run_control& control) { return synthesize(shape, control); });
}

}  // namespace

void bind_dataset(nb::module_& module) {
  nb::class_<dataset>(module, "Dataset", "A prepared dataset; see negpipe.Dataset.")
      .def_prop_ro("user_count", &dataset::user_count)
      .def_prop_ro("item_count", &dataset::item_count)
      .def_prop_ro("positive_count", &dataset::positive_count)
      .def_prop_ro("digest", &dataset::digest)
      .def_prop_ro("first_user", &dataset::first_user)
      .def_prop_ro("source", [](const dataset& data) { return data.origin().source; })
      .def_prop_ro("user_offsets",
                   [](nb::handle_t<dataset> self) {
                     return view(self, nb::cast<const dataset&>(self).user_offsets());
                   })
      .def_prop_ro("positive_items",
                   [](nb::handle_t<dataset> self) {
                     return view(self, nb::cast<const dataset&>(self).positive_items());
                   })
      .def_prop_ro("heldout_items",
                   [](nb::handle_t<dataset> self) {
                     return view(self, nb::cast<const dataset&>(self).heldout_items());
                   })
      .def(
          "heldout",
          [](nb::handle_t<dataset> self, bool validation) {
            const user_items& set = nb::cast<const dataset&>(self).heldout(validation ? heldout_set::validation
                                                                                      : heldout_set::test);
            return nb::make_tuple(view(self, set.offsets), view(self, set.items));
          },
          nb::arg("validation"))
      .def_prop_ro("has_validation", &dataset::has_validation)
      .def("user_ids",
           [](nb::handle_t<dataset> self) { return ids_of(self, nb::cast<const dataset&>(self).user_ids()); })
      .def("item_ids",
           [](nb::handle_t<dataset> self) { return ids_of(self, nb::cast<const dataset&>(self).item_ids()); })
      .def("save", &save, nb::arg("folder"), nb::arg("overwrite"), nb::arg("shards"));
  module.def("from_parts", &from_parts, nb::arg("user_offsets"), nb::arg("positive_items"), nb::arg("test"),
             nb::arg("validation").none(), nb::arg("user_ids"), nb::arg("item_ids"), nb::arg("source"));
  module.def("load", &load, nb::arg("folder"));
  nb::class_<sharded_dataset>(module, "ShardedDataset", "A dataset in shards, opened; see negpipe.Shards.")
      .def_prop_ro("user_count", &sharded_dataset::user_count)
      .def_prop_ro("item_count", &sharded_dataset::item_count)
      .def_prop_ro("first_users", &first_users)
      .def_prop_ro("positive_counts", &positive_counts)
      .def_prop_ro("digest", &sharded_dataset::digest)
      .def("load", &load_shard, nb::arg("shard"))
      .def("count_items", &count_items);
  module.def("open_shards", [](const std::filesystem::path& folder) { return sharded_dataset(folder); },
             nb::arg("folder"));
  module.def("shard_seed", &shard_seed, nb::arg("seed"), nb::arg("shard"), nb::arg("shard_count"));
  module.def("join", &join, nb::arg("shards"), nb::arg("folder"), nb::arg("overwrite"));
  module.def("from_ratings", &from_ratings, nb::arg("ratings"), nb::arg("test"), nb::arg("validation"),
             nb::arg("limit").none(), nb::arg("options"), "Returns the dataset and a dict of what preparation did.");
  module.def("from_columns", &from_columns, nb::arg("table"), nb::arg("test").none(), nb::arg("validation").none(),
             nb::arg("name"), nb::arg("options"),
             "Rows in memory, see negpipe.columns. Returns the dataset and a dict of what preparation did.");
  module.def("from_arrow", &from_arrow, nb::arg("table"), nb::arg("test").none(), nb::arg("validation").none(),
             nb::arg("name"), nb::arg("limit").none(), nb::arg("options"),
             "Capsules of Arrow streams. Returns the same as from_columns.");
  module.def("synthetic", &synthetic, nb::kw_only(), nb::arg("like").none(), nb::arg("users").none(),
             nb::arg("items").none(), nb::arg("interactions").none(), nb::arg("min_ratings").none(), nb::arg("seed"));
}

}  // namespace negpipe::python
