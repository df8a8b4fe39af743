"""prepare, synth and info as programs: what they record; NumPy recomputes their figures."""

import json
import os
import subprocess

import numpy as np
import pytest

PROGRAM = os.environ["NEGPIPE_PROGRAM"]
SHAPE = ("--users", "80", "--items", "200", "--positives", "4000", "--seed", "9")


def negpipe(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], check=True, capture_output=True, text=True)


def origin(folder):
    return json.loads((folder / "dataset.json").read_text())["origin"]


@pytest.fixture
def ratings(tmp_path):
    """Ratings with equal times, so that every order is an order of ties."""
    path = tmp_path / "r.csv"
    rows = [f"{user},{item},5,1000\n" for user in range(30) for item in range(25)]
    path.write_text("user_id,item_id,rating,timestamp\n" + "".join(rows))
    return path


def test_a_drawn_seed_is_shown_and_recorded_and_makes_the_same_dataset(ratings, tmp_path):
    shown = negpipe("prepare", ratings, "--out", tmp_path / "a", "--mlperf")
    recorded = origin(tmp_path / "a")
    assert recorded["ties"] == "shuffled"
    assert f"seed {recorded['seed']} was drawn" in shown.stderr
    negpipe("prepare", ratings, "--out", tmp_path / "b", "--ties", "shuffled", "--seed", recorded["seed"])
    assert origin(tmp_path / "b") == recorded
    assert (tmp_path / "a/test_items.npy").read_bytes() == (tmp_path / "b/test_items.npy").read_bytes()
    negpipe("prepare", ratings, "--out", tmp_path / "c", "--mlperf")
    assert (tmp_path / "a/test_items.npy").read_bytes() != (tmp_path / "c/test_items.npy").read_bytes()


def test_file_order_needs_no_seed(ratings, tmp_path):
    told = negpipe("prepare", ratings, "--out", tmp_path / "a", "--seed", 3)
    assert "--seed has no effect without --ties shuffled" in told.stderr
    assert origin(tmp_path / "a")["seed"] == "0"
    assert set(np.load(tmp_path / "a/test_items.npy")) == {24}


def test_a_limit_of_memory_makes_the_same_dataset_and_says_its_temporary_space(ratings, tmp_path):
    test = tmp_path / "t.csv"
    rows = [f"{user},{user % 25},5,7\n" for user in range(30)]
    test.write_text("user_id,item_id,rating,timestamp\n" + "".join(rows))
    given = ("--test", test, "--duplicates", "last", "--min-item-ratings", 2)
    for name, options in {"last": (), "given": given}.items():
        in_memory = negpipe("prepare", ratings, "--out", tmp_path / name, *options)
        on_disk = negpipe("prepare", ratings, "--out", tmp_path / f"{name}-disk", *options, "--memory", "1k")
        assert "of temporary space in " + str(tmp_path) in on_disk.stderr
        assert "temporary" not in in_memory.stderr
        for file in (tmp_path / name).iterdir():
            assert file.read_bytes() == (tmp_path / f"{name}-disk" / file.name).read_bytes()


def test_force_replaces(ratings, tmp_path):
    negpipe("synth", *SHAPE, "--out", tmp_path / "a")
    negpipe("prepare", ratings, "--out", tmp_path / "a", "--force")
    assert origin(tmp_path / "a")["source"] == "r.csv"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "r.csv"]


def test_synth_takes_shapes_by_name_and_changes_to_them(tmp_path):
    made = json.loads(negpipe("synth", "--like", "ml-1m", "--items", 5000, "--seed", 1, "--out", tmp_path / "a",
                              "--json").stdout)
    assert (made["users"], made["items"], made["positives"]) == (6040, 5000, 1_000_209 - 6040)


def test_info_says_what_numpy_finds(tmp_path):
    negpipe("synth", *SHAPE, "--out", tmp_path / "a")
    facts = json.loads(negpipe("info", tmp_path / "a", "--json").stdout)
    counts = np.diff(np.load(tmp_path / "a/user_offsets.npy"))
    by_item = np.bincount(np.load(tmp_path / "a/positive_items.npy"), minlength=200)
    for found, expected in ((facts["positives_by_user"], counts), (facts["positives_by_item"], by_item)):
        assert found["mean"] == pytest.approx(expected.mean())
        for percent in (0, 5, 10, 25, 50, 75, 90, 95, 100):
            assert found[f"p{percent}"] == np.percentile(expected, percent, method="inverted_cdf")
    assert facts["density"] == pytest.approx(counts.sum() / (80 * 200))
    assert facts["expected_rejection_rate"] == pytest.approx((counts / counts.sum() * counts / 200).sum())
    fewest = facts["fewest_negatives_left"]
    assert [user["left"] for user in fewest] == sorted(200 - 1 - counts)[:5]
    assert [counts[user["user"]] for user in fewest] == [user["positives"] for user in fewest]
    assert facts["membership_bytes"]["bitset"] - facts["membership_bytes"]["sorted_search"] == 80 * 7 * 4
    filter_words = (facts["positives"] + 1) // 2
    assert facts["membership_bytes"]["bloom_filter"] - facts["membership_bytes"]["sorted_search"] == filter_words * 4


def rows_of(folder, name):
    offsets, items = (np.load(folder / f"{name}_{kind}.npy") for kind in ("offsets", "items"))
    ids = np.load(folder / "item_ids.npy")
    return [sorted(ids[items[begin:end]].tolist()) for begin, end in zip(offsets[:-1], offsets[1:])]


def test_a_given_split_is_read_from_its_files(tmp_path):
    (tmp_path / "train.txt").write_text("0 10 11\n1 10 11 15 16\n5 12\n")
    (tmp_path / "valid.txt").write_text("1 12\n")
    (tmp_path / "test.txt").write_text("1 13 14\n2 10 11\n0 12 13\n")
    shown = negpipe("prepare", tmp_path / "train.txt", "--validation", tmp_path / "valid.txt", "--test",
                    tmp_path / "test.txt", "--out", tmp_path / "data", "--min-ratings", 1)
    assert "5 held-out ratings dropped: 1 users (2) and 2 items (13, 14) have no training rating" in shown.stdout
    assert "1 validation items (2 users have none) and 1 test items (2 users have none)" in shown.stdout
    assert rows_of(tmp_path / "data", "validation") == [[], [12], []]
    assert rows_of(tmp_path / "data", "test") == [[12], [], []]
    assert origin(tmp_path / "data")["options"]["split"] == "given"


def test_a_split_is_recorded(ratings, tmp_path):
    negpipe("prepare", ratings, "--out", tmp_path / "a", "--split", "ratio:0.8,0.1,0.1")
    assert origin(tmp_path / "a")["options"]["split"] == "ratio:0.8,0.1,0.1"
    assert rows_of(tmp_path / "a", "test") == [[23, 24]] * 30
    assert rows_of(tmp_path / "a", "validation") == [[21, 22]] * 30


@pytest.mark.parametrize("options, message", [
    (["--split", "half"], "--split: \"half\" given"),
    (["--validation", "RATINGS"], "--validation needs --test"),
    (["--test", "RATINGS", "--split", "leave-one-out"], "--split and --test exclude each other"),
])
def test_options_of_a_split_that_do_not_fit_are_refused(options, message, ratings, tmp_path):
    options = [str(ratings) if option == "RATINGS" else option for option in options]
    command = [PROGRAM, "prepare", ratings, "--out", tmp_path / "a", *options]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 2 and message in shown.stderr
    assert not (tmp_path / "a").exists()
