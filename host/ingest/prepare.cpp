#include "negpipe/ingest.hpp"
