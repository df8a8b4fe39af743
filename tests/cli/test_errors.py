"""Errors: the message names the cause, the exit status is right, and nothing incomplete is left on disk."""

import gzip
import json
import pathlib
import shutil
import subprocess

import pytest
from program import (BAD_DATA, BAD_INPUT, FOUND_FAILURES, INFEASIBLE, PROGRAM, SMALL, SYSTEM, USAGE, as_ordinary_user,
                     digests, negpipe, refuses, small, write_ratings)

HEADER = "user_id,item_id,rating,timestamp\n"


@pytest.mark.parametrize("text, naming", [
    ("", ["ratings.csv", "empty"]),
    (HEADER, ["ratings.csv"]),
    ("user_id,rating,timestamp\n1,2,3\n", ["item"]),
    (HEADER + "1,2,3,4\n1,x3,\n", ["ratings.csv:3"]),
    (HEADER + "1,2,3,4\n1,3,5,soon\n", ["ratings.csv:3", "soon"]),
    (HEADER + "1,2,3,99999999999999999999\n", ["ratings.csv:2", "99999999999999999999"]),
    (HEADER + "1,2,3,4\n1,2,3,5\n", ["ratings.csv:3"]),
    (HEADER + "1,2,3,4\n1,3,3,5\n", ["20"]),
    (HEADER + '1,"2,3,4\n', ["ratings.csv:2"]),
], ids=["empty file", "header alone", "missing column", "short row", "not a time", "overflow", "repeated pair",
        "nobody has enough", "open quote"])
def test_bad_ratings(text, naming, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    refuses(BAD_INPUT, "prepare", path, "--out", tmp_path / "data", naming=naming)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ratings.csv"]


def test_truncated_gzip(ratings, tmp_path):
    whole = gzip.compress(ratings.read_bytes())
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(whole[:len(whole) // 2])
    refuses(BAD_INPUT, "prepare", path, "--out", tmp_path / "data", naming=["ratings.csv.gz"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["ratings.csv.gz"]


def test_missing_ratings(tmp_path):
    refuses(SYSTEM, "prepare", tmp_path / "none.csv", "--out", tmp_path / "data", naming=["none.csv", "No such file"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "value", "wanted"), [
    ("--min-rating", "nan", "--min-rating: nan given, a number wanted"),
    ("--memory", 0, "--memory: 0 given, a number of bytes such as 1G wanted"),
    ("--shards", -1, "--shards: -1 given, a whole number from 0 to 10000 wanted"),
    ("--shards", 10_001, "--shards: 10001 given, a whole number from 0 to 10000 wanted"),
    ("--shards", 99_999_999_999, "--shards: 99999999999 given, a whole number from 0 to 10000 wanted"),
    ("--memory", 1, "--memory: 1 given, but about"),
    ("--memory", "99999999999T", "--memory: 99999999999T given, less than 16E wanted"),
    ("--memory", "4GG", "--memory: 4GG given, a number of bytes wanted"),
    ("--name", "r.csv", "--name: r.csv given, FILE=NAME wanted"),
])
def test_values_without_a_meaning_are_refused(option, value, wanted, ratings, tmp_path):
    refuses(USAGE, "prepare", ratings, "--out", tmp_path / "data", option, value, naming=[wanted])
    assert list(tmp_path.iterdir()) == []


def test_ratings_from_a_pipe(ratings, tmp_path):
    command = 'cat "$1" | "$0" prepare /dev/stdin --out "$2"'
    result = subprocess.run(["sh", "-c", command, PROGRAM, str(ratings), str(tmp_path / "data")], capture_output=True,
                            text=True, check=False)
    assert result.returncode == BAD_INPUT
    assert "/dev/stdin" in result.stderr and "pipe" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_known_dataset_with_other_counts(ratings, tmp_path):
    message = refuses(BAD_INPUT, "prepare", ratings, "--out", tmp_path / "data", "--expect", "ml-1m", naming=["60"])
    assert "6040" in message.replace(",", "") and "3706" in message.replace(",", "")
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_shape(tmp_path):
    shape = ("--users", 10, "--items", 30, "--positives", 301)
    refuses(USAGE, "synth", *shape, "--out", tmp_path / "data", naming=["--positives: 301 given, 200 to 300 wanted"])
    few = ("--users", 3, "--items", 4, "--positives", 5)
    refuses(USAGE, "synth", *few, "--out", tmp_path / "data", naming=["--items: 4 given, at least 20", "--min-ratings"])
    assert list(tmp_path.iterdir()) == []


def test_ratings_of_a_dataset_that_cannot_be_saved(tmp_path):
    (tmp_path / "file").write_text("")
    shape = ("--users", 50, "--items", 100, "--positives", 1500)
    refuses(SYSTEM, "synth", *shape, "--out", tmp_path / "file/data", "--csv", tmp_path / "r.csv", naming=["file"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# ---- datasets

DATASET_FILES = ("dataset.json", "user_offsets.npy", "positive_items.npy", "test_offsets.npy", "test_items.npy",
                 "user_ids.npy", "item_ids.npy")


@pytest.fixture
def copied(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "data")
    return tmp_path / "data"


def refuses_dataset(folder, naming):
    for arguments in (("info", folder), ("generate", folder, "--out", folder.parent / "run", *SMALL)):
        refuses(BAD_DATA, *arguments, naming=naming)
    assert not (folder.parent / "run").exists()


def test_these_are_all_files_of_a_dataset(dataset):
    assert set(digests(dataset)) == set(DATASET_FILES)


def test_a_dataset_of_another_version(copied):
    description = json.loads((copied / "dataset.json").read_text())
    description["format_version"] = 4
    (copied / "dataset.json").write_text(json.dumps(description))
    refuses_dataset(copied, naming=["version 4", "versions 1 to 3", "dataset.json"])


@pytest.mark.parametrize("name", DATASET_FILES)
def test_a_truncated_file(name, copied):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:len(content) - 5])
    refuses_dataset(copied, naming=[name])


@pytest.mark.parametrize("name", DATASET_FILES)
@pytest.mark.parametrize("position", [0.0, 0.5, 0.999])
def test_a_flipped_byte(name, position, copied):
    content = bytearray((copied / name).read_bytes())
    content[int(position * len(content))] ^= 4
    (copied / name).write_bytes(content)
    refuses_dataset(copied, naming=[name])


@pytest.mark.parametrize("name", DATASET_FILES)
def test_a_missing_file(name, copied):
    (copied / name).unlink()
    refuses_dataset(copied, naming=[name])


def test_a_folder_that_is_not_a_dataset(tmp_path):
    refuses(BAD_DATA, "info", tmp_path, naming=["dataset"])
    refuses(SYSTEM, "info", tmp_path / "none", naming=["none"])


def test_a_folder_without_records(dataset, tmp_path):
    for arguments in (("verify", dataset, tmp_path), ("hash", tmp_path)):
        result = negpipe(*arguments, expect=BAD_DATA)
        assert str(tmp_path) in result.stderr


# ---- runs

def refuses_run(status, dataset, tmp_path, *options, naming):
    message = refuses(status, "generate", dataset, "--out", tmp_path / "run", *options, naming=naming)
    assert list(tmp_path.iterdir()) == []
    return message


def test_an_evaluation_batch_that_does_not_divide(dataset, tmp_path):
    refuses_run(USAGE, dataset, tmp_path, *small("--eval-batch-size", 211), naming=["211", "21"])


def test_users_with_too_few_items_left_are_named(ratings, dataset, tmp_path):
    rows = [line.split(",")[0] for line in ratings.read_text().splitlines()[1:]]
    fullest = max(sorted(set(rows)), key=rows.count)
    left = 300 - rows.count(fullest)
    naming = [fullest, left]
    refuses_run(INFEASIBLE, dataset, tmp_path, "--eval-negatives", left + 1, "--eval-batch-size", left + 2,
                "--eval-infeasible", "error", naming=naming)


def test_all_available_negatives_can_be_used(ratings, dataset, tmp_path):
    rows = [line.split(",")[0] for line in ratings.read_text().splitlines()[1:]]
    left = 300 - max(map(rows.count, set(rows)))
    negpipe("generate", dataset, "--out", tmp_path / "run",
            *small("--eval-negatives", left, "--eval-batch-size", left + 1))
    negpipe("verify", dataset, tmp_path / "run")


def test_ten_items_and_999_negatives_need_mlperf(tmp_path):
    # Eight of ten items each: one negative is left for evaluation, three for training.
    write_ratings(tmp_path / "ratings.csv", users=1, items=300)
    rows = "".join(f"{user},{item},1,{item}\n" for user in range(30) for item in range(10) if (user + item) % 5 != 0)
    (tmp_path / "ratings.csv").write_text(HEADER + rows)
    data = tmp_path / "data"
    negpipe("prepare", tmp_path / "ratings.csv", "--out", data, "--min-ratings", 1, "--mlperf", "--seed", 1)
    options = ("--out", tmp_path / "run", "--batch-size", 100, "--eval-batch-size", 5000, "--seed", 1)
    refuses(INFEASIBLE, "generate", data, *options, naming=["999", "2"])
    negpipe("generate", data, *options, "--mlperf")
    negpipe("verify", data, tmp_path / "run")


@pytest.mark.parametrize("options, naming", [
    (("--epochs-per-cycle", 2**32 - 1, "--num-neg", 2**32 - 1), ["--epochs-per-cycle", 2**32 - 1]),
    (("--first-cycle", 2**32), ["cycle", 2**32]),
    (("--first-cycle", 2**32 - 1, "--cycles", 2), ["cycle", "32 bits"]),
    (("--cycles", 2**32 + 1), ["cycle"]),
    (("--first-cycle", 2**64 - 1, "--cycles", 2), ["cycle"]),
    (("--padding", "drop", "--batch-size", 10**9), ["drop", 10**9]),
], ids=lambda values: " ".join(map(str, values)))
def test_counts_that_do_not_fit(options, naming, dataset, tmp_path):
    refuses_run(USAGE, dataset, tmp_path, *small(*options), naming=naming)


# ---- paths that the system refuses

# By name: arguments, given a path that is refused, the dataset, the run, the ratings, and an output folder.
PATHS = {
    "info": lambda bad, data, run, ratings, out: ("info", bad),
    "generate, dataset": lambda bad, data, run, ratings, out: ("generate", bad, "--out", out / "run", *SMALL),
    "generate, out": lambda bad, data, run, ratings, out: ("generate", data, "--out", bad, *SMALL),
    "generate, out, force": lambda bad, data, run, ratings, out: ("generate", data, "--out", bad, *SMALL, "--force"),
    "verify, dataset": lambda bad, data, run, ratings, out: ("verify", bad, run),
    "verify, run": lambda bad, data, run, ratings, out: ("verify", data, bad),
    "hash": lambda bad, data, run, ratings, out: ("hash", bad),
    "prepare, ratings": lambda bad, data, run, ratings, out: ("prepare", bad, "--out", out / "data"),
    "prepare, out": lambda bad, data, run, ratings, out: ("prepare", ratings, "--out", bad),
    "prepare, out, force": lambda bad, data, run, ratings, out: ("prepare", ratings, "--out", bad, "--force"),
    "synth, out": lambda bad, data, run, ratings, out: ("synth", *SHAPE, "--out", bad),
    "synth, out beside csv": lambda bad, data, run, ratings, out: (
        "synth", *SHAPE, "--out", bad, "--csv", out / "r.csv"),
    "synth, csv": lambda bad, data, run, ratings, out: ("synth", *SHAPE, "--out", out / "data", "--csv", bad),
    "synth, csv, force": lambda bad, data, run, ratings, out: (
        "synth", *SHAPE, "--out", out / "data", "--csv", bad, "--force"),
    "produce, dataset": lambda bad, data, run, ratings, out: (
        "produce", bad, "--data-dir", out, "--cache-id", 1, *SMALL),
    "produce, data dir": lambda bad, data, run, ratings, out: (
        "produce", data, "--data-dir", bad, "--cache-id", 1, *SMALL),
    "produce, data dir, resume": lambda bad, data, run, ratings, out: (
        "produce", data, "--data-dir", bad, "--cache-id", 1, *SMALL, "--resume"),
    "produce, flag file": lambda bad, data, run, ratings, out: (
        "produce", data, "--data-dir", out, "--cache-id", 1, *SMALL, "--flagfile", bad),
    "produce, no flag file": lambda bad, data, run, ratings, out: ("produce", "--data-dir", bad, "--cache-id", 1),
    "produce, log": lambda bad, data, run, ratings, out: (
        "produce", data, "--data-dir", out, "--cache-id", 1, *SMALL, "--log-file", bad),
}
SHAPE = ("--users", 50, "--items", 100, "--positives", 1500)


@pytest.mark.parametrize("arguments", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("kind", ["below a file", "too long", "below a loop", "not to be searched"])
def test_a_path_that_the_system_refuses(kind, arguments, ratings, dataset, run, tmp_path):
    bad, reason = {"below a file": (tmp_path / "file/below", "Not a directory"),
                   "too long": (tmp_path / ("n" * 256), "File name too long"),
                   "below a loop": (tmp_path / "loop/below", "Too many levels"),
                   "not to be searched": (tmp_path / "locked/below", "Permission denied")}[kind]
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "locked").mkdir(mode=0)
    (tmp_path / "out").mkdir()
    prefix = as_ordinary_user() if kind == "not to be searched" else []
    command = [*prefix, PROGRAM, *map(str, arguments(bad, dataset, run, ratings, tmp_path / "out"))]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert result.returncode == SYSTEM, result.stderr
    assert str(bad) in result.stderr and reason in result.stderr and "filesystem error" not in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "locked", "loop", "out"]
    assert [path.name for path in (tmp_path / "out").rglob("*")] == []


@pytest.mark.parametrize("name", ["training_epochs", "eval_data", "training_epochs/cycle_00000/ready.json",
                                  "training_epochs/cycle_00000/train_0.tfrecords"])
def test_a_self_referencing_link_among_records(name, dataset, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(path)
    for arguments in (("verify", dataset, tmp_path / "run"), ("hash", tmp_path / "run")):
        refuses(SYSTEM, *arguments, naming=[path, "Too many levels"])


@pytest.mark.parametrize("name", DATASET_FILES)
def test_a_self_referencing_link_in_a_dataset(name, copied):
    (copied / name).unlink()
    (copied / name).symlink_to(name)
    refuses(SYSTEM, "info", copied, naming=[copied / name, "Too many levels"])


# The producer waits for a missing flag file at any path.
@pytest.mark.parametrize("name", [name for name in PATHS if "flag file" not in name])
def test_a_removed_working_directory(name, ratings, dataset, run, tmp_path):
    command = PATHS[name](pathlib.Path("a_name"), dataset, run, ratings, tmp_path)
    script = f'mkdir "{tmp_path}/gone" && cd "{tmp_path}/gone" && rmdir "{tmp_path}/gone" && exec "$0" "$@"'
    result = subprocess.run(["sh", "-c", script, PROGRAM, *map(str, command)], capture_output=True, text=True,
                            timeout=60, check=False)
    # A missing folder is a folder without records.
    assert result.returncode == (BAD_DATA if name in ("verify, run", "hash") else SYSTEM), result.stderr
    assert "a_name" in result.stderr and result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_ready_json(dataset, tmp_path):
    run = tmp_path / "run"
    negpipe("generate", dataset, "--out", run, *SMALL)
    (run / "training_epochs/cycle_00000/ready.json").write_text("{")
    result = negpipe("verify", dataset, run, expect=FOUND_FAILURES)
    assert "cycle_00000/ready.json" in result.stdout
