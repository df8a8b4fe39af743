// How prepare splits ratings into training positives, validation items and test items.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace negpipe {

enum class split_kind : std::uint8_t {
  leave_one_out,  ///< test: the last row of each user
  leave_two_out,  ///< test: the last row; validation: the row before it, if there is one
  ratio,          ///< shares of each user's rows, in the order of time
  time,           ///< the same times for all users
};

struct split_options {
  split_kind kind = split_kind::leave_one_out;
  /// split_kind::ratio: shares of training, validation and test rows in any unit; the validation share may be 0. Of n
  /// rows, floor(n * share / sum) are held out for a set, but at least one while one is left for training.
  std::array<double, 3> ratio = {0.8, 0.1, 0.1};
  /// split_kind::time: the first time of the test set, and of the validation set before it (empty: none). A date, or a
  /// number in the unit of the time column.
  std::string test_from;
  std::string validation_from;

  /// Reads "leave-one-out", "leave-two-out", "ratio:0.8,0.1,0.1", "ratio:0.8,0.2" (training and test), "time:T", or
  /// "time:T,U" (validation from T, test from U). Throws option_error.
  static split_options parse(std::string_view text);
  /// Returns the text that parse() reads.
  std::string to_string() const;
};

/// What to do with held-out rows whose user or item has no training row. For given splits and split_kind::time; the
/// other splits keep such items.
enum class unknown_policy : std::uint8_t {
  drop,   ///< drop the rows; prepare_summary counts and names users and items
  keep,   ///< keep them as users and items of the dataset
  error,  ///< refuse the first one
};

/// The files of a given split. Each set is one table of one or more files; its order of rows has no effect.
struct split_files {
  std::span<const std::filesystem::path> training;
  std::span<const std::filesystem::path> test;
  std::span<const std::filesystem::path> validation = {};
};

}  // namespace negpipe
