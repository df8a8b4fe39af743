"""pandas doing what negpipe prepare does, on the same file: the peer of ingest_bench.

    bench/peers/pandas_prepare.py RATINGS [DATASET]

With DATASET, a folder that negpipe prepare made of RATINGS, the arrays are compared before anything is said.
"""

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
if len(sys.argv) > 2:
    for name, expected in arrays.items():
        np.testing.assert_array_equal(np.load(Path(sys.argv[2]) / f"{name}.npy", mmap_mode="r"), expected)
rows = len(ratings)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"pandas: {rows} rows in {end - start:.2f} s ({read - start:.2f} s reading), {rows / (end - start) / 1e6:.2f} M "
      f"rows/s, peak memory {peak:.2f} GB")
