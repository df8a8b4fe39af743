// Reads a table in a zip archive with libzip.
#include <fmt/format.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "byte_stream.hpp"
#include "fields.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

struct archive_closer {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct member_closer {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using archive_handle = std::unique_ptr<zip_t, archive_closer>;
using member_handle = std::unique_ptr<zip_file_t, member_closer>;

class zip_member final : public byte_stream {
 public:
  zip_member(std::string name, archive_handle archive, member_handle member)
      : name_(std::move(name)), archive_(std::move(archive)), member_(std::move(member)) {}

  std::size_t read(std::span<char> buffer) override {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      const zip_int64_t got = zip_fread(member_.get(), buffer.data() + filled, buffer.size() - filled);
      if (got < 0) {
        throw input_error(fmt::format("{}: the zip archive is damaged ({}); fetch it again", name_,
                                      zip_file_strerror(member_.get())));
      }
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    return filled;
  }

 private:
  std::string name_;
  archive_handle archive_;
  member_handle member_;  // closed before the archive
};

/// Returns false for folders, hidden files and documentation.
bool may_be_table(std::string_view path) {
  if (path.ends_with('/') || path.starts_with("__MACOSX/")) return false;
  std::string name(path.substr(path.rfind('/') + 1));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name.starts_with('.')) return false;
  constexpr std::array<std::string_view, 4> titles = {"readme", "license", "licence", "copying"};
  constexpr std::array<std::string_view, 4> endings = {".md", ".html", ".pdf", ".sh"};
  const auto begins = [&](std::string_view title) { return name.starts_with(title); };
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  return std::none_of(titles.begin(), titles.end(), begins) && std::none_of(endings.begin(), endings.end(), ends);
}

struct entry {
  zip_uint64_t index;
  std::string path;
};

std::vector<entry> entries_of(zip_t* archive) {
  std::vector<entry> entries;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* path = zip_get_name(archive, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_GUESS);
    if (path != nullptr) entries.push_back({static_cast<zip_uint64_t>(i), path});
  }
  return entries;
}

std::string list_of(const std::vector<entry>& entries) {
  constexpr std::size_t max_shown = 12;
  std::string list;
  for (std::size_t i = 0; i < entries.size() && i < max_shown; ++i) {
    list += (i == 0 ? "" : ", ") + in_quotes(entries[i].path);
  }
  return list + (entries.size() > max_shown ? ", ..." : "");
}

entry choose(const std::string& name, std::vector<entry> entries, const std::string& member) {
  if (!member.empty()) {
    const auto is_it = [&](const entry& each) {
      return each.path == member || each.path.substr(each.path.rfind('/') + 1) == member;
    };
    const auto found = std::find_if(entries.begin(), entries.end(), is_it);
    if (found != entries.end()) return *found;
    throw input_error(
        fmt::format("{}: the archive has no member {}: it has {}", name, in_quotes(member), list_of(entries)));
  }
  const auto is_workbook = [](const entry& each) { return each.path == "xl/workbook.xml"; };
  if (std::any_of(entries.begin(), entries.end(), is_workbook)) {
    throw input_error(name + ": it is an Excel workbook; save the sheet as CSV and give that");
  }
  std::erase_if(entries, [](const entry& each) { return !may_be_table(each.path); });
  if (entries.empty()) throw input_error(name + ": the zip archive holds no table");
  if (entries.size() > 1) {
    throw input_error(fmt::format("{}: the zip archive holds {} files, {}; choose one with `member`", name,
                                  entries.size(), list_of(entries)));
  }
  return entries.front();
}

}  // namespace

std::unique_ptr<byte_stream> open_zip_member(const std::string& name, int descriptor, const std::string& member) {
  int failure = 0;
  const int own = ::dup(descriptor);
  archive_handle archive(own < 0 ? nullptr : zip_fdopen(own, 0, &failure));
  if (!archive) {
    if (own >= 0) ::close(own);
    throw input_error(name + ": the zip archive is damaged or truncated; fetch it again");
  }
  const entry chosen = choose(name, entries_of(archive.get()), member);
  member_handle opened(zip_fopen_index(archive.get(), chosen.index, 0));
  if (!opened) {
    throw input_error(fmt::format("{}: cannot read the archive's member {}: {}", name, in_quotes(chosen.path),
                                  zip_strerror(archive.get())));
  }
  return std::make_unique<zip_member>(name, std::move(archive), std::move(opened));
}

}  // namespace negpipe::ingest
