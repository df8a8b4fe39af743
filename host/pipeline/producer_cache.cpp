#include "producer_cache.hpp"

#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "folder_writer.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "negpipe/produce.hpp"
#include "output_path.hpp"
#include "process_identity.hpp"
#include "removal.hpp"
#include "staging.hpp"
#include "whole_number.hpp"

namespace negpipe {

namespace fs = std::filesystem;

namespace pipeline {

namespace {

constexpr const char* alive_name = "subproc.alive";
constexpr const char* lock_name = "producer.lock";
constexpr const char* in_use_name = ".in-use";

/// Waits up to 500 ms for a condition. Returns true as soon as it holds. The condition may have state.
template <typename Condition>
bool wait_briefly(Condition holds) {
  for (int i = 0; i < 50; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

/// Counts the entries below a folder. Stops counting at a folder that cannot be listed.
std::size_t count_entries(const fs::path& folder) noexcept {
  std::size_t count = 0;
  std::error_code failure;
  for (fs::recursive_directory_iterator entry(folder, failure), end; !failure && entry != end;) {
    ++count;
    entry.increment(failure);
  }
  return count;
}

/// Waits for a removal in progress, because two concurrent removals of the same files interfere. Returns when the
/// folder is gone, or when nothing was removed from it for 500 ms.
void wait_for_removal(const support::file& folder) {
  std::size_t count = count_entries(folder.path());
  const auto is_over = [&] {
    const std::size_t before = std::exchange(count, count_entries(folder.path()));
    return count < before || !folder.is_in_place();
  };
  while (wait_briefly(is_over) && folder.is_in_place()) continue;
}

/// Locks a file. Returns false if another process holds the lock.
bool try_lock(const support::file& file) {
  if (::flock(file.descriptor(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) support::throw_io_error("lock", file.path());
  return false;
}

support::file lock_folder(const fs::path& root) {
  for (;;) {
    std::error_code failure;
    fs::create_directories(root, failure);
    if (failure) {
      errno = failure.value();
      support::throw_write_error("create", root);
    }
    support::file lock = support::file::open_or_create(root / lock_name);
    if (!try_lock(lock)) {
      throw option_error(root.string() + " has a producer already; stop it, or choose another `cache_id`");
    }
    if (lock.is_in_place()) return lock;  // otherwise its previous holder has just removed the file
  }
}

support::file make_and_open(const fs::path& folder) {
  support::make_folder(folder);
  return support::file::open_folder(folder);
}

std::optional<std::uint64_t> cycle_number(const std::string& name) {
  constexpr std::string_view prefix = "cycle_";
  if (!name.starts_with(prefix)) return {};
  return support::whole_number<std::uint64_t>(std::string_view(name).substr(prefix.size()));
}

/// Returns whether a failure means that the path does not exist, unlike "permission denied" or an I/O error.
bool means_absent(const std::error_code& failure) {
  return failure == std::errc::no_such_file_or_directory || failure == std::errc::not_a_directory;
}

bool is_ready(const fs::path& folder) {
  std::error_code failure;
  const fs::path ready = folder / record::ready_file_name;
  if (fs::is_regular_file(ready, failure)) return true;
  if (!failure || means_absent(failure)) return false;
  errno = failure.value();
  support::throw_io_error("examine", ready);
}

/// Returns whether an entry is a file with a name such as "train_0.tfrecords" or "eval_12.tfrecords.idx".
bool is_record_file(const fs::directory_entry& entry) {
  std::error_code unknown;
  if (!entry.is_regular_file(unknown) || entry.is_symlink(unknown)) return false;
  std::string name = entry.path().filename().string();
  if (name.ends_with(record::index_suffix)) name.resize(name.size() - record::index_suffix.size());
  constexpr std::string_view suffix = ".tfrecords";
  if (!name.ends_with(suffix)) return false;
  name.resize(name.size() - suffix.size());
  for (const std::string_view prefix : {record::training_prefix, record::evaluation_prefix}) {
    if (!name.starts_with(prefix) || name.size() < prefix.size() + 2 || name[prefix.size()] != '_') continue;
    return name.find_first_not_of("0123456789", prefix.size() + 1) == std::string::npos;
  }
  return false;
}

/// Returns whether a folder can be the rest of an interrupted deletion: it holds only record files, or nothing.
bool is_half_deleted(const fs::path& folder) {
  std::error_code failure;
  if (fs::is_symlink(folder, failure) || !support::is_folder(folder)) return false;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    if (!is_record_file(*entry)) return false;
  }
  return !failure;
}

}  // namespace

producer_cache::producer_cache(fs::path root)
    : root_(std::move(root)),
      lock_(lock_folder(root_)),
      folder_(support::file::open_folder(root_)),
      in_use_(make_and_open(root_ / in_use_name)) {}

producer_cache::~producer_cache() {
  const bool withdrawn = alive_ && !is_announced();
  if (withdrawn) wait_for_removal(folder_);
  if (!folder_.is_in_place()) return;
  const bool lock_removed = !lock_.is_in_place();
  if (lock_removed && !lock_again()) return;
  const bool removed = withdrawn && lock_removed && !in_use_.is_in_place();
  std::error_code ignored;
  if (removed || owns_unfinished_) support::try_remove_hidden_tree(staging());
  if (removed) {
    remove_rest();
    return;
  }
  fs::remove(in_use_.path(), ignored);
  if (lock_removed) fs::remove(lock_.path(), ignored);  // lock_again() created it
  // Last, because its removal means that the producer has finished. Retried, because trainers wait for it.
  for (int attempt = 0; attempt < 3 && is_announced(); ++attempt) fs::remove(alive_->path(), ignored);
}

/// Removes what this producer wrote into the folder while the user removed it.
void producer_cache::remove_rest() const noexcept {
  for (const fs::path& folder : {cycles(), evaluation()}) {
    try {
      support::remove_tree(folder);
    } catch (const std::exception&) {
      return;
    }
  }
  std::error_code ignored;
  fs::remove(root_ / note_name, ignored);
  fs::remove(lock_.path(), ignored);
  fs::remove(root_, ignored);  // if it is empty
}

bool producer_cache::is_being_removed() const {
  return wait_briefly([&] { return !is_announced(); });
}

bool producer_cache::lock_again() noexcept {
  try {
    auto lock = support::file::create_new(root_ / lock_name);
    if (!lock || !try_lock(*lock)) return false;
    lock_ = std::move(*lock);
    return true;
  } catch (const io_error&) {
    return false;
  }
}

fs::path producer_cache::cycles() const { return root_ / record::training_folder; }

fs::path producer_cache::evaluation() const { return evaluation_folder(root_); }

void producer_cache::clear_unfinished(const std::string& except) {
  if (except.empty()) {
    support::remove_hidden_tree(staging());
    owns_unfinished_ = true;
    return;
  }
  std::vector<fs::path> others;
  support::visit_entries(staging(), [&](const fs::path& entry) {
    if (entry.filename() != except) others.push_back(entry);
  });
  for (const fs::path& other : others) support::remove_hidden_tree(other);
}

void producer_cache::clear_records() const {
  const cycle_list cycles = list_cycles();
  std::vector<fs::path> folders = cycles.ready;
  folders.insert(folders.end(), cycles.incomplete.begin(), cycles.incomplete.end());
  if (support::is_taken(evaluation())) folders.push_back(evaluation());
  for (const fs::path& folder : folders) {
    if (!is_half_deleted(folder)) (void)support::check_replaceable(folder, record_folder_kind);
    support::check_removable(folder);
  }
  support::remove_tree(root_ / note_name);
  support::sync_folder(root_);
  support::make_folder(staging());
  for (const fs::path& folder : folders) support::remove_tree(folder, staging());
}

std::vector<fs::path> producer_cache::clear_incomplete() const {
  std::vector<fs::path> kept;
  std::vector<fs::path> folders = list_cycles().incomplete;
  if (support::is_taken(evaluation()) && !has_evaluation()) folders.push_back(evaluation());
  for (const fs::path& folder : folders) {
    // Without a ready.json consumers ignore it, so it need not disappear in one step.
    is_half_deleted(folder) ? support::remove_hidden_tree(folder) : kept.push_back(folder);
  }
  return kept;
}

void producer_cache::write_note(const producer_note& note) const {
  support::make_folder(staging());
  support::publish_file(root_ / note_name, to_text(note), staging());
}

void producer_cache::announce() {
  make_folders();
  const std::string text = process_identity_text();
  // Keeps the file open from its hidden name on, so that the destructor removes it after a failure below.
  alive_ = support::file::create(staging() / (std::string(".") + alive_name));
  alive_->write(std::as_bytes(std::span(text)));
  alive_->sync();
  alive_->rename_to(root_ / alive_name);
  support::sync_folder(root_);
}

void producer_cache::make_folders() const {
  support::make_folder(cycles());
  support::make_folder(staging());
}

cycle_list producer_cache::list_cycles() const {
  cycle_list found;
  std::error_code failure;
  for (fs::directory_iterator entry(cycles(), failure), end; !failure && entry != end; entry.increment(failure)) {
    const auto number = cycle_number(entry->path().filename().string());
    if (!number) continue;
    (is_ready(entry->path()) ? found.ready : found.incomplete).push_back(entry->path());
    found.after_last = std::max(found.after_last, *number + 1);
  }
  if (!failure || means_absent(failure)) return found;
  errno = failure.value();
  support::throw_io_error("list", cycles());  // an unlisted cycle would count as consumed
}

bool producer_cache::has_evaluation() const { return is_ready(evaluation()); }

bool producer_cache::has_records() const {
  // A dangling symbolic link does not exist for exists(), but occupies the path.
  return list_cycles().after_last != 0 || support::exists(evaluation()) || support::is_taken(evaluation());
}

}  // namespace pipeline

fs::path cache_folder(const fs::path& data_dir, std::string_view cache_id) {
  const auto refuse = [&](const char* what) {
    const std::string quoted =
        nlohmann::json(cache_id).dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
    throw option_error("cache_id", fmt::format("found {}, which {}; give a plain name, such as run-1", quoted, what));
  };
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  constexpr std::string_view suffix = "_ncf_recommendation_cache";
  constexpr std::size_t max_bytes = 255 - suffix.size();  // of a name on Linux
  if (cache_id.empty()) refuse("is empty");
  if (cache_id.size() > max_bytes) refuse("is too long for the name of a folder");
  if (cache_id.front() == '.') refuse("starts with a dot");
  if (cache_id.find('/') != std::string_view::npos) refuse("holds a slash");
  if (std::ranges::any_of(cache_id, is_control)) refuse("holds a control character");
  if (cache_id.front() == ' ' || cache_id.back() == ' ') refuse("starts or ends with a space");
  return data_dir / fmt::format("{}{}", cache_id, suffix);
}

}  // namespace negpipe
