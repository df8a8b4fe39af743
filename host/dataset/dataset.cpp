#include "negpipe/dataset.hpp"
