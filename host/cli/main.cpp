// The program negpipe. Exit status: 0 success; 1 verify found a broken guarantee; 2 wrong options; 3 unreadable
// ratings; 4 damaged or foreign data; 5 impossible request; 6 error of the operating system; 7 backend missing or
// failed; 8 out of memory, or a bug; 130 interrupted by a signal.
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

#include "command.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/error.hpp"
#include "negpipe/version.hpp"
#include "process.hpp"

namespace {

int report_error(const char* message, int status) {
  std::fprintf(stderr, "negpipe: %s\n", message);
  return status;
}

template <typename Failure>
bool is(const negpipe::error& failure) {
  return dynamic_cast<const Failure*>(&failure) != nullptr;
}

int status_of(const negpipe::error& failure) {
  if (is<negpipe::option_error>(failure)) return 2;
  if (is<negpipe::input_error>(failure)) return 3;
  if (is<negpipe::format_error>(failure)) return 4;
  if (is<negpipe::infeasible_error>(failure)) return 5;
  if (is<negpipe::io_error>(failure)) return 6;
  if (is<negpipe::backend_error>(failure)) return 7;
  return is<negpipe::interrupted_error>(failure) ? 130 : 8;
}

int run(CLI::App& app, int argc, char** argv) {
  try {
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& outcome) {
      if (app.exit(outcome) != 0) return 2;
      std::cout.flush();  // help, or the version
      negpipe::cli::flush_output();
    }
    return 0;
  } catch (const negpipe::cli::negative_outcome& outcome) {
    return outcome.error.empty() ? 1 : report_error(negpipe::printable(outcome.error).c_str(), 1);
  } catch (const negpipe::error& failure) {
    return report_error(negpipe::cli::with_flags(failure).c_str(), status_of(failure));
  } catch (const std::bad_alloc&) {
    return report_error("out of memory; close other programs, or use a smaller batch or --bitset-budget", 8);
  } catch (const std::exception& failure) {
    return report_error(failure.what(), 8);
  }
}

}  // namespace

int main(int argc, char** argv) {
  negpipe::cli::open_standard_descriptors();
  negpipe::cli::end_on_bus_error();
  CLI::App app("negpipe makes exact, reproducible training and evaluation data for recommenders.", "negpipe");
  app.set_version_flag("--version", std::string("negpipe ") + negpipe::library_version);
  app.require_subcommand(1);
  negpipe::cli::add_prepare(app);
  negpipe::cli::add_synth(app);
  negpipe::cli::add_info(app);
  negpipe::cli::add_generate(app);
  negpipe::cli::add_produce(app);
  negpipe::cli::add_publish(app);
  negpipe::cli::add_join(app);
  negpipe::cli::add_verify(app);
  negpipe::cli::add_hash(app);
  negpipe::cli::check_values(app);
  return run(app, argc, argv);
}
