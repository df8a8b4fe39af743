"""Datasets in shards, of which each rank loads only its own.

    shards = negpipe.Shards("data")              # reads dataset.json, no arrays
    loader = negpipe.TrainLoader(shards, batch_size=65_536, seed=1)

Batch b of a run in S shards is batch b of each shard, one after the other, so ranks with S / world_size shards each
deliver one sequence, whatever world_size is. Evaluation rows are those of the whole dataset.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from negpipe import _native, _pickles, tables
from negpipe._numbers import checked_integer
from negpipe.dataset import Dataset
from negpipe.tables import Path


class Shards:
    """A dataset folder in shards, written by save(shards=S), `negpipe prepare --shards S` or negpipe.spark.

    len(shards) is S. Opens no shard by itself: loaders load those of their rank, and check every byte of them against
    what was opened. A folder that was replaced since is refused with FormatError; a pickle holds the path and the
    digest, and refuses another dataset.
    """

    def __init__(self, folder: Path):
        """Raises OptionError (a ValueError) for a dataset in one piece, MissingFileError, FileError, FormatError."""
        self.path = os.path.abspath(folder)
        self._native: _native.ShardedDataset = tables.from_file(_native.open_shards, self.path)
        self._item_counts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._native.positive_counts)

    @property
    def num_users(self) -> int:
        return self._native.user_count

    @property
    def num_items(self) -> int:
        return self._native.item_count

    @property
    def num_positives(self) -> int:
        return sum(self._native.positive_counts)

    @property
    def digest(self) -> str:
        """Digest of the whole dataset."""
        return self._native.digest

    def load(self, number: int) -> Dataset:
        """Loads one shard as a dataset: all items, and the shard's users, numbered from 0.

        User u is user u + first_user of the whole dataset. Raises OptionError, FileError, FormatError.
        """
        number = checked_integer(number, "number", len(self) - 1)
        native = tables.from_file(lambda _: self._native.load(number), self.path)
        return Dataset(native, path=self.path, shard=number)

    def item_counts(self) -> npt.NDArray[np.int64]:
        """Returns the number of users with each item among their training positives: int64 [num_items].

        Loads all shards, one after the other, at the first call. Raises FileError, FormatError.
        """
        if self._item_counts is None:
            self._item_counts = tables.from_file(lambda _: self._native.count_items(), self.path)
        return self._item_counts.astype(np.int64)

    def __reduce__(self):
        return _pickles.reopen_shards, (self.path, self.digest, len(self))

    def __repr__(self) -> str:
        return f"Shards({self.path!r}, {len(self)} shards, {self.num_users:,} users, {self.num_items:,} items)"
