"""Frozen evaluation candidates: a file with the rows that were evaluated, for others to evaluate on the same ones.

A row is a user, the user's held-out item and num_negatives items, by their original ids: the columns user_id, item_id
and negative_item_ids of a Parquet file, or the fields of these names of a NumPy file (.npy, a structured array).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from negpipe import _native, errors

if TYPE_CHECKING:
    from negpipe.dataset import Dataset

Blocks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
NAMES = ("user_id", "item_id", "negative_item_ids")
_HINT = "is the file of another dataset or split?"


def _pyarrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError("Parquet files need pyarrow; pip install pyarrow, or use a .npy file") from None
    return pyarrow


def _suffix(path) -> str:
    suffix = os.path.splitext(path)[1]
    if suffix not in (".npy", ".parquet"):
        raise errors.OptionError(f"{os.fspath(path)!r}: expected a name that ends in .parquet or .npy")
    return suffix


# ---- writing


def _field_type(ids: np.ndarray):
    return np.int64 if ids.dtype != object else f"<U{max(1, max(map(len, ids), default=1))}"


def _write_npy(path: str, data: Dataset, blocks: Blocks, num_negatives: int) -> None:
    user, item = _field_type(data.user_ids), _field_type(data.item_ids)
    fields = np.dtype([(NAMES[0], user), (NAMES[1], item), (NAMES[2], item, (num_negatives,))])
    row_count = sum(len(users) for users, _ in blocks())
    file = np.lib.format.open_memmap(path, "w+", fields, (row_count,))
    begin = 0
    for users, items in blocks():
        rows = file[begin : begin + len(users)]
        rows[NAMES[0]] = data.decode_users(users)
        rows[NAMES[1]] = data.decode_items(items[:, 0])
        rows[NAMES[2]] = data.decode_items(items[:, 1:])
        begin += len(users)
    file.flush()


def _write_parquet(path: str, data: Dataset, blocks: Blocks, num_negatives: int) -> None:
    pyarrow = _pyarrow()
    types = [pyarrow.string() if ids.dtype == object else pyarrow.int64() for ids in (data.user_ids, data.item_ids)]
    schema = pyarrow.schema([(NAMES[0], types[0]), (NAMES[1], types[1]), (NAMES[2], pyarrow.list_(types[1]))])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        for users, items in blocks():
            negatives = pyarrow.array(data.decode_items(items[:, 1:]).ravel(), types[1])
            offsets = pyarrow.array(np.arange(len(users) + 1, dtype=np.int32) * num_negatives)
            columns = [
                pyarrow.array(data.decode_users(users), types[0]),
                pyarrow.array(data.decode_items(items[:, 0]), types[1]),
                pyarrow.ListArray.from_arrays(offsets, negatives),
            ]
            file.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def write_candidates(path, data: Dataset, blocks: Blocks, num_negatives: int, overwrite: bool) -> None:
    """blocks: gives (users [n], items [n, num_negatives + 1]), the same each time. The file appears whole."""
    path = os.fspath(path)
    suffix = _suffix(path)
    if os.path.lexists(path) and not overwrite:
        raise errors.OptionError(f"{path!r} exists; choose another path, or give overwrite=True")
    hidden = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.partial-{secrets.token_hex(8)}")
    try:
        if suffix == ".npy":
            _write_npy(hidden, data, blocks, num_negatives)
        else:
            _write_parquet(hidden, data, blocks, num_negatives)
        with open(hidden, "rb") as written:
            os.fsync(written.fileno())
        os.replace(hidden, path)
    except OSError as failure:
        raise errors.FileError(f"{path!r} cannot be written: {failure}") from failure
    finally:
        if os.path.lexists(hidden):
            os.unlink(hidden)


# ---- reading


def _read_npy(path: str):
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as failure:
        raise errors.FormatError(f"{path}: {failure}") from None
    found = rows.dtype.names if isinstance(rows, np.ndarray) else type(rows).__name__
    if found is None or not set(NAMES) <= set(found):
        raise errors.FormatError(f"{path}: the fields are {found}; expected a structured array with {list(NAMES)}")
    return tuple(rows[name] for name in NAMES)


def _read_parquet(path: str):
    pyarrow = _pyarrow()
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as failure:
        raise errors.FormatError(f"{path}: {failure}") from None
    if not set(NAMES) <= set(table.column_names):
        raise errors.FormatError(f"{path}: the columns are {table.column_names}; expected {list(NAMES)}")
    users, items, lists = (table.column(name) for name in NAMES)
    if not (pyarrow.types.is_list(lists.type) or pyarrow.types.is_large_list(lists.type)
            or pyarrow.types.is_fixed_size_list(lists.type)):
        raise errors.FormatError(f"{path}: {NAMES[2]} is {lists.type}; expected a list for each row")
    if lists.null_count or not len(lists):
        raise errors.FormatError(
            f"{path}: {lists.null_count} of {len(lists)} rows have no {NAMES[2]}; expected one row at least, "
            "and as many negatives in each"
        )
    lengths = np.unique(pyarrow.compute.list_value_length(lists).to_numpy())
    negatives = pyarrow.compute.list_flatten(lists)
    for name, column in zip(NAMES, (users, items, negatives)):
        if column.null_count:
            raise errors.FormatError(f"{path}: {name} has missing values")
    if len(lengths) > 1:
        raise errors.FormatError(
            f"{path}: rows have between {lengths.min()} and {lengths.max()} negatives; expected as many in each"
        )
    return users.to_numpy(), items.to_numpy(), negatives.to_numpy().reshape(len(users), -1)


class Candidates:
    """The rows of a file: users int32 [rows], items int32 [rows, num_negatives + 1], the held-out item first."""

    def __init__(self, path, data: Dataset, split: str = "test"):
        """Raises FormatError (a ValueError) for a file that is not of this dataset, MissingFileError, FileError."""
        path = os.fspath(path)
        suffix = _suffix(path)
        if split not in ("test", "validation"):
            raise errors.OptionError(f"split={split!r}: expected test or validation")
        self._is_validation = split == "validation"
        try:
            users, items, negatives = _read_npy(path) if suffix == ".npy" else _read_parquet(path)
        except FileNotFoundError:
            raise errors.MissingFileError(f"there is no file {path!r}") from None
        except OSError as failure:
            raise errors.FileError(f"{path!r} cannot be read: {failure}") from failure
        if users.ndim != 1 or items.ndim != 1 or negatives.ndim != 2 or not negatives.size:
            raise errors.FormatError(
                f"{path}: the shapes of {', '.join(NAMES)} are {list(users.shape)}, {list(items.shape)} and "
                f"{list(negatives.shape)}; expected [rows], [rows] and [rows, negatives], with one of each at least"
            )
        try:
            self.users = data.encode_users(users)
            self.items = np.concatenate([data.encode_items(items)[:, None], data.encode_items(negatives)], axis=1)
        except (errors.UnknownIdError, errors.OptionError) as failure:
            raise errors.FormatError(f"{path}: {failure}; {_HINT}") from None
        try:
            self._native = _native.Candidates(data._native, self._is_validation, self.users, self.items)
        except errors.FormatError as failure:
            raise errors.FormatError(f"{path}: {failure}; {_HINT}") from None
        self.data = data

    @property
    def num_negatives(self) -> int:
        return self.items.shape[1] - 1

    def source(self, rows: int, rank: int, world_size: int, **dtypes) -> _native.BatchSource:
        """rows: those of one rank in a batch."""
        return _native.candidate_source(self._native, rows, rank, world_size, **dtypes)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_native"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._native = _native.Candidates(self.data._native, self._is_validation, self.users, self.items)
