"""Datasets in shards, of which each rank loads only its own.

    shards = negpipe.Shards("data")              # reads dataset.json, no arrays
    loader = negpipe.TrainLoader(shards, batch_size=65_536, seed=1)

Batch b of a run in S shards is batch b of each shard, one after the other, so ranks with S / world_size shards each
deliver one sequence, whatever world_size is.
"""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from negpipe import _native, _pickles, errors, tables
from negpipe._numbers import checked_integer
from negpipe.dataset import Dataset
from negpipe.ranks import Ranks
from negpipe.tables import Path


class Shards:
    """A dataset folder in shards, written by save(shards=S), `negpipe prepare --shards S` or negpipe.spark.

    len(shards) is S. Opens no shard by itself: TrainLoader loads those of its rank. A folder that was replaced after
    Shards was made is refused with FormatError; a pickle holds the path and the digest, and refuses another dataset.
    """

    def __init__(self, folder: Path):
        """Raises OptionError (a ValueError) for a dataset in one piece, MissingFileError, FileError, FormatError."""
        self.path = os.path.abspath(folder)
        self._counts = tables.from_file(_native.read_shards, folder)

    def __len__(self) -> int:
        return len(self._counts.positive_counts)

    @property
    def num_users(self) -> int:
        return self._counts.user_count

    @property
    def num_items(self) -> int:
        return self._counts.item_count

    @property
    def num_positives(self) -> int:
        return sum(self._counts.positive_counts)

    @property
    def digest(self) -> str:
        """Digest of the whole dataset."""
        return self._counts.digest

    def load(self, number: int) -> Dataset:
        """Loads one shard as a dataset: all items, and the shard's users, numbered from 0.

        User u is user u + first_user of the whole dataset. Raises OptionError, FileError, FormatError.
        """
        number = checked_integer(number, "number", len(self) - 1)
        return Dataset(*self._load([number]), path=self.path, shard=number)

    def _load(self, numbers: Iterable[int]) -> list[_native.Dataset]:
        """Loads shards of the dataset that was read at first."""
        self._check_unchanged()  # before, for a clear message
        loaded = [tables.from_file(_native.load_shard, self.path, number) for number in numbers]
        self._check_unchanged()  # the folder may have been replaced between two shards
        return loaded

    def _check_unchanged(self) -> None:
        """Raises FormatError if the folder holds another dataset, or the same in other shards."""
        found = tables.from_file(_native.read_shards, self.path)
        wanted = self._counts
        if (found.digest, found.positive_counts) != (wanted.digest, wanted.positive_counts):
            raise errors.FormatError(
                f"{self.path} was replaced: its digest is {found.digest} in {len(found.positive_counts)} shards, and "
                f"was {wanted.digest} in {len(self)} shards; make Shards and its loaders again"
            )

    def __reduce__(self):
        return _pickles.reopen_shards, (self.path, self.digest, len(self))

    def __repr__(self) -> str:
        return f"Shards({self.path!r}, {len(self)} shards, {self.num_users:,} users, {self.num_items:,} items)"


class ShardSampler:
    """What a TrainLoader of shards takes its batches from. Loads shards when a rank needs them."""

    device = "cpu"

    def __init__(
        self,
        shards: Shards,
        make: Callable[[_native.Dataset, int, int, int], _native.Sampler],
        *,
        seed: int,
        bitset_budget: int,
        batch_size: int,
        points_a_positive: int,
        padding: str,
        alpha: float | None,
        weights_digest: str,
    ):
        """make: makes the sampler of a shard from its dataset, batch size, seed and budget."""
        if padding == "mask":
            raise errors.OptionError("`padding`: shards take 'resample' or 'drop'")
        if alpha is not None:
            raise errors.OptionError("`distribution`: no rank knows the popularity in all shards; give weights instead")
        if batch_size % len(shards) != 0:
            raise errors.OptionError(f"`batch_size`: {batch_size} given; expected a multiple of {len(shards)} shards")
        self.shards = shards
        self.seed = seed
        self._bitset_budget = bitset_budget
        self._make = make
        self._share = batch_size // len(shards)
        points = [count * points_a_positive for count in shards._counts.positive_counts]
        batches = [n // self._share if padding == "drop" else -(-n // self._share) for n in points]
        self.batch_count = min(batches) if padding == "drop" else max(batches)
        if self.batch_count == 0:
            raise errors.OptionError(
                f"`batch_size`: a shard has {min(points)} points, which fill no part of {self._share}; expected a "
                "smaller batch, or padding='resample'"
            )
        self.weights_digest = weights_digest

    def source(self, ranks: Ranks, dtypes: dict[str, str]) -> ShardSource:
        """Loads the shards of a rank."""
        count = len(self.shards)
        if count % ranks.world_size != 0:
            raise errors.OptionError(f"world_size is {ranks.world_size}; expected a divisor of {count} shards")
        own = count // ranks.world_size
        numbers = range(ranks.rank * own, (ranks.rank + 1) * own)
        parts = []
        for number, data in zip(numbers, self.shards._load(numbers), strict=True):
            try:
                sampler = self._make(
                    data, self._share, _native.shard_seed(self.seed, number, count), self._bitset_budget // own
                )
            except errors.InfeasibleError as failure:
                raise errors.InfeasibleError(
                    f"shard {number} of {self.shards.path}, whose user 0 is user {data.first_user} of the whole "
                    f"dataset: {failure}"
                ) from None
            parts.append((_native.training_source(sampler, 0, 1, **dtypes), sampler.batch_count, data.first_user))
        return ShardSource(parts, self.batch_count)


def writable_view(array: Any, name: str, made: np.ndarray) -> np.ndarray:
    """A NumPy view of a caller's array that `made` can be copied to. Raises TypeError, OptionError."""
    try:
        if isinstance(array, np.ndarray):
            view = array
        else:
            view = np.from_dlpack(array) if hasattr(array, "__dlpack__") else np.asarray(memoryview(array))
    except (TypeError, BufferError, RuntimeError) as failure:
        raise TypeError(
            f"`out`: {name} is a {type(array).__name__}; expected an array in CPU memory that speaks DLPack or the "
            f"buffer protocol ({failure})"
        ) from None
    if (view.size, view.dtype) != (made.size, made.dtype):
        raise errors.OptionError(
            f"`out`: {name} is {view.shape}, {view.dtype}; expected {made.shape}, {made.dtype}"
        )
    if not (view.flags.writeable and view.flags.c_contiguous):
        raise errors.OptionError(
            f"`out`: {name} is {'not contiguous' if view.flags.writeable else 'read-only'}; expected a writable, "
            "contiguous array"
        )
    return view


class ShardSource:
    """Batches of a rank's shards, with the interface of _native.BatchSource.

    A shard with fewer batches than the run delivers them again from the first one on: its points repeat, as resampled
    padding does.
    """

    def __init__(self, parts: list[tuple[_native.BatchSource, int, int]], batch_count: int):
        self.parts = parts
        self.batch_count = batch_count
        self.names = parts[0][0].names

    def make(self, epoch: int, number: int) -> tuple[np.ndarray, ...]:
        return self.join([source.make(epoch, number % count) for source, count, _ in self.parts])

    def fill(self, epoch: int, number: int, out: Any) -> None:
        batch = self.make(epoch, number)
        if len(out) != len(batch):
            raise errors.OptionError(f"`out`: {len(out)} arrays given; expected {len(batch)}")
        targets = [writable_view(array, *named) for array, *named in zip(out, self.names, batch)]
        for target, made in zip(targets, batch):
            target[...] = made.reshape(target.shape)

    def stream(self, epoch: int, first: int, step: int, prefetch: int) -> ShardStream:
        return ShardStream(self, epoch, first, step, prefetch)

    def join(self, batches: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        """Makes one batch of those of the shards, with users numbered as in the whole dataset."""
        for (users, *_), (_, _, first_user) in zip(batches, self.parts):
            users += users.dtype.type(first_user)
        return batches[0] if len(batches) == 1 else tuple(map(np.concatenate, zip(*batches)))


class ShardStream:
    """Batches of an epoch from a first one on, made ahead by threads. Any thread may call next and close."""

    def __init__(self, source: ShardSource, epoch: int, first: int, step: int, prefetch: int):
        self._source = source
        self._epoch = epoch
        self._numbers = iter(range(first, source.batch_count, step))
        self._threads = ThreadPoolExecutor(prefetch) if prefetch else None
        self._ahead: collections.deque[Future] = collections.deque()
        self._turn = threading.RLock()  # held by next; a signal handler may call close meanwhile
        self._closed = False
        self._process = os.getpid()
        for _ in range(2 * prefetch):
            self._begin_next()

    def _begin_next(self) -> None:
        number = next(self._numbers, None)
        if number is not None:
            self._ahead.append(self._threads.submit(self._source.make, self._epoch, number))

    def next(self) -> tuple[np.ndarray, ...] | None:
        """Returns None after the last batch, and once the stream is closed."""
        if self._process != os.getpid() and self._threads is not None:
            raise errors.ForkError(
                "this process was forked while an epoch was being iterated, and the threads that make its batches are "
                "not there; make a new iterator in the forked process"
            )
        with self._turn:
            try:
                return None if self._closed else self._take()
            except (CancelledError, RuntimeError):
                if self._closed:  # meanwhile, by another thread or a signal handler
                    return None
                raise

    def _take(self) -> tuple[np.ndarray, ...] | None:
        if self._threads is None:
            number = next(self._numbers, None)
            return None if number is None else self._source.make(self._epoch, number)
        if not self._ahead:
            return None
        batch = self._ahead[0].result()  # stays the next one if Ctrl-C ends the wait
        self._ahead.popleft()
        if not self._closed:
            self._begin_next()
        return batch

    def close(self) -> None:
        """Ends the threads, and a next that waits in another thread."""
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=self._process == os.getpid(), cancel_futures=True)

    def __del__(self):
        if getattr(self, "_threads", None) is not None and self._process == os.getpid():
            self._threads.shutdown(wait=False, cancel_futures=True)
