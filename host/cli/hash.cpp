#include "command.hpp"

void negpipe::cli::add_hash(CLI::App&) {}
