#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "collector.hpp"
#include "digest.hpp"
#include "negpipe/error.hpp"
#include "ratings.hpp"
#include "row_spool.hpp"
#include "text_source.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

namespace {

/// Blocks that are parsed in parallel while the next ones are read.
struct wave {
  std::vector<std::vector<char>> blocks;
  std::size_t count = 0;
  std::exception_ptr failure;  // of reading after these blocks

  explicit wave(std::size_t capacity) : blocks(capacity) {}

  void read(block_reader& reader) {
    count = 0;
    try {
      while (count < blocks.size() && reader.next(blocks[count])) ++count;
    } catch (...) {
      failure = std::current_exception();
    }
  }
};

std::string name_of_all(std::span<const input_file> files) {
  const std::string first = files.front().name();
  return files.size() == 1 ? first : fmt::format("{} and {} more", first, files.size() - 1);
}

/// One attempt to read all files, with given kinds of ids.
class reading {
 public:
  reading(const prepare_options& options, id_kind user_kind, id_kind item_kind, row_spool* spool,
          const run_control& control)
      : options_(options),
        control_(control),
        rules_(rules_of(options)),
        user_kind_(user_kind),
        item_kind_(item_kind),
        pool_(control.thread_count()),
        all_(user_kind, item_kind, spool) {
    if (spool != nullptr) spool->clear();
  }

  /// Reads everything, or stops early if a column that was assumed to have numbers has another value. result is
  /// complete only if the outcome is reason::none.
  parse_stop::reason run(std::span<const input_file> files, ratings& result) {
    support::md5 digests;
    for (const input_file& file : files) {
      std::error_code unknown;  // reading the file will report the error
      const std::uint64_t size = std::filesystem::file_size(file.path(), unknown);
      bytes_total_ += unknown ? 0 : size;
    }
    for (const input_file& file : files) {
      text_source source(file, options_.table);
      const auto outcome = read(source);
      if (outcome != parse_stop::reason::none) return outcome;
      bytes_before_ += source.file_bytes();
      all_.result().digest = source.digest();
      digests.update(std::as_bytes(std::span(all_.result().digest)));
    }
    if (files.size() > 1) all_.result().digest = digests.hex();
    all_.result().name = name_of_all(files);
    all_.finish();
    result = std::move(all_.result());
    return parse_stop::reason::none;
  }

  const collector& all() const { return all_; }

 private:
  parse_stop::reason read(text_source& source) {
    constexpr std::size_t blocks_per_thread = 4;
    block_reader reader(source);
    begin(source, reader);
    wave now(pool_.thread_count() * blocks_per_thread);
    wave next(now.blocks.size());
    now.read(reader);
    while (now.count != 0) {
      control_.throw_if_stopped();
      const auto outcome = parse_and_read(reader, now, next);
      if (outcome != parse_stop::reason::none) return outcome;
      if (now.failure) break;
      std::swap(now, next);
      control_.report({"reading ratings", "bytes", bytes_before_ + source.bytes_consumed(), bytes_total_});
    }
    if (now.failure) std::rethrow_exception(now.failure);
    return parse_stop::reason::none;
  }

  void begin(const text_source& source, block_reader& reader) {
    format_ = detect_format(source.name(), reader.beginning(), options_with_shape());
    check_shape(source.name());
    reader.cut_rows(format_.syntax, format_.comment, format_.rows_begin);
    if (all_.result().part_begins.empty()) {
      all_.result().times = format_.times;
      all_.result().times_per_second = format_.times_per_second;
    }
    all_.begin_part(source.name(), row_locations::unit::line, format_.lines_before);
    detected_table& all = all_.result().detected;
    detected_table here = describe(format_, options_);
    if (!source.wrapping().empty()) here.format = fmt::format("{}: {}", source.wrapping(), here.format);
    if (all.format.empty()) {
      all = here;
    } else if (here.format != all.format || here.user_column != all.user_column ||
               here.item_column != all.item_column || here.time_column != all.time_column || here.times != all.times) {
      all.assumed +=
          fmt::format("{}{} is read differently: {}, user: {}, item: {}, time: {}, {}", all.assumed.empty() ? "" : "; ",
                      source.name(), here.format, here.user_column, here.item_column, here.time_column, here.times);
    }
  }

  /// All files are lists of items if the first one is: a list of two items per user looks like a table.
  prepare_options options_with_shape() const {
    prepare_options options = options_;
    const bool is_first = all_.result().part_begins.empty();
    if (!is_first && first_shape_ == table_shape::item_lists) options.table.layout = row_layout::item_lists;
    return options;
  }

  void check_shape(const std::string& name) {
    if (all_.result().part_begins.empty()) {
      first_shape_ = format_.shape;
    } else if (format_.shape == table_shape::item_lists && first_shape_ != table_shape::item_lists) {
      throw input_error(
          fmt::format("{}: a line holds a user and its items, but the first file is read as a table with one rating "
                      "per line; set `layout` to item-lists, or to table",
                      name));
    }
  }

  parse_stop::reason parse_and_read(block_reader& reader, const wave& now, wave& next) {
    std::vector<std::optional<parsed_block>> parsed(now.count);
    pool_.for_each(now.count + 1, [&](std::uint64_t task) {
      if (task == 0) {
        if (!now.failure) next.read(reader);
        return;
      }
      const std::size_t i = static_cast<std::size_t>(task) - 1;
      const std::string_view text(now.blocks[i].data(), now.blocks[i].size());
      parsed[i] = parse_block(format_, rules_, text, user_kind_, item_kind_);
    });
    for (auto& block : parsed) {
      if (const auto outcome = all_.append(*block); outcome != parse_stop::reason::none) return outcome;
      block.reset();
    }
    return parse_stop::reason::none;
  }

  const prepare_options& options_;
  const run_control& control_;
  row_rules rules_;
  id_kind user_kind_;
  id_kind item_kind_;
  support::thread_pool pool_;
  ratings_format format_;
  table_shape first_shape_ = table_shape::table;
  collector all_;
  std::uint64_t bytes_before_ = 0;  // of the files before the current one
  std::uint64_t bytes_total_ = 0;
};

/// Errors about numbers beyond 64 bits, in the order of the file. They apply unless the column turns out to be text.
class too_wide {
 public:
  using text_met = bool (collector::*)() const;

  void note(const collector& attempt, text_met column) { errors_.emplace_back(attempt.stop_message(), column); }
  void refuse(const collector& attempt) const {
    for (const auto& [message, column] : errors_) {
      if (!(attempt.*column)()) throw input_error(message);
    }
  }

 private:
  std::vector<std::pair<std::string, text_met>> errors_;
};

std::vector<input_file> open_all(std::span<const std::filesystem::path> files, const std::vector<std::string>& names) {
  if (!names.empty() && names.size() != files.size()) {
    throw option_error("names", fmt::format("{} given, {} wanted, one for each file", names.size(), files.size()));
  }
  std::vector<input_file> opened;
  for (std::size_t i = 0; i < files.size(); ++i) opened.emplace_back(files[i], names.empty() ? "" : names[i]);
  return opened;
}

std::string describe_ids(id_kind kind, const std::string& first_text) {
  return kind == id_kind::number ? "numbers" : fmt::format("text (first at {})", first_text);
}

}  // namespace

ratings read_ratings(std::span<const std::filesystem::path> files, const prepare_options& options,
                     const run_control& control, row_spool* spool) {
  using reason = parse_stop::reason;
  id_kind users = id_kind::number;
  id_kind items = id_kind::number;
  std::string first_text_user;
  std::string first_text_item;
  too_wide numbers;
  const std::vector<input_file> inputs = open_all(files, options.table.names);
  for (;;) {
    ratings result;
    reading attempt(options, users, items, spool, control);
    reason outcome{};
    try {
      outcome = attempt.run(inputs, result);
    } catch (const input_error&) {
      numbers.refuse(attempt.all());  // errors of earlier lines first
      throw;
    }
    if (outcome == reason::none) {
      numbers.refuse(attempt.all());
      result.detected.user_ids = describe_ids(users, first_text_user);
      result.detected.item_ids = describe_ids(items, first_text_item);
      return result;
    }
    // Read again instead of converted: "007" and "7" are one number, but two texts.
    const bool in_users = outcome == reason::text_user || outcome == reason::wide_user;
    (in_users ? users : items) = id_kind::text;
    (in_users ? first_text_user : first_text_item) = attempt.all().stop_message();
    if (outcome == reason::wide_user) numbers.note(attempt.all(), &collector::text_users);
    if (outcome == reason::wide_item) numbers.note(attempt.all(), &collector::text_items);
  }
}

}  // namespace negpipe::ingest
