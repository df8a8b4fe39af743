// Tables of frozen hashes of the outputs of a stream version, one per line.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "negpipe/core/counter.hpp"

namespace negpipe::test {

using golden_table = std::map<std::string, std::string>;  ///< hash by name of the output

/// Compares with KIND_stream_N.txt beside this file, or writes that file first if NEGPIPE_GOLDEN_WRITE is set.
inline void expect_golden(const std::string& kind, const golden_table& now) {
  const std::string path =
      std::string(NEGPIPE_GOLDEN_DIR) + "/" + kind + "_stream_" + std::to_string(core::stream_version) + ".txt";
  if (std::getenv("NEGPIPE_GOLDEN_WRITE") != nullptr) {
    std::ofstream file(path);
    for (const auto& [name, hash] : now) file << hash << ' ' << name << '\n';
    ASSERT_TRUE(file.good());
  }
  golden_table wanted;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t space = line.find(' ');
    if (space != std::string::npos) wanted[line.substr(space + 1)] = line.substr(0, space);
  }
  ASSERT_FALSE(wanted.empty()) << path << " is missing or empty; tests/golden/README.md says how to make it";
  EXPECT_EQ(now, wanted) << "bytes changed under stream version " << core::stream_version
                         << "; tests/golden/README.md says what to do";
}

}  // namespace negpipe::test
