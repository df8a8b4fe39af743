#include <algorithm>
#include <string>
#include <vector>

#include "files.hpp"
#include "folder_writer.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/sampler.hpp"
#include "record_folders.hpp"
#include "thread_pool.hpp"
#include "verification.hpp"
#include "verify_folder.hpp"

namespace negpipe {

namespace fs = std::filesystem;
using namespace pipeline;

namespace {

/// Weights of folders that do not exist could be taken for checked ones.
void refuse_useless_weights(const std::vector<record_folder>& folders, const fs::path& out,
                            const verify_options& options) {
  const auto has = [&](bool is_evaluation) {
    return std::ranges::find(folders, is_evaluation, &record_folder::is_evaluation) != folders.end();
  };
  if (!options.weights.is_uniform() && !has(false)) {
    throw option_error("weights", out.string() + " holds no training records; leave the weights out");
  }
  if (!options.eval_weights.is_uniform() && !has(true)) {
    throw option_error("eval_weights", out.string() + " holds no evaluation data; leave the weights out");
  }
}

}  // namespace

verify_report verify(const dataset& data, const fs::path& folder, const run_control& control,
                     const verify_options& options) {
  check_part(options.part);
  verify_report report;
  const std::vector<record_folder> folders =
      options.part ? find_folders_of_part(folder, *options.part) : find_record_folders(folder);
  refuse_useless_weights(folders, folder, options);
  const positives_index index(data, options.bitset_budget, control);
  support::thread_pool pool(control.thread_count());
  const verification run{data, index, make_backend(options.device, index, 1), options, pool, control, report};
  for (const record_folder& records : folders) {
    verify_folder(run, records);
    if (!support::is_folder(records.path)) continue;  // a missing cycle of a part, which was reported
    if (records.is_evaluation) {
      report.has_evaluation = true;
    } else {
      ++report.cycle_count;
    }
  }
  data.check_unchanged();
  return report;
}

}  // namespace negpipe
