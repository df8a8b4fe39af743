// Groups rows by user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace negpipe::ingest {

/// The rows of user u, ascending, are rows[offsets[u] .. offsets[u + 1]).
struct user_rows {
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint64_t> rows;

  std::size_t user_count() const { return offsets.size() - 1; }
  std::span<const std::uint64_t> of(std::size_t user) const {
    return std::span(rows).subspan(offsets[user], offsets[user + 1] - offsets[user]);
  }
};

/// Groups rows by counting sort. users[row] is the user of a row, in [0, user_count).
user_rows group_by_user(std::span<const std::int32_t> users, std::size_t user_count);

struct user_range {
  std::size_t begin;
  std::size_t end;
};

/// Returns half-open ranges of users with about the same number of rows, as tasks for a thread pool. offsets are those
/// of user_rows.
std::vector<user_range> split_evenly(std::span<const std::uint64_t> offsets, unsigned thread_count);

}  // namespace negpipe::ingest
