"""`prepare` equals pandas: ids, order, held-out items and positives. NumPy reads the dataset folder."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pandas_oracle

PROGRAM = os.environ["NEGPIPE_PROGRAM"]
SHARED = Path(os.environ["NEGPIPE_SHARED_DIR"])
DTYPES = {"user_offsets": "<i8", "positive_items": "<i4", "test_offsets": "<i8", "test_items": "<i4"}


def prepare(ratings, out, *options):
    subprocess.run([PROGRAM, "prepare", ratings, "--out", out, "--quiet", *options], check=True)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in Path(out).glob("*.npy")}
    for name, dtype in DTYPES.items():
        assert arrays[name].dtype == np.dtype(dtype)
    for kind in ("user_ids", "item_ids"):
        if kind in arrays:
            continue
        raw = arrays.pop(f"{kind}_bytes").tobytes()
        ends = arrays.pop(f"{kind}_offsets")
        arrays[kind] = np.array([raw[a:b].decode() for a, b in zip(ends, ends[1:])], dtype=object)
    return arrays


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def random_ratings(seed, rows, users, items, times, text=False):
    rng = np.random.default_rng(seed)
    ratings = pd.DataFrame({
        "user_id": rng.zipf(1.3, rows) % users * 7 - 50,
        "item_id": rng.zipf(1.2, rows) % items + 2**40,
        "rating": rng.integers(1, 6, rows),
        "timestamp": rng.integers(-times, times, rows),
    })
    if text:
        ratings["user_id"] = "u " + ratings["user_id"].astype(str)
        ratings["item_id"] = ratings["item_id"].astype(str) + ",\"é\""
    return ratings


@pytest.mark.parametrize("text", [False, True], ids=["numbers", "text"])
@pytest.mark.parametrize("duplicates", ["first", "last"])
@pytest.mark.parametrize("min_ratings", [1, 2, 20])
def test_random_ratings_give_equal_datasets(tmp_path, text, duplicates, min_ratings):
    ratings = random_ratings(5, 30_000, users=400, items=900, times=40, text=text)
    ratings.to_csv(tmp_path / "r.csv", index=False)
    found = prepare(tmp_path / "r.csv", tmp_path / "out", "--duplicates", duplicates, "--min-ratings", str(min_ratings))
    assert_equal(found, pandas_oracle.prepare(ratings, min_ratings, duplicates))


def test_the_reference_detects_another_order(tmp_path):
    ratings = random_ratings(6, 30_000, users=400, items=900, times=40).drop_duplicates(["user_id", "item_id"])
    ratings.to_csv(tmp_path / "r.csv", index=False)
    found = prepare(tmp_path / "r.csv", tmp_path / "out", "--ties", "shuffled", "--seed", "1")
    expected = pandas_oracle.prepare(ratings)
    np.testing.assert_array_equal(found["user_ids"], expected["user_ids"])
    np.testing.assert_array_equal(found["user_offsets"], expected["user_offsets"])
    with pytest.raises(AssertionError):
        assert_equal(found, expected)


@pytest.mark.parametrize("name", ["movielens-small/ratings.csv", "ml-1m-graph/ratings.csv.gz"])
@pytest.mark.parametrize("min_ratings", [20, 200])
def test_real_ratings_give_equal_datasets(tmp_path, name, min_ratings):
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"there is no {path}: real ratings are not shipped with the project")
    found = prepare(path, tmp_path / "out", "--min-ratings", str(min_ratings))
    assert_equal(found, pandas_oracle.prepare(pandas_oracle.read_ratings(path), min_ratings))
