"""Datasets from rows in memory: arrays and Arrow tables of all libraries equal the dataset of a file."""

import datetime

import numpy as np
import pytest

import negpipe

COLUMNS = {"user": "who", "item": "what", "time": "when"}


@pytest.fixture(scope="module")
def rows():
    """Users as numbers, items as text, times in seconds; unordered."""
    draw = np.random.default_rng(1)
    users = np.repeat(np.arange(30) * 7, 40)
    items = np.concatenate([draw.permutation(90)[:40] for _ in range(30)])
    order = draw.permutation(users.size)
    return users[order], np.array([f"item ä{item}" for item in items[order]]), draw.integers(0, 1000, users.size)


@pytest.fixture(scope="module")
def frame(rows):
    pandas = pytest.importorskip("pandas")
    users, items, times = rows
    return pandas.DataFrame({"who": users, "what": items, "when": pandas.to_datetime(times, unit="s")})


@pytest.fixture(scope="module")
def expected(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_text("who,what,when\n" + "".join(f"{u},{i},{t}\n" for u, i, t in zip(*rows)))
    return negpipe.Dataset.from_ratings(path, **COLUMNS).digest


def from_frame(table):
    return negpipe.Dataset.from_arrow(table, **COLUMNS)


def test_arrays_of_every_kind_agree_with_the_file(rows, expected):
    users, items, times = rows
    kinds = [
        (users, items, times),
        (users.astype(np.uint16), items.astype(object), times.astype(np.float32)),
        (users.tolist(), items.tolist(), times.tolist()),
        (users, items, times.astype("datetime64[s]")),
        (users, items, times - 5000.5),
        (users, items, 500.5 - times),
    ]
    found = [negpipe.Dataset.from_arrays(*kind).digest for kind in kinds]
    assert found[:5] == [expected] * 5
    assert found[5] != expected  # the same rows in the opposite order of time


def test_arrays_of_other_frameworks_are_read_through_dlpack(rows, expected):
    jax = pytest.importorskip("jax.numpy")
    users, items, times = rows
    made = negpipe.Dataset.from_arrays(jax.asarray(users), items, jax.asarray(times))
    assert made.digest == expected


def test_pandas_frames_are_read(frame, expected):
    assert from_frame(frame).digest == expected
    assert from_frame(frame.astype({"what": "category", "who": "Int64"})).digest == expected
    assert "source 'pandas'" in repr(from_frame(frame))


def test_polars_frames_are_read_and_lazy_ones_refused(frame, expected):
    polars = pytest.importorskip("polars")
    table = polars.from_pandas(frame)
    assert from_frame(table).digest == expected
    assert from_frame(table.with_columns(polars.col("what").cast(polars.Categorical))).digest == expected
    with pytest.raises(TypeError, match=r"call its collect\(\) first"):
        from_frame(table.lazy())


def test_pyarrow_chunks_and_slices_are_read(frame, expected):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pandas(frame)
    half = len(frame) // 2
    pieces = pyarrow.concat_tables([table.slice(0, half), table.slice(half)])
    assert from_frame(pieces).digest == expected
    assert from_frame(pieces.slice(1)).digest != expected
    large = table.set_column(1, "what", table.column("what").cast(pyarrow.large_string()))
    assert from_frame(large).digest == expected


def test_duckdb_relations_are_read(frame, expected):
    duckdb = pytest.importorskip("duckdb")
    assert from_frame(duckdb.sql("select * from frame")).digest == expected


def test_rows_without_times_are_in_order(rows):
    users, items, _ = rows
    made = negpipe.Dataset.from_arrays(users, items)
    last = {user: item for user, item in zip(users.tolist(), items.tolist())}
    heldout = dict(zip(made.user_ids.tolist(), made.decode_items(made.heldout_items).tolist()))
    assert heldout == last


def test_missing_values_are_refused_or_dropped(rows):
    users, items, times = rows
    gaps = times.astype(float)
    gaps[5] = np.nan
    with pytest.raises(ValueError, match="missing"):
        negpipe.Dataset.from_arrays(users, items, gaps)
    made = negpipe.Dataset.from_arrays(users, items, gaps, missing="drop")
    assert made.summary["rows_missing"] == 1
    holes = items.astype(object)
    holes[3] = None
    assert negpipe.Dataset.from_arrays(users, holes, gaps, missing="drop").summary["rows_missing"] == 2


def test_missing_values_of_pandas_text_are_dropped():
    pandas = pytest.importorskip("pandas")
    users = pandas.Series(["a"] * 25 + [pandas.NA], dtype="string")
    data = negpipe.Dataset.from_arrays(users, np.arange(26), missing="drop")
    assert data.user_ids.tolist() == ["a"] and data.summary["rows_missing"] == 1


def test_missing_values_of_arrow_are_refused_or_dropped(frame):
    holes = frame.copy()
    holes.loc[4, "when"] = None
    holes.loc[7, "what"] = None
    with pytest.raises(ValueError, match="missing"):
        from_frame(holes)
    assert negpipe.Dataset.from_arrow(holes, **COLUMNS, missing="drop").summary["rows_missing"] == 2


@pytest.mark.parametrize("read", ["arrays", "arrow", "file"])
def test_words_for_missing_values_mean_the_same_in_memory_as_in_a_file(read, tmp_path):
    users, items = [1, 1, 1, 2, 2, 2, -1], ["NA", "a", "b", "None", "a", "c", "a"]
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv

    def made(**options):
        options = {"min_ratings": 1, **options}
        if read == "arrays":
            return negpipe.Dataset.from_arrays(users, items, **options)
        table = pyarrow.table({"user": users, "item": items})
        if read == "arrow":
            return negpipe.Dataset.from_arrow(table, order="file", **options)
        csv.write_csv(table, tmp_path / "rows.csv")
        return negpipe.Dataset.from_ratings(tmp_path / "rows.csv", order="file", **options)

    with pytest.raises(ValueError, match='the item id is missing: found "NA"'):
        made()
    assert made(missing="drop").item_ids.tolist() == ["a", "b", "c"]
    assert {"NA", "None"} <= set(made(na_values=[]).item_ids.tolist())
    dropped = made(missing="drop", na_values=["NA", "None", "-1"])
    assert dropped.user_ids.tolist() == [1, 2] and dropped.summary["rows_missing"] == 3


def test_ratings_below_the_minimum_are_not_positives(rows):
    users, items, times = rows
    ratings = np.where(np.arange(users.size) % 2, 1, 5)
    made = negpipe.Dataset.from_arrays(users, items, times, ratings=ratings, min_rating=3, min_ratings=1)
    assert made.summary["rows_below_rating"] == users.size // 2


def test_wrong_columns_are_named(rows, frame):
    users, items, times = rows
    with pytest.raises(ValueError, match='`user` "nobody" is not a column: the columns are "who, what, when"'):
        negpipe.Dataset.from_arrow(frame, user="nobody", item="what")
    with pytest.raises(ValueError, match="users is float64; expected integers or text"):
        negpipe.Dataset.from_arrays(users.astype(float), items)
    with pytest.raises(ValueError, match="18446744073709551615 does not fit int64"):
        negpipe.Dataset.from_arrays(np.full(users.size, 2**64 - 1, np.uint64), items)
    with pytest.raises(ValueError, match="expected one dimension"):
        negpipe.Dataset.from_arrays(users.reshape(2, -1), items)
    with pytest.raises(ValueError):
        negpipe.Dataset.from_arrays(users[:10], items, times)
    with pytest.raises(TypeError, match="unknown options"):
        negpipe.Dataset.from_arrays(users, items, order="file")
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        negpipe.Dataset.from_arrow({"who": [1]}, **COLUMNS)
    dates = frame.assign(when=[datetime.timedelta(1)] * len(frame))
    with pytest.raises(ValueError, match="the column when has the Arrow type duration\[ns\]; wanted timestamps"):
        negpipe.Dataset.from_arrow(dates, **COLUMNS)
