#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "negpipe/error.hpp"
#include "ratings.hpp"
#include "text_source.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

namespace {

/// Blocks that are parsed side by side while the next ones are read.
struct wave {
  std::vector<std::vector<char>> blocks;
  std::size_t count = 0;
  std::exception_ptr failure;  // what reading met after these blocks

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

class reading {
 public:
  reading(const std::filesystem::path& path, const prepare_options& options, id_kind user_kind, id_kind item_kind,
          const run_control& control)
      : options_(options),
        control_(control),
        rules_{missing_words(options.table.na_values), options.table.missing, options.min_rating},
        source_(path),
        reader_(source_),
        pool_(control.thread_count()) {
    result_.user_ids = id_dictionary(user_kind);
    result_.item_ids = id_dictionary(item_kind);
  }

  /// Reads everything, or stops early where a column that was taken for numbers holds something else. result is whole
  /// only if the outcome is reason::none.
  parse_stop::reason run(ratings& result) {
    constexpr std::size_t blocks_per_thread = 4;
    begin();
    wave now(pool_.thread_count() * blocks_per_thread);
    wave next(now.blocks.size());
    now.read(reader_);
    while (now.count != 0) {
      control_.throw_if_stopped();
      const auto outcome = parse_and_read(now, next);
      if (outcome != parse_stop::reason::none) return outcome;
      if (now.failure) break;
      std::swap(now, next);
      control_.report({"reading ratings", "bytes", source_.bytes_consumed(), source_.file_bytes()});
    }
    if (now.failure) std::rethrow_exception(now.failure);
    result_.digest = source_.digest();
    result = std::move(result_);
    return parse_stop::reason::none;
  }

  /// Whether ids that are not numbers have been met so far, in columns of text.
  bool text_users() const { return text_users_; }
  bool text_items() const { return text_items_; }
  /// What is wrong where run() stopped, and where that is.
  const std::string& complaint() const { return complaint_; }

 private:
  void begin() {
    format_ = detect_format(source_.path(), reader_.beginning(), options_);
    reader_.cut_rows(format_.syntax, format_.comment, format_.rows_begin);
    result_.detected = describe(format_, options_);
    result_.lines = line_numbers(format_.lines_before);
    lines_before_ = format_.lines_before;
  }

  parse_stop::reason parse_and_read(const wave& now, wave& next) {
    std::vector<std::optional<parsed_block>> parsed(now.count);
    pool_.for_each(now.count + 1, [&](std::uint64_t task) {
      if (task == 0) {
        if (!now.failure) next.read(reader_);
        return;
      }
      const std::size_t i = static_cast<std::size_t>(task) - 1;
      const std::string_view text(now.blocks[i].data(), now.blocks[i].size());
      parsed[i] = parse_block(format_, rules_, text, result_.user_ids.kind(), result_.item_ids.kind());
    });
    for (auto& block : parsed) {
      if (const auto outcome = append(*block); outcome != parse_stop::reason::none) return outcome;
      block.reset();
    }
    return parse_stop::reason::none;
  }

  // In the order of the file, so that the first line that is wrong is the one reported.
  parse_stop::reason append(const parsed_block& block) {
    text_users_ = text_users_ || block.text_users;
    text_items_ = text_items_ || block.text_items;
    complaint_ = fmt::format("{}:{}:{}: {}", source_.path().string(), lines_before_ + block.stop.line + 1,
                             block.stop.column, block.stop.message);
    if (block.stop.why == parse_stop::reason::error) throw input_error(complaint_);
    if (block.stop.why != parse_stop::reason::none) return block.stop.why;
    rating_columns& columns = result_.columns;
    result_.lines.add(columns.row_count(), block.blanks);
    append_ids(columns.users, block.users, result_.user_ids.add_all(block.user_ids));
    append_ids(columns.items, block.items, result_.item_ids.add_all(block.item_ids));
    append_times(columns, block);
    result_.rows_missing += block.rows_missing;
    result_.rows_low += block.rows_low;
    lines_before_ += block.line_count;
    return parse_stop::reason::none;
  }

  static void append_ids(std::vector<std::int32_t>& column, const std::vector<std::int32_t>& ids,
                         const std::vector<std::int32_t>& number_of) {
    const std::size_t begin = column.size();
    column.resize(begin + ids.size());
    std::transform(ids.begin(), ids.end(), column.begin() + static_cast<std::ptrdiff_t>(begin),
                   [&](std::int32_t id) { return number_of[static_cast<std::size_t>(id)]; });
  }

  static void append_times(rating_columns& columns, const parsed_block& block) {
    columns.timestamps.insert(columns.timestamps.end(), block.timestamps.begin(), block.timestamps.end());
    if (block.fractions.empty() && columns.fractions.empty()) return;
    columns.fractions.resize(columns.timestamps.size() - block.fractions.size(), 0);
    columns.fractions.insert(columns.fractions.end(), block.fractions.begin(), block.fractions.end());
  }

  const prepare_options& options_;
  const run_control& control_;
  row_rules rules_;
  text_source source_;
  block_reader reader_;
  support::thread_pool pool_;
  ratings_format format_;
  std::uint64_t lines_before_ = 0;  // lines before the block that is appended next
  bool text_users_ = false;
  bool text_items_ = false;
  std::string complaint_;
  ratings result_;
};

/// Numbers beyond 64 bits, by what is wrong with each: it holds unless its column turns out to be text. In the order of
/// the file.
class too_wide {
 public:
  using text_met = bool (reading::*)() const;

  void note(const reading& attempt, text_met column) { complaints_.emplace_back(attempt.complaint(), column); }
  void refuse(const reading& attempt) const {
    for (const auto& [complaint, column] : complaints_) {
      if (!(attempt.*column)()) throw input_error(complaint);
    }
  }

 private:
  std::vector<std::pair<std::string, text_met>> complaints_;
};

}  // namespace

void line_numbers::add(std::uint64_t first_row, const std::vector<blank_lines>& blanks) {
  for (const blank_lines& some : blanks) {
    const std::uint64_t before = blanks_.empty() ? 0 : blanks_.back().count;
    blanks_.push_back({first_row + some.row, before + some.count});
  }
}

std::uint64_t line_numbers::line_of(std::uint64_t row) const {
  const auto after = std::upper_bound(blanks_.begin(), blanks_.end(), row,
                                      [](std::uint64_t value, const blank_lines& some) { return value < some.row; });
  return before_first_ + row + 1 + (after == blanks_.begin() ? 0 : std::prev(after)->count);
}

ratings read_ratings(const std::filesystem::path& path, const prepare_options& options, const run_control& control) {
  using reason = parse_stop::reason;
  id_kind users = id_kind::number;
  id_kind items = id_kind::number;
  std::string first_text_user;
  std::string first_text_item;
  too_wide numbers;
  for (;;) {
    ratings result;
    reading attempt(path, options, users, items, control);
    reason outcome{};
    try {
      outcome = attempt.run(result);
    } catch (const input_error&) {
      numbers.refuse(attempt);  // which stand in earlier lines
      throw;
    }
    if (outcome == reason::none) {
      numbers.refuse(attempt);
      result.first_text_user = first_text_user;
      result.first_text_item = first_text_item;
      return result;
    }
    // Begun again rather than converted: "007" and "7" would be one number but are two texts.
    const bool in_users = outcome == reason::text_user || outcome == reason::wide_user;
    (in_users ? users : items) = id_kind::text;
    (in_users ? first_text_user : first_text_item) = attempt.complaint();
    if (outcome == reason::wide_user) numbers.note(attempt, &reading::text_users);
    if (outcome == reason::wide_item) numbers.note(attempt, &reading::text_items);
  }
}

}  // namespace negpipe::ingest
