// What all folders of a verified run share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "negpipe/pipeline.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/sampler.hpp"
#include "thread_pool.hpp"
#include "verify_records.hpp"

namespace negpipe::pipeline {

inline constexpr std::size_t max_reported_failures = 20;

/// State that all folders of a run share.
struct verification {
  const dataset& data;
  const positives_index& index;
  std::shared_ptr<const backend> filler;  ///< runs in the calling thread
  const verify_options& options;
  support::thread_pool& pool;
  const run_control& control;
  verify_report& report;

  /// A message may begin with the path of the file.
  void fail(const std::filesystem::path& file, std::string message) const {
    for (const char* separator : {": ", " "}) {
      const std::string prefix = file.string() + separator;
      if (message.starts_with(prefix)) message.erase(0, prefix.size());
    }
    ++report.failure_count;
    if (report.failures.size() < max_reported_failures) report.failures.push_back({file.string(), std::move(message)});
  }
  void fail(const std::filesystem::path& file, const std::string& where, const findings& found) const {
    for (const auto& message : found.messages()) fail(file, where + message);
    report.failure_count += found.count() - found.messages().size();
  }
};

}  // namespace negpipe::pipeline
