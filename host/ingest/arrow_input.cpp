#include "arrow_input.hpp"

#include <fmt/format.h>

#include <utility>

#include "column_names.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

/// Returns the last line of a Python traceback, which names the exception, and other messages unchanged.
std::string_view without_traceback(std::string_view message) {
  if (message.find("Traceback (most recent call last):") == message.npos) return message;
  message = message.substr(0, message.find_last_not_of(" \n") + 1);
  return message.substr(message.rfind('\n') + 1);
}

void check(ArrowArrayStream& stream, int code, const std::string& name) {
  if (code == 0) return;
  const char* message = stream.get_last_error(&stream);
  throw io_error(fmt::format("{}: the Arrow stream failed: {}", name,
                             message == nullptr ? "no message" : without_traceback(message)));
}

arrow_input read_schema(const arrow_table& table) {
  arrow_input input{.name = std::string(table.name)};
  input.stream = table.stream;
  ArrowArrayStream& stream = *table.stream;
  check(stream, stream.get_schema(&stream, &input.schema), input.name);
  if (std::string_view(input.schema.format) != "+s") {
    throw input_error(fmt::format("{}: it is one column of the type {}; a table wanted", input.name,
                                  name_of_type(input.schema)));
  }
  return input;
}

/// Chooses the column of each role.
class column_finder {
 public:
  explicit column_finder(const arrow_input& input) : input_(input) {
    for (std::int64_t i = 0; i < input.schema.n_children; ++i) {
      const char* name = input.schema.children[i]->name;
      names_.push_back(clean_name(name == nullptr ? "" : name));
    }
  }

  std::size_t find(column_role role, const std::string& choice) const {
    const std::optional<std::size_t> found = choice.empty()
                                                 ? find_column(input_.name, names_, role)
                                                 : chosen_column(input_.name, names_, names_.size(), role, choice);
    if (found) return *found;
    const bool is_time = role == column_role::time;
    throw input_error(fmt::format(
        "{}: no column is known as {} column; the columns are {}; choose one with `{}_column`{}", input_.name,
        ingest::name_of(role), fmt::join(names_, ", "), name_of(role),
        is_time ? ", or set `order` to file if each user's rows are in the order of time" : ""));
  }

 private:
  const arrow_input& input_;
  std::vector<std::string> names_;
};

void find_columns(arrow_input& input, const prepare_options& options) {
  const column_finder finder(input);
  input.user = finder.find(column_role::user, options.table.user_column);
  input.item = finder.find(column_role::item, options.table.item_column);
  if (options.table.order == row_order::time) {
    input.time = finder.find(column_role::time, options.table.time_column);
  }
  // A column that is named must exist, even where its values are not needed.
  if (options.min_rating || !options.table.rating_column.empty()) {
    input.rating = finder.find(column_role::rating, options.table.rating_column);
  }
  if (!options.min_rating) input.rating.reset();
}

void check_types(const arrow_input& input) {
  for (const std::size_t id : {input.user, input.item}) {
    if (!input.type(id).is_integer() && !input.type(id).is_text()) {
      input.refuse_type(id, "integers or text; convert it first");
    }
  }
  if (input.time && input.type(*input.time).kind == arrow_kind::other) {
    input.refuse_type(*input.time, "timestamps, dates, numbers or text");
  }
  if (input.rating && !input.type(*input.rating).is_number()) input.refuse_type(*input.rating, "numbers");
}

/// The buffers come from another library, and have no sizes: only their number and the row counts can be checked.
void check_batch(const arrow_input& input, const ArrowArray& batch) {
  std::string damage;
  if (batch.n_children != input.schema.n_children || batch.offset < 0 || batch.length < 0) damage = "another shape";
  for (const auto i : {std::optional(input.user), std::optional(input.item), input.time, input.rating}) {
    if (!i || !damage.empty()) continue;
    const std::string found = find_damage(*batch.children[*i], input.type(*i), batch.offset + batch.length);
    if (!found.empty()) damage = fmt::format("a column {} that {}", input.name_of(*i), found);
  }
  if (damage.empty()) return;
  throw input_error(fmt::format("{}: a batch of the Arrow stream has {}; this is an error of the library that made it",
                                input.name, damage));
}

}  // namespace

std::uint64_t arrow_input::row_count() const {
  std::uint64_t rows = 0;
  for (const ArrowArray& batch : batches) rows += static_cast<std::uint64_t>(batch.length);
  return rows;
}

std::string arrow_input::describe(std::size_t i) const { return fmt::format("{} (column {})", name_of(i), i + 1); }

void arrow_input::refuse_type(std::size_t i, std::string_view wanted) const {
  throw input_error(fmt::format("{}: the column {} has the Arrow type {}; wanted {}", name, name_of(i),
                                name_of_type(column(i)), wanted));
}

arrow_input open_arrow(const arrow_table& table, const prepare_options& options) {
  arrow_input input = read_schema(table);
  find_columns(input, options);
  check_types(input);
  return input;
}

bool read_batches(arrow_input& input, std::uint64_t rows) {
  input.batches.clear();
  ArrowArrayStream& stream = *input.stream;
  for (std::uint64_t count = 0; count < rows;) {
    arrow_owner<ArrowArray> batch;
    check(stream, stream.get_next(&stream, &batch), input.name);
    if (batch.release == nullptr) break;
    check_batch(input, batch);
    count += static_cast<std::uint64_t>(batch.length);
    input.batches.push_back(std::move(batch));
  }
  return !input.batches.empty();
}

}  // namespace negpipe::ingest
