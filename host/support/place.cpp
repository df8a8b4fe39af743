#include "place.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <system_error>

#include "files.hpp"
#include "negpipe/error.hpp"

namespace negpipe::support {

namespace fs = std::filesystem;

namespace {

/// Whether a folder is the working directory or one above it, by whatever name.
bool holds_working_folder(const fs::path& folder) {
  std::error_code unknown;
  fs::path working = fs::current_path(unknown);
  if (unknown) return false;  // one that was removed is in nobody's way
  for (;;) {
    if (fs::equivalent(working, folder, unknown)) return true;
    if (!working.has_relative_path()) return false;
    working = working.parent_path();
  }
}

std::set<std::string> entries_of(const fs::path& folder) {
  std::set<std::string> names;
  visit_entries(folder, [&](const fs::path& entry) { names.insert(entry.filename().string()); });
  return names;
}

bool bears(const fs::path& folder, const folder_mark& mark) {
  const fs::path path = folder / mark.file;
  if (!is_file(path)) return false;
  if (mark.content.empty()) return true;
  const mapped_file file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  return text.find(mark.content) != std::string_view::npos;
}

/// "a", "a and b", "a, b and 7 more": enough to know a folder again.
std::string told(const std::set<std::string>& names) {
  constexpr std::size_t most = 3;
  const std::size_t shown = names.size() <= most ? names.size() : most - 1;
  std::string text;
  std::size_t number = 0;
  for (auto name = names.begin(); number < shown; ++name, ++number) {
    if (number > 0) text += number + 1 == names.size() ? " and " : ", ";
    text += *name;
  }
  return shown == names.size() ? text : text + " and " + std::to_string(names.size() - shown) + " more";
}

/// Parents that are not there are made, but not where a link stands for one.
void check_parents(const fs::path& place) {
  fs::path parent = place.parent_path();
  while (!is_taken(parent)) parent = parent.parent_path();
  if (support::exists(parent)) return;
  std::error_code failure;
  const fs::path target = fs::read_symlink(parent, failure);
  if (failure) return;  // no link: a folder that went meanwhile, with another run that had made it
  throw option_error(place.string() + " cannot be made: " + parent.string() + " is a link to " + target.string() +
                     ", which is not there; make that, or choose another place");
}

}  // namespace

void check_folder_place(const fs::path& folder, const std::optional<folder_mark>& replaces) {
  const fs::path place = full_path(folder);
  if (!is_taken(place)) return check_parents(place);
  const std::string name = place.string();
  if (!replaces) throw option_error(name + " exists already; choose another place, or --force to replace it");
  const folder_mark& mark = *replaces;
  const std::string limits = "; --force replaces nothing but " + std::string(mark.kind) +
                             " or an empty folder. Choose another place, or remove it yourself";
  if (!is_folder(place)) throw option_error(name + " is no folder" + limits);
  if (holds_working_folder(place)) {
    throw option_error(name + " is the working directory, or holds it, and is not replaced; choose another place");
  }
  if (is_mount_point(place)) {
    throw option_error(name + " is a mount point, which cannot be replaced; choose a folder inside it");
  }
  const std::set<std::string> names = entries_of(place);
  if (names.empty() || bears(place, mark)) return;
  const std::string file(mark.file);
  throw option_error(name +
                     (names.contains(file) ? " holds a " + file + " that is not of this program"
                                           : " holds " + told(names) + ", but no " + file) +
                     limits);
}

void check_file_place(const fs::path& file, bool replace) {
  if (!is_taken(file)) return;
  if (!replace) {
    throw option_error(file.string() + " exists already; choose another place, or --force to replace it");
  }
  if (is_file(file)) return;
  throw option_error(file.string() + " is no file; --force replaces nothing else here. Choose another place");
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  const auto resolved = [](const fs::path& any) {
    std::error_code unknown;
    const fs::path known = fs::weakly_canonical(full_path(any), unknown);
    return unknown ? full_path(any) : known;
  };
  const fs::path whole = resolved(folder);
  const auto holds = [&](const fs::path& any) {
    const fs::path rest = resolved(any).lexically_relative(whole);
    return !rest.empty() && *rest.begin() != "..";
  };
  if (holds(path)) return true;
  // A link in the folder may lead out of it again: what is reached by it is out of reach without the folder.
  std::error_code unknown;
  for (fs::path part = fs::absolute(path, unknown).lexically_normal(); part.has_relative_path();) {
    part = part.parent_path();
    if (holds(part)) return true;
  }
  return false;
}

}  // namespace negpipe::support
