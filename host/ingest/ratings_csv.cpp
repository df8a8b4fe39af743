#include "ratings_csv.hpp"

#include <charconv>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

namespace {

/// Buffers text for a file.
class text_buffer {
 public:
  explicit text_buffer(support::file& out) : out_(out), bytes_(size) {}

  void add(std::string_view text) {
    reserve(text.size());
    used_ += text.copy(bytes_.data() + used_, text.size());
  }
  void add(std::int64_t value) {
    constexpr std::size_t longest = 20;
    reserve(longest);
    char* const begin = bytes_.data() + used_;
    used_ += static_cast<std::size_t>(std::to_chars(begin, begin + longest, value).ptr - begin);
  }
  void flush() {
    out_.write(std::as_bytes(std::span(bytes_).first(used_)));
    used_ = 0;
  }

 private:
  static constexpr std::size_t size = std::size_t{1} << 20;

  void reserve(std::size_t bytes) {
    if (used_ + bytes > size) flush();
  }

  support::file& out_;
  std::vector<char> bytes_;
  std::size_t used_ = 0;
};

void write_rows(support::file& out, const dataset& data, const run_control& control) {
  constexpr std::int64_t first_timestamp = 1'000'000'000;
  constexpr std::int32_t users_a_report = 4096;
  text_buffer text(out);
  std::int64_t timestamp = first_timestamp;
  const auto add_row = [&](std::int32_t user, std::int32_t item) {
    text.add(data.user_ids().numbers_or_offsets()[static_cast<std::size_t>(user)]);
    text.add(",");
    text.add(data.item_ids().numbers_or_offsets()[static_cast<std::size_t>(item)]);
    text.add(",5,");
    text.add(timestamp++);
    text.add("\n");
  };
  text.add("user_id,item_id,rating,timestamp\n");
  for (std::int32_t user = 0; user < data.user_count(); ++user) {
    if (user % users_a_report == 0) {
      control.throw_if_stopped();
      control.report({"writing ratings", "users", static_cast<std::uint64_t>(user),
                      static_cast<std::uint64_t>(data.user_count())});
    }
    const auto u = static_cast<std::size_t>(user);
    const auto begin = static_cast<std::size_t>(data.user_offsets()[u]);
    const auto end = static_cast<std::size_t>(data.user_offsets()[u + 1]);
    for (const std::int32_t item : data.positive_items().subspan(begin, end - begin)) add_row(user, item);
    add_row(user, data.heldout_items()[u]);
  }
  text.flush();
}

}  // namespace

staged_ratings::staged_ratings(const std::filesystem::path& path, const dataset& data, const run_control& control)
    : staged_(path) {
  write_rows(staged_.out(), data, control);
  staged_.finish();
}

}  // namespace negpipe::ingest
