#include "parts.hpp"

#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <span>

#include "digest.hpp"
#include "files.hpp"
#include "format.hpp"
#include "index_check.hpp"
#include "json_text.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "ready_file.hpp"
#include "removal.hpp"
#include "staging.hpp"
#include "whole_number.hpp"

namespace negpipe::pipeline {

namespace fs = std::filesystem;

namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view format_name = "negpipe part";
constexpr std::uint32_t note_version = 1;
constexpr std::string_view remedy = "remove it and run this part again";
constexpr std::string_view infix = ".parts-";
constexpr std::size_t id_digits = 32;

json parse_or_null(const std::string& text) { return text.empty() ? json() : support::parse_json(text); }
std::string text_of(const json& description) { return description.is_null() ? "" : description.dump(2) + "\n"; }

json to_json(const part_run& run) {
  return {{"format", format_name},
          {"format_version", note_version},
          {"parts", run.part_count},
          {"readers", run.readers},
          {"first_cycle", run.first_cycle},
          {"cycle_count", run.cycle_count},
          {"training", parse_or_null(run.training)},
          {"evaluation", parse_or_null(run.evaluation)}};
}

json to_json(const std::vector<record::record_file>& files) {
  json list = json::array();
  for (const auto& file : files) {
    list.push_back({{"name", file.name},
                    {"record_count", file.record_count},
                    {"byte_count", file.byte_count},
                    {"crc32c", fmt::format("{:08x}", file.crc32c)}});
  }
  return list;
}

void compare_members(const json& found, const json& wanted, std::string& differences) {
  if (!found.is_object() || !wanted.is_object()) return;
  for (const auto& [name, value] : wanted.items()) {
    const json& other = found.contains(name) ? found[name] : json();
    if (other == value) continue;
    if (value.is_object()) {
      compare_members(other, value, differences);
    } else if (differences.find('"' + name + '"') == std::string::npos) {
      differences += fmt::format("{}\"{}\" is {}, {} wanted", differences.empty() ? "" : "; ", name, other.dump(),
                                 value.dump());
    }
  }
}

std::vector<fs::path> notes_in(const fs::path& folder) {
  std::vector<fs::path> notes;
  support::visit_entries(folder, [&](const fs::path& entry) {
    const std::string name = entry.filename().string();
    if (name.starts_with("part_") && name.ends_with(".json")) notes.push_back(entry);
  });
  std::ranges::sort(notes);
  return notes;
}

}  // namespace

std::string part_run::id() const {
  support::md5 digest;
  const std::string text = to_json(*this).dump();
  digest.update(std::as_bytes(std::span(text)));
  return digest.hex();
}

std::string part_note_name(std::uint32_t part) { return fmt::format("part_{}.json", part); }
std::string part_lock_name(std::uint32_t part) { return fmt::format("part_{}.lock", part); }

bool is_name_of_part(std::string_view name, std::uint32_t part_count) {
  const bool is_leftover = name.starts_with('.');
  if (is_leftover) name.remove_prefix(1);
  constexpr std::string_view prefix = "part_";
  const std::size_t dot = name.find('.');
  if (!name.starts_with(prefix) || dot == name.npos) return false;
  const auto part = support::whole_number<std::uint32_t>(name.substr(prefix.size(), dot - prefix.size()));
  if (!part || *part >= part_count) return false;
  return is_leftover || name == part_note_name(*part) || name == part_lock_name(*part);
}

void write_part_note(const fs::path& folder, const part_note& note) {
  json out = to_json(note.run);
  out["part"] = note.part;
  out["files"] = to_json(note.files);
  support::publish_file(folder / part_note_name(note.part), out.dump(1) + "\n");
}

part_note read_part_note(const fs::path& file) {
  const json root = support::read_json(file, remedy);
  const support::json_fields fields(root, file.string(), remedy);
  if (fields.text("format") != format_name || fields.number<std::uint32_t>("format_version") != note_version) {
    fields.fail("is not a note that this version of negpipe writes");
  }
  part_note note;
  note.run.part_count = fields.number<std::uint32_t>("parts", max_readers);
  note.run.readers = fields.number<std::uint32_t>("readers", max_readers);
  note.run.first_cycle = fields.number<std::uint64_t>("first_cycle");
  note.run.cycle_count = fields.number<std::uint64_t>("cycle_count", std::uint64_t{1} << 32);
  (void)fields.object("training");
  note.run.training = text_of(root["training"]);
  if (root.contains("evaluation")) note.run.evaluation = text_of(root["evaluation"]);
  note.part = fields.number<std::uint32_t>("part");
  if (note.part >= note.run.part_count) fields.fail_at("part", "a number below \"parts\"");
  for (std::size_t i = 0; i < fields.array("files").size(); ++i) {
    const support::json_fields entry = fields.element("files", i);
    note.files.push_back({entry.text("name"), entry.number<std::uint64_t>("record_count"),
                          entry.number<std::uint64_t>("byte_count"), entry.checksum("crc32c")});
  }
  return note;
}

std::optional<part_note> find_part_note(const fs::path& folder) {
  const std::vector<fs::path> notes = notes_in(folder);
  if (notes.empty()) return {};
  return read_part_note(notes.front());
}

std::optional<part_run> run_of(const std::vector<fs::path>& hidden) {
  for (const fs::path& folder : hidden) {
    if (run_id_of(folder) == run_id_of(hidden.front())) continue;
    const auto one = find_part_note(hidden.front());
    const auto other = find_part_note(folder);
    throw option_error(fmt::format("{} and {} are parts of different runs ({}); remove the one that is not wanted",
                                   hidden.front().string(), folder.string(),
                                   one && other ? difference(one->run, other->run) : "one has no note"));
  }
  for (const fs::path& folder : hidden) {
    const std::optional<part_note> note = find_part_note(folder);
    if (!note) continue;
    if (note->run.id() == run_id_of(folder)) return note->run;
    throw format_error(folder.string() + ": its notes are those of another run; remove it and run the parts again");
  }
  return {};
}

bool has_index_files(const part_run& run) {
  return parse_or_null(run.training).value("compression", "none") == "none";
}

std::string find_damage(const fs::path& folder, const record::record_file& listed, bool is_indexed) {
  const fs::path path = folder / fs::path(listed.name).filename();
  if (!support::is_file(path) || support::file::open_read(path).size() != listed.byte_count) return listed.name;
  if (!is_indexed) return {};
  const fs::path index_path = path.string() + std::string(record::index_suffix);
  const std::string name = listed.name + std::string(record::index_suffix);
  if (!support::is_file(index_path) || listed.record_count > listed.byte_count) return name;
  index_check index(index_path);
  const std::uint64_t frame = listed.record_count == 0 ? 0 : listed.byte_count / listed.record_count;
  for (std::uint64_t i = 0; i < listed.record_count && index.has_more(); ++i) index.expect(i * frame, frame);
  return index.is_right() ? "" : name;
}

std::string whole_ready_text(const part_run& run, std::optional<std::uint64_t> cycle,
                             const std::vector<record::record_file>& files) {
  json ready = parse_or_null(cycle ? run.training : run.evaluation);
  if (cycle) ready["cycle"] = *cycle;
  ready["readers"] = files.size();
  ready["files"] = to_json(files);
  return text_of(ready);
}

std::string ready_text_of_part(const part_note& note, std::optional<std::uint64_t> cycle,
                               const std::string& note_path) {
  const json ready = parse_or_null(cycle ? note.run.training : note.run.evaluation);
  const support::json_fields fields(ready, note_path, remedy);
  const file_layout layout{fields.number<std::uint64_t>("batch_count"), note.run.readers};
  std::map<std::string_view, const record::record_file*> listed;
  for (const record::record_file& file : note.files) listed.emplace(file.name, &file);
  std::vector<record::record_file> files;
  for (std::uint32_t f = 0; f < note.run.readers; ++f) {
    const std::string name = record::record_file_name(cycle ? record::training_prefix : record::evaluation_prefix, f);
    if (const auto found = listed.find(name); found != listed.end()) {
      files.push_back(*found->second);
    } else if (f % note.run.part_count != note.part) {
      files.push_back({name, layout.batches_in(f), 0, 0});
    } else {
      throw format_error(fmt::format("part {}/{} is not complete: {} is missing; run this part again", note.part,
                                     note.run.part_count, name));
    }
  }
  return whole_ready_text(note.run, cycle, files);
}

bool is_of_run(const part_run& run, std::optional<std::uint64_t> cycle, const fs::path& published) {
  if (!support::exists(published / record::ready_file_name)) return false;
  const record::ready_file ready = record::read_ready_file(published);
  if (ready.files.size() != run.readers) return false;
  const std::string text = support::read_text(published / record::ready_file_name, support::max_json_bytes);
  return whole_ready_text(run, cycle, ready.files) == text;
}

std::string difference(const part_run& found, const part_run& wanted) {
  std::string differences;
  compare_members(to_json(found), to_json(wanted), differences);
  return differences.empty() ? "only one of them has evaluation data" : differences;
}

fs::path parts_folder(const fs::path& published, std::string_view run_id) {
  return published.parent_path() / fmt::format(".{}{}{}", published.filename().string(), infix, run_id);
}

std::vector<fs::path> find_parts_folders(const fs::path& published) {
  std::vector<fs::path> folders;
  if (!support::is_folder(published.parent_path())) return folders;
  support::visit_entries(published.parent_path(), [&](const fs::path& entry) {
    if (published_path(entry) == published) folders.push_back(entry);
  });
  std::ranges::sort(folders);
  return folders;
}

std::vector<fs::path> find_all_parts_folders(const fs::path& out) {
  std::vector<fs::path> found;
  for (const fs::path& parent : {out / record::training_folder, out}) {
    if (!support::is_folder(parent)) continue;
    support::visit_entries(parent, [&](const fs::path& entry) {
      if (!published_path(entry).empty()) found.push_back(entry);
    });
  }
  std::ranges::sort(found);
  return found;
}

fs::path published_path(const fs::path& hidden) {
  const std::string name = hidden.filename().string();
  const std::size_t at = name.rfind(infix);
  if (!name.starts_with('.') || at == name.npos || name.size() != at + infix.size() + id_digits) return {};
  return hidden.parent_path() / name.substr(1, at - 1);
}

std::string run_id_of(const fs::path& hidden) {
  const std::string name = hidden.filename().string();
  return name.substr(name.size() - id_digits);
}

bool is_in_progress(const fs::path& folder, std::uint32_t part) {
  const fs::path path = folder / part_lock_name(part);
  if (!support::exists(path)) return false;
  const support::file lock = support::file::open_or_create(path);
  return ::flock(lock.descriptor(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

void remove_parts_folder(const fs::path& folder) {
  for (const fs::path& path : notes_in(folder)) {
    const part_note note = read_part_note(path);
    if (!is_in_progress(folder, note.part)) continue;
    throw option_error(fmt::format("{} holds parts of another run, and part {}/{} of it is in progress: stop it first",
                                   folder.string(), note.part, note.run.part_count));
  }
  support::remove_tree(folder);
}

}  // namespace negpipe::pipeline
