#include "flagfile.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

#include "negpipe/error.hpp"
#include "numbers.hpp"

namespace negpipe::cli {

namespace {

namespace fs = std::filesystem;

template <typename Value>
using flag_member = std::optional<Value> legacy_flags::*;
using any_member = std::variant<flag_member<std::string>, flag_member<std::uint64_t>, flag_member<bool>>;

const std::initializer_list<std::pair<std::string_view, any_member>> flag_members{
    {"data_dir", &legacy_flags::data_dir},
    {"cache_id", &legacy_flags::cache_id},
    {"num_workers", &legacy_flags::num_workers},
    {"num_readers", &legacy_flags::num_readers},
    {"num_neg", &legacy_flags::num_neg},
    {"num_train_positives", &legacy_flags::num_train_positives},
    {"num_items", &legacy_flags::num_items},
    {"num_users", &legacy_flags::num_users},
    {"epochs_per_cycle", &legacy_flags::epochs_per_cycle},
    {"train_batch_size", &legacy_flags::train_batch_size},
    {"eval_batch_size", &legacy_flags::eval_batch_size},
    {"seed", &legacy_flags::seed},
    {"redirect_logs", &legacy_flags::redirect_logs},
    {"use_tf_logging", &legacy_flags::use_tf_logging},
    {"ml_perf", &legacy_flags::ml_perf},
};

const any_member* find_member(std::string_view name) {
  for (const auto& [candidate, member] : flag_members) {
    if (candidate == name) return &member;
  }
  return nullptr;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lower;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> wanted) {
  return std::find(wanted.begin(), wanted.end(), text) != wanted.end();
}

/// One line of a flag file, with its location for messages.
class flag_line {
 public:
  flag_line(std::string where, std::string_view text) : where_(std::move(where)) {
    if (text.starts_with("--")) {
      text.remove_prefix(2);
    } else if (text.starts_with("-")) {
      text.remove_prefix(1);
    } else {
      fail(fmt::format("found \"{}\", --name=value wanted", text));
    }
    const auto equals = text.find('=');
    name_ = text.substr(0, equals);
    if (equals != std::string_view::npos) value_ = text.substr(equals + 1);
  }

  void store(legacy_flags& flags) {
    const any_member* member = find_member(name_);
    if (member == nullptr && !value_ && name_.starts_with("no")) {
      member = find_member(name_.substr(2));
      if (member != nullptr && std::holds_alternative<flag_member<bool>>(*member)) {
        flags.*std::get<flag_member<bool>>(*member) = false;
        return;
      }
      member = nullptr;
    }
    if (member == nullptr) fail(fmt::format("unknown option \"{}\"; known options: {}", name_, known_names()));
    std::visit([&](auto known) { read(flags.*known); }, *member);
  }

 private:
  void read(std::optional<std::string>& out) { out = std::string(wanted("a text")); }

  void read(std::optional<bool>& out) {
    const std::string value = in_lower_case(value_.value_or("true"));
    if (is_one_of(value, {"true", "t", "yes", "y", "1"})) {
      out = true;
    } else if (is_one_of(value, {"false", "f", "no", "n", "0"})) {
      out = false;
    } else if (value == "none") {
      out.reset();
    } else {
      fail(fmt::format("--{} is \"{}\", True or False wanted", name_, *value_));
    }
  }

  void read(std::optional<std::uint64_t>& out) {
    const std::string_view digits = wanted("a number");
    if (digits == "None") return out.reset();
    std::uint64_t number = 0;
    std::string_view rest = digits;
    if (!take_number(rest, number) || !rest.empty()) {
      fail(fmt::format("--{} is \"{}\", a whole number from 0 to 2^64 - 1 wanted", name_, digits));
    }
    out = number;
  }

  std::string_view wanted(const char* what) {
    if (!value_ || value_->empty()) fail(fmt::format("--{} has no value, {} wanted", name_, what));
    return *value_;
  }

  static std::string known_names() {
    std::string names;
    for (const auto& [name, member] : flag_members) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
    return names;
  }

  [[noreturn]] void fail(const std::string& what) const { throw option_error(where_ + ": " + what); }

  std::string where_;
  std::string_view name_;
  std::optional<std::string_view> value_;
};

[[noreturn]] void throw_unreadable(const char* what, const fs::path& file) {
  throw io_error(fmt::format("cannot {} {}: {}", what, file.string(), std::strerror(errno)));
}

bool file_exists(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0) return true;
  if (errno != ENOENT) throw_unreadable("examine", file);
  return false;
}

/// Closes a descriptor at the end of its scope.
class descriptor_closer {
 public:
  explicit descriptor_closer(int descriptor) : descriptor_(descriptor) {}
  ~descriptor_closer() { ::close(descriptor_); }
  descriptor_closer(const descriptor_closer&) = delete;
  descriptor_closer& operator=(const descriptor_closer&) = delete;

 private:
  int descriptor_;
};

/// Reads a regular file. The standard library's streams would block on a FIFO and read a folder as an empty file.
std::string read_small_file(const fs::path& path) {
  constexpr std::size_t max_bytes = std::size_t{1} << 20;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) throw_unreadable("open the flag file", path);
  const descriptor_closer guard(descriptor);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_unreadable("examine", path);
  if (!S_ISREG(status.st_mode)) throw io_error("the flag file " + path.string() + " is not a regular file");
  std::string text(max_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(descriptor, text.data() + size, text.size() - size);
    if (got < 0 && errno != EINTR) throw_unreadable("read", path);
    if (got == 0) break;
    size += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  if (size > max_bytes) {
    throw option_error(fmt::format("the flag file {} has more than {} bytes; give one --name=value per line",
                                   path.string(), max_bytes));
  }
  text.resize(size);
  return text;
}

void check_count(const char* name, std::optional<std::uint64_t> given, std::uint64_t found) {
  if (!given || *given == found) return;
  throw option_error(fmt::format("--{}={} in the flag file, but the dataset has {}; give the dataset that the trainer "
                                 "reads",
                                 name, *given, found));
}

}  // namespace

void read_flagfile(const fs::path& file, legacy_flags& flags) {
  std::istringstream in(read_small_file(file));
  std::optional<option_error> first_failure;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string_view text = trimmed(line);
    if (text.empty() || text.front() == '#') continue;
    try {
      flag_line(fmt::format("{}:{}", file.string(), number), text).store(flags);
    } catch (const option_error& failure) {
      if (!first_failure) first_failure = failure;
    }
  }
  if (first_failure) throw option_error(*first_failure);
}

bool wait_for_flagfile(const fs::path& file, std::chrono::seconds timeout, std::int64_t parent,
                       const run_control& control) {
  using clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds pause{100};
  constexpr std::chrono::nanoseconds max_step = 10 * pause;  // a longer step means that the process was stopped
  std::chrono::nanoseconds waited{};
  auto last = clock::now();
  // Polled, because the folder may not exist yet, and then inotify has nothing to watch.
  for (; !file_exists(file); std::this_thread::sleep_for(pause)) {
    control.throw_if_stopped();
    if (parent != 0 && ::getppid() != parent) return false;
    const auto now = clock::now();
    waited += std::min<std::chrono::nanoseconds>(now - last, max_step);
    last = now;
    if (waited < timeout) continue;
    throw option_error(fmt::format("the flag file {} did not appear within {} s; start the trainer, or give DATASET "
                                   "and the options here",
                                   file.string(), timeout.count()));
  }
  return true;
}

void check_counts(const legacy_flags& flags, const dataset& data) {
  check_count("num_train_positives", flags.num_train_positives, data.positive_count());
  check_count("num_items", flags.num_items, static_cast<std::uint64_t>(data.item_count()));
  check_count("num_users", flags.num_users, static_cast<std::uint64_t>(data.user_count()));
}

}  // namespace negpipe::cli
