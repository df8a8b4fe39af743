"""Preparation by the Python package: a part of compare_inputs.

    bench/peers/memory_prepare.py from_ratings|from_arrow|from_arrays RATINGS

Prints one JSON object: elapsed and processor seconds of the call, peak resident memory of the process, which includes
the table in memory, and the digest of the dataset.
"""

import json
import os
import resource
import sys
import time

import negpipe

how, path = sys.argv[1:]
arguments = [path]
if how != "from_ratings":
    import pyarrow.csv

    table = pyarrow.csv.read_csv(path)
    arguments = [table]
    if how == "from_arrays":
        arguments = [table.column(name).to_numpy() for name in ("user_id", "item_id", "timestamp")]
start, before = time.perf_counter(), os.times()
data = getattr(negpipe.Dataset, how)(*arguments)
seconds, after = time.perf_counter() - start, os.times()
print(json.dumps({"seconds": seconds, "processor_seconds": after.user + after.system - before.user - before.system,
                  "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "digest": data.digest}))
