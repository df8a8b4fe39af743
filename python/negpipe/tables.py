"""The tables of interactions from which datasets are made: paths, arrays, sparse matrices."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np

from negpipe import columns, errors
from negpipe._ids import checked_indices

Path = str | os.PathLike[str]

FILES = ("cls", "path", "test", "validation", "memory", "temporary")
ROW_OPTIONS = {
    "missing",
    "na_values",
    "min_rating",
    "min_ratings",
    "min_item_ratings",
    "k_core",
    "duplicates",
    "split",
    "unknown",
    "ties",
    "seed",
    "expect",
}


def from_file(read, path, *arguments, **options):
    try:
        return read(path, *arguments, **options)
    except errors.FileError as failure:
        if not all(os.path.exists(name) for name in paths(path)):
            raise errors.MissingFileError(str(failure)) from None
        raise


def check_split(split, test, validation) -> None:
    if test is None and validation is not None:
        raise errors.OptionError("validation needs test: both belong to a split that is made already")
    if test is not None and split is not None:
        raise errors.OptionError("split and test exclude each other: test gives a split")


def memory_limit(memory, temporary):
    """The limit for the extension module: bytes and the folder of temporary files, or None."""
    if memory is None:
        if temporary is not None:
            raise errors.OptionError("temporary needs memory: temporary files are used beyond a limit of memory")
        return None
    if isinstance(memory, bool) or not isinstance(memory, (int, np.integer)) or not 0 < memory < 2**64:
        raise errors.OptionError(f"memory: {memory!r} given; a number of bytes such as 4 * 2**30 expected")
    return int(memory), tempfile.gettempdir() if temporary is None else temporary


def paths(given) -> list[Path]:
    """One path or several, or None."""
    if given is None:
        return []
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)


def rows(users, items, times=None, ratings=None) -> tuple:
    """A table for the extension module, of columns with their valid rows."""
    valid = columns.both_valid(users[1], items[1], None if times is None else times[1])
    return users[0], items[0], None if times is None else times[0], ratings, valid


def check_times(split, times) -> None:
    if times is None or not str(split).startswith("time:"):
        return
    kind = np.asarray(times).dtype
    if np.issubdtype(kind, np.floating):
        raise errors.OptionError(f"split by time: the times are {kind}; expected integers or datetime64")


def row_options(options: dict[str, Any], test, validation) -> dict[str, Any]:
    """The options that are given. Raises TypeError for unknown ones."""
    unknown = set(options) - ROW_OPTIONS
    if unknown:
        raise TypeError(f"unknown options {sorted(unknown)}; expected some of {sorted(ROW_OPTIONS)}")
    check_split(options.get("split"), test, validation)
    return {name: value for name, value in options.items() if value is not None}


def of_arrays(users, items, times, ratings) -> tuple:
    return rows(
        columns.id_column(users, "users"),
        columns.id_column(items, "items"),
        None if times is None else columns.time_column(times),
        None if ratings is None else np.ascontiguousarray(columns._as_numpy(ratings, "ratings"), np.float64),
    )


def of_pairs(pair, name: str) -> tuple | None:
    """The (users, items) of a set of held-out items."""
    if pair is None:
        return None
    users, items = pair
    return rows(columns.id_column(users, f"{name} users"), columns.id_column(items, f"{name} items"))


def sorted_rows(matrix, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64 and ascending items int32 of a SciPy sparse matrix."""
    if not hasattr(matrix, "tocsr"):
        raise TypeError(f"{what} is a {type(matrix).__name__}; expected a SciPy sparse matrix or array")
    csr = matrix.tocsr(copy=True)
    try:
        csr.check_format(full_check=True)
    except ValueError as failure:
        raise errors.OptionError(f"{what} is not a sparse matrix in good order: {failure}") from None
    csr.sum_duplicates()
    csr.sort_indices()
    return np.ascontiguousarray(csr.indptr, np.int64), np.ascontiguousarray(csr.indices, np.int32)


def heldout_rows(heldout, users: int, items: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    if hasattr(heldout, "tocsr"):
        if heldout.shape != (users, items):
            raise errors.OptionError(f"{what} has the shape {list(heldout.shape)}; expected [{users}, {items}]")
        return sorted_rows(heldout, what)
    heldout = np.asarray(heldout)
    if heldout.shape != (users,) or not np.issubdtype(heldout.dtype, np.integer):
        raise errors.OptionError(
            f"{what} is {heldout.dtype} {list(heldout.shape)}; expected integers [{users}], one item a user, or a "
            "sparse matrix"
        )
    checked_indices(heldout, items, "item")
    return np.arange(users + 1, dtype=np.int64), np.ascontiguousarray(heldout, np.int32)


def as_ids(ids, count: int, what: str):
    if ids is None:
        return np.arange(count, dtype=np.int64)
    ids = np.asarray(ids)
    if ids.shape != (count,):
        raise errors.OptionError(f"{what} has the shape {list(ids.shape)}; expected [{count}]")
    if ids.dtype.kind in "iu":
        return columns.int64_column(ids, what)
    return [columns.as_utf8(id, what) for id in ids]
