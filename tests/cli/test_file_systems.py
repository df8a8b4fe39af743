"""Limits and errors of file systems never lose existing data."""

import errno
import os
import shutil
import signal
import subprocess

import pytest
from program import (OK, PROGRAM, SHAPE, SMALL, SYSTEM, USAGE, as_ordinary_user, digests, in_the_making, leftovers,
                     negpipe, refuses, start, works)


# ---- renames

def test_killed_between_the_two_renames_of_a_file_system_without_exchange(made, renames, tmp_path):
    arguments, path = made("prepare")
    before = digests(path)
    environment = {**renames, "RENAME_PATH": str(path), "RENAME_KILLS": "1", "NO_RENAME_FLAGS": "1"}
    process = start(*arguments, env=environment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and not path.exists()
    old, = tmp_path.glob(".data.partial-*-old")
    assert digests(old) == before


@pytest.mark.parametrize("what", ["prepare", "cycle"])
def test_another_run_comes_between_the_two_steps(what, made, until_it_appears, tmp_path):
    # The old folder was moved aside and cannot be moved back: the message must name its path.
    arguments, path = made(what)
    before = digests(path)
    theirs = {}

    def happen():
        negpipe(*arguments[:-1], 3)
        theirs.update(digests(path))

    status, said = until_it_appears(arguments, path, happen, NO_RENAME_FLAGS="1", RENAME_SKIPS="2")
    assert status == USAGE, said
    assert digests(path) == theirs
    old, = in_the_making(path.parent)
    assert str(path) in said and "exists already" in said and str(old) in said
    assert digests(old) == before


def test_an_old_folder_that_cannot_be_moved_back_is_reported(made, renames, tmp_path):
    arguments, path = made("prepare")
    before = digests(path)
    environment = {**renames, "RENAME_PATH": str(path), "RENAME_ERROR": str(errno.EIO), "RENAME_SKIPS": "2",
                   "NO_RENAME_FLAGS": "1"}
    said = negpipe(*arguments, expect=SYSTEM, env=environment).stderr
    old, = in_the_making(tmp_path)
    assert str(path) in said and str(old) in said
    assert digests(old) == before


@pytest.mark.parametrize("flags", [{}, {"NO_RENAME_FLAGS": "1"}], ids=["flags", "no flags"])
@pytest.mark.parametrize("before", ["nothing", "an empty folder", "both", "a dataset alone"])
def test_ratings_that_cannot_be_published_keep_existing_files(before, flags, made, renames, tmp_path):
    arguments, csv = made("csv")
    if before in ("nothing", "an empty folder"):
        shutil.rmtree(tmp_path / "own")
    if before == "an empty folder":
        (tmp_path / "own").mkdir()
    if before != "both":
        csv.unlink()
    there = sorted(tmp_path.rglob("*"))
    contents = digests(tmp_path)
    environment = {**renames, **flags, "RENAME_PATH": str(csv), "RENAME_ERROR": str(errno.EIO)}
    naming = "cannot replace" if before == "both" else "cannot rename to"
    refuses(SYSTEM, *arguments, naming=[naming, csv], env=environment)
    assert digests(tmp_path) == contents
    assert sorted(tmp_path.rglob("*")) == there


def test_published_output_stays_if_it_cannot_be_synced(commands, renames, tmp_path):
    arguments, csv = commands["csv"]
    refuses(SYSTEM, *arguments, naming=["cannot sync", tmp_path],
            env={**renames, "SYNC_PATH": str(tmp_path), "SYNC_ERROR": str(errno.EIO)})
    negpipe("prepare", csv, "--out", tmp_path / "again")
    negpipe("info", tmp_path / "own")
    assert leftovers(tmp_path) == []


# ---- syncs

@pytest.mark.parametrize("reason", [errno.EINVAL, errno.ENOTSUP], ids=errno.errorcode.get)
@pytest.mark.parametrize("what", ["prepare", "csv", "cycle"])
def test_a_file_system_that_cannot_sync_folders(what, reason, commands, renames, tmp_path):
    arguments, path = commands[what]
    negpipe(*arguments, env={**renames, "SYNC_PATH": str(path.parent), "SYNC_ERROR": str(reason)})
    assert path.exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("what", ["prepare", "csv", "cycle"])
def test_an_interrupted_sync_is_repeated(what, commands, renames, tmp_path):
    arguments, path = commands[what]
    negpipe(*arguments, "--threads", 1, env={**renames, "SYNC_INTERRUPTED": "1"})
    assert path.exists()
    assert leftovers(tmp_path) == []


def test_a_folder_that_may_be_written_to_but_not_listed(dataset, tmp_path):
    dropbox = tmp_path / "dropbox"
    dropbox.mkdir()
    dropbox.chmod(0o300)
    for arguments in (("synth", *SHAPE, "--out", dropbox / "data", "--csv", dropbox / "r.csv"),
                      ("generate", dataset, "--out", dropbox / "run", *SMALL)):
        command = [*as_ordinary_user(), PROGRAM, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == OK, result.stderr
    dropbox.chmod(0o700)
    negpipe("verify", dataset, dropbox / "run")
    assert sorted(path.name for path in dropbox.iterdir()) == ["data", "r.csv", "run"]


# ---- mounts

@pytest.fixture(scope="session")
def in_a_mount_namespace():
    """Returns a command prefix that gives the command its own mount namespace."""
    prefix = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not works(*prefix, "mount", "-t", "tmpfs", "none", "/mnt"):
        pytest.skip("mounts need root or user namespaces, which are not available here")
    return prefix


@pytest.mark.parametrize("mount", ["mount -t tmpfs none", "mount --bind {}"], ids=["another file system", "the same"])
@pytest.mark.parametrize("what", ["prepare", "synth", "cycle"])
def test_a_mount_point_is_not_replaced(what, mount, commands, in_a_mount_namespace, tmp_path):
    arguments, path = commands[what]
    path.mkdir(parents=True)
    (tmp_path / "shown").mkdir()
    script = f'{mount.format(tmp_path / "shown")} {path} && exec "$@"'
    result = subprocess.run([*in_a_mount_namespace, "sh", "-c", script, "sh", PROGRAM, *map(str, arguments), "--force"],
                            capture_output=True, text=True, check=False)
    assert result.returncode == USAGE, result.stderr
    assert f"{path} is a mount point" in result.stderr and "choose a folder inside it" in result.stderr
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("reason", [errno.EBUSY, errno.EXDEV], ids=errno.errorcode.get)
@pytest.mark.parametrize("skips", [{}, {"NO_RENAME_FLAGS": "1", "RENAME_SKIPS": "1"}], ids=["flags", "no flags"])
def test_a_folder_that_cannot_be_moved_is_refused(reason, skips, made, renames, tmp_path):
    arguments, path = made("prepare")
    before = digests(tmp_path)
    refuses(USAGE, *arguments, naming=[path, "choose a folder inside it"],
            env={**renames, **skips, "RENAME_PATH": str(path), "RENAME_ERROR": str(reason)})
    assert digests(tmp_path) == before
    assert leftovers(tmp_path) == []
