"""`negpipe prepare` in Polars: the second peer of compare_pandas.

    bench/peers/polars_prepare.py RATINGS [DATASET]

Prints one JSON object: rows, seconds, the part of them spent reading, and peak resident memory. DATASET, if given, is
the folder that negpipe prepare made of RATINGS: its arrays are compared first.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import polars

MIN_RATINGS = 20


def numbered(ratings, column):
    """Replaces ids by numbers in the order of first appearance. Returns the ratings and the ids."""
    ids = ratings.select(polars.col(column).unique(maintain_order=True)).with_row_index("number")
    joined = ratings.join(ids, on=column, maintain_order="left")
    return joined.drop(column).rename({"number": column}), ids[column].to_numpy()


def prepare(ratings):
    """Returns arrays by the names of their files."""
    ratings = ratings.filter(polars.len().over("user_id") >= MIN_RATINGS)
    ratings, user_ids = numbered(ratings, "user_id")
    ratings, item_ids = numbered(ratings, "item_id")
    ratings = ratings.sort("user_id", "timestamp", maintain_order=True)
    is_last = (ratings["user_id"] != ratings["user_id"].shift(-1)).fill_null(True)
    training = ratings.filter(~is_last).sort("user_id", "item_id")
    counts = np.bincount(training["user_id"].to_numpy(), minlength=len(user_ids))
    return {
        "user_offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "positive_items": training["item_id"].to_numpy().astype(np.int32),
        "test_offsets": np.arange(len(user_ids) + 1),
        "test_items": ratings.filter(is_last)["item_id"].to_numpy().astype(np.int32),
        "user_ids": user_ids,
        "item_ids": item_ids,
    }


start = time.perf_counter()
ratings = polars.read_csv(sys.argv[1])
read = time.perf_counter()
rows = len(ratings)
arrays = prepare(ratings)
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if len(sys.argv) > 2:
    for name, expected in arrays.items():
        np.testing.assert_array_equal(np.load(Path(sys.argv[2]) / f"{name}.npy", mmap_mode="r"), expected)
print(json.dumps({"rows": rows, "seconds": end - start, "reading_seconds": read - start, "peak_memory_bytes": peak}))
