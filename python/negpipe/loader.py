"""What training and evaluation loaders share. Loaders make batches in this process, one rank's part of each.

A batch is a function of (dataset, options, epoch, number): loaders have random access, hold no epoch in memory, and
resume anywhere. The bytes are those that `negpipe generate` writes for the same options, whatever the number of ranks,
threads and batches made ahead.
"""

from __future__ import annotations

import logging
import operator
import weakref
from collections.abc import Iterator
from typing import Any

from negpipe import _native, errors
from negpipe._numbers import checked_integer, checked_text
from negpipe.dataset import Dataset
from negpipe.devices import cuda_number
from negpipe.ranks import Ranks, find_ranks

log = logging.getLogger("negpipe")

DEFAULT_BITSET_BUDGET = 1 << 30
MAX_EPOCH = 2**32 - 1

# Attributes that another process makes again.
NOT_PICKLED = {"_source", "_sampler", "_active", "_iterators"}

Batch = Any
"""A tuple of arrays, or a dict of them with as_dict=True."""

Source = _native.BatchSource | _native.DeviceSource


def checked_dtypes(**names: str) -> dict[str, str]:
    """The arguments. Raises TypeError for what is no name; the sources refuse unknown names."""
    return {name: checked_text(value, name) for name, value in names.items()}


def checked_epoch(epoch: int) -> int:
    """Raises OutOfRangeError, and TypeError for what is no integer."""
    try:
        number = operator.index(epoch)
    except TypeError:
        raise TypeError(f"epoch {epoch!r}: expected an integer") from None
    if not 0 <= number <= MAX_EPOCH:
        raise errors.OutOfRangeError(f"there is no epoch {number}: epochs are numbered from 0 to {MAX_EPOCH}")
    return number


class EpochIterator(Iterator[Batch]):
    """Delivers the batches of one epoch from a first one on. Made by loaders.

    position is the number of batches delivered, those before the first one included.
    """

    def __init__(self, loader: Loader, epoch: int, first: int, step: int = 1):
        self.epoch = epoch
        self.first = first
        self.position = first
        self._step = step
        self._convert = loader._convert
        self._count = len(loader)
        self._stream = loader._open_source().stream(checked_epoch(epoch), first, step, loader.prefetch)

    def __iter__(self) -> EpochIterator:
        return self

    def __next__(self) -> Batch:
        arrays = self._stream.next()
        if arrays is None:
            raise StopIteration
        self.position += self._step
        return self._convert(arrays)

    def __length_hint__(self) -> int:
        return max(0, -(-(self._count - self.position) // self._step))

    @property
    def is_finished(self) -> bool:
        return self.position >= self._count

    def close(self) -> None:
        """Ends the threads that make batches ahead. Batches that were delivered stay valid."""
        self._stream.close()


class Loader:
    """What training and evaluation loaders share: ranks, random access, epochs, iteration."""

    _sources_of_data: tuple[type, ...] = (Dataset,)

    def __init__(self, dataset, *, device, rank, world_size, prefetch, as_dict):
        """Internal."""
        if not isinstance(dataset, self._sources_of_data):
            raise TypeError(f"dataset is a {type(dataset).__name__}; expected a negpipe.Dataset")
        if rank is not None or world_size is not None:
            find_ranks(rank, world_size)  # wrong arguments are refused here, not at the first batch
        self.dataset = dataset
        self.prefetch = checked_integer(prefetch, "prefetch", 1024)
        self.as_dict = as_dict
        self._cuda = cuda_number(device)  # None: batches are NumPy arrays
        self._given_ranks = rank, world_size
        self._ranks: Ranks | None = None
        self._source: Source | None = None
        self._names: tuple[str, ...] = ()
        self._closed = False
        self._iterators: weakref.WeakSet[EpochIterator] = weakref.WeakSet()

    # ---- overridden by training and evaluation

    def _make_source(self, ranks: Ranks) -> Source:
        raise NotImplementedError

    def __len__(self) -> int:
        """Batches in an epoch, the same for every rank."""
        raise NotImplementedError

    # ---- ranks

    @property
    def ranks(self) -> Ranks:
        """This process's rank and the number of ranks, found at first use: loaders may be made before the launcher's
        process group."""
        if self._ranks is None:
            self._ranks = find_ranks(*self._given_ranks)
            if self._ranks.world_size > 1:
                log.info("%s: rank %d of %d, from %s", type(self).__name__, *vars(self._ranks).values())
        return self._ranks

    def _open_source(self) -> Source:
        if self._closed:
            raise ValueError("the loader is closed")
        if self._source is None:
            self._source = self._make_source(self.ranks)
            self._names = self._source.names
        return self._source

    # ---- batches

    def _as_batch(self, arrays: tuple[Any, ...]) -> Batch:
        return dict(zip(self._names, arrays)) if self.as_dict else arrays

    def _convert(self, arrays: tuple[Any, ...]) -> Batch:
        """Makes a batch of what the source delivers. Overridden for frameworks."""
        return self._as_batch(arrays)

    def _checked_number(self, number: int) -> int:
        count = len(self)
        try:
            number = operator.index(number)
        except TypeError:
            raise TypeError(f"batch {number!r}: expected an integer") from None
        if not -count <= number < count:
            raise errors.OutOfRangeError(f"there is no batch {number}: an epoch has {count}")
        return number % count

    def batch(self, epoch: int, number: int) -> Batch:
        """This rank's part of one batch of an epoch. Negative numbers count from the end.

        Raises OutOfRangeError (an IndexError). Any thread.
        """
        source = self._open_source()
        return self._convert(source.make(checked_epoch(epoch), self._checked_number(number)))

    def fill_(self, epoch: int, number: int, out) -> Batch:
        """Writes one batch into arrays of the caller and returns them.

        out: arrays in the order of a batch, or a dict with its keys; writable, contiguous, of the loader's dtypes and
        sizes, in CPU memory or that of the loader's CUDA device; whatever speaks DLPack or the buffer protocol. On a
        device the work is queued to the legacy default stream, or to PyTorch's current stream for its tensors.
        """
        source = self._open_source()
        arrays = [out[name] for name in source.names] if isinstance(out, dict) else list(out)
        epoch, number = checked_epoch(epoch), self._checked_number(number)
        try:
            source.fill(epoch, number, arrays)
        except TypeError as failure:
            if "incompatible function arguments" not in str(failure):
                raise
            kinds = ", ".join(type(array).__name__ for array in arrays)
            raise TypeError(
                f"`out`: {kinds} given; expected arrays that are writable, contiguous, and speak DLPack or the buffer "
                "protocol"
            ) from None
        return out

    # ---- the end

    def close(self) -> None:
        """Ends all iterators. Batches that were delivered stay valid."""
        self._closed = True
        for iterator in list(self._iterators):
            iterator.close()
        self._source = None

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()
