#include "command.hpp"

void negpipe::cli::add_prepare(CLI::App&) {}
