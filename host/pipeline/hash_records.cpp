#include "negpipe/pipeline.hpp"
