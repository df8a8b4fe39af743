"""Converts arrays and Arrow tables to the columns of the extension module.

An id column is int64 [n], or text as (offsets int64 [n + 1], UTF-8 bytes uint8). A time column is int64 [n] of any
unit: only its order matters. Each has a mask of valid rows, bool [n], or None if all are valid.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import numpy as np

from negpipe import errors

Text = tuple[np.ndarray, np.ndarray]
Column = tuple[Any, "np.ndarray | None"]


def _as_numpy(values, what: str) -> np.ndarray:
    """Returns a NumPy array from DLPack, the buffer protocol, __array__ or a list. Copies device arrays."""
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "__dlpack_device__"):
        kind = int(values.__dlpack_device__()[0])
        if kind == 1:
            return np.from_dlpack(values)
        if hasattr(values, "cpu"):
            return np.from_dlpack(values.cpu())  # torch
        if hasattr(values, "get"):
            return values.get()  # CuPy
    array = as_array(values, what)
    if array.dtype == object and array.ndim != 1:
        raise errors.OptionError(f"{what} is a {type(values).__name__}; expected an array or a list")
    return array


def as_array(values, what: str) -> np.ndarray:
    """np.asarray. Raises OptionError for lists of different lengths."""
    try:
        return np.asarray(values)
    except ValueError as failure:
        raise errors.OptionError(
            f"{what} is a {type(values).__name__} of lists of different lengths; expected an array, or lists of one "
            "length"
        ) from failure


def as_utf8(value, what: str) -> bytes:
    """Returns an id as UTF-8; surrogates become bytes that are not UTF-8, as in os.fsencode. Raises OptionError."""
    if isinstance(value, bytes):
        return bytes(value)
    try:
        return str(value).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as failure:
        raise errors.OptionError(f"{what}: {value!r} cannot be encoded as UTF-8: {failure.reason}") from None


def _is_missing(value) -> bool:
    """Returns whether a value is None, NaN, NaT or pandas.NA."""
    try:
        return value is None or not value == value
    except TypeError:
        return True  # pandas.NA has no truth value


def _pack_text(values, what: str) -> Text:
    encoded = [as_utf8(value, what) for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return offsets, np.frombuffer(b"".join(encoded), np.uint8)


def int64_column(array: np.ndarray, what: str) -> np.ndarray:
    """Converts an integer array to int64. Raises OptionError for values out of range."""
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise errors.OptionError(f"{what}: {array.max()} does not fit int64; give such ids as str")
    return np.ascontiguousarray(array, np.int64)


def _floats_in_order(array: np.ndarray) -> Column:
    """Maps floats to int64 of the same order; NaN is not valid."""
    array = np.ascontiguousarray(array, np.float64) + 0.0  # no negative zero
    bits = array.view(np.int64)
    is_number = ~np.isnan(array)
    return np.where(bits < 0, bits ^ np.iinfo(np.int64).max, bits), None if is_number.all() else is_number


def id_column(values, what: str) -> Column:
    """Makes an id column of integers or text. Raises OptionError."""
    array = _as_numpy(values, what)
    if array.ndim != 1:
        raise errors.OptionError(f"{what} has the shape {list(array.shape)}; expected one dimension")
    if array.dtype.kind in "iu":
        return int64_column(array, what), None
    if array.dtype.kind in "OUST":
        valid = np.fromiter((not _is_missing(value) for value in array), bool, len(array))
        texts = (value if is_valid else "" for value, is_valid in zip(array, valid))
        return _pack_text(texts, what), None if valid.all() else valid
    raise errors.OptionError(f"{what} is {array.dtype}; expected integers or text")


def time_column(values, what: str = "times") -> Column:
    """Makes a time column of integers, floats or datetime64. Raises OptionError."""
    array = _as_numpy(values, what)
    if array.ndim != 1:
        raise errors.OptionError(f"{what} has the shape {list(array.shape)}; expected one dimension")
    if array.dtype.kind in "iu":
        return int64_column(array, what), None
    if np.issubdtype(array.dtype, np.floating):
        return _floats_in_order(array)
    if np.issubdtype(array.dtype, np.datetime64):
        valid = ~np.isnat(array)
        return np.ascontiguousarray(array).view(np.int64), None if valid.all() else valid
    raise errors.OptionError(f"{what} is {array.dtype}; expected integers, floats or datetime64")


def both_valid(*masks: np.ndarray | None) -> np.ndarray | None:
    """Returns the mask of rows that are valid in all columns."""
    found = [mask for mask in masks if mask is not None]
    return np.logical_and.reduce(found).astype(np.uint8) if found else None


# ---- Arrow


def _watched(reader, failures: list[BaseException]):
    """A pyarrow.RecordBatchReader of the batches of another one. An Arrow stream turns exceptions into text: `failures`
    gets those of the producer, and an InputError for batches that the stream's consumer would read as other types."""
    schema = reader.schema

    def batches():
        try:
            for number, batch in enumerate(reader):
                if (batch.schema.names, batch.schema.types) != (schema.names, schema.types):
                    raise errors.InputError(
                        f"batch {number} of the stream has the columns {_described(batch.schema)}, but the stream's "
                        f"schema is {_described(schema)}; cast the batches: batch.cast(schema)"
                    )
                yield batch
        except GeneratorExit:
            raise
        except BaseException as failure:
            failures.append(failure)
            raise

    return sys.modules["pyarrow"].RecordBatchReader.from_batches(schema, batches())


def _described(schema) -> str:
    return ", ".join(f"{name} ({type_})" for name, type_ in zip(schema.names, schema.types))


@contextlib.contextmanager
def producer_failures():
    """Yields the list for arrow_stream. Raises what a producer raised there: KeyboardInterrupt and the like unchanged,
    others as the cause of a FileError."""
    failures: list[BaseException] = []
    try:
        yield failures
    except errors.FileError as failure:
        if not failures:
            raise
        if isinstance(failures[0], (errors.Error, MemoryError)) or not isinstance(failures[0], Exception):
            raise failures[0] from None
        raise errors.FileError(str(failure)) from failures[0]


def arrow_stream(table, failures: list[BaseException]):
    """Returns the capsule of an Arrow stream of anything with __arrow_c_stream__. Raises TypeError."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(table, pyarrow.RecordBatchReader):
        table = _watched(table, failures)
    if hasattr(table, "__arrow_c_stream__"):
        return table.__arrow_c_stream__()
    datasets = sys.modules.get("datasets")
    if datasets is not None and isinstance(table, datasets.Dataset):
        # A table that respects the indices of select and shuffle.
        return table.with_format("arrow")[:].__arrow_c_stream__()
    if hasattr(table, "collect"):
        raise TypeError(f"a {type(table).__name__} is not computed yet; call its collect() first")
    raise TypeError(f"a {type(table).__name__} has no __arrow_c_stream__; give a data frame, a pyarrow.Table, a "
                    "DuckDB relation or a Hugging Face Dataset")
