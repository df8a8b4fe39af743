#include "record_folders.hpp"

#include <map>
#include <optional>

#include "files.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "whole_number.hpp"

namespace negpipe::pipeline {

namespace fs = std::filesystem;

namespace {

/// Returns the number between prefix and suffix, if the name has this form.
std::optional<std::uint64_t> number_in(std::string_view name, std::string_view prefix, std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size()) return {};
  const std::string_view digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  return support::whole_number<std::uint64_t>(digits);
}

/// Returns the entries of a folder by the number in their names.
std::multimap<std::uint64_t, fs::path> numbered_entries(const fs::path& folder, std::string_view prefix,
                                                        std::string_view suffix) {
  std::multimap<std::uint64_t, fs::path> entries;
  support::visit_entries(folder, [&](const fs::path& entry) {
    if (const auto number = number_in(entry.filename().string(), prefix, suffix)) entries.emplace(*number, entry);
  });
  return entries;
}

}  // namespace

std::vector<record_folder> find_record_folders(const fs::path& out) {
  std::vector<record_folder> folders;
  const fs::path training = out / record::training_folder;
  if (support::is_folder(training)) {
    for (const auto& [cycle, path] : numbered_entries(training, "cycle_", "")) {
      folders.push_back({path, path.filename().string(), false, cycle});
    }
  }
  const fs::path evaluation = out / record::evaluation_folder;
  if (support::is_folder(evaluation)) folders.push_back({evaluation, std::string(record::evaluation_folder), true});
  if (folders.empty()) {
    throw format_error(out.string() + " holds no records: neither " + std::string(record::training_folder) +
                       "/cycle_* nor " + std::string(record::evaluation_folder) +
                       " exists in it; give the folder that generate wrote to (`out`)");
  }
  return folders;
}

std::vector<fs::path> find_cycle_folders(const fs::path& out, std::uint64_t first, std::uint64_t count) {
  std::vector<fs::path> found;
  const fs::path training = out / record::training_folder;
  if (!support::is_folder(training)) return found;
  for (const auto& [cycle, path] : numbered_entries(training, "cycle_", "")) {
    // A name such as cycle_7 has the wrong number of digits and does not conflict.
    const bool is_one = cycle >= first && cycle - first < count && path.filename() == record::cycle_folder_name(cycle);
    if (is_one) found.push_back(path);
  }
  return found;
}

std::vector<fs::path> find_record_files(const record_folder& folder) {
  const auto prefix = folder.is_evaluation ? record::evaluation_prefix : record::training_prefix;
  std::vector<fs::path> files;
  for (const auto& [number, path] : numbered_entries(folder.path, std::string(prefix) + "_", ".tfrecords")) {
    files.push_back(path);
  }
  return files;
}

}  // namespace negpipe::pipeline
