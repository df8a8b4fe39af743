"""The tables of interactions from which datasets are made: paths, arrays, sparse matrices."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any

import numpy as np

from negpipe import columns, errors
from negpipe._ids import checked_indices
from negpipe._numbers import checked_integer

Path = str | os.PathLike[str]

FILES = ("cls", "path", "test", "validation", "memory", "temporary")
COLUMNS = ("user", "item", "time", "rating")
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


_ARROW_READERS = {
    b"PAR1": ("a Parquet file", "pyarrow.parquet.read_table"),
    b"ARROW1": ("an Arrow (Feather) file", "pyarrow.feather.read_table"),
    b"ORC": ("an ORC file", "pyarrow.orc.read_table"),
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
    return int(memory), tempfile.gettempdir() if temporary is None else checked_path(temporary, "temporary")


def checked_path(value, what: str) -> str:
    """Raises TypeError for what is no path, OptionError for a path that no file can have."""
    try:
        path = os.fsdecode(value)
    except TypeError:
        raise TypeError(f"`{what}`: {value!r} given; expected a path") from None
    if not path or "\0" in path:
        raise errors.OptionError(f"`{what}`: {value!r} given; expected a path")
    return path


def paths(given, what: str = "path") -> list[str]:
    """One path or several, or None. Raises TypeError, OptionError."""
    if given is None:
        return []
    try:
        several = [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given)
    except TypeError:
        raise TypeError(f"`{what}`: {given!r} given; expected a path, or a list of paths") from None
    return [checked_path(path, what) for path in several]


def text_files(**files) -> list[list[str]]:
    """The paths of each argument. Raises InputError for formats that the reader of text does not know, but pyarrow."""
    found = [paths(given, name) for name, given in files.items()]
    for path in sum(found, []):
        if os.path.isfile(path):  # a pipe would wait; what is missing is reported by the reader
            _refuse_arrow_file(path)
    return found


def _refuse_arrow_file(path: str) -> None:
    with contextlib.suppress(PermissionError), open(path, "rb") as file:
        begin = file.read(1024)
        for magic, (kind, reader) in _ARROW_READERS.items():
            if begin.startswith(magic) and min(begin) < ord("\t"):  # else it is text that begins so, such as "ORCID,"
                raise errors.InputError(
                    f"{path}: it is {kind}; read it with negpipe.Dataset.from_arrow({reader}({path!r}))"
                )


def column_choices(choices: dict[str, Any]) -> dict[str, str]:
    """The choices that are not None, as text: names, or numbers from 1. Raises TypeError, OptionError."""
    return {
        name: value if isinstance(value, str) else str(_column_number(value, name))
        for name, value in choices.items()
        if value is not None
    }


def _column_number(value, what: str) -> int:
    try:
        return checked_integer(value, what, 2**31 - 1, 1)
    except TypeError:
        raise TypeError(
            f"`{what}`: {value!r} given; expected the name of a column, or its number, 1 for the first"
        ) from None


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
    heldout = columns.as_array(heldout, what)
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
    ids = columns.as_array(ids, what)
    if ids.shape != (count,):
        raise errors.OptionError(f"{what} has the shape {list(ids.shape)}; expected [{count}]")
    if ids.dtype.kind in "iu":
        return columns.int64_column(ids, what)
    return [columns.as_utf8(id, what) for id in ids]
