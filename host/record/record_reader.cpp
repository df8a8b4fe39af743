#include "negpipe/tfrecord.hpp"
