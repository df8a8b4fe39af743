#include "output_path.hpp"

#include <algorithm>
#include <string>
#include <system_error>

#include "files.hpp"
#include "negpipe/error.hpp"
#include "removal.hpp"

namespace negpipe::support {

namespace fs = std::filesystem;

namespace {

/// Returns whether a folder is the working directory or a parent of it, by any path.
bool holds_working_folder(const fs::path& folder) {
  std::error_code unknown;
  fs::path working = fs::current_path(unknown);
  if (unknown) return false;  // it was removed
  for (;;) {
    if (fs::equivalent(working, folder, unknown)) return true;
    if (!working.has_relative_path()) return false;
    working = working.parent_path();
  }
}

std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  visit_entries(folder, [&](const fs::path& entry) { names.push_back(entry.filename().string()); });
  std::ranges::sort(names);
  return names;
}

/// Returns "a", "a and b", or "a, b and 7 more": enough to recognise a folder.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t max_shown = 3;
  const std::size_t shown = names.size() <= max_shown ? names.size() : max_shown - 1;
  std::string text;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return shown == names.size() ? text : text + " and " + std::to_string(names.size() - shown) + " more";
}

/// Missing parents are created later, but not the target of a dangling link.
void check_parents(const fs::path& path) {
  fs::path parent = path.parent_path();
  while (!is_taken(parent)) parent = parent.parent_path();
  if (support::exists(parent)) return;
  std::error_code failure;
  const fs::path target = fs::read_symlink(parent, failure);
  if (failure) return;  // not a link: a folder that another run made and has removed
  throw option_error(path.string() + " cannot be created: " + parent.string() + " is a link to " + target.string() +
                     ", which does not exist; create that, or choose another path");
}

[[noreturn]] void refuse(const fs::path& folder, const folder_kind& kind, const std::string& found) {
  throw option_error(folder.string() + " " + found + "; `replace` overwrites only " + std::string(kind.name) +
                     " or an empty folder. Choose another path, or remove it yourself");
}

/// Returns the names that the marker lists. Throws io_error if it cannot be read, option_error if it is not negpipe's.
std::vector<std::string> files_of(const fs::path& folder, const folder_kind& kind) {
  try {
    return kind.files(folder);
  } catch (const format_error& failure) {
    refuse(folder, kind, "holds a " + std::string(kind.marker) + " that negpipe did not write (" + failure.what() +
                             ")");
  }
}

}  // namespace

std::vector<std::string> check_replaceable(const fs::path& folder, const folder_kind& kind) {
  if (!is_taken(folder)) return {};  // another run removed it
  if (!is_folder(folder)) refuse(folder, kind, "is not a folder");
  if (holds_working_folder(folder)) {
    throw option_error(folder.string() +
                       " is the working directory or a parent of it, and is never replaced; choose another path");
  }
  if (is_mount_point(folder)) {
    throw option_error(folder.string() + " is a mount point, which cannot be replaced; choose a folder inside it");
  }
  std::vector<std::string> names = entries_of(folder);
  if (names.empty()) return names;
  const std::string marker(kind.marker);
  if (!is_taken(folder / marker)) refuse(folder, kind, "holds " + listed(names) + ", but no " + marker);
  check_removable(folder);
  const std::vector<std::string> ours = files_of(folder, kind);
  std::vector<std::string> foreign;
  for (const std::string& name : names) {
    const bool is_ours = std::ranges::find(ours, name) != ours.end() && !is_link(folder / name) &&
                         is_file(folder / name);
    if (!is_ours) foreign.push_back(name);
  }
  if (!foreign.empty()) refuse(folder, kind, "holds " + listed(foreign) + ", which " + marker + " does not list");
  return names;
}

void check_output_folder(const fs::path& folder, const std::optional<folder_kind>& replaces) {
  const fs::path path = full_path(folder);
  if (!is_taken(path)) return check_parents(path);
  if (replaces) {
    (void)check_replaceable(path, *replaces);
  } else {
    throw option_error(path.string() + " exists already; choose another path, or overwrite it with `replace`");
  }
}

void check_output_file(const fs::path& file, bool replace) {
  if (!is_taken(file)) return;
  if (!replace) {
    throw option_error(file.string() + " exists already; choose another path, or overwrite it with `replace`");
  }
  if (is_file(file)) return;
  throw option_error(file.string() + " is not a regular file, so it is not replaced; choose another path");
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
  // A link inside the folder may lead out of it: without the folder, this path could not reach the link's target.
  std::error_code unknown;
  for (fs::path part = fs::absolute(path, unknown).lexically_normal(); part.has_relative_path();) {
    part = part.parent_path();
    if (holds(part)) return true;
  }
  return false;
}

}  // namespace negpipe::support
