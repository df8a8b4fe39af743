"""Removal of folders: complete or not at all under their visible names, and never across a mount."""

import contextlib
import errno
import os
import pathlib
import re
import secrets
import shutil

from negpipe.records import READY_FILE

_MAX_NAME_BYTES = 200  # a hidden name is 26 bytes longer, and file systems allow 255


def hidden_name(folder, aside=None):
    """Returns a unique hidden path in `aside`, or beside the folder: PARENT/.NAME.partial-RANDOM."""
    folder = pathlib.Path(folder)
    name = os.fsdecode(os.fsencode(folder.name)[:_MAX_NAME_BYTES])
    return pathlib.Path(aside or folder.parent) / f".{name}.partial-{secrets.token_hex(8)}"


def remove_tree(folder, hidden=None):
    """Removes a folder with its content: renames it to `hidden` first, then deletes it there.

    After a crash the folder is complete or gone. If it cannot be renamed, each ready.json is deleted before the files
    that it lists. Links are removed, not followed. A missing folder is ignored. Also deletes what an interrupted call
    left under the same hidden name.

    Raises OSError if something is mounted in the folder (before anything is removed), or if it cannot be removed.
    """
    folder = pathlib.Path(folder)
    hidden = pathlib.Path(hidden or hidden_name(folder))
    for path in (folder, hidden):
        _refuse_mounts(path)
    try:
        os.rename(folder, hidden)
    except OSError:
        if os.path.lexists(folder) and not hidden.parent.is_dir():
            return remove_tree(folder)  # beside it
        if os.path.lexists(folder):
            _remove_in_place(folder)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        _delete(hidden)


def _remove_in_place(folder):
    for parent, _, files in os.walk(folder):
        if READY_FILE in files:
            os.unlink(os.path.join(parent, READY_FILE))
    _delete(folder)


def _delete(folder):
    if folder.is_symlink() or not folder.is_dir():
        return folder.unlink()
    # Another process, such as a producer that ends, may delete at the same time.
    shutil.rmtree(folder, onerror=_raise_unless_gone)


def _raise_unless_gone(_function, _path, failure):
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]


def _refuse_mounts(folder):
    for mount in mount_points():
        if mount == os.path.realpath(folder) or mount.startswith(os.path.realpath(folder) + "/"):
            raise OSError(errno.EBUSY, "a mount point is never removed; unmount it first", mount)


def mount_points():
    """Returns the mount points of file systems and of bind mounts; [] without /proc."""
    try:
        lines = pathlib.Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return []
    paths = [line.split(b" ")[4] for line in lines]
    return [os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), path)) for path in paths]
