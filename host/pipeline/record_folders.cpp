#include "record_folders.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "files.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "parts.hpp"
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

namespace {

std::vector<record_folder> published_folders(const fs::path& out) {
  std::vector<record_folder> folders;
  const fs::path training = out / record::training_folder;
  if (support::is_folder(training)) {
    for (const auto& [cycle, path] : numbered_entries(training, "cycle_", "")) {
      folders.push_back({path, path.filename().string(), false, cycle});
    }
  }
  const fs::path evaluation = out / record::evaluation_folder;
  if (support::is_folder(evaluation)) folders.push_back({evaluation, std::string(record::evaluation_folder), true});
  return folders;
}

[[noreturn]] void refuse_empty(const fs::path& out) {
  if (!find_all_parts_folders(out).empty()) {
    throw format_error(out.string() + " holds parts of a run that is not published: publish it, or verify each part "
                                      "(`part`)");
  }
  throw format_error(out.string() + " holds no records: neither " + std::string(record::training_folder) +
                     "/cycle_* nor " + std::string(record::evaluation_folder) +
                     " exists in it; give the folder that generate wrote to (`out`)");
}

/// Adds the hidden folders that a run should have: those that are neither published nor in the list.
void add_missing_folders(const part_run& run, const fs::path& out, std::vector<fs::path>& unpublished) {
  const std::set<fs::path> present(unpublished.begin(), unpublished.end());
  const auto add = [&](std::optional<std::uint64_t> cycle, const fs::path& published) {
    const fs::path hidden = parts_folder(published, run.id());
    if (!present.contains(hidden) && !is_of_run(run, cycle, published)) unpublished.push_back(hidden);
  };
  for (std::uint64_t i = 0; i < run.cycle_count; ++i) {
    const std::uint64_t cycle = run.first_cycle + i;
    add(cycle, out / record::training_folder / record::cycle_folder_name(cycle));
  }
  if (!run.evaluation.empty()) add({}, out / record::evaluation_folder);
}

}  // namespace

std::vector<record_folder> find_record_folders(const fs::path& out) {
  std::vector<record_folder> folders = published_folders(out);
  if (folders.empty()) refuse_empty(out);
  return folders;
}

std::vector<record_folder> find_folders_of_part(const fs::path& out, const run_part& part) {
  std::vector<record_folder> folders = published_folders(out);
  std::vector<fs::path> unpublished = find_all_parts_folders(out);
  if (const auto run = run_of(unpublished)) {
    if (run->part_count != part.count) {
      throw option_error("part", fmt::format("{}/{} given, but {} is of a run in {} parts", part.index, part.count,
                                             unpublished.front().string(), run->part_count));
    }
    add_missing_folders(*run, out, unpublished);
  }
  for (const fs::path& hidden : unpublished) {
    const fs::path published = published_path(hidden);
    const std::string name = published.filename().string();
    const auto cycle = number_in(name, "cycle_", "");
    if (!cycle && name != record::evaluation_folder) continue;
    std::erase_if(folders, [&](const record_folder& folder) { return folder.path == published; });
    folders.push_back({hidden, name, !cycle, cycle.value_or(0)});
  }
  if (folders.empty()) refuse_empty(out);
  std::ranges::stable_sort(folders, {}, [](const record_folder& folder) {
    return std::pair(folder.is_evaluation, folder.cycle);
  });
  return folders;
}

fs::path listing_path(const record_folder& folder, std::uint32_t part) {
  const fs::path ready = folder.path / record::ready_file_name;
  const bool is_hidden = !published_path(folder.path).empty() && !support::exists(ready);
  return is_hidden ? folder.path / part_note_name(part) : ready;
}

folder_listing read_listing(const record_folder& folder, std::uint32_t part) {
  const fs::path path = listing_path(folder, part);
  const bool is_note = path.filename() != record::ready_file_name;
  if (!support::exists(path)) {
    throw format_error(fmt::format("{}: is missing: {}", path.string(),
                                   is_note ? "run this part" : "the folder was not finished; generate it again"));
  }
  if (!is_note) return {path, support::read_text(path, support::max_json_bytes)};
  if (is_in_progress(folder.path, part)) {
    throw format_error(path.string() + ": another process makes this part; read it when that has ended");
  }
  const auto cycle = folder.is_evaluation ? std::nullopt : std::optional(folder.cycle);
  return {path, ready_text_of_part(read_part_note(path), cycle, path.string())};
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
