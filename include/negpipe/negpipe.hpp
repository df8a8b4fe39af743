// Includes all public headers.
#pragma once

#include "negpipe/backend.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/device.hpp"
#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/mask_positives.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/produce.hpp"
#include "negpipe/run_control.hpp"
#include "negpipe/sampler.hpp"
#include "negpipe/synth.hpp"
#include "negpipe/tfrecord.hpp"
#include "negpipe/version.hpp"
