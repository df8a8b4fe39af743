// Any bytes as a ratings file: must give a dataset, equal for one thread and three, or an input_error.
// The first two bytes choose options.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "memory_file.hpp"
#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"

namespace {

std::string outcome(const std::filesystem::path& path, const negpipe::prepare_options& options, unsigned threads) {
  negpipe::run_control control;
  control.threads = threads;
  try {
    return negpipe::prepare(path, options, control).digest();
  } catch (const negpipe::input_error& refusal) {
    return refusal.what();
  } catch (const negpipe::option_error& refusal) {
    return refusal.what();  // a split by time of a table without times
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  negpipe::prepare_options options;
  options.min_ratings = data[0] % 4;
  options.duplicates = static_cast<negpipe::duplicate_policy>(data[0] / 4 % 3);
  options.ties = static_cast<negpipe::tie_order>(data[0] / 16 % 2);
  options.split.kind = static_cast<negpipe::split_kind>(data[0] / 32 % 4);
  options.split.test_from = "978300760.5";
  options.unknown = static_cast<negpipe::unknown_policy>(data[0] / 128);
  const std::uint8_t reading = data[1];
  options.table.missing = static_cast<negpipe::missing_policy>(reading % 2);
  options.table.quotes = reading / 2 % 2 == 0;
  options.table.layout = static_cast<negpipe::row_layout>(reading / 4 % 3);
  options.table.encoding = static_cast<negpipe::text_encoding>(reading / 16 % 4);
  if (reading / 64 % 2 == 1) {
    options.table.order = negpipe::row_order::file;
    options.ties = negpipe::tie_order::file;
  }
  if (reading / 128 == 1) options.min_rating = 3;
  const auto path = negpipe::fuzz::memory_file(data + 2, size - 2);
  if (outcome(path, options, 1) != outcome(path, options, 3)) std::abort();
  return 0;
}
