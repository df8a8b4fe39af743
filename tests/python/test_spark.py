"""negpipe.spark.prepare: the dataset that Dataset.from_arrow makes of the same rows."""

import os
import shutil
import sys

import numpy as np
import pytest

import negpipe

pyspark = pytest.importorskip("pyspark", reason="PySpark is not installed: pip install 'negpipe[spark]'")
pyarrow = pytest.importorskip("pyarrow")
if shutil.which("java") is None:
    pytest.skip("there is no Java: apt-get install default-jre-headless", allow_module_level=True)

import negpipe.spark  # noqa: E402


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.sql.shuffle.partitions": "3",
        "spark.default.parallelism": "2",
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    yield session
    session.stop()


def ratings(repeats=True, seed=1):
    """Rows of 60 users with few distinct times, so that there are ties, and repeated pairs."""
    random = np.random.default_rng(seed)
    pairs = random.integers(0, [60, 50], (2000, 2)) ** 2  # ids with gaps
    if not repeats:
        pairs = random.permutation(np.unique(pairs, axis=0))
    return pyarrow.table(
        {
            "row": np.arange(len(pairs)),
            "user_id": pairs[:, 0],
            "item_id": pyarrow.array([f"item {item}" for item in pairs[:, 1]]),
            "timestamp": random.integers(0, 20, len(pairs)),
            "rating": random.integers(1, 6, len(pairs)).astype(float),
        }
    )


def frame(spark, table):
    """The rows in another order than that of `row`."""
    return spark.createDataFrame(table.to_pandas().sample(frac=1, random_state=1)).repartition(4)


@pytest.mark.parametrize(
    "options",
    [
        {"duplicates": "first"},
        {"duplicates": "last", "ties": "shuffled", "seed": 2**40 + 3, "min_rating": 2.0, "min_ratings": 5},
        {"duplicates": "last", "min_ratings": 21, "min_item_ratings": 22, "k_core": True, "split": "leave-two-out"},
        {"duplicates": "first", "min_ratings": 1, "min_item_ratings": 30, "split": "ratio:0.7,0.1,0.2"},
    ],
    ids=["first_of_each", "shuffled_ties", "k_core", "ratio"],
)
def test_the_dataset_equals_that_of_the_same_rows_on_one_machine(options, spark, tmp_path):
    table = ratings()
    expected = negpipe.Dataset.from_arrow(table.drop_columns("row"), **options)
    made = negpipe.spark.prepare(frame(spark, table), tmp_path / "data", row="row", **options)
    assert made.digest == expected.digest
    assert made.user_ids.tolist() == expected.user_ids.tolist()
    assert made.item_ids.tolist() == expected.item_ids.tolist()
    assert made.positive_items.tolist() == expected.positive_items.tolist()
    assert len(list((tmp_path / "data").glob("positive_items.*.npy"))) == 3
    assert os.listdir(tmp_path) == ["data"]


def test_the_order_of_the_frame_is_that_of_the_rows_by_default(spark, tmp_path):
    table = ratings(repeats=False)
    given = spark.createDataFrame(table.drop_columns("row").to_pandas())
    made = negpipe.spark.prepare(given, tmp_path / "data", shards=1)
    assert made.digest == negpipe.Dataset.from_arrow(table.drop_columns("row")).digest


def test_refusals_leave_nothing_behind(spark, tmp_path):
    given = frame(spark, ratings())
    with pytest.raises(negpipe.errors.InputError, match="duplicates"):
        negpipe.spark.prepare(given, tmp_path / "data", row="row")
    with pytest.raises(negpipe.errors.OptionError, match="split"):
        negpipe.spark.prepare(given, tmp_path / "data", row="row", split="time:3")
    with pytest.raises(negpipe.errors.InputError, match="min_ratings"):
        negpipe.spark.prepare(given, tmp_path / "data", row="row", duplicates="first", min_ratings=10_000)
    assert os.listdir(tmp_path) == []
