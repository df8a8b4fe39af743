"""Folders disappear in one step, also if the process is killed, and never across a mount."""

import errno
import itertools
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from negpipe import removal
from program import digests, preloading, works

REMOVE = "import sys\nfrom negpipe import removal\nremoval.remove_tree(*sys.argv[1:])\n"


@pytest.fixture
def folder(tmp_path):
    """A folder of records in a cache."""
    cycle = tmp_path / "cache/training_epochs/cycle_00000"
    cycle.mkdir(parents=True)
    for name in ("ready.json", "train_0.tfrecords", "train_1.tfrecords"):
        (cycle / name).write_text(name)
    (tmp_path / "cache/.partial").mkdir()
    return cycle


def remove(*paths, **options):
    command = [sys.executable, "-c", REMOVE, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("aside", [False, True])
def test_a_folder_is_removed_and_nothing_else(aside, folder, tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (folder / "link").symlink_to(tmp_path / "theirs")
    (folder / "to_folder").symlink_to(tmp_path / "cache")
    removal.remove_tree(folder, removal.hidden_name(folder, tmp_path / "cache/.partial") if aside else None)
    assert everything(tmp_path) == ["cache", "cache/.partial", "cache/training_epochs", "theirs"]


def test_what_does_not_exist_is_ignored(tmp_path):
    removal.remove_tree(tmp_path / "nothing")
    removal.remove_tree(tmp_path / "no/such/folder")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_hidden_folder_is_ignored(folder, tmp_path):
    removal.remove_tree(folder, tmp_path / "no/such/place")
    assert everything(tmp_path / "cache/training_epochs") == []


def test_a_link_is_removed_and_not_followed(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    before = digests(folder)
    removal.remove_tree(link)
    assert not link.is_symlink() and digests(folder) == before


def test_long_names_fit(tmp_path):
    folder = tmp_path / ("ä" * 127)
    folder.mkdir()
    removal.remove_tree(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "in_place"])
def test_killed_at_any_moment_no_incomplete_folder_is_visible(in_place, folder, tmp_path):
    preloaded = preloading("NEGPIPE_STRIKE")
    original = tmp_path / "original"
    shutil.copytree(folder, original)
    hidden = tmp_path / "cache/.partial/.hidden"
    mark = tmp_path / "struck"
    for at in itertools.count(2 if in_place else 1):
        environment = {**preloaded, "STRIKE_AT": str(at), "STRIKE_WITH": "KILL", "STRIKE_MARK": str(mark)}
        if in_place:
            hidden.mkdir(exist_ok=True)
            (hidden / "in_the_way").touch()  # the rename fails
        remove(folder, hidden, env=environment)
        if not mark.exists():
            break
        if (folder / "ready.json").exists():
            assert digests(folder) == digests(original), f"killed at call {at}"
        else:
            assert in_place or not folder.exists(), f"killed at call {at}"
        # The next call removes the rest.
        removal.remove_tree(folder, hidden)
        assert not folder.exists() and not hidden.exists()
        mark.unlink()
        shutil.copytree(original, folder)
    assert at > 4, "few calls were struck: the test tests little"


def mounting(theirs, at):
    """Returns a command prefix that gives the command a bind mount."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not works(*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"):
        pytest.skip("a mount of a test's own needs root or user namespaces, which are not available here")
    return [*unshare, "sh", "-c", f'mount --bind "{theirs}" "{at}" && exec "$@"', "sh"]


@pytest.mark.parametrize("name", ["mounted", "with space", ""], ids=["inside", "odd_name", "itself"])
def test_a_mount_is_refused_by_name_before_anything_is_removed(name, folder, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").touch()
    (folder / name).mkdir(exist_ok=True)
    before = digests(folder)
    command = [*mounting(theirs, folder / name), sys.executable, "-c", REMOVE, str(folder)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    assert "a mount point is never removed" in outcome.stderr and str(folder / name) in outcome.stderr
    assert (theirs / "precious").exists() and digests(folder) == before


def test_a_folder_that_cannot_be_removed_is_an_error(folder, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError):
        removal.remove_tree(folder)
    assert (folder / "ready.json").exists()
    assert pathlib.Path(folder).is_dir() and tmp_path.is_dir()
