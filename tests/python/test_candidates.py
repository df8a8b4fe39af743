"""Frozen evaluation candidates: files hold the rows by original ids, evaluate to the same, and are checked."""

import pickle

import negpipe
import numpy as np
import pytest
from negpipe import errors

SUFFIXES = ["npy", "parquet"]


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=200, interactions=1500, seed=3)


@pytest.fixture(scope="module")
def text_data():
    users = [f"user {user}" for user in range(20) for _ in range(6)]
    items = [f"höhe {(user + step * step) % 40}" for user in range(20) for step in range(6)]
    return negpipe.Dataset.from_arrays(users, items, min_ratings=1)


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"candidates.{request.param}"


def batches(loader):
    return [tuple(np.array(column) for column in batch) for batch in loader]


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        assert all(np.array_equal(a, b) for a, b in zip(one, other))


@pytest.mark.parametrize("mlperf", [False, True])
def test_a_file_gives_the_rows_that_were_drawn(data, path, mlperf):
    options = {"batch_size": 7 * 21, "num_negatives": 20}
    drawn = negpipe.EvalLoader(data, seed=5, mlperf=mlperf, **options)
    drawn.save_candidates(path)
    read = negpipe.EvalLoader(data, candidates=path, **options)
    assert_same(batches(read), batches(drawn))
    assert "from a file" in repr(read)
    assert negpipe.EvalLoader(data, candidates=path).num_negatives == 20
    again = path.with_name(f"again{path.suffix}")
    read.save_candidates(again)
    assert again.read_bytes() == path.read_bytes()


def test_text_ids_are_written_as_they_are(text_data, path):
    drawn = negpipe.EvalLoader(text_data, num_negatives=5)
    drawn.save_candidates(path)
    assert_same(batches(negpipe.EvalLoader(text_data, candidates=path)), batches(drawn))


def test_files_hold_original_ids(data, text_data, tmp_path):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    for source in (data, text_data):
        loader = negpipe.EvalLoader(source, num_negatives=3)
        for suffix in SUFFIXES:
            loader.save_candidates(tmp_path / f"rows.{suffix}", overwrite=True)
        array = np.load(tmp_path / "rows.npy")
        table = pyarrow.read_table(tmp_path / "rows.parquet").to_pydict()
        assert array["user_id"].tolist() == table["user_id"] == source.user_ids.tolist()
        assert array["item_id"].tolist() == table["item_id"] == source.decode_items(source.heldout_items).tolist()
        assert array["negative_item_ids"].tolist() == table["negative_item_ids"]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_rows_of_a_file(data, tmp_path, world_size):
    negpipe.EvalLoader(data, num_negatives=20).save_candidates(tmp_path / "rows.npy")
    seen = []
    for rank in range(world_size):
        loader = negpipe.EvalLoader(data, batch_size=12 * 21, candidates=tmp_path / "rows.npy", rank=rank,
                                    world_size=world_size, item_dtype="uint16", user_dtype="int64")
        for users, items, mask in loader:
            assert (users.dtype, items.dtype) == (np.int64, np.uint16)
            seen += users[mask.sum(1) < 20][:, 0].tolist()
    assert sorted(seen) == list(range(50))


def test_a_loader_with_candidates_is_pickled(data, tmp_path):
    negpipe.EvalLoader(data, num_negatives=20).save_candidates(tmp_path / "rows.npy")
    loader = negpipe.EvalLoader(data, candidates=tmp_path / "rows.npy")
    assert_same(batches(pickle.loads(pickle.dumps(loader))), batches(loader))


def test_users_without_rows_are_left_out(tmp_path):
    items = [*range(30), *range(5)]
    users = [0] * 30 + [1] * 5
    data = negpipe.Dataset.from_arrays(users, items, min_ratings=1)
    negpipe.EvalLoader(data, num_negatives=20, mlperf=False)  # user 0 has none left
    rows = np.zeros(1, [("user_id", "i8"), ("item_id", "i8"), ("negative_item_ids", "i8", (2,))])
    rows[0] = (1, 4, [20, 21])
    np.save(tmp_path / "rows.npy", rows)
    (batch,) = batches(negpipe.EvalLoader(data, candidates=tmp_path / "rows.npy", batch_size=6))
    assert batch[0].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert batch[1].tolist() == [[4, 20, 21], [0, 0, 0]]
    assert batch[2].tolist() == [[False] * 3, [False, True, True]]


def damaged(rows, data, what):
    if what == "positive":
        rows["negative_item_ids"][3, 1] = data.item_ids[data.positives_of(3)[0]]
    elif what == "heldout":
        rows["item_id"][4] = rows["negative_item_ids"][4, 0]
    elif what == "unknown item":
        rows["negative_item_ids"][0, 0] = 10**9
    elif what == "unknown user":
        rows["user_id"][0] = -5
    elif what == "no negatives":
        return rows[["user_id", "item_id"]]
    elif what == "no rows":
        return rows[:0]
    elif what == "matrix":
        return rows["negative_item_ids"]
    elif what == "repeated row":
        rows[9] = rows[2]
    elif what == "two dimensions":
        return rows.reshape(2, -1)
    elif what == "floats":
        return rows.astype([("user_id", "f8"), ("item_id", "i8"), ("negative_item_ids", "i8", (20,))])
    return rows


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("repeated row", r"row 9 repeats row 2: item \d+ of user \d+ would count twice"),
        ("positive", r"row 3: item \d+ is a training positive of user \d+; is the file of another dataset"),
        ("heldout", r"row 4: item \d+ is not a test item of user \d+; is the file of another dataset"),
        ("unknown item", "item id 1000000000 is not in the dataset"),
        ("unknown user", "user id -5 is not in the dataset"),
        ("no negatives", "the fields are .*expected a structured array"),
        ("no rows", "with one of each at least"),
        ("matrix", "the fields are None"),
        ("two dimensions", r"are \[2, 25\], \[2, 25\] and"),
        ("floats", "user ids are float64"),
    ],
)
def test_files_that_do_not_fit_the_dataset_are_refused(data, tmp_path, what, message):
    negpipe.EvalLoader(data, num_negatives=20).save_candidates(tmp_path / "rows.npy")
    np.save(tmp_path / "rows.npy", damaged(np.load(tmp_path / "rows.npy"), data, what))
    with pytest.raises(errors.FormatError, match=message) as failure:
        negpipe.EvalLoader(data, candidates=tmp_path / "rows.npy")
    assert "rows.npy" in str(failure.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": [0], "item_id": [1]}, "the columns are"),
        ({"user_id": [0], "item_id": [1], "negative_item_ids": [2]}, "is int64; expected a list"),
        ({"user_id": [0, 1], "item_id": [1, 1], "negative_item_ids": [[2], [3, 4]]}, "between 1 and 2 negatives"),
        ({"user_id": [0, None], "item_id": [1, 1], "negative_item_ids": [[2], [3]]}, "user_id has missing values"),
        ({"user_id": [0], "item_id": [1], "negative_item_ids": [[None]]}, "negative_item_ids has missing values"),
        ({"user_id": [0, 1], "item_id": [1, 1], "negative_item_ids": [[2], None]}, "1 of 2 rows have no .*as many"),
    ],
)
def test_parquet_files_of_other_shapes_are_refused(data, tmp_path, columns, message):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    with pytest.raises(errors.FormatError, match=message):
        negpipe.EvalLoader(data, candidates=tmp_path / "rows.parquet")


def test_parquet_files_without_rows_are_refused(data, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    negpipe.EvalLoader(data, num_negatives=20).save_candidates(tmp_path / "rows.parquet")
    parquet.write_table(parquet.read_table(tmp_path / "rows.parquet").slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(errors.FormatError, match="0 of 0 rows have no"):
        negpipe.EvalLoader(data, candidates=tmp_path / "none.parquet")
    with pytest.raises(errors.OptionError, match="candidates are not drawn"):
        negpipe.EvalLoader(data, candidates=tmp_path / "rows.parquet", distribution="popularity")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_other_kinds_are_refused(data, tmp_path, suffix):
    (tmp_path / f"rows.{suffix}").write_bytes(b"something else")
    with pytest.raises(errors.FormatError, match=f"rows.{suffix}"):
        negpipe.EvalLoader(data, candidates=tmp_path / f"rows.{suffix}")
    with pytest.raises(errors.MissingFileError):
        negpipe.EvalLoader(data, candidates=tmp_path / f"none.{suffix}")


def test_files_are_replaced_on_request_only(data, path):
    loader = negpipe.EvalLoader(data, num_negatives=20)
    path.write_bytes(b"kept")
    with pytest.raises(errors.OptionError, match="exists"):
        loader.save_candidates(path)
    assert path.read_bytes() == b"kept"
    loader.save_candidates(path, overwrite=True)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    with pytest.raises(errors.FileError):
        loader.save_candidates(path.parent / "nowhere" / path.name)
    with pytest.raises(errors.OptionError, match="ends in .parquet or .npy"):
        loader.save_candidates(path.parent / "rows.csv")


def test_options_that_contradict_a_file_are_refused(data, tmp_path):
    negpipe.EvalLoader(data, num_negatives=20).save_candidates(tmp_path / "rows.npy")
    for wrong, message in [({"num_negatives": 19}, "have 20 a row"), ({"mlperf": True}, "not drawn"),
                           ({"batch_size": 20}, "multiple of num_negatives"),
                           ({"device": "cuda"}, "`candidates`: .* host memory.*leave `device` out, or use")]:
        with pytest.raises(errors.OptionError, match=message):
            negpipe.EvalLoader(data, candidates=tmp_path / "rows.npy", **wrong)


def test_rows_of_the_validation_set_are_read_as_such(tmp_path):
    from scipy import sparse

    positives = sparse.coo_array(([1, 1], ([0, 1], [0, 1])), shape=(2, 9))
    data = negpipe.Dataset.from_csr(positives, np.array([2, 3]), validation=np.array([4, 5]))
    drawn = negpipe.EvalLoader(data, num_negatives=3, split="validation")
    drawn.save_candidates(tmp_path / "rows.npy")
    read = negpipe.EvalLoader(data, candidates=tmp_path / "rows.npy", split="validation")
    assert_same(batches(read), batches(drawn))
    with pytest.raises(errors.FormatError, match="row 0: item 4 is not a test item of user 0"):
        negpipe.EvalLoader(data, candidates=tmp_path / "rows.npy")
