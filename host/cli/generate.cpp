#include "command.hpp"

void negpipe::cli::add_generate(CLI::App&) {}
