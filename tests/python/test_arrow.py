"""Dataset.from_arrow: types of Arrow columns, and the same options and results as for a file."""

import gc
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import negpipe

pyarrow = pytest.importorskip("pyarrow")
import pyarrow.csv  # noqa: E402
import pyarrow.ipc  # noqa: E402

USERS = [5, 5, 7, 7, 7, 9, 9]
ITEMS = ["x", "y", "y", "a long id of an item", "x", "y", "a long id of an item"]
TIMES = [100, 200, 120, 110, 90, 40, 30]
EVERYONE = {"min_ratings": 1}


def table(users=None, items=None, times=None, **more):
    columns = {
        "user_id": pyarrow.array(USERS) if users is None else users,
        "item_id": pyarrow.array(ITEMS) if items is None else items,
        "timestamp": pyarrow.array(TIMES) if times is None else times,
    }
    return pyarrow.table({**columns, **more})


def made(*args, **options):
    return negpipe.Dataset.from_arrow(*args, **EVERYONE, **options)


@pytest.fixture
def expected():
    return made(table()).digest


@pytest.fixture
def path(tmp_path):
    pyarrow.csv.write_csv(table(), tmp_path / "rows.csv")
    return tmp_path / "rows.csv"


@pytest.mark.parametrize("options", [
    {},
    {"split": "leave-two-out"},
    {"split": "ratio:2,1,1"},
    {"split": "time:100,110", "unknown": "keep"},
    {"split": "time:110"},
    {"duplicates": "last", "min_item_ratings": 2, "k_core": True},
    {"order": "file"},
    {"ties": "shuffled", "seed": 3},
])
def test_options_have_the_results_of_the_file(options, path):
    from_file = negpipe.Dataset.from_ratings(path, **EVERYONE, **options)
    from_table = made(table(), **options)
    assert from_table.digest == from_file.digest
    assert from_table.item_ids.tolist() == from_file.item_ids.tolist()
    assert from_table.user_ids.tolist() == from_file.user_ids.tolist()


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_users_and_times_of_any_width_are_read(kind, expected):
    users = pyarrow.array(USERS, getattr(pyarrow, kind)())
    times = pyarrow.array([time // 10 for time in TIMES], getattr(pyarrow, kind)())
    assert made(table(users, times=times)).digest == expected


@pytest.mark.parametrize("items", [
    pyarrow.array(ITEMS, pyarrow.large_string()),
    pyarrow.array(ITEMS, pyarrow.string()).dictionary_encode(),
    pyarrow.array(ITEMS, pyarrow.large_string()).dictionary_encode(),
    pyarrow.array([b"\xff" + item.encode() for item in ITEMS], pyarrow.binary()),
    pyarrow.array(ITEMS).cast(pyarrow.string_view()),
    pyarrow.array([0, 1, 1, 2, 0, 1, 2], pyarrow.int16()).dictionary_encode(),
    pyarrow.DictionaryArray.from_arrays(pyarrow.array([0, 1, 1, 2, 0, 1, 2], pyarrow.uint8()),
                                        pyarrow.array(["x", "y", "z"]).cast(pyarrow.string_view())),
], ids=lambda items: str(items.type))
def test_items_of_any_encoding_are_read(items, expected):
    data = made(table(items=items))
    assert data.digest == expected
    if items.type == pyarrow.binary():
        assert data.item_ids[0] == "\udcffx"
    elif not pyarrow.types.is_dictionary(items.type):
        assert data.item_ids.tolist() == ["x", "y", "a long id of an item"]


@pytest.mark.parametrize("times", [
    *(pyarrow.array(TIMES).cast(pyarrow.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
    pyarrow.array(TIMES).cast(pyarrow.timestamp("ns", "Europe/Berlin")),
    pyarrow.array([time - 100 for time in TIMES]).cast(pyarrow.timestamp("ms")),
    pyarrow.array(TIMES, pyarrow.int32()).cast(pyarrow.date32()),
    pyarrow.array([1000 * 86400 * time for time in TIMES]).cast(pyarrow.date64()),
    pyarrow.array([time / 7 - 9 for time in TIMES]),
    pyarrow.array([time / 8 for time in TIMES], pyarrow.float32()),
    pyarrow.array([f"2020-01-01T00:{time // 60:02}:{time % 60:02}.5+01:00" for time in TIMES]),
    pyarrow.array([f"{time}.25" for time in TIMES]).cast(pyarrow.string_view()),
], ids=lambda times: str(times.type))
def test_times_of_any_type_are_read(times, expected):
    assert made(table(times=times)).digest == expected


def test_fractions_of_timestamps_order_rows():
    close = pyarrow.array([7, 9, 8]).cast(pyarrow.timestamp("ns"))
    data = made(pyarrow.table({"user": [1, 1, 1], "item": [1, 2, 3], "time": close}))
    assert data.decode_items(data.heldout_items).tolist() == [2]
    before_1970 = pyarrow.array([-1, -2, -1_000_000_001]).cast(pyarrow.timestamp("ns"))
    data = made(pyarrow.table({"user": [1, 1, 1], "item": [1, 2, 3], "time": before_1970}))
    assert data.decode_items(data.heldout_items).tolist() == [1]


def test_a_split_by_date_reads_timestamps():
    dates = pyarrow.array(["2020-01-30", "2020-01-31", "2020-01-01", "2020-02-01"]).cast(pyarrow.timestamp("us"))
    data = made(pyarrow.table({"user": [1, 1, 2, 2], "item": [1, 2, 2, 1], "time": dates}), split="time:2020-01-31")
    assert data.test_offsets.tolist() == [0, 1, 2] and data.test_items.tolist() == [1, 0]


def test_numbers_beyond_int64_are_text_as_in_a_file():
    wide = pyarrow.array([2**64 - 1, 2**64 - 1, 7, 7, 7, 2**63, 2**63], pyarrow.uint64())
    data = made(table(users=wide))
    assert data.user_ids.tolist() == ["18446744073709551615", "7", "9223372036854775808"]


def test_chunks_slices_and_empty_chunks_are_read(expected):
    whole = table()
    items = whole.column("item_id").dictionary_encode()
    pieces = pyarrow.concat_tables([whole.slice(0, 0), whole.slice(0, 3), whole.slice(3, 0), whole.slice(3)])
    assert made(pieces).digest == expected
    encoded = whole.set_column(1, "item_id", items)
    again = pyarrow.concat_tables([encoded.slice(0, 2), encoded.slice(2, 4), encoded.slice(6)])
    assert made(again).digest == expected
    assert made(pyarrow.concat_tables([whole, whole]).slice(7)).digest == expected


def test_an_index_beyond_its_dictionary_is_refused():
    for index in (-1, 3):
        indices = pyarrow.array([0, 1, 1, index, 0, 1, 2])
        items = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["x", "y", "z"]), safe=False)
        with pytest.raises(negpipe.errors.Error, match=f"row 3: index {index} is not in .* 3 values"):
            made(table(items=items))


def test_a_named_rating_column_must_exist():
    with pytest.raises(negpipe.errors.InputError, match="stars"):
        made(table(), rating="stars")


def test_nulls_are_missing_values_in_every_encoding():
    items = pyarrow.array([None, *ITEMS[1:]])
    for column in (items, items.dictionary_encode(), items.cast(pyarrow.string_view()),
                   pyarrow.DictionaryArray.from_arrays(pyarrow.array([3, 1, 1, 2, 0, 1, 2]),
                                                       pyarrow.array(["x", "y", "z", None]))):
        with pytest.raises(ValueError, match="row 0: the item id is missing"):
            made(table(items=column))
        assert made(table(items=column), missing="drop").summary["rows_missing"] == 1
    for times in (pyarrow.array([None, *TIMES[1:]]), pyarrow.array([float("nan"), *TIMES[1:]])):
        with pytest.raises(ValueError, match="row 0: the timestamp is missing"):
            made(table(times=times))


@pytest.mark.parametrize("argument", ["table", "test"])
@pytest.mark.parametrize("stream", [7, table().schema.__arrow_c_schema__()])
def test_a_stream_that_is_no_capsule_of_a_stream_is_refused(stream, argument):
    class Odd:
        def __arrow_c_stream__(self, requested_schema=None):
            return stream

    given = {"table": table(), argument: Odd()}
    with pytest.raises(TypeError, match=f"`{argument}`: __arrow_c_stream__ gave .*; expected a capsule"):
        made(given.pop("table"), **given)


def test_many_rows_in_many_blocks_equal_arrays():
    draw = np.random.default_rng(5)
    users, items = draw.integers(0, 3000, 300_000), draw.integers(0, 5000, 300_000)
    times = draw.integers(0, 10**9, 300_000)
    rows = pyarrow.table({"user": users, "item": items, "time": times})
    options = {"duplicates": "last", "min_ratings": 20}
    found = negpipe.Dataset.from_arrow(rows, **options)
    assert found.digest == negpipe.Dataset.from_arrays(users, items, times, **options).digest


def test_ratings_select_rows(path):
    ratings = pyarrow.array([1, 5, 5, 5, 1, 5, 5], pyarrow.uint8())
    data = made(table(rating=ratings), min_rating=3)
    assert data.summary["rows_below_rating"] == 2
    with pytest.raises(ValueError, match="no column is known as rating column"):
        made(table(), min_rating=3)


def test_a_given_split_is_read_from_tables():
    training = pyarrow.table({"user": [1, 1, 2], "item": ["a", "b", "a"]})
    test = pyarrow.table({"item": ["b", "c"], "user": [2, 1]})
    data = made(training, test=test)
    assert data.test_items.tolist() == [1] and data.test_offsets.tolist() == [0, 0, 1]
    assert data.summary["unknown_items"] == 1
    both = made(training, test=test, validation=pyarrow.table({"user": [1], "item": ["c"]}), unknown="keep",
                duplicates="first")
    assert both.has_validation and both.num_items == 3
    with pytest.raises(ValueError, match="wanted the type that it has in"):
        made(training, test=pyarrow.table({"user": ["2"], "item": ["b"]}))
    with pytest.raises(ValueError, match="split and test exclude each other"):
        made(training, test=test, split="leave-one-out")


def test_columns_that_cannot_be_read_are_named():
    with pytest.raises(ValueError, match=r"the column user_id has the Arrow type double; wanted integers or text"):
        made(table(users=pyarrow.array([float(user) for user in USERS])))
    with pytest.raises(ValueError, match="2 columns may hold the user"):
        made(table(userid=pyarrow.array(USERS)))
    with pytest.raises(ValueError, match="no column is known as time column.*set `order` to file"):
        made(table().drop_columns("timestamp"))
    with pytest.raises(ValueError, match="it is one column of the type int64; a table wanted"):
        made(pyarrow.chunked_array([[1, 2]]))


def test_errors_of_the_producer_are_reported():
    def broken():
        yield table().to_batches()[0]
        raise RuntimeError("the server is gone")

    reader = pyarrow.RecordBatchReader.from_batches(table().schema, broken())
    refusal = "^pyarrow: the Arrow stream failed: RuntimeError: the server is gone$"
    with pytest.raises(negpipe.errors.FileError, match=refusal) as found:
        made(reader)
    assert isinstance(found.value.__cause__, RuntimeError) and found.value.__cause__.__traceback__


class Exported:
    """A table of another library: negpipe sees its Arrow stream only."""

    def __init__(self, reader):
        self.reader = reader

    def __arrow_c_stream__(self, requested_schema=None):
        return self.reader.__arrow_c_stream__()


def failing(failure, first=table):
    def batches():
        yield first().to_batches()[0]
        raise failure

    return pyarrow.RecordBatchReader.from_batches(table().schema, batches())


def test_no_traceback_is_in_the_message():
    with pytest.raises(negpipe.errors.FileError, match="^test_arrow: the Arrow stream failed: ValueError: boom$"):
        made(Exported(failing(ValueError("boom"))))


@pytest.mark.parametrize("options", [{}, {"memory": 2000}])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(3), MemoryError("x")], ids=repr)
def test_what_ends_the_program_passes_through_a_stream(failure, options):
    with pytest.raises(type(failure)) as found:
        made(failing(failure), **options)
    assert found.value is failure
    training = pyarrow.table({"user_id": [1, 1, 2], "item_id": ["a", "b", "a"]})
    with pytest.raises(type(failure)):
        made(training, test=failing(failure), **options)


def test_a_producer_is_closed_after_a_failure_that_is_not_its_own():
    closed = []

    def batches():
        try:
            for users in (USERS, [None] * 7, *[USERS] * 50):
                yield table(users=pyarrow.array(users, pyarrow.int64())).to_batches()[0]
        finally:
            closed.append(True)

    with pytest.raises(negpipe.errors.InputError, match="missing"):
        made(pyarrow.RecordBatchReader.from_batches(table().schema, batches()), memory=2000)
    gc.collect()
    assert closed == [True]


def test_batches_of_other_types_than_the_stream_are_refused():
    def batches():
        yield table().to_batches()[0]
        other = table().to_batches()[0]
        yield other.set_column(0, "user_id", other.column("user_id").cast(pyarrow.int32()))

    reader = pyarrow.RecordBatchReader.from_batches(table().schema, batches())
    with pytest.raises(negpipe.errors.InputError, match=r"^batch 1 of the stream has the columns user_id \(int32\)"):
        made(reader)


def test_parquet_files_are_read_by_the_command_of_the_package(path, tmp_path):
    import pyarrow.parquet

    rows = table(tags=pyarrow.array([["a"]] * len(USERS)), kind=pyarrow.array(["k"] * len(USERS)).dictionary_encode())
    pyarrow.parquet.write_table(rows.slice(0, 4), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(rows.slice(4), tmp_path / "b.parquet")
    files = [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    outcome = run_package("prepare", *files, "--out", tmp_path / "data", "--min-ratings", 1)
    assert outcome.returncode == 0, outcome.stderr
    assert "columns that have no text form are ignored: tags" in outcome.stderr
    assert negpipe.Dataset.load(tmp_path / "data").digest == negpipe.Dataset.from_ratings(path, **EVERYONE).digest
    wrong = run_package("prepare", *files, "--out", tmp_path / "more", "--split", "half")
    assert wrong.returncode == 2 and "there is no such split" in wrong.stderr
    for test in (["--test", files[1]], [f"--test={files[1]}"]):
        outcome = run_package("prepare", files[0], *test, "--out", tmp_path / "split", "--min-ratings", 1, "--force")
        assert outcome.returncode == 0, outcome.stderr


def test_a_pipe_is_refused_without_a_wait_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    outcome = run_package("prepare", tmp_path / "pipe", "--out", tmp_path / "data")
    assert outcome.returncode == 3 and "pipe" in outcome.stderr


def random_rows(count, seed=1):
    random = np.random.default_rng(seed)
    pairs = random.permutation(60 * 90)[:count]
    times = random.integers(0, 50, count).astype("datetime64[ms]")
    return pyarrow.table({"user_id": pairs // 90, "item_id": pairs % 90, "timestamp": times})


@pytest.mark.parametrize("options", [{}, {"split": "ratio:0.7,0.2,0.1", "min_item_ratings": 20, "k_core": True}])
def test_a_limit_of_memory_makes_the_same_dataset_of_a_stream(options, tmp_path):
    rows = random_rows(2000)
    wanted = negpipe.Dataset.from_arrow(rows, **options)
    for limit in (2000, 30_000):
        left = rows.to_batches(max_chunksize=170)
        reader = pyarrow.RecordBatchReader.from_batches(rows.schema, iter(left))
        found = negpipe.Dataset.from_arrow(reader, memory=limit, temporary=tmp_path, **options)
        assert found.digest == wanted.digest
        assert list(found.user_ids) == list(wanted.user_ids) and list(found.item_ids) == list(wanted.item_ids)
        assert {**found.summary, "detected": ""} == {**wanted.summary, "detected": ""}
    assert list(tmp_path.iterdir()) == []


def test_a_limit_of_memory_applies_to_files_and_given_splits(tmp_path):
    rows, test = random_rows(2000), random_rows(300, seed=2)
    pyarrow.csv.write_csv(rows.select(["user_id", "item_id"]), tmp_path / "r.csv")
    pyarrow.csv.write_csv(test.select(["user_id", "item_id"]), tmp_path / "t.csv")
    options = {"duplicates": "first", "memory": 2000}
    found = negpipe.Dataset.from_arrow(rows, test=test, **options)
    assert found.digest == negpipe.Dataset.from_arrow(rows, test=test, duplicates="first").digest
    files = negpipe.Dataset.from_ratings(tmp_path / "r.csv", test=tmp_path / "t.csv", temporary=tmp_path, **options)
    assert files.digest == found.digest


def test_a_limit_of_memory_without_a_meaning_is_refused(tmp_path):
    rows = random_rows(2000)
    for limit in (0, -1, 2**64, "4G", True):
        with pytest.raises(negpipe.errors.OptionError, match="memory: .* given; a number of bytes"):
            negpipe.Dataset.from_arrow(rows, memory=limit)
    with pytest.raises(negpipe.errors.OptionError, match="memory: 1 given, but at least 2000 rows need"):
        negpipe.Dataset.from_arrow(rows, memory=1)
    with pytest.raises(negpipe.errors.OptionError, match="temporary needs memory"):
        negpipe.Dataset.from_arrow(rows, temporary=tmp_path)
    refusal = "^temporary: cannot create .*missing.*; give an existing folder"
    with pytest.raises(negpipe.errors.FileError, match=refusal):  # before a batch is asked for
        negpipe.Dataset.from_arrow(failing(KeyboardInterrupt()), memory=2**30, temporary=tmp_path / "missing")
    for wrong in (5, ["a"]):
        with pytest.raises(TypeError, match="`temporary`: .* given; expected a path"):
            negpipe.Dataset.from_arrow(rows, memory=2000, temporary=wrong)
    for wrong in ("", "a\0b"):
        with pytest.raises(negpipe.errors.OptionError, match="`temporary`: .* given; expected a path"):
            negpipe.Dataset.from_arrow(rows, memory=2000, temporary=wrong)


def on_full_disk(folder, *command):
    """Runs a command with a file system of 64 KiB mounted on a folder. Lists the remaining entries last."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0" || exit 77'
    if subprocess.run([*unshare, "sh", "-c", mount, folder], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs root or user namespaces, which are not available here")
    script = mount + '; "$@"; status=$?; find "$0" -mindepth 1; exit $status'
    return subprocess.run([*unshare, "sh", "-c", script, folder, *map(str, command)], capture_output=True, text=True,
                          check=False, env={**os.environ, "TMPDIR": str(folder)})


def test_a_full_disk_leaves_nothing_of_a_stream(tmp_path):
    rows = random_rows(5000)
    with pyarrow.ipc.new_stream(str(tmp_path / "rows"), rows.schema) as out:
        out.write_table(rows)
    (tmp_path / "small").mkdir()
    script = (
        "import sys, negpipe, pyarrow.ipc\n"
        "try:\n"
        "    negpipe.Dataset.from_arrow(pyarrow.ipc.open_stream(pyarrow.OSFile(sys.argv[1])), memory=4000)\n"
        "except negpipe.errors.DiskFullError as failure:\n"
        "    sys.exit(str(failure))\n"
    )
    outcome = on_full_disk(tmp_path / "small", sys.executable, "-c", script, tmp_path / "rows")
    assert "No space left on device" in outcome.stderr and outcome.returncode == 1
    assert outcome.stdout == "", "something is left"


def test_a_full_disk_leaves_nothing_of_a_parquet_file(tmp_path):
    import pyarrow.parquet

    pyarrow.parquet.write_table(random_rows(5000), tmp_path / "x.parquet")
    (tmp_path / "small").mkdir()
    command = ("-m", "negpipe", "prepare", tmp_path / "x.parquet", "--out", tmp_path / "data")
    outcome = on_full_disk(tmp_path / "small", sys.executable, *command)
    assert f"no space left for its CSV copy in {tmp_path}/small" in outcome.stderr and outcome.returncode == 1
    assert outcome.stdout == "", "something is left"


def test_messages_and_the_dataset_name_the_parquet_file(tmp_path):
    import pyarrow.parquet

    rows = table(items=pyarrow.array([None, "NA", *ITEMS[2:]]))
    pyarrow.parquet.write_table(rows, tmp_path / "x.parquet")
    command = ("prepare", tmp_path / "x.parquet", "--out", tmp_path / "data", "--min-ratings", 1)
    refused = run_package(*command)
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[-1].startswith(f"negpipe: {tmp_path}/x.parquet:2:")
    outcome = run_package(*command, "--missing", "drop")
    assert outcome.returncode == 0, outcome.stderr
    assert f"5 ratings read from {tmp_path}/x.parquet" in outcome.stdout
    # As in memory, the word NA is as missing as a null.
    assert negpipe.Dataset.load(tmp_path / "data").digest == made(rows, missing="drop").digest
    assert json.loads((tmp_path / "data/dataset.json").read_text())["origin"]["source"] == "x.parquet"


def test_a_damaged_parquet_file_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing else")
    outcome = run_package("prepare", tmp_path / "x.parquet", "--out", tmp_path / "data")
    assert outcome.returncode == 1 and "the Parquet file cannot be read" in outcome.stderr
    assert not (tmp_path / "data").exists()


def run_package(*arguments):
    command = [sys.executable, "-m", "negpipe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
