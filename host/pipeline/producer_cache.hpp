// The cache folder of a producer: its lock, its mark of life, and what lies in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files.hpp"
#include "producer_note.hpp"

namespace negpipe::pipeline {

/// The entries of training_epochs that are named for a cycle. A cycle is ready when it is a folder with a ready.json;
/// Python's records.cycle_folders has the same definition. All others are incomplete: half deleted, or foreign.
struct cycle_list {
  std::vector<std::filesystem::path> ready;
  std::vector<std::filesystem::path> incomplete;
  std::uint64_t after_last = 0;  ///< one more than the highest number of either; 0 if there is none
};

/// Locks a cache folder against other producers while it lives. Not thread-safe.
class producer_cache {
 public:
  /// Creates the folder and locks it. Throws io_error, option_error if another producer has it.
  explicit producer_cache(std::filesystem::path root);
  /// Removes unfinished work, if it is this producer's, then subproc.alive likewise.
  /// - A folder that somebody has removed as a whole is removed completely: subproc.alive, the lock and the folder
  ///   ".in-use" must all be gone, which removing files alone does not achieve. Otherwise published data stays.
  /// - A folder that somebody has put in its place, or that another producer has by now, is not touched.
  ~producer_cache();
  producer_cache(const producer_cache&) = delete;
  producer_cache& operator=(const producer_cache&) = delete;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path cycles() const;
  /// Folder for unfinished work, hidden from those who list cycles.
  std::filesystem::path staging() const { return root_ / ".partial"; }

  /// Removes what killed producers and consumers left unfinished, but for one folder in staging(), if it is named.
  /// Whatever is there after a call for all of it is this producer's.
  void clear_unfinished(const std::string& except = {});
  /// Removes the note, all cycles and the evaluation data; each folder disappears as a whole. The note goes first, so
  /// that what a crash leaves cannot be resumed. Throws option_error, before anything is removed, for a folder that is
  /// not negpipe's.
  void clear_records() const;
  /// Removes cycles and evaluation data without a ready.json, if they hold nothing but record files. Returns those
  /// that hold something else.
  std::vector<std::filesystem::path> clear_incomplete() const;
  void write_note(const producer_note& note) const;
  /// Lets the destructor leave unfinished work in place: the note still refers to it.
  void keep_unfinished() { owns_unfinished_ = false; }

  /// Creates subproc.alive. If this throws, the destructor removes what is there of it.
  void announce();
  /// Whether subproc.alive is still the one that announce() created.
  bool is_announced() const { return alive_ && alive_->is_in_place(); }
  /// Like !is_announced(), but waits up to 500 ms: rm -r may unlink subproc.alive last.
  bool is_being_removed() const;
  /// The file that announce() created.
  const support::file& announcement() const { return *alive_; }
  /// Creates the folders for finished and unfinished cycles. A consumer may remove them at any time.
  void make_folders() const;

  cycle_list list_cycles() const;
  /// Whether there is evaluation data with a ready.json.
  bool has_evaluation() const;
  /// Whether there is a cycle or evaluation data, ready or not.
  bool has_records() const;

 private:
  /// Takes the place of a lock that somebody removed; false if another producer has.
  bool lock_again() noexcept;
  void remove_rest() const noexcept;
  std::filesystem::path evaluation() const;

  std::filesystem::path root_;
  support::file lock_;
  support::file folder_;  ///< the root itself, to recognise a later one of its name
  support::file in_use_;  ///< an empty folder, which only a recursive removal takes away
  std::optional<support::file> alive_;
  bool owns_unfinished_ = false;  ///< until it is cleared, the note of an earlier producer may refer to it
};

}  // namespace negpipe::pipeline
