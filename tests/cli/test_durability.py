"""Published data is on disk before it has its final name: checks the order of writes, syncs and renames.

That it survives a power cut cannot be shown by a test that has none; that it asks the system for the right things in
the right order can."""

import os
import subprocess

import pytest
from program import PROGRAM, SMALL, leftovers, preloading


@pytest.fixture(scope="module")
def preload():
    return preloading("NEGPIPE_PRELOAD")


@pytest.fixture
def traced(preload, tmp_path):
    def trace(*arguments):
        """Runs the program. Returns (action, path, second path) of all its disk operations below tmp_path."""
        log = tmp_path.parent / f"{tmp_path.name}.log"
        log.unlink(missing_ok=True)
        subprocess.run([PROGRAM, *map(str, arguments), "--quiet"], check=True, cwd=tmp_path, stdin=subprocess.DEVNULL,
                       env={**preload, "DISK_LOG": str(log)})
        lines = [line.split("\t") for line in log.read_text().splitlines()]
        return [(action, path, second) for action, path, second in lines if path.startswith(str(tmp_path) + "/")
                or path == str(tmp_path)]
    return trace


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


class Disk:
    """State that a power cut can lose: contents and names that changed since their last sync."""

    def __init__(self):
        self.contents = set()
        self.names = {}  # by folder
        self.known = set()
        self.complaints = []

    def write(self, path, _):
        if path not in self.known:
            self.name(path)
        self.contents.add(path)

    def mkdir(self, path, _):
        self.name(path)

    def sync(self, path, _):
        self.contents.discard(path)
        self.names.pop(path, None)

    def rename(self, source, target):
        lost = sorted(path for path in self.contents if below(path, source))
        lost += sorted(name for folder, names in self.names.items() if below(folder, source) for name in names)
        self.complaints += [f"{path} was not synced before {target} appeared" for path in lost]
        self.known = {target + path[len(source):] if below(path, source) else path for path in self.known}
        self.names.get(os.path.dirname(source), set()).discard(source)
        self.name(target)

    def name(self, path):
        self.known.add(path)
        self.names.setdefault(os.path.dirname(path), set()).add(path)


def complaints(events):
    """Returns violations of the promise that published files and their names are on disk."""
    disk = Disk()
    for action, source, target in events:
        if not source.endswith(" (deleted)"):  # an unnamed file is not published
            getattr(disk, action)(source, target)
    return disk.complaints + [f"{name} was not synced" for names in disk.names.values() for name in names]


def renamed_to(events):
    return [target for action, _, target in events if action == "rename"]


@pytest.mark.parametrize("options", [(), ("--compression", "gzip"), ("--no-eval",)],
                         ids=lambda words: " ".join(words) or "plain")
def test_records_are_on_disk_before_their_folder_appears(options, traced, dataset, tmp_path):
    run = tmp_path / "run"
    events = traced("generate", dataset, "--out", run, "--cycles", 2, "--seed", 42, *SMALL, *options)
    assert complaints(events) == []
    folders = [str(run / name) for name in ("training_epochs/cycle_00000", "training_epochs/cycle_00001", "eval_data")]
    folders = folders[:2] if "--no-eval" in options else folders
    assert [path for path in renamed_to(events) if path in folders] == folders
    # ready.json is last: nothing below a folder is written after it is published.
    for index, (action, _, target) in enumerate(events):
        if action == "rename" and target.endswith("/ready.json"):
            folder = os.path.dirname(target)
            assert not any(what == "write" and below(path, folder) for what, path, _ in events[index:])
    assert leftovers(run) == []


def test_datasets_and_ratings_are_on_disk_before_they_appear(traced, tmp_path):
    shape = ("--users", 50, "--items", 100, "--positives", 1500, "--seed", 1)
    events = traced("synth", *shape, "--out", tmp_path / "made", "--csv", tmp_path / "r.csv")
    assert complaints(events) == []
    assert [path for path in renamed_to(events) if os.path.dirname(path) == str(tmp_path)] == [
        str(tmp_path / "r.csv"), str(tmp_path / "made")]
    events = traced("prepare", tmp_path / "r.csv", "--out", tmp_path / "data")
    assert complaints(events) == []
    assert renamed_to(events)[-1] == str(tmp_path / "data")


def test_a_missing_or_late_sync_is_detected(traced, dataset, tmp_path):
    events = traced("generate", dataset, "--out", tmp_path / "run", "--seed", 42, *SMALL, "--no-eval")
    syncs = [index for index, event in enumerate(events) if event[0] == "sync"]
    assert len(syncs) >= 3 + 3 + 1 + 3, "record files, their index files, ready.json, and folders"
    # An unpublished folder may be synced more often than needed; all other syncs are needed.
    unnoticed = {events[index][1] for index in syncs if not complaints(events[:index] + events[index + 1:])}
    assert unnoticed <= {source for action, source, _ in events if action == "rename"}, unnoticed
    assert complaints([event for event in events if event[:2] != ("sync", next(iter(unnoticed), ""))])
    write = next(event for event in events if event[0] == "write" and event[1].endswith("train_0.tfrecords"))
    appears = next(i for i, event in enumerate(events) if event[0] == "rename" and event[2].endswith("cycle_00000"))
    assert complaints(events[:appears] + [write] + events[appears:])
