// The cache folder of a producer: who has it, what lies in it, and what was noted for a resumption.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "files.hpp"

namespace negpipe::pipeline {

/// What producer.json holds.
struct producer_note {
  std::uint64_t next_cycle;
  nlohmann::ordered_json options;  ///< all that decides the bytes, by the names of the program's options
};

/// Reads the note of a cache; empty when there is none. Throws io_error, format_error.
std::optional<producer_note> read_note(const std::filesystem::path& cache);

/// Holds a cache folder against other producers for as long as it lives. One thread.
class producer_cache {
 public:
  /// Creates the folder and locks it. Throws io_error, option_error when another producer has it.
  explicit producer_cache(std::filesystem::path root);
  /// Removes what is unfinished, then subproc.alive if it is still the one that was put there. Of a folder that
  /// somebody removed meanwhile nothing is left; one that somebody else has put in its place, or that another producer
  /// has by now, is let alone.
  ~producer_cache();
  producer_cache(const producer_cache&) = delete;
  producer_cache& operator=(const producer_cache&) = delete;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path cycles() const;
  /// Where unfinished folders and files stand, out of sight of those who list cycles.
  std::filesystem::path staging() const { return root_ / ".partial"; }

  /// Removes what killed producers left unfinished.
  void clear_unfinished() const;
  /// Removes cycles, evaluation data and note. Throws option_error, and removes nothing, where one of the folders does
  /// not bear record_mark.
  void clear_records() const;
  void write_note(const producer_note& note) const;

  /// Puts subproc.alive into the folder.
  void announce();
  /// Whether subproc.alive is still the one that announce() put there.
  bool is_announced() const { return alive_ && alive_->is_in_place(); }
  /// The same, for one who found something else missing: what removes a folder may come to subproc.alive last, and is
  /// given half a second.
  bool is_being_removed() const;
  /// The file that announce() put there.
  const support::file& announcement() const { return *alive_; }
  /// Sees to it that there are folders for cycles, finished and unfinished. A consumer may remove them whole.
  void make_folders() const;

  /// The folders of cycles that have not been deleted.
  std::uint64_t unconsumed_count() const;
  /// One more than the highest of them; 0 when there is none.
  std::uint64_t cycle_after_last() const;
  bool has_evaluation() const;
  bool has_records() const { return cycle_after_last() != 0 || has_evaluation(); }

 private:
  /// Takes the place of a lock that somebody removed; false when another producer has.
  bool lock_again() noexcept;

  std::filesystem::path root_;
  support::file lock_;
  support::file folder_;  ///< the root itself, to know it from a later one of its name
  std::optional<support::file> alive_;
};

}  // namespace negpipe::pipeline
