// Makes a dataset of the shards that another program wrote.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "description.hpp"
#include "folder_reader.hpp"
#include "negpipe/error.hpp"
#include "removal.hpp"
#include "stored_dataset.hpp"

namespace negpipe {

namespace fs = std::filesystem;

namespace {

/// Throws format_error if two users, or two items, have the same id.
void require_distinct(const raw_ids& ids, std::string_view name, const fs::path& path) {
  std::vector<std::size_t> order(ids.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto text = [&ids](std::size_t i) {
    const auto offsets = ids.numbers_or_offsets();
    return std::string_view(ids.bytes().data() + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
  };
  const auto less = [&](std::size_t a, std::size_t b) {
    return ids.is_text() ? text(a) < text(b) : ids.numbers_or_offsets()[a] < ids.numbers_or_offsets()[b];
  };
  std::ranges::sort(order, less);
  const auto found = std::ranges::adjacent_find(order, [&](std::size_t a, std::size_t b) { return !less(a, b); });
  if (found == order.end()) return;
  throw format_error(fmt::format("{}: {} {} and {} are both {}; write each id once", path.string(), name,
                                 std::min(found[0], found[1]), std::max(found[0], found[1]), ids.to_string(*found)));
}

void require_unjoined(const fs::path& shards) {
  if (support::exists(shards / shards_file)) return;
  if (support::exists(shards / description_file)) {
    throw option_error(fmt::format("{} is a dataset already: it has a {}, and no {}; rename it, or copy it",
                                   shards.string(), description_file, shards_file));
  }
  throw format_error(fmt::format("{} has no {}, which describes the shards; give the folder that they were written to",
                                 shards.string(), shards_file));
}

/// Throws option_error for a file that is not part of the dataset: it would be published with it. Throws it for a
/// symbolic link too: the dataset would change with the link's target.
void refuse_other_files(const fs::path& shards, const nlohmann::ordered_json& arrays) {
  const std::vector<std::string> listed = files_of_arrays(arrays);
  std::set<std::string, std::less<>> known(listed.begin(), listed.end());
  known.insert({std::string(shards_file), std::string(description_file)});
  const std::string unfinished = fmt::format(".{}.", description_file);  // of a call that was interrupted
  std::vector<fs::path> leftovers;
  support::visit_entries(shards, [&](const fs::path& entry) {
    const std::string name = entry.filename().string();
    if (known.contains(name)) {
      if (!support::is_link(entry)) return;
      throw option_error(entry.string() + " is a symbolic link; replace it by a copy of the file");
    }
    if (!name.starts_with(unfinished)) {
      throw option_error(fmt::format("{} is not listed in {}; move it elsewhere", entry.string(), shards_file));
    }
    leftovers.push_back(entry);
  });
  for (const fs::path& path : leftovers) support::remove_hidden_tree(path);
}

/// Renames the folder to its final path, then removes shards.json. A failure leaves it without dataset.json, as it was;
/// a kill leaves a dataset, or shards that can be joined.
void publish_joined(const fs::path& shards, const fs::path& folder,
                    const std::optional<support::folder_kind>& replaced) {
  try {
    support::staged_folder(support::staged_folder::adopted{support::full_path(shards)}, folder, replaced).publish();
  } catch (...) {
    if (support::exists(shards / description_file)) support::remove_hidden_tree(shards / description_file);
    throw;
  }
  support::remove_hidden_tree(folder / shards_file);
}

/// The rename would fail, after the shards were read.
void check_rename(const fs::path& shards, const fs::path& folder) {
  if (support::lies_in(folder, shards)) {
    throw option_error("out", fmt::format("{} lies in {}, which is renamed to it; choose a folder elsewhere",
                                          folder.string(), shards.string()));
  }
  fs::path parent = support::full_path(folder).parent_path();
  while (!support::exists(parent) && parent.has_relative_path()) parent = parent.parent_path();
  struct stat from {};
  struct stat to {};
  if (::stat(shards.c_str(), &from) != 0 || ::stat(parent.c_str(), &to) != 0 || from.st_dev == to.st_dev) return;
  throw option_error("out", fmt::format("{} is on another file system than {}, which is renamed to it; choose a folder "
                                        "beside the shards",
                                        folder.string(), shards.string()));
}

}  // namespace

void dataset::join(const fs::path& shards, const fs::path& folder, bool replace) {
  check_path(folder, replace);
  require_unjoined(shards);
  check_rename(shards, folder);
  const fs::path unjoined = shards / shards_file;
  stored source{shards, shards_file};
  const std::shared_ptr<storage> loaded = source.read(/*map_from_bytes=*/0);
  refuse_other_files(shards, source.description["arrays"]);
  loaded->digest = digest_of(loaded->arrays_in_use);
  const dataset joined{std::shared_ptr<storage>(loaded)};
  require_distinct(joined.user_ids(), "users", unjoined);
  require_distinct(joined.item_ids(), "items", unjoined);
  write_description(shards, describe(joined, /*is_sharded=*/true), source.description["arrays"]);
  publish_joined(shards, folder, replaceable(replace));
}

}  // namespace negpipe
