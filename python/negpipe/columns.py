"""Converts arrays and Arrow tables to the columns of the extension module.

An id column is int64 [n], or text as (offsets int64 [n + 1], UTF-8 bytes uint8). A time column is int64 [n] of any
unit: only its order matters. Each has a mask of valid rows, bool [n], or None if all are valid.
"""

from __future__ import annotations

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
    array = np.asarray(values)
    if array.dtype == object and array.ndim != 1:
        raise errors.OptionError(f"{what} is a {type(values).__name__}; expected a one-dimensional array")
    return array


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


def open_arrow(table):
    """Returns a pyarrow.Table from any object with __arrow_c_stream__, or a Hugging Face Dataset. Raises TypeError."""
    try:
        import pyarrow
    except ImportError:
        raise ImportError("from_arrow needs pyarrow; pip install pyarrow, or use from_arrays") from None
    if isinstance(table, pyarrow.Table):
        return table
    if hasattr(table, "__arrow_c_stream__"):
        return pyarrow.RecordBatchReader.from_stream(table).read_all()
    datasets = sys.modules.get("datasets")
    if datasets is not None and isinstance(table, datasets.Dataset):
        return table.with_format("arrow")[:]  # respects the indices of select and shuffle
    if hasattr(table, "collect"):
        raise TypeError(f"a {type(table).__name__} is not computed yet; call its collect() first")
    raise TypeError(f"a {type(table).__name__} has no __arrow_c_stream__; give a data frame, a pyarrow.Table, a "
                    "DuckDB relation or a Hugging Face Dataset")


def _decoded(chunk):
    """Returns the values of a dictionary array."""
    import pyarrow

    values = chunk.dictionary
    if pyarrow.types.is_string_view(values.type):
        values = values.cast(pyarrow.large_string())  # string views do not support take
    return values.take(chunk.indices)


def _arrow_array(table, name: str):
    """Returns a column as one chunk, without a dictionary."""
    import pyarrow

    if name not in table.column_names:
        raise errors.OptionError(f"there is no column {name!r}; found {', '.join(map(repr, table.column_names))}")
    column = table.column(name)
    if pyarrow.types.is_dictionary(column.type):
        column = pyarrow.chunked_array([_decoded(chunk) for chunk in column.chunks] or [[]])
    column = column.combine_chunks()
    if isinstance(column, pyarrow.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pyarrow.array([], column.type)
    return column


def _arrow_valid(column) -> np.ndarray | None:
    return column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None


def _arrow_numbers(column) -> np.ndarray:
    return (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)


def arrow_ids(table, name: str) -> Column:
    import pyarrow

    column = _arrow_array(table, name)
    kind = column.type
    valid = _arrow_valid(column)
    if pyarrow.types.is_integer(kind):
        return int64_column(_arrow_numbers(column), name), valid
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_string_view(kind):
        text = column.cast(pyarrow.large_string())
        _, offsets, data = text.buffers()
        begin = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
        if not len(begin):
            begin = np.zeros(1, np.int64)
        characters = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
        return (begin - begin[0], characters[begin[0] : begin[-1]]), valid
    raise errors.OptionError(f"column {name!r} is {kind}; expected integers or text")


def arrow_times(table, name: str) -> Column:
    import pyarrow

    column = _arrow_array(table, name)
    kind = column.type
    if pyarrow.types.is_date32(kind):
        column = column.cast(pyarrow.int32())
    elif pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date64(kind):
        column = column.cast(pyarrow.int64())
    elif not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
        raise errors.OptionError(f"column {name!r} is {kind}; expected timestamps, dates or numbers")
    valid = _arrow_valid(column)
    times, numbers = time_column(_arrow_numbers(column), name)
    return times, valid if numbers is None else numbers if valid is None else valid & numbers


def arrow_ratings(table, name: str) -> np.ndarray:
    """Returns ratings as float64, with NaN for missing values."""
    import pyarrow

    column = _arrow_array(table, name)
    if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)):
        raise errors.OptionError(f"column {name!r} is {column.type}; expected numbers")
    return column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
