"""`negpipe prepare` in pandas: the peer of compare_pandas.

    bench/peers/pandas_prepare.py RATINGS [DATASET]

Prints one JSON object: rows, seconds, the part of them spent reading, and peak resident memory. DATASET, if given, is
the folder that negpipe prepare made of RATINGS: its arrays are compared first.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/oracle"))
import pandas_oracle  # noqa: E402

start = time.perf_counter()
ratings = pandas_oracle.read_ratings(sys.argv[1])
read = time.perf_counter()
arrays = pandas_oracle.prepare(ratings)
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if len(sys.argv) > 2:
    for name, expected in arrays.items():
        np.testing.assert_array_equal(np.load(Path(sys.argv[2]) / f"{name}.npy", mmap_mode="r"), expected)
print(json.dumps({"rows": len(ratings), "seconds": end - start, "reading_seconds": read - start,
                  "peak_memory_bytes": peak}))
