#include "arrow_copy.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace negpipe::ingest {

namespace {

constexpr std::int64_t rows_per_wave = std::int64_t{1} << 20;  // between reports of progress
constexpr std::size_t buffer_rows = 4096;                      // values are appended by the buffer

/// Calls body with the values of consecutive rows of an integer column, as a span of their type.
template <typename Body>
void with_values(const arrow_input& table, const ArrowArray& batch, std::size_t i, std::int64_t begin, std::int64_t end,
                 const Body& body) {
  const ArrowArray& column = *batch.children[i];
  const auto call = [&]<typename T>(T) {
    const T* first = static_cast<const T*>(column.buffers[1]) + column.offset + batch.offset;
    body(std::span(first + begin, first + end));
  };
  if (begin == end) return;
  switch (table.type(i).kind) {
    case arrow_kind::int8: return call(std::int8_t{});
    case arrow_kind::int16: return call(std::int16_t{});
    case arrow_kind::int32: return call(std::int32_t{});
    case arrow_kind::uint8: return call(std::uint8_t{});
    case arrow_kind::uint16: return call(std::uint16_t{});
    case arrow_kind::uint32: return call(std::uint32_t{});
    case arrow_kind::uint64: return call(std::uint64_t{});  // below 2^63, see can_copy_columns
    default: return call(std::int64_t{});
  }
}

template <typename Body>
void for_each_batch(const arrow_input& table, std::size_t i, const Body& body) {
  for (const ArrowArray& batch : table.batches) with_values(table, batch, i, 0, batch.length, body);
}

bool fits_int64(const arrow_input& table, std::size_t i) {
  bool fits = true;
  for_each_batch(table, i, [&]<typename T>(std::span<const T> values) {
    if constexpr (std::is_same_v<T, std::uint64_t>) fits = fits && (values.empty() || std::in_range<std::int64_t>(
                                                                                          std::ranges::max(values)));
  });
  return fits;
}

/// Numbers the ids of a column.
class id_numbering {
 public:
  id_numbering(const arrow_input& table, std::size_t column, id_dictionary& ids) : ids_(ids) {
    std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
    std::int64_t highest = std::numeric_limits<std::int64_t>::min();
    for_each_batch(table, column, [&](auto values) {
      const auto [low, high] = std::ranges::minmax(values);
      lowest = std::min(lowest, static_cast<std::int64_t>(low));
      highest = std::max(highest, static_cast<std::int64_t>(high));
    });
    lowest_ = lowest;
    const std::uint64_t range = static_cast<std::uint64_t>(highest) - static_cast<std::uint64_t>(lowest);
    // As much memory as the numbers of the rows, or less.
    if (lowest <= highest && range < table.row_count() + buffer_rows) numbers_.assign(range + 1, unset);
  }

  template <typename T>
  void append(std::span<const T> values, std::vector<std::int32_t>& numbers) {
    std::array<std::int32_t, buffer_rows> buffer;
    for (std::size_t done = 0; done < values.size(); done += buffer_rows) {
      const auto some = values.subspan(done, std::min(buffer_rows, values.size() - done));
      if (numbers_.empty()) {
        std::ranges::transform(some, buffer.begin(), [&](T id) { return ids_.add(static_cast<std::int64_t>(id)); });
      } else {
        std::ranges::transform(some, buffer.begin(), [&](T id) { return number_of(static_cast<std::int64_t>(id)); });
      }
      numbers.insert(numbers.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(some.size()));
    }
  }

 private:
  static constexpr std::int32_t unset = -1;

  std::int32_t number_of(std::int64_t id) {
    std::int32_t& number = numbers_[static_cast<std::uint64_t>(id) - static_cast<std::uint64_t>(lowest_)];
    if (number == unset) number = ids_.add(id);
    return number;
  }

  id_dictionary& ids_;
  std::int64_t lowest_ = 0;
  std::vector<std::int32_t> numbers_;  // of the ids from lowest_ on; empty if they are too far apart
};

/// Converts times to seconds and fractions.
class time_column {
 public:
  time_column(const arrow_type& type, rating_columns& out) : type_(type), out_(out) {}

  template <typename T>
  void append(std::span<const T> values) {
    const std::int64_t ticks = type_.ticks_per_second;
    if (ticks == 1'000) {
      append_ticks<1'000>(values);
    } else if (ticks == 1'000'000) {
      append_ticks<1'000'000>(values);
    } else if (ticks == 1'000'000'000) {
      append_ticks<1'000'000'000>(values);
    } else if (type_.is_days) {
      append_by(values, [](T days) { return instant{static_cast<std::int64_t>(days) * 86'400, 0}; });
    } else {
      append_whole(values);
    }
  }

 private:
  /// A constant number of ticks: the compiler replaces the divisions.
  template <std::int64_t Ticks, typename T>
  void append_ticks(std::span<const T> values) {
    append_by(values, [](T value) { return instant_of_ticks(static_cast<std::int64_t>(value), Ticks); });
  }

  template <typename T>
  void append_whole(std::span<const T> values) {
    out_.timestamps.insert(out_.timestamps.end(), values.begin(), values.end());
    if (!out_.fractions.empty()) out_.fractions.resize(out_.timestamps.size(), 0);
  }

  template <typename T, typename Convert>
  void append_by(std::span<const T> values, const Convert& convert) {
    std::array<std::int64_t, buffer_rows> whole;
    std::array<std::uint64_t, buffer_rows> fractions;
    for (std::size_t done = 0; done < values.size(); done += buffer_rows) {
      const std::size_t count = std::min(buffer_rows, values.size() - done);
      std::uint64_t any = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const instant time = convert(values[done + i]);
        whole[i] = time.whole;
        fractions[i] = time.fraction;
        any |= time.fraction;
      }
      if (any != 0) out_.fractions.resize(out_.timestamps.size(), 0);
      out_.timestamps.insert(out_.timestamps.end(), whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(count));
      if (any == 0 && out_.fractions.empty()) continue;
      out_.fractions.insert(out_.fractions.end(), fractions.begin(),
                            fractions.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }

  arrow_type type_;
  rating_columns& out_;
};

/// Part of a batch.
struct row_range {
  const ArrowArray* batch;
  std::int64_t begin;
  std::int64_t end;
};

/// Takes the next rows of a table, of as many batches as are needed for a wave.
class wave_reader {
 public:
  explicit wave_reader(const arrow_input& table) : table_(table) {}

  std::vector<row_range> next() {
    std::vector<row_range> ranges;
    for (std::int64_t rows = 0; rows < rows_per_wave && batch_ < table_.batches.size();) {
      const ArrowArray& batch = table_.batches[batch_];
      const std::int64_t count = std::min(rows_per_wave - rows, batch.length - row_);
      ranges.push_back({&batch, row_, row_ + count});
      rows += count;
      row_ += count;
      if (row_ == batch.length) {
        ++batch_;
        row_ = 0;
      }
    }
    return ranges;
  }

 private:
  const arrow_input& table_;
  std::size_t batch_ = 0;
  std::int64_t row_ = 0;
};

}  // namespace

bool can_copy_columns(const arrow_input& table, const arrow_reading& how) {
  if (how.users == id_kind::text || how.items == id_kind::text || table.rating || how.rules.words.has_integers()) {
    return false;
  }
  for (const auto i : {std::optional(table.user), std::optional(table.item), table.time}) {
    if (!i) continue;
    const arrow_type type = table.type(*i);
    if (type.kind > arrow_kind::uint64 || type.is_dictionary() || !fits_int64(table, *i)) return false;
    for (const ArrowArray& batch : table.batches) {
      const ArrowArray& column = *batch.children[*i];
      const std::int64_t first = batch.offset;
      if (has_nulls(batch, first, first + batch.length)) return false;
      if (has_nulls(column, column.offset + first, column.offset + first + batch.length)) return false;
    }
  }
  return true;
}

void copy_columns(const arrow_input& table, support::thread_pool& pool, const run_control& control, ratings& all) {
  rating_columns& columns = all.columns;
  id_numbering users(table, table.user, all.user_ids);
  id_numbering items(table, table.item, all.item_ids);
  time_column times(table.time ? table.type(*table.time) : arrow_type{}, columns);
  const std::uint64_t total = table.row_count();
  const std::uint64_t before = columns.row_count();
  wave_reader waves(table);
  for (std::vector<row_range> wave = waves.next(); !wave.empty(); wave = waves.next()) {
    control.throw_if_stopped();
    control.report({"reading ratings", "rows", columns.row_count() - before, total});
    pool.for_each(table.time ? 3 : 2, [&](std::uint64_t column) {
      const std::size_t i = column == 0 ? table.user : column == 1 ? table.item : *table.time;
      for (const row_range& rows : wave) {
        with_values(table, *rows.batch, i, rows.begin, rows.end, [&](auto values) {
          if (column == 0) users.append(values, columns.users);
          if (column == 1) items.append(values, columns.items);
          if (column == 2) times.append(values);
        });
      }
    });
  }
}

}  // namespace negpipe::ingest
