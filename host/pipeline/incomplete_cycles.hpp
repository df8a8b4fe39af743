// Cycles without a ready.json: remains of a deletion that a consumer did not finish.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <vector>

namespace negpipe::pipeline {

/// Reports each incomplete cycle once, after a delay, so that deletions in progress are not reported. Not thread-safe.
class incomplete_cycles {
 public:
  /// Calls report(folder), once per folder, for listed folders that were first seen at least 2 s ago.
  template <typename Report>
  void update(const std::vector<std::filesystem::path>& listed, std::chrono::nanoseconds now, Report report) {
    constexpr std::chrono::seconds grace{2};
    for (const auto& folder : listed) {
      const auto found = seen_.try_emplace(folder, state{now, false}).first;
      if (found->second.reported || now - found->second.since < grace) continue;
      found->second.reported = true;
      report(folder);
    }
  }

 private:
  struct state {
    std::chrono::nanoseconds since;
    bool reported;
  };
  std::map<std::filesystem::path, state> seen_;
};

}  // namespace negpipe::pipeline
