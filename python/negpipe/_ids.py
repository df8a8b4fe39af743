"""Raw ids of users and items, and their dense numbers."""

from __future__ import annotations

import numpy as np

from negpipe import columns, errors


def checked_indices(indices, count: int, what: str) -> np.ndarray:
    """Returns integers in [0, count) as an array. Raises OutOfRangeError, OptionError."""
    indices = columns.as_array(indices, f"{what} numbers")
    if not np.issubdtype(indices.dtype, np.integer):
        raise errors.OptionError(f"{what} numbers are {indices.dtype}; expected integers")
    wrong = indices[(indices < 0) | (indices >= count)]
    if wrong.size:
        raise errors.OutOfRangeError(f"there is no {what} {wrong.flat[0]}: there are {count}, numbered from 0")
    return indices


class Ids:
    """The raw ids of users or items by dense number, and the numbers by id."""

    def __init__(self, what: str, values):
        self.what = what
        if isinstance(values, list):
            self.values = np.empty(len(values), object)
            self.values[:] = values
        else:
            self.values = values
        self.values.flags.writeable = False
        self._order: np.ndarray | None = None
        self._numbers: dict[str, int] | None = None

    @property
    def is_text(self) -> bool:
        return self.values.dtype == object

    def _find_text(self, ids: np.ndarray) -> np.ndarray:
        if self._numbers is None:
            self._numbers = {text: number for number, text in enumerate(self.values)}
        numbers = self._numbers
        texts = (id.decode("utf-8", "surrogateescape") if isinstance(id, bytes) else str(id) for id in ids.flat)
        return np.fromiter((numbers.get(text, -1) for text in texts), np.int32, ids.size)

    def _find_number(self, ids: np.ndarray) -> np.ndarray:
        if self._order is None:
            self._order = np.argsort(self.values, kind="stable")
        fits = ids.ravel() <= np.iinfo(np.int64).max
        wanted = np.where(fits, ids.ravel(), 0).astype(np.int64)  # comparing int64 with uint64 would convert to float64
        found = np.searchsorted(self.values, wanted, sorter=self._order)
        numbers = self._order[np.minimum(found, len(self.values) - 1)]
        return np.where(fits & (self.values[numbers] == wanted), numbers, -1).astype(np.int32)

    def encode(self, ids, unknown: int | None) -> np.ndarray:
        ids = columns.as_array(ids, f"{self.what} ids")
        if not self.is_text and not np.issubdtype(ids.dtype, np.integer):
            raise errors.OptionError(f"{self.what} ids are {ids.dtype}; this dataset's are integers")
        numbers = (self._find_text if self.is_text else self._find_number)(ids).reshape(ids.shape)
        missing = numbers < 0
        if missing.any():
            if unknown is None:
                raise errors.UnknownIdError(
                    f"{self.what} id {ids[missing].flat[0]} is not in the dataset; unknown=-1 numbers such ids -1"
                )
            numbers[missing] = unknown
        return numbers

    def decode(self, numbers) -> np.ndarray:
        return self.values[checked_indices(numbers, len(self.values), self.what)]
