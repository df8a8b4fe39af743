#include "process_identity.hpp"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "whole_number.hpp"

namespace negpipe::pipeline {

namespace {

/// Returns the start time of this process, in clock ticks since boot.
std::uint64_t start_ticks() {
  std::ifstream in("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  // The second field, the program's name, ends at the last parenthesis. The start time is the 22nd field.
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return support::whole_number<std::uint64_t>(field).value_or(0);
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
