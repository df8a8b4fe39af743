// Cycles without a ready.json, which a consumer that died in the middle of a deletion leaves.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <vector>

namespace negpipe::pipeline {

/// Remembers how long each has been there, so that a deletion in progress is not reported.
class incomplete_cycles {
 public:
  /// Calls report(folder), once per folder, for those that were listed first at least 2 s ago.
  template <typename Report>
  void look(const std::vector<std::filesystem::path>& listed, std::chrono::nanoseconds now, Report report) {
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
