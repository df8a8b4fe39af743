#include "command.hpp"

void negpipe::cli::add_verify(CLI::App&) {}
