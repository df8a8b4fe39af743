#include "user_rows.hpp"

#include <algorithm>

namespace negpipe::ingest {

user_rows group_by_user(std::span<const std::int32_t> users, std::size_t user_count) {
  user_rows grouped;
  grouped.offsets.assign(user_count + 1, 0);
  for (const std::int32_t user : users) ++grouped.offsets[static_cast<std::size_t>(user) + 1];
  for (std::size_t u = 0; u < user_count; ++u) grouped.offsets[u + 1] += grouped.offsets[u];
  std::vector<std::uint64_t> next(grouped.offsets.begin(), grouped.offsets.end() - 1);
  grouped.rows.resize(users.size());
  for (std::uint64_t row = 0; row < users.size(); ++row) {
    grouped.rows[next[static_cast<std::size_t>(users[row])]++] = row;
  }
  return grouped;
}

std::vector<user_range> split_evenly(std::span<const std::uint64_t> offsets, unsigned thread_count) {
  constexpr std::uint64_t ranges_per_thread = 8;  // limits the time that threads wait for the largest range
  const std::uint64_t target = offsets.back() / (thread_count * ranges_per_thread) + 1;
  const std::size_t user_count = offsets.size() - 1;
  std::vector<user_range> ranges;
  for (std::size_t begin = 0; begin < user_count;) {
    const auto end_offset =
        std::lower_bound(offsets.begin() + static_cast<std::ptrdiff_t>(begin), offsets.end(), offsets[begin] + target);
    const std::size_t end = std::min(static_cast<std::size_t>(end_offset - offsets.begin()), user_count);
    ranges.push_back({begin, end});
    begin = end;
  }
  return ranges;
}

}  // namespace negpipe::ingest
