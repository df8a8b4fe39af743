#include "command.hpp"

void negpipe::cli::add_info(CLI::App&) {}
