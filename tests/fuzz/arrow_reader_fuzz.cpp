// Rows as an Arrow stream whose column types, nulls and batches the bytes choose. The outcome must be equal for one
// batch and several, one thread and three, and it must be that of a CSV file with the same rows: an equal dataset, or a
// refusal. The bytes after the rows replace bytes of the buffers; then the reader must refuse or accept them.
#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "memory_file.hpp"
#include "negpipe/arrow.hpp"
#include "negpipe/error.hpp"
#include "support/arrow_columns.hpp"

namespace {

using namespace negpipe;
using test::arrow_batch;
using test::arrow_values;

class choices {
 public:
  explicit choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  unsigned below(unsigned count) {
    if (bytes_.empty()) return 0;
    const unsigned chosen = bytes_[0] % count;
    bytes_ = bytes_.subspan(1);
    return chosen;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

constexpr std::array words = {"a", "b", "NA", "7", "007", "", "null", "\xc3\xa9", "a \"long\" id, quoted", "8", "-1"};

/// A column in the making: an index into the words, and a number.
struct cells {
  std::vector<std::string> texts;
  std::vector<std::int64_t> numbers;
  std::vector<bool> valid;

  void add(choices& from) {
    const unsigned chosen = from.below(24);
    valid.push_back(chosen != 23);
    texts.emplace_back(words[chosen % words.size()]);
    numbers.push_back(static_cast<std::int64_t>(chosen) - 1);
  }
};

/// How a column is encoded, and how its cells look in a file.
struct encoding {
  unsigned kind;
  bool is_text() const { return kind >= 10; }

  std::string in_file(const cells& column, std::size_t row) const {
    if (!column.valid[row]) return "";
    if (!is_text()) {
      const std::int64_t number = column.numbers[row];
      const bool is_unsigned = kind >= 4 && kind < 8;
      if (is_unsigned && number < 0) return fmt::format("{}", static_cast<std::uint64_t>(number) >> (64 - bits()));
      return fmt::format("{}{}", number, kind == 9 ? ".125" : kind == 8 ? ".0" : "");  // .0: no word of na_values
    }
    std::string quoted = "\"";
    for (const char c : column.texts[row]) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
  }
  int bits() const { return 8 << kind % 4; }

  template <typename T>
  static arrow_values cast(const std::string& name, const char* format, const cells& column, std::size_t begin,
                           std::size_t end, double more = 0) {
    std::vector<T> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(static_cast<T>(static_cast<T>(column.numbers[i]) + static_cast<T>(more)));
    }
    return test::numbers(name, format, values, slice(column.valid, begin, end));
  }

  template <typename T>
  static std::vector<T> slice(const std::vector<T>& values, std::size_t begin, std::size_t end) {
    return {values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(end)};
  }

  arrow_values encode(const std::string& name, const cells& column, std::size_t begin, std::size_t end) const {
    const auto texts = slice(column.texts, begin, end);
    const auto valid = slice(column.valid, begin, end);
    switch (kind) {
      case 0: return cast<std::int8_t>(name, "c", column, begin, end);
      case 1: return cast<std::int16_t>(name, "s", column, begin, end);
      case 2: return cast<std::int32_t>(name, "i", column, begin, end);
      case 3: return cast<std::int64_t>(name, "l", column, begin, end);
      case 4: return cast<std::uint8_t>(name, "C", column, begin, end);
      case 5: return cast<std::uint16_t>(name, "S", column, begin, end);
      case 6: return cast<std::uint32_t>(name, "I", column, begin, end);
      case 7: return cast<std::uint64_t>(name, "L", column, begin, end);
      case 8: return cast<std::int64_t>(name, "tsn:", column, begin, end);
      case 9: return cast<double>(name, "g", column, begin, end, 0.125);
      case 10: return test::texts(name, texts, valid);
      case 11: return test::texts<std::int64_t>(name, texts, valid);
      case 12: {
        arrow_values views = test::text_views(name, texts);
        views.buffers[0] = test::bitmap_of(valid);
        return views;
      }
      default: {
        std::vector<std::int8_t> indices(texts.size());
        for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int8_t>(i);
        return test::dictionary_of("c", indices, test::texts(name, texts), valid);
      }
    }
  }
};

struct rows {
  std::array<cells, 4> columns;
  std::array<encoding, 4> encodings;
  static constexpr std::array names = {"user", "item", "rating", "time"};  // the order in which a row is read

  std::size_t size() const { return columns[0].valid.size(); }

  arrow_batch batch(std::size_t begin, std::size_t end) const {
    arrow_batch made;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      made.columns.push_back(encodings[i].encode(names[i], columns[i], begin, end));
    }
    return made;
  }

  std::string csv() const {
    std::string text = "user,item,rating,time\n";
    for (std::size_t row = 0; row < size(); ++row) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        text += encodings[i].in_file(columns[i], row) + (i + 1 < columns.size() ? "," : "\n");
      }
    }
    return text;
  }
};

template <typename Prepare>
std::string outcome(const Prepare& prepare) {
  try {
    return prepare().digest();
  } catch (const input_error& refusal) {
    return std::string("refused: ") + refusal.what();
  }
}

std::string read(std::vector<arrow_batch> batches, const prepare_options& options, unsigned threads) {
  test::arrow_batches stream(std::move(batches));
  run_control control;
  control.threads = threads;
  const std::string found = outcome([&] { return prepare(arrow_table{stream.stream()}, options, control); });
  if (stream.unreleased() != 0) std::abort();
  return found;
}

/// Changes bytes of values, never of the offsets that only the producer can vouch for.
arrow_batch damaged(arrow_batch batch, choices& from) {
  while (!from.empty()) {
    arrow_values& column = batch.columns[from.below(4)];
    std::vector<char>& buffer = column.buffers[column.format[0] == 'u' || column.format[0] == 'U' ? 2 : 1];
    const unsigned at = from.below(256);
    const auto value = static_cast<char>(from.below(256));
    if (column.format != "vu" && !buffer.empty()) buffer[at % buffer.size()] = value;
  }
  return batch;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  choices from({data, size});
  prepare_options options;
  options.min_ratings = from.below(3);
  options.duplicates = duplicate_policy::last;
  options.table.missing = static_cast<missing_policy>(from.below(2));
  if (from.below(2) == 1) options.table.na_values = {"-1", "7"};
  if (from.below(2) == 1) options.min_rating = 3;
  rows made;
  for (std::size_t i = 0; i < 4; ++i) {
    made.encodings[i] = {from.below(i < 2 ? 14 : i == 2 ? 8 : 10)};
    if (i < 2 && (made.encodings[i].kind == 8 || made.encodings[i].kind == 9)) made.encodings[i].kind = 3;
  }
  const unsigned row_count = from.below(40);
  const std::size_t cut = row_count == 0 ? 0 : from.below(row_count);
  for (unsigned row = 0; row < row_count; ++row) {
    for (cells& column : made.columns) column.add(from);
  }
  const std::string whole = read({made.batch(0, row_count)}, options, 1);
  if (read({made.batch(0, cut), made.batch(cut, row_count)}, options, 3) != whole) std::abort();
  const std::string text = made.csv();
  const auto path = fuzz::memory_file(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  const std::string file = outcome([&] { return prepare(path, options); });
  if (file != whole && !(file.starts_with("refused") && whole.starts_with("refused"))) {
    fmt::print(stderr, "{}\nfile:  {}\nArrow: {}\n", text, file, whole);
    std::abort();
  }
  (void)read({damaged(made.batch(0, row_count), from)}, options, 1);
  return 0;
}
