"""`prepare` in pandas: the reference of the tests, and the peer of bench/compare_pandas."""

import numpy as np
import pandas as pd

NAMES = {"userId": "user_id", "movieId": "item_id"}


def read_ratings(path):
    return pd.read_csv(path).rename(columns=NAMES)


def prepare(ratings, min_ratings=20, duplicates="error"):
    """Returns arrays by the names of their files."""
    pairs = ratings[["user_id", "item_id"]]
    if duplicates == "error":
        assert not pairs.duplicated().any()
    else:
        ratings = ratings[~pairs.duplicated(keep=duplicates)]
    counts = ratings.groupby("user_id")["user_id"].transform("size")
    ratings = ratings[counts >= min_ratings]
    users, user_ids = pd.factorize(ratings["user_id"])  # in the order of first appearance
    items, item_ids = pd.factorize(ratings["item_id"])
    dense = pd.DataFrame({"user": users, "item": items.astype(np.int32), "timestamp": ratings["timestamp"].to_numpy()})
    dense = dense.sort_values(["user", "timestamp"], kind="stable")
    last = ~dense["user"].duplicated(keep="last")
    training = dense[~last].sort_values(["user", "item"])
    counts = np.bincount(training["user"], minlength=len(user_ids))
    return {
        "user_offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "positive_items": training["item"].to_numpy(),
        "test_offsets": np.arange(len(user_ids) + 1),
        "test_items": dense["item"][last].to_numpy(),
        "user_ids": np.asarray(user_ids),
        "item_ids": np.asarray(item_ids),
    }
