#include "process_identity.hpp"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

namespace negpipe::pipeline {

namespace {

/// When this process started, in clock ticks since boot.
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

std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  in >> id;
  return id;
}

std::string pid_namespace() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/ns/pid", ignored).string();
}

}  // namespace

std::string process_identity_text() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const nlohmann::ordered_json content{{"pid", ::getpid()},
                                       {"start_time", fmt::format("{:%FT%TZ}", now)},
                                       {"start_ticks", start_ticks()},
                                       {"boot_id", boot_id()},
                                       {"pid_namespace", pid_namespace()}};
  return content.dump() + "\n";
}

}  // namespace negpipe::pipeline
