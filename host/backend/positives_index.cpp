#include "negpipe/positives.hpp"
