#include "part_writer.hpp"

#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "digest.hpp"
#include "files.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "removal.hpp"
#include "staging.hpp"
#include "staging_name.hpp"

namespace negpipe::pipeline {

namespace fs = std::filesystem;

namespace {

/// Locks the part until the file is closed. File systems without locks are used without: two runs of one part make the
/// same bytes under different temporary names.
support::file lock_part(const fs::path& folder, const part_task& task) {
  for (;;) {
    support::file lock = support::file::open_or_create(folder / part_lock_name(task.part));
    if (::flock(lock.descriptor(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      throw io_error(fmt::format("part {}/{} in {} is made by another process; wait for it or stop it", task.part,
                                 task.run.part_count, folder.string()));
    }
    if (lock.is_in_place()) return lock;  // otherwise the folder was published or removed meanwhile
  }
}

/// A subfolder for files in progress, removed at the end.
class work_folder {
 public:
  explicit work_folder(const fs::path& folder, std::uint32_t part)
      : path_(support::staging_name(folder, fmt::format("part_{}", part))) {
    support::make_folder(path_);
  }
  ~work_folder() {
    if (!path_.empty()) support::try_remove_hidden_tree(path_);
  }
  work_folder(const work_folder&) = delete;
  work_folder& operator=(const work_folder&) = delete;

  const fs::path& path() const { return path_; }
  /// Throws io_error.
  void remove() { support::remove_hidden_tree(std::exchange(path_, {})); }

 private:
  fs::path path_;
};

class part_maker {
 public:
  part_maker(const part_task& task, const part_files& files, fs::path folder)
      : task_(task), files_(files), folder_(std::move(folder)), note_{task.run, task.part, {}} {}

  part_outcome run() {
    remove_leftovers();
    const std::vector<record::record_file> kept = complete_files();
    work_folder work(folder_, task_.part);
    part_outcome outcome{.folder = folder_, .kept_file_count = kept.size()};
    try {
      for (std::uint32_t f = task_.part; f < files_.layout.file_count; f += task_.run.part_count) {
        add(f, kept, work.path());
        outcome.byte_count += note_.files.back().byte_count;
      }
    } catch (...) {
      try_to_write_note();
      throw;
    }
    write_note();
    work.remove();
    return outcome;
  }

 private:
  void remove_leftovers() const {
    const std::string prefix = fmt::format(".part_{}.", task_.part);
    support::visit_entries(folder_, [&](const fs::path& entry) {
      if (entry.filename().string().starts_with(prefix)) support::remove_hidden_tree(entry);
    });
  }

  /// Returns the files that the note of an earlier run of this part lists and that have its size and checksum.
  std::vector<record::record_file> complete_files() const {
    const fs::path path = folder_ / part_note_name(task_.part);
    if (!support::exists(path)) return {};
    std::vector<record::record_file> files = read_part_note(path).files;
    std::erase_if(files, [&](const record::record_file& file) { return !is_complete(file); });
    return files;
  }

  bool is_complete(const record::record_file& file) const {
    const fs::path path = folder_ / fs::path(file.name).filename();
    if (!find_damage(folder_, file, files_.compression == compression_type::none).empty()) return false;
    return support::crc32c(support::mapped_file(path)) == file.crc32c;
  }

  void add(std::uint32_t number, const std::vector<record::record_file>& kept, const fs::path& work) {
    const std::string name = record::record_file_name(files_.prefix, number);
    if (const auto found = std::ranges::find(kept, name, &record::record_file::name); found != kept.end()) {
      note_.files.push_back(*found);
      return;
    }
    const record::record_file made = files_.make(work, number);
    if (files_.compression == compression_type::none) move_here(index_of(work / name));
    move_here(work / name);
    note_.files.push_back(made);
    const auto now = std::chrono::steady_clock::now();
    if (now - noted_ < std::chrono::seconds(1)) return;  // a note lists all files: writing it for each is quadratic
    write_note();
    noted_ = now;
  }

  static fs::path index_of(const fs::path& file) { return file.string() + std::string(record::index_suffix); }

  void move_here(const fs::path& file) const {
    const fs::path to = folder_ / file.filename();
    if (::rename(file.c_str(), to.c_str()) != 0) support::throw_write_error("rename to", to);
  }

  void write_note() const {
    support::sync_folder(folder_);
    write_part_note(folder_, note_);
  }
  void try_to_write_note() const noexcept {
    try {
      if (!note_.files.empty()) write_note();
    } catch (const std::exception&) {
      return;  // the failure that led here is reported; the next run makes the files again
    }
  }

  const part_task& task_;
  const part_files& files_;
  fs::path folder_;
  part_note note_;
  std::chrono::steady_clock::time_point noted_{};
};

/// Removes the parts of other runs, or refuses them.
void settle_other_runs(const part_task& task, const fs::path& published, const fs::path& own) {
  for (const fs::path& other : find_parts_folders(published)) {
    if (other == own) continue;
    if (task.replace) {
      remove_parts_folder(other);
      continue;
    }
    const std::optional<part_note> note = find_part_note(other);
    throw option_error(fmt::format("{} holds parts of another run ({}); publish or remove them, choose another `out`, "
                                   "or remove them with `replace`",
                                   other.string(), note ? difference(note->run, task.run) : "without a note"));
  }
}

}  // namespace

part_outcome write_part(const part_task& task, const part_files& files) {
  const fs::path published = support::full_path(files.published);
  const fs::path own = parts_folder(published, task.run.id());
  if (support::is_taken(files.published)) {
    if (is_of_run(task.run, files.cycle, files.published)) return {.folder = files.published, .is_published = true};
    if (!task.replace) {
      throw option_error(files.published.string() + " exists already and is of another run; choose another `out`, or "
                                                    "overwrite it with `replace`");
    }
  }
  settle_other_runs(task, published, own);
  support::made_folders parents;
  parents.make(own);
  const support::file lock = lock_part(own, task);
  parents.keep();
  if (support::exists(own / record::ready_file_name)) return {.folder = own};  // a publication was interrupted
  return part_maker(task, files, own).run();
}

}  // namespace negpipe::pipeline
