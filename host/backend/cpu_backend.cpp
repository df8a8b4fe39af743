#include "negpipe/backend.hpp"
