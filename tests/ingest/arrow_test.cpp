// Arrow streams give the dataset of a file with the same rows, whichever way their columns are read.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/arrow.hpp"
#include "negpipe/error.hpp"
#include "support/arrow_columns.hpp"
#include "support/refusal.hpp"

namespace negpipe {
namespace {

using namespace test;

constexpr std::size_t row_count = 7;
const std::vector<std::int64_t> users = {5, 5, 7, 7, 7, 9, 9};
const std::vector<std::int64_t> items = {10, 11, 11, 12, 10, 11, 12};
const std::vector<std::int64_t> times = {100, 120, 90, 80, 110, 70, 60};
const std::vector<std::string> names = {"x", "y", "y", "a long id of an item", "x", "y", "a long id of an item"};

template <typename T>
std::vector<T> as(const std::vector<std::int64_t>& values, std::int64_t times_by = 1) {
  std::vector<T> cast;
  for (const std::int64_t value : values) cast.push_back(static_cast<T>(value * times_by));
  return cast;
}

arrow_values user_column() { return numbers("user_id", "l", users); }
arrow_values item_column() { return numbers("item_id", "l", items); }
arrow_values time_column() { return numbers("timestamp", "l", times); }

/// A file with the usual rows.
std::string csv() {
  std::string text = "user_id,item_id,timestamp\n";
  for (std::size_t i = 0; i < row_count; ++i) {
    text += std::to_string(users[i]) + "," + std::to_string(items[i]) + "," + std::to_string(times[i]) + "\n";
  }
  return text;
}

dataset made(std::vector<arrow_batch> batches, const prepare_options& options = keep_everyone(), unsigned threads = 1,
             prepare_summary* summary = nullptr) {
  arrow_batches stream(std::move(batches));
  run_control control;
  control.threads = threads;
  dataset data = prepare(arrow_table{stream.stream(), "rows"}, options, control, summary);
  EXPECT_EQ(stream.unreleased(), 0);
  return data;
}

std::string refusal_of(std::vector<arrow_batch> batches, const prepare_options& options = keep_everyone()) {
  arrow_batches stream(std::move(batches));
  const std::string message = refusal([&] { prepare(arrow_table{stream.stream(), "rows"}, options); });
  EXPECT_EQ(stream.unreleased(), 0);
  return message;
}

void expect_usual(const arrow_values& user, const arrow_values& item, const arrow_values& time) {
  const dataset expected = prepare_text(csv());
  const dataset found = made({{{user, item, time}}});
  EXPECT_EQ(found.digest(), expected.digest()) << user.format << " " << item.format << " " << time.format;
  EXPECT_EQ(found.user_ids().to_string(2), "9");
}

TEST(arrow, integers_of_any_width_are_read) {
  const arrow_values time = time_column();
  expect_usual(user_column(), item_column(), time);
  expect_usual(numbers("user_id", "c", as<std::int8_t>(users)), numbers("item_id", "C", as<std::uint8_t>(items)), time);
  expect_usual(numbers("user_id", "s", as<std::int16_t>(users)), numbers("item_id", "S", as<std::uint16_t>(items)),
               numbers("timestamp", "s", as<std::int16_t>(times)));
  expect_usual(numbers("user_id", "i", as<std::int32_t>(users)), numbers("item_id", "I", as<std::uint32_t>(items)),
               numbers("timestamp", "i", as<std::int32_t>(times)));
  expect_usual(numbers("user_id", "L", as<std::uint64_t>(users)), item_column(),
               numbers("timestamp", "L", as<std::uint64_t>(times)));
}

TEST(arrow, times_of_any_type_are_read) {
  for (const auto& [format, ticks] : {std::pair{"tss:", 1}, std::pair{"tsm:UTC", 1'000}, std::pair{"tsu:", 1'000'000},
                                      std::pair{"tsn:", 1'000'000'000}, std::pair{"tdm", 86'400'000}}) {
    expect_usual(user_column(), item_column(), numbers("timestamp", format, as<std::int64_t>(times, ticks)));
  }
  expect_usual(user_column(), item_column(), numbers("timestamp", "tdD", as<std::int32_t>(times)));
  expect_usual(user_column(), item_column(), numbers("timestamp", "g", as<double>(times)));
  expect_usual(user_column(), item_column(), numbers("timestamp", "f", as<float>(times)));
  std::vector<std::string> dates;
  for (const std::int64_t time : times) dates.push_back("2020-01-01T00:0" + std::to_string(time / 60) + ":" +
                                                        std::to_string(10 + time % 60 / 2));
  expect_usual(user_column(), item_column(), texts("timestamp", dates));
}

TEST(arrow, text_of_any_encoding_is_read) {
  const std::string digest = made({{{user_column(), item_column(), time_column()}}}).digest();
  const std::vector<std::string> three = {"x", "y", "a long id of an item"};
  const std::vector<std::int8_t> indices = {0, 1, 1, 2, 0, 1, 2};
  for (const arrow_values& column : {texts("item_id", names), texts<std::int64_t>("item_id", names),
                                     text_views("item_id", names), dictionary_of("c", indices, texts("item_id", three)),
                                     dictionary_of("c", indices, text_views("item_id", three))}) {
    const dataset data = made({{{user_column(), column, time_column()}}});
    EXPECT_EQ(data.digest(), digest) << column.format;
    EXPECT_EQ(data.item_ids().to_string(2), "a long id of an item") << column.format;
  }
}

// Fractions of timestamps order rows, before 1970 too.
TEST(arrow, timestamps_are_rounded_down) {
  prepare_options options = keep_everyone();
  for (const std::vector<std::int64_t>& nanoseconds :
       {std::vector<std::int64_t>{7, 9, 8}, {-3, -1, -2}, {-1'000'000'001, 999'999'999, 1}, {-2, 3, 0}}) {
    const dataset data = made({{{numbers<std::int64_t>("user", "l", {1, 1, 1}),
                                 numbers<std::int64_t>("item", "l", {1, 2, 3}),
                                 numbers("time", "tsn:", nanoseconds)}}});
    EXPECT_EQ(data.item_ids().to_string(static_cast<std::size_t>(data.heldout_items()[0])), "2");
  }
  options.split = split_options::parse("time:1970-01-01T00:00:00.000000002");
  options.unknown = unknown_policy::keep;
  const dataset data = made({{{numbers<std::int64_t>("user", "l", {1, 1, 1}),
                               numbers<std::int64_t>("item", "l", {1, 2, 3}),
                               numbers<std::int64_t>("time", "tsn:", {-1, 1, 2})}}}, options);
  EXPECT_EQ(data.positive_count(), 2U);
}

TEST(arrow, batches_and_offsets_are_respected) {
  const auto sliced = [](std::int64_t begin, std::int64_t end, bool in_columns) {
    arrow_batch batch{{user_column(), item_column(), time_column()}};
    for (arrow_values& column : batch.columns) {
      column.length = in_columns ? end - begin : end;
      column.offset = in_columns ? begin : 0;
    }
    if (!in_columns) batch.offset = begin;
    return batch;
  };
  const std::string expected = prepare_text(csv()).digest();
  EXPECT_EQ(made({sliced(0, 3, false), sliced(3, 3, false), sliced(3, 7, false)}).digest(), expected);
  EXPECT_EQ(made({sliced(0, 0, true), sliced(0, 4, true), sliced(4, 7, true)}).digest(), expected);
}

/// Rows of many users with ids of any spread, in several batches.
std::vector<arrow_batch> many_rows(std::int64_t spread, bool with_bitmap) {
  std::vector<arrow_batch> batches;
  std::uint64_t state = 1;
  for (const std::size_t size : {std::size_t{70'000}, std::size_t{1}, std::size_t{1'100'000}}) {
    std::vector<std::int64_t> user;
    std::vector<std::int64_t> item;
    std::vector<std::int64_t> time;
    for (std::size_t i = 0; i < size; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      user.push_back(static_cast<std::int64_t>(state >> 33) % 5000 * spread - 7);
      item.push_back(static_cast<std::int64_t>(state >> 40) % 3000 * spread);
      time.push_back(static_cast<std::int64_t>(state >> 30) - 1'000'000'000);
    }
    const std::vector<bool> valid(with_bitmap ? size : 0, true);
    batches.push_back({{numbers("user", "l", user, valid), numbers("item", "l", item), numbers("time", "tsm:", time)}});
  }
  return batches;
}

// A na_values integer that does not occur makes every row be looked at.
TEST(arrow, copied_columns_equal_parsed_rows) {
  prepare_options copied = keep_everyone();
  copied.duplicates = duplicate_policy::last;
  prepare_options parsed = copied;
  parsed.table.na_values = {"-1234"};
  for (const std::int64_t spread : {std::int64_t{1}, std::int64_t{1} << 40}) {
    const dataset expected = made(many_rows(spread, false), parsed);
    EXPECT_EQ(made(many_rows(spread, false), copied, 3).digest(), expected.digest());
    EXPECT_EQ(made(many_rows(spread, true), copied, 2).digest(), expected.digest());
    EXPECT_EQ(made(many_rows(spread, false), parsed, 3).digest(), expected.digest());
    EXPECT_EQ(made(many_rows(spread, false), copied).user_ids().to_string(4), expected.user_ids().to_string(4));
  }
}

TEST(arrow, missing_values_are_refused_by_row_or_dropped) {
  const std::vector<bool> third = {true, true, false, true, true, true, true};
  const std::vector<std::string> words = {"x", "y", "NA", "z", "x", "y", "z"};
  prepare_options dropping = keep_everyone();
  dropping.table.missing = missing_policy::drop;
  prepare_options minus = dropping;
  minus.table.na_values = {"90", "-90"};
  std::vector<double> gap = as<double>(times);
  gap[2] = std::numeric_limits<double>::quiet_NaN();
  const struct {
    std::string what;
    arrow_batch batch;
    prepare_options options;
  } cases[] = {
      {"user id is missing: found \"null\"",
       {{numbers("user_id", "l", users, third), item_column(), time_column()}}, dropping},
      {"item id is missing: found \"null\"",
       {{user_column(), numbers("item_id", "l", items, third), time_column()}}, dropping},
      {"item id is missing: found \"NA\"", {{user_column(), texts("item_id", words), time_column()}}, dropping},
      {"timestamp is missing: found \"null\"",
       {{user_column(), item_column(), numbers("timestamp", "tsm:", times, third)}}, dropping},
      {"timestamp is missing: found \"nan\"",
       {{user_column(), item_column(), numbers("timestamp", "g", gap)}}, dropping},
      {"timestamp is missing: found \"90\"", {{user_column(), item_column(), time_column()}}, minus},
      {"value is missing: found \"null\"", {{user_column(), item_column(), time_column()}, third}, dropping},
  };
  for (const auto& example : cases) {
    prepare_options strict = example.options;
    strict.table.missing = missing_policy::error;
    EXPECT_TRUE(refusal_of({example.batch}, strict).starts_with("rows, row 2: the " + example.what))
        << refusal_of({example.batch}, strict);
    prepare_summary summary;
    made({example.batch}, example.options, 1, &summary);
    EXPECT_EQ(summary.rows_missing, 1U) << example.what;
    EXPECT_EQ(summary.rows_read, row_count - 1) << example.what;
  }
}

TEST(arrow, unsigned_ids_beyond_63_bits_are_text) {
  std::vector<std::uint64_t> wide = as<std::uint64_t>(users);
  wide[0] = wide[1] = ~std::uint64_t{0};
  const dataset data = made({{{numbers("user_id", "L", wide), item_column(), time_column()}}});
  EXPECT_TRUE(data.user_ids().is_text());
  EXPECT_EQ(data.user_ids().to_string(0), "18446744073709551615");
  EXPECT_EQ(data.user_ids().to_string(1), "7");
  std::vector<std::uint64_t> late = as<std::uint64_t>(times);
  late[3] = ~std::uint64_t{0};
  prepare_options minus_one = keep_everyone();
  minus_one.table.missing = missing_policy::drop;
  minus_one.table.na_values = {"-1"};
  for (const prepare_options& options : {keep_everyone(), minus_one}) {
    EXPECT_EQ(refusal_of({{{user_column(), item_column(), numbers("timestamp", "L", late)}}}, options),
              "rows, row 3: the timestamp does not fit 64 bits");
  }
}

TEST(arrow, types_that_cannot_be_read_are_named) {
  for (const auto& [format, name] :
       {std::pair{"b", "bool"}, std::pair{"d:38,0", "decimal(38,0)"}, std::pair{"w:16", "fixed_size_binary(16)"},
        std::pair{"tsm:Europe/Berlin", "timestamp[ms, Europe/Berlin]"}, std::pair{"tDn", "duration[ns]"},
        std::pair{"ttu", "time[us]"}, std::pair{"+l", "list"}, std::pair{"g", "double"}, std::pair{"e", "float16"},
        std::pair{"x!", "with the format \"x!\""}}) {
    arrow_values ids = user_column();
    ids.format = format;
    EXPECT_EQ(refusal_of({{{ids, item_column(), time_column()}}}),
              std::string("rows: the column user_id has the Arrow type ") + name +
                  "; wanted integers or text; convert it first");
  }
  EXPECT_TRUE(refusal_of({{{user_column(), dictionary_of<std::int8_t>("c", {0, 0, 0, 0, 0, 0, 0},
                                                                      numbers<double>("item_id", "g", {1})),
                            time_column()}}})
                  .starts_with("rows: the column item_id has the Arrow type dictionary of double"));
}

TEST(arrow, damaged_arrays_are_refused) {
  const auto with = [](const arrow_values& item) {
    return refusal_of({{{user_column(), item, time_column()}}});
  };
  arrow_values item = item_column();
  item.length = 6;
  EXPECT_NE(with(item).find("a column item_id that has 6 rows of 7"), std::string::npos) << with(item);
  item = item_column();
  item.buffers.resize(1);
  EXPECT_NE(with(item).find("a column item_id that has 1 buffers of 2"), std::string::npos) << with(item);
  item = texts("item_id", names);
  const std::int32_t offset = 100'000;
  std::memcpy(item.buffers[1].data() + 4 * sizeof offset, &offset, sizeof offset);
  EXPECT_NE(with(item).find("ends before it begins"), std::string::npos) << with(item);
  item = text_views("item_id", names);
  const std::int32_t buffer = 1;
  std::memcpy(item.buffers[1].data() + 3 * 16 + 8, &buffer, sizeof buffer);
  EXPECT_NE(with(item).find("is in no buffer"), std::string::npos) << with(item);
  for (const std::int8_t index : {std::int8_t{-1}, std::int8_t{3}}) {
    EXPECT_NE(with(dictionary_of<std::int8_t>("c", {0, 1, 1, index, 0, 1, 2}, texts("item_id", {"x", "y", "z"})))
                  .find("row 3: index " + std::to_string(index)),
              std::string::npos);
  }
}

TEST(arrow, errors_of_the_producer_are_reported) {
  arrow_batches stream({{{user_column(), item_column(), time_column()}}}, EIO);
  EXPECT_EQ(refusal<io_error>([&] { prepare(arrow_table{stream.stream(), "rows"}, keep_everyone()); }),
            "rows: the Arrow stream failed: the server is gone");
  EXPECT_EQ(stream.unreleased(), 0);
}

TEST(arrow, of_a_python_traceback_its_exception_is_reported) {
  arrow_batches stream({{{user_column(), item_column(), time_column()}}}, EIO,
                       "Invalid: boom. Detail: Python exception: Traceback (most recent call last):\n"
                       "  File \"rows.py\", line 34, in rows\n    raise failure\nValueError: boom\n");
  EXPECT_EQ(refusal<io_error>([&] { prepare(arrow_table{stream.stream(), "rows"}, keep_everyone()); }),
            "rows: the Arrow stream failed: ValueError: boom");
}

}  // namespace
}  // namespace negpipe
