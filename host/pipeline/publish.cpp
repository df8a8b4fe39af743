#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>

#include "files.hpp"
#include "folder_writer.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "parts.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"
#include "removal.hpp"
#include "staging.hpp"

namespace negpipe {

namespace fs = std::filesystem;
using namespace pipeline;

namespace {

/// One folder to be published.
struct pending_folder {
  fs::path published;
  std::optional<std::uint64_t> cycle;  ///< empty for the evaluation data
  fs::path hidden;
  std::string ready = {};              ///< text of ready.json; empty if it is written already
};

class publication {
 public:
  publication(fs::path out, bool replace) : out_(std::move(out)), replace_(replace) {}

  publish_report run() {
    const publish_report found = check();
    if (!found.missing.empty()) refuse_incomplete(found.missing);
    for (const pending_folder& folder : pending_) publish(folder);
    return found;
  }

  publish_report check() {
    const std::vector<fs::path> hidden = find_all_parts_folders(out_);
    if (hidden.empty()) return report_published();
    check_one_run(hidden);
    if (find_run(hidden)) {
      for (std::uint64_t i = 0; i < run_.cycle_count; ++i) check_folder(run_.first_cycle + i);
      if (!run_.evaluation.empty()) check_folder({});
    } else {
      for (const fs::path& folder : hidden) check_interrupted(folder);
    }
    return report_;
  }

 private:
  /// Nothing is left to do if everything is published.
  publish_report report_published() {
    for (const record_folder& folder : find_record_folders(out_)) {
      (void)record::read_ready_file(folder.path);
      report_.present.push_back(folder.path);
    }
    return report_;
  }

  void check_one_run(const std::vector<fs::path>& hidden) const {
    for (const fs::path& folder : hidden) {
      if (run_id_of(folder) == run_id_of(hidden.front())) continue;
      const auto one = find_part_note(hidden.front());
      const auto other = find_part_note(folder);
      throw option_error(fmt::format("{} and {} are parts of different runs ({}); remove the one that is not wanted",
                                     hidden.front().string(), folder.string(),
                                     one && other ? difference(one->run, other->run) : "one has no note"));
    }
  }

  /// Takes the run from any note. Returns false if an interrupted publication has removed all notes.
  bool find_run(const std::vector<fs::path>& hidden) {
    for (const fs::path& folder : hidden) {
      const std::optional<part_note> note = find_part_note(folder);
      if (!note) continue;
      if (note->run.id() != run_id_of(folder)) {
        throw format_error(folder.string() + ": its notes are those of another run; remove it and run the parts again");
      }
      run_ = note->run;
      return true;
    }
    return false;
  }

  void check_folder(std::optional<std::uint64_t> cycle) {
    pending_folder folder{cycle ? cycle_folder(out_, *cycle) : evaluation_folder(out_), cycle, {}};
    folder.hidden = parts_folder(folder.published, run_.id());
    if (!support::is_folder(folder.hidden)) {
      if (is_of_run(run_, cycle, folder.published)) {
        report_.present.push_back(folder.published);
      } else {
        report_.missing.push_back(folder.published.filename().string() + ": all parts");
      }
      return;
    }
    if (!support::exists(folder.hidden / record::ready_file_name)) {
      const std::vector<record::record_file> files = check_parts(folder);
      if (files.size() != run_.readers) return;
      folder.ready = whole_ready_text(run_, cycle, files);
      (void)record::parse_ready_text(folder.ready, (folder.hidden / record::ready_file_name).string());
    }
    add(folder);
  }

  void add(const pending_folder& folder) {
    support::check_output_folder(folder.published, replaced());
    pending_.push_back(folder);
    report_.published.push_back(folder.published);
  }

  /// ready.json is written after all parts were checked, so a folder that has one is complete.
  void check_interrupted(const fs::path& hidden) {
    if (support::exists(hidden / record::ready_file_name)) {
      add({published_path(hidden), {}, hidden});
    } else {
      report_.missing.push_back(published_path(hidden).filename().string() + ": all parts");
    }
  }

  /// Returns the files of all parts, ordered by number, or reports what is missing and returns fewer.
  std::vector<record::record_file> check_parts(const pending_folder& folder) {
    std::map<std::string, record::record_file> found;
    const std::string name = folder.published.filename().string();
    const std::size_t missing_before = report_.missing.size();
    for (std::uint32_t part = 0; part < run_.part_count; ++part) {
      const std::string what = fmt::format("{}: part {}/{}", name, part, run_.part_count);
      const fs::path path = folder.hidden / part_note_name(part);
      if (is_in_progress(folder.hidden, part)) {
        report_.missing.push_back(what + " (in progress)");
      } else if (!support::exists(path)) {
        report_.missing.push_back(what);
      } else {
        const part_note note = read_part_note(path);
        if (note.run != run_) throw format_error(path.string() + ": it is of another run; run this part again");
        for (const record::record_file& file : note.files) found.emplace(file.name, file);
      }
    }
    std::vector<record::record_file> files;
    const auto prefix = folder.cycle ? record::training_prefix : record::evaluation_prefix;
    if (report_.missing.size() != missing_before) return files;
    for (std::uint32_t f = 0; f < run_.readers; ++f) {
      const auto file = found.find(record::record_file_name(prefix, f));
      if (file == found.end() || !has_size(folder.hidden, file->second)) {
        report_.missing.push_back(fmt::format("{}: {} of part {}/{}", name, record::record_file_name(prefix, f),
                                              f % run_.part_count, run_.part_count));
      } else {
        files.push_back(file->second);
      }
    }
    return files;
  }

  static bool has_size(const fs::path& folder, const record::record_file& file) {
    const fs::path path = folder / file.name;
    return support::is_file(path) && support::file::open_read(path).size() == file.byte_count;
  }

  [[noreturn]] void refuse_incomplete(const std::vector<std::string>& missing) const {
    constexpr std::size_t max_named = 8;
    std::string named;
    for (std::size_t i = 0; i < std::min(missing.size(), max_named); ++i) named += (i == 0 ? "" : ", ") + missing[i];
    if (missing.size() > max_named) named += fmt::format(", and {} more", missing.size() - max_named);
    throw format_error(fmt::format("{} is not complete, nothing was published: missing {}; run these parts again "
                                   "(`part`)",
                                   out_.string(), named));
  }

  std::optional<support::folder_kind> replaced() const {
    return replace_ ? std::optional(record_folder_kind) : std::nullopt;
  }

  void publish(const pending_folder& folder) {
    if (!folder.ready.empty()) {
      support::publish_file(folder.hidden / record::ready_file_name, folder.ready);
    }
    remove_notes(folder.hidden);
    support::staged_folder(support::staged_folder::adopted{support::full_path(folder.hidden)}, folder.published,
                           replaced())
        .publish();
  }

  /// Leaves only files that ready.json lists. Removes nothing that no part wrote.
  static void remove_notes(const fs::path& hidden) {
    const std::vector<std::string> kept = record_files_of(hidden);
    std::vector<fs::path> others;
    support::visit_entries(hidden, [&](const fs::path& entry) {
      if (std::ranges::find(kept, entry.filename().string()) == kept.end()) others.push_back(entry);
    });
    for (const fs::path& entry : others) {
      const std::string name = entry.filename().string();
      if (!name.starts_with("part_") && !name.starts_with(".part_") && !name.starts_with(".ready.json.")) {
        throw option_error(entry.string() + " was not written by negpipe; move it elsewhere and publish again");
      }
      support::remove_hidden_tree(entry);
    }
  }

  fs::path out_;
  bool replace_;
  part_run run_;
  std::vector<pending_folder> pending_;
  publish_report report_;
};

}  // namespace

publish_report publish(const fs::path& out, bool replace) { return publication(out, replace).run(); }

publish_report check_publication(const fs::path& out, bool replace) { return publication(out, replace).check(); }

}  // namespace negpipe
