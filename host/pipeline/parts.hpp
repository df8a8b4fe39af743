// Parts of a run: hidden folders that hold the files of unpublished records, and the notes of what is complete in them.
//
// All parts of a cycle share one hidden folder, PARENT/.cycle_00000.parts-ID. The id is a digest of everything that the
// parts must agree on, so runs with other seeds, options, datasets or numbers of parts never share one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record_set.hpp"

namespace negpipe::pipeline {

/// What all parts of a run have in common.
struct part_run {
  std::uint32_t part_count = 1;
  std::uint32_t readers = 1;
  std::uint64_t first_cycle = 0;
  std::uint64_t cycle_count = 0;
  std::string training;    ///< text of the ready.json of cycle 0, without files
  std::string evaluation;  ///< the same of the evaluation data; empty without

  /// Returns 32 hexadecimal digits.
  std::string id() const;
  friend bool operator==(const part_run&, const part_run&) = default;
};

/// Content of part_I.json: the complete files of part I in one folder, in the order of their numbers.
struct part_note {
  part_run run;
  std::uint32_t part = 0;
  std::vector<record::record_file> files;
};

/// Returns "part_I.json" and "part_I.lock". Everything else that part I leaves in the folder begins with ".part_I.".
std::string part_note_name(std::uint32_t part);
std::string part_lock_name(std::uint32_t part);

/// Returns whether a name is that of a note, a lock or a leftover of a part below part_count.
bool is_name_of_part(std::string_view name, std::uint32_t part_count);

/// Replaces the note of a part by rename. Throws io_error.
void write_part_note(const std::filesystem::path& folder, const part_note& note);
/// Throws io_error, format_error.
part_note read_part_note(const std::filesystem::path& file);
/// Returns a note of any part in a folder; empty if there is none.
std::optional<part_note> find_part_note(const std::filesystem::path& folder);
/// Returns the run of hidden folders, from any note in them; empty if there is no note. Throws option_error, naming two
/// folders, if they are of different runs; format_error if a note does not match the name of its folder; io_error.
std::optional<part_run> run_of(const std::vector<std::filesystem::path>& hidden);

/// Returns whether each record file of the run has an index file.
bool has_index_files(const part_run& run);
/// Compares a record file and its index with the file's entry in a note, without reading the records. Returns the name
/// of the one that is missing, has another size or, for an index, other content; empty if there is none.
std::string find_damage(const std::filesystem::path& folder, const record::record_file& listed, bool is_indexed);

/// Returns the text of a complete ready.json: of a cycle, or of the evaluation data if cycle is empty.
std::string whole_ready_text(const part_run& run, std::optional<std::uint64_t> cycle,
                             const std::vector<record::record_file>& files);

/// Returns the text of a ready.json whose files of other parts are empty. Throws format_error if the note lacks a file
/// of its part.
std::string ready_text_of_part(const part_note& note, std::optional<std::uint64_t> cycle, const std::string& note_path);

/// Returns whether the published folder was made by this run, or by one process with the same options.
bool is_of_run(const part_run& run, std::optional<std::uint64_t> cycle, const std::filesystem::path& published);

/// Returns what distinguishes two runs, such as "\"seed\" is 1, 2 wanted".
std::string difference(const part_run& found, const part_run& wanted);

/// Returns the hidden folder of a run for a folder to be published.
std::filesystem::path parts_folder(const std::filesystem::path& published, std::string_view run_id);
/// Returns the hidden folders of all runs for it, in the order of their names.
std::vector<std::filesystem::path> find_parts_folders(const std::filesystem::path& published);
/// Returns the hidden folders of all runs below an output folder, in the order of their names.
std::vector<std::filesystem::path> find_all_parts_folders(const std::filesystem::path& out);
/// Returns the path to which a hidden folder is published; empty if the name is not that of one.
std::filesystem::path published_path(const std::filesystem::path& hidden);
/// Returns the run's id in the name of a hidden folder.
std::string run_id_of(const std::filesystem::path& hidden);

/// Returns whether a process is making a part, as far as the file system supports locks (flock).
bool is_in_progress(const std::filesystem::path& folder, std::uint32_t part);
/// Removes the hidden folder of a run. Throws option_error if a part in it is in progress.
void remove_parts_folder(const std::filesystem::path& folder);

}  // namespace negpipe::pipeline
