// The seed of the nightly statistics.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace negpipe::test {

/// Returns NEGPIPE_NIGHTLY_SEED, or 42 if it is not set. scripts/test draws and prints a new one for each run: a fixed
/// seed would test the same streams every night.
inline std::uint64_t nightly_seed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("NEGPIPE_NIGHTLY_SEED");
    return given == nullptr || *given == '\0' ? std::uint64_t{42} : std::stoull(given);
  }();
  return seed;
}

}  // namespace negpipe::test
