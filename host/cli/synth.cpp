#include "command.hpp"

void negpipe::cli::add_synth(CLI::App&) {}
