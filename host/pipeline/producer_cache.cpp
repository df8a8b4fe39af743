#include "producer_cache.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "folder_writer.hpp"
#include "format.hpp"
#include "json_text.hpp"
#include "negpipe/error.hpp"
#include "negpipe/produce.hpp"
#include "place.hpp"
#include "staging.hpp"

namespace negpipe {

namespace fs = std::filesystem;

fs::path cache_folder(const fs::path& data_dir, std::string_view cache_id) {
  return data_dir / fmt::format("{}_ncf_recommendation_cache", cache_id);
}

namespace {
/// Empty unless it is what a producer notes: decimal digits of 64 bits.
std::optional<std::uint64_t> parse_seed(const nlohmann::ordered_json& options) {
  const auto noted = options.value("--seed", nlohmann::ordered_json());
  if (!noted.is_string()) return {};
  const auto& digits = noted.get_ref<const std::string&>();
  std::uint64_t seed = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), seed);
  if (failure != std::errc() || end != digits.data() + digits.size()) return {};
  return seed;
}
}  // namespace

std::optional<std::uint64_t> recorded_seed(const fs::path& cache) {
  const auto note = pipeline::read_note(cache);
  if (!note) return {};
  return parse_seed(note->options);
}

namespace pipeline {

namespace {

constexpr const char* note_name = "producer.json";
constexpr const char* alive_name = "subproc.alive";
constexpr const char* lock_name = "producer.lock";

/// Waits for something to come to pass, half a second at most; whether it has.
template <typename Condition>
bool wait_briefly(Condition has_come) {
  for (int i = 0; i < 50 && !has_come(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return has_come();
}

/// False when another process has the lock.
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
      throw option_error(root.string() + " has a producer already; stop it, or choose another --cache-id");
    }
    if (lock.is_in_place()) return lock;  // else whoever had it has just removed it
  }
}

/// When this process began, in clock ticks since the machine did: with the pid it names the process for good.
std::uint64_t start_ticks() {
  std::ifstream in("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  // The second field, the program's name, may hold anything up to the last parenthesis; the start is the 22nd.
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  std::uint64_t ticks = 0;
  std::from_chars(field.data(), field.data() + field.size(), ticks);
  return ticks;
}

/// Where the pid means something: on this machine since it was started, and among the processes that see each other.
std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  in >> id;
  return id;
}

std::string pid_namespace() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/ns/pid", ignored).string();
}

std::string alive_text() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const nlohmann::ordered_json content{{"pid", ::getpid()},
                                       {"start_time", fmt::format("{:%FT%TZ}", now)},
                                       {"start_ticks", start_ticks()},
                                       {"boot_id", boot_id()},
                                       {"pid_namespace", pid_namespace()}};
  return content.dump() + "\n";
}

std::optional<std::uint64_t> cycle_number(const std::string& name) {
  constexpr std::string_view prefix = "cycle_";
  if (!name.starts_with(prefix)) return {};
  std::uint64_t number = 0;
  const char* last = name.data() + name.size();
  const auto [end, failure] = std::from_chars(name.data() + prefix.size(), last, number);
  if (failure != std::errc() || end != last) return {};
  return number;
}

/// Calls visit(path, number) for every cycle below a folder, which may be missing or go while it is read. Throws
/// io_error where it cannot be read: what is not seen would count as consumed.
template <typename Visit>
void for_each_cycle(const fs::path& folder, Visit visit) {
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    if (const auto number = cycle_number(entry->path().filename().string())) visit(entry->path(), *number);
  }
  if (!failure || failure == std::errc::no_such_file_or_directory || failure == std::errc::not_a_directory) return;
  errno = failure.value();
  support::throw_io_error("list", folder);
}

}  // namespace

std::optional<producer_note> read_note(const fs::path& cache) {
  const fs::path path = cache / note_name;
  if (!support::exists(path)) return {};
  const support::mapped_file file(path);
  const nlohmann::ordered_json content = support::parse_json(file.bytes());
  const bool whole = content.is_object() && content.contains("next_cycle") && content.contains("options") &&
                     content["next_cycle"].is_number_unsigned() && content["options"].is_object() &&
                     parse_seed(content["options"]);
  if (!whole) throw format_error(path.string() + " is not what a producer notes; start again with --force");
  return producer_note{content["next_cycle"].get<std::uint64_t>(), content["options"]};
}

producer_cache::producer_cache(fs::path root)
    : root_(std::move(root)), lock_(lock_folder(root_)), folder_(support::file::open_folder(root_)) {}

producer_cache::~producer_cache() {
  const bool withdrawn = alive_ && !is_announced();
  // Whoever removes the whole folder is let finish: two who remove the same files are in each other's way.
  if (withdrawn) wait_briefly([&] { return !folder_.is_in_place(); });
  if (!folder_.is_in_place()) return;
  const bool lock_removed = !lock_.is_in_place();
  if (lock_removed && !lock_again()) return;
  std::error_code ignored;
  fs::remove_all(staging(), ignored);
  if (withdrawn && lock_removed) {
    // What came into the folder while it was being removed stands there still, and so does the folder.
    fs::remove_all(cycles(), ignored);
    fs::remove_all(evaluation_folder(root_), ignored);
    fs::remove(root_ / note_name, ignored);
    fs::remove(lock_.path(), ignored);
    fs::remove(root_, ignored);  // if it is empty
  }
  if (is_announced()) fs::remove(alive_->path(), ignored);  // last: whoever waits for our end finds all in order
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

void producer_cache::clear_unfinished() const { support::remove_all(staging()); }

void producer_cache::clear_records() const {
  std::vector<fs::path> records{evaluation_folder(root_)};
  for_each_cycle(cycles(), [&](const fs::path& cycle, std::uint64_t) { records.push_back(cycle); });
  for (const fs::path& folder : records) support::check_folder_place(folder, record_mark);  // before any is gone
  for (const fs::path& folder : records) support::remove_all(folder);
  support::remove_all(root_ / note_name);
}

void producer_cache::write_note(const producer_note& note) const {
  const nlohmann::ordered_json content{{"next_cycle", note.next_cycle}, {"options", note.options}};
  support::make_folder(staging());
  support::publish_file(root_ / note_name, content.dump(2) + "\n", staging());
}

void producer_cache::announce() {
  make_folders();
  support::publish_file(root_ / alive_name, alive_text(), staging());
  alive_ = support::file::open_read(root_ / alive_name);
}

void producer_cache::make_folders() const {
  support::make_folder(cycles());
  support::make_folder(staging());
}

std::uint64_t producer_cache::unconsumed_count() const {
  std::uint64_t count = 0;
  for_each_cycle(cycles(), [&](const fs::path&, std::uint64_t) { ++count; });
  return count;
}

std::uint64_t producer_cache::cycle_after_last() const {
  std::uint64_t after = 0;
  for_each_cycle(cycles(), [&](const fs::path&, std::uint64_t cycle) { after = std::max(after, cycle + 1); });
  return after;
}

bool producer_cache::has_evaluation() const { return support::exists(evaluation_folder(root_)); }

}  // namespace pipeline

}  // namespace negpipe
