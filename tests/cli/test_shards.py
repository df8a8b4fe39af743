"""Datasets in shards: prepare --shards, and join of shards that another program wrote."""

import json
import os

import pytest
from program import BAD_DATA, SMALL, SYSTEM, USAGE, digests, negpipe, refuses


@pytest.fixture
def shards(ratings, tmp_path):
    """A folder as another program writes it: shards.json instead of dataset.json."""
    folder = tmp_path / "shards"
    negpipe("prepare", ratings, "--out", folder, "--shards", 3)
    description = json.loads((folder / "dataset.json").read_text())
    del description["digest"], description["checksum"]
    (folder / "dataset.json").unlink()
    (folder / "shards.json").write_text(json.dumps(description))
    return folder


def test_joined_shards_are_the_dataset_in_one_piece(ratings, shards, tmp_path):
    negpipe("prepare", ratings, "--out", tmp_path / "whole")
    refuses(BAD_DATA, "info", shards, naming=["negpipe join"])
    joined = json.loads(negpipe("join", shards, "--out", tmp_path / "data", "--json").stdout)
    whole = json.loads(negpipe("info", tmp_path / "whole", "--json").stdout)
    assert joined["digest"] == whole["digest"]
    assert not shards.exists()
    for name in ("data", "whole"):
        negpipe("generate", tmp_path / name, "--out", tmp_path / f"run of {name}", "--seed", 1, *SMALL)
    runs = [digests(tmp_path / f"run of {name}", "**/*.tfrecords") for name in ("data", "whole")]
    assert runs[0] == runs[1] and runs[0]


def test_folders_that_are_no_shards_are_refused_and_left_alone(shards, tmp_path):
    out = tmp_path / "data"
    (shards / "_SUCCESS").write_text("")
    refuses(USAGE, "join", shards, "--out", out, naming=["_SUCCESS is not listed in shards.json"])
    (shards / "_SUCCESS").unlink()
    description = json.loads((shards / "shards.json").read_text())
    (shards / "shards.json").unlink()
    refuses(BAD_DATA, "join", shards, "--out", out, naming=["has no shards.json"])
    description["arrays"]["positive_items"]["dtype"] = "<f4"
    (shards / "shards.json").write_text(json.dumps(description))
    refuses(BAD_DATA, "join", shards, "--out", out, naming=["positive_items", "<f4", "<i4"])
    assert shards.exists() and not out.exists()


def test_a_finished_dataset_is_not_moved(ratings, tmp_path):
    negpipe("prepare", ratings, "--out", tmp_path / "one", "--shards", 2)
    refuses(USAGE, "join", tmp_path / "one", "--out", tmp_path / "data", naming=["is a dataset already"])
    negpipe("info", tmp_path / "one")


def test_a_join_that_cannot_rename_changes_nothing(shards, tmp_path):
    before = digests(shards, "*")
    refuses(USAGE, "join", shards, "--out", shards / "x", naming=["--out", "lies in"])
    if os.path.isdir("/dev/shm") and os.stat("/dev/shm").st_dev != os.stat(tmp_path).st_dev:
        refuses(USAGE, "join", shards, "--out", f"/dev/shm/{tmp_path.name}", naming=["--out", "another file system"])
    assert digests(shards, "*") == before


def test_a_join_restores_the_shards_if_the_rename_fails(shards, tmp_path, renames):
    before = digests(shards, "*")
    env = {**renames, "RENAME_PATH": str(tmp_path / "data"), "RENAME_ERROR": "5"}
    negpipe("join", shards, "--out", tmp_path / "data", env=env, expect=SYSTEM)
    assert digests(shards, "*") == before
    negpipe("join", shards, "--out", tmp_path / "data")


def test_shards_with_symbolic_links_are_refused(shards, tmp_path):
    (shards / "item_ids.npy").rename(tmp_path / "item_ids.npy")
    (shards / "item_ids.npy").symlink_to("../item_ids.npy")
    refuses(USAGE, "join", shards, "--out", tmp_path / "data", naming=["item_ids.npy is a symbolic link"])
    assert (shards / "shards.json").exists() and not (shards / "dataset.json").exists()
