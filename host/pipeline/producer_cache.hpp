// The cache folder of a producer: its lock, its liveness file subproc.alive, and its content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files.hpp"
#include "producer_note.hpp"

namespace negpipe::pipeline {

/// Entries of training_epochs with the name of a cycle. A cycle is ready if it is a folder with a ready.json (Python's
/// records.cycle_folders has the same definition). All others are incomplete: partly deleted, or not negpipe's.
struct cycle_list {
  std::vector<std::filesystem::path> ready;
  std::vector<std::filesystem::path> incomplete;
  std::uint64_t after_last = 0;  ///< one more than the highest number of either; 0 if there is none
};

/// Holds a cache folder, locked against other producers. Not thread-safe.
class producer_cache {
 public:
  /// Creates the folder and locks it. Throws io_error, and option_error if another producer holds the lock.
  explicit producer_cache(std::filesystem::path root);
  /// Removes unfinished work of this producer, then its subproc.alive.
  /// - If the whole folder was removed by the user, removes the rest of it. That is so if subproc.alive, the lock and
  ///   the folder ".in-use" are all gone; removing files alone does not remove ".in-use". Otherwise published data
  ///   stays.
  /// - Does not touch a folder that replaced this one, or that another producer has locked since.
  ~producer_cache();
  producer_cache(const producer_cache&) = delete;
  producer_cache& operator=(const producer_cache&) = delete;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path cycles() const;
  /// Returns the folder for unfinished work, which is hidden from consumers.
  std::filesystem::path staging() const { return root_ / ".partial"; }

  /// Removes the unfinished work of killed producers and consumers, except for one folder in staging(), if named.
  /// After a call without except, all unfinished work is this producer's.
  void clear_unfinished(const std::string& except = {});
  /// Removes the note, all cycles and the evaluation data; each folder disappears in one step. The note is removed
  /// first, so that a run cannot be resumed after a crash in between. Throws option_error, before anything is removed,
  /// for a folder that negpipe did not write.
  void clear_records() const;
  /// Removes cycles and evaluation data without a ready.json, if they hold only record files. Returns the folders that
  /// hold other files.
  std::vector<std::filesystem::path> clear_incomplete() const;
  void write_note(const producer_note& note) const;
  /// Makes the destructor keep unfinished work, because the note still refers to it.
  void keep_unfinished() { owns_unfinished_ = false; }

  /// Creates subproc.alive. If this throws, the destructor removes what was created.
  void announce();
  /// Returns whether subproc.alive is still the file that announce() created.
  bool is_announced() const { return alive_ && alive_->is_in_place(); }
  /// Like !is_announced(), but waits up to 500 ms: rm -r may unlink subproc.alive last.
  bool is_being_removed() const;
  /// Returns the file that announce() created.
  const support::file& announcement() const { return *alive_; }
  /// Creates the folders for finished and unfinished cycles. A consumer may remove them at any time.
  void make_folders() const;

  cycle_list list_cycles() const;
  /// Returns whether there is evaluation data with a ready.json.
  bool has_evaluation() const;
  /// Returns whether there is a cycle or evaluation data, ready or not.
  bool has_records() const;

 private:
  /// Creates and locks the lock file again after its removal. Returns false if another producer did so first.
  bool lock_again() noexcept;
  void remove_rest() const noexcept;
  std::filesystem::path evaluation() const;

  std::filesystem::path root_;
  support::file lock_;
  support::file folder_;  ///< the root, to detect that another folder replaced it
  support::file in_use_;  ///< an empty folder, which only a recursive removal removes
  std::optional<support::file> alive_;
  bool owns_unfinished_ = false;  ///< false until cleared: the note of an earlier producer may refer to it
};

}  // namespace negpipe::pipeline
