#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

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
    if (const std::optional<part_run> run = run_of(hidden)) {
      run_ = *run;
      part_count_ = run_.part_count;
      for (std::uint64_t i = 0; i < run_.cycle_count; ++i) check_folder(run_.first_cycle + i);
      if (!run_.evaluation.empty()) check_folder({});
    } else {  // an interrupted publication has removed all notes
      for (const fs::path& folder : hidden) check_interrupted(folder);
    }
    if (!report_.missing.empty()) return report_;
    for (const pending_folder& folder : pending_) (void)find_notes(folder);
    return report_;
  }

 private:
  /// Nothing is left to do if everything is published.
  publish_report report_published() {
    for (const record_folder& folder : find_record_folders(out_)) {
      if (!support::exists(folder.path / record::ready_file_name)) {
        throw format_error(fmt::format("{} has no {}, so no run has published it; remove it, or move it elsewhere",
                                       folder.path.string(), record::ready_file_name));
      }
      (void)record::read_ready_file(folder.path);
      report_.present.push_back(folder.path);
    }
    return report_;
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
    std::set<std::uint32_t> missing;
    for (std::uint32_t part = 0; part < run_.part_count; ++part) {
      const std::string what = fmt::format("{}: part {}/{}", name, part, run_.part_count);
      const fs::path path = folder.hidden / part_note_name(part);
      if (is_in_progress(folder.hidden, part)) {
        report_.missing.push_back(what + " (in progress)");
        missing.insert(part);
      } else if (!support::exists(path)) {
        report_.missing.push_back(what);
        missing.insert(part);
      } else {
        const part_note note = read_part_note(path);
        if (note.run != run_) throw format_error(path.string() + ": it is of another run; run this part again");
        for (const record::record_file& file : note.files) found.emplace(file.name, file);
      }
    }
    std::vector<record::record_file> files;
    const auto prefix = folder.cycle ? record::training_prefix : record::evaluation_prefix;
    const bool is_indexed = has_index_files(run_);
    for (std::uint32_t f = 0; f < run_.readers; ++f) {
      if (missing.contains(f % run_.part_count)) continue;
      const std::string file_name = record::record_file_name(prefix, f);
      const auto file = found.find(file_name);
      const std::string damaged =
          file == found.end() ? file_name : find_damage(folder.hidden, file->second, is_indexed);
      if (damaged.empty()) {
        files.push_back(file->second);
      } else {
        report_.missing.push_back(
            fmt::format("{}: {} of part {}/{}", name, damaged, f % run_.part_count, run_.part_count));
      }
    }
    return files;
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
    for (const fs::path& entry : find_notes(folder)) support::remove_hidden_tree(entry);
    support::staged_folder(support::staged_folder::adopted{support::full_path(folder.hidden)}, folder.published,
                           replaced())
        .publish();
  }

  /// Returns everything that ready.json does not list: notes, locks and leftovers of the parts. Throws option_error for
  /// a file that no part wrote.
  std::vector<fs::path> find_notes(const pending_folder& folder) const {
    const std::vector<std::string> kept =
        folder.ready.empty() ? record_files_of(folder.hidden)
                             : record_files_of(record::parse_ready_text(folder.ready, folder.hidden.string()));
    std::vector<fs::path> notes;
    support::visit_entries(folder.hidden, [&](const fs::path& entry) {
      const std::string name = entry.filename().string();
      if (std::ranges::find(kept, name) != kept.end()) return;
      if (!is_name_of_part(name, part_count_) && !name.starts_with(".ready.json.")) {
        throw option_error(entry.string() + " was not written by negpipe; move it elsewhere and publish again");
      }
      notes.push_back(entry);
    });
    return notes;
  }

  fs::path out_;
  bool replace_;
  part_run run_;
  std::uint32_t part_count_ = max_readers;  ///< that of run_; the largest one if an interruption left no note
  std::vector<pending_folder> pending_;
  publish_report report_;
};

}  // namespace

publish_report publish(const fs::path& out, bool replace) { return publication(out, replace).run(); }

publish_report check_publication(const fs::path& out, bool replace) { return publication(out, replace).check(); }

}  // namespace negpipe
