#include <vector>

#include "folder_writer.hpp"
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

verify_report verify(const dataset& data, const fs::path& folder, const run_control& control,
                     const verify_options& options) {
  check_part(options.part);
  verify_report report;
  const std::vector<record_folder> folders = find_record_folders(folder);
  const positives_index index(data, options.bitset_budget, control);
  support::thread_pool pool(control.thread_count());
  const verification run{data, index, make_backend(options.device, index, 1), options, pool, control, report};
  for (const record_folder& records : folders) {
    verify_folder(run, records);
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
