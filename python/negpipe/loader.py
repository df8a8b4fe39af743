"""Loaders: batches of training points and evaluation rows, made in this process, one rank's part of each.

A batch is a function of (dataset, options, epoch, number): loaders have random access, hold no epoch in memory, and
resume anywhere. The bytes are those that `negpipe generate` writes for the same options, whatever the number of ranks,
threads and batches made ahead.
"""

from __future__ import annotations

import logging
import operator
import os
import weakref
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from negpipe import _native, errors
from negpipe.candidates import Candidates, write_candidates
from negpipe.dataset import Dataset
from negpipe.negatives import checked_distribution
from negpipe.ranks import Ranks, find_ranks

log = logging.getLogger("negpipe")

DEFAULT_BITSET_BUDGET = 1 << 30
STATE_VERSION = 1
MAX_EPOCH = 2**32 - 1

Batch = Any
"""A tuple of arrays, or a dict of them with as_dict=True."""


def _checked_epoch(epoch: int) -> int:
    """Raises OutOfRangeError, and TypeError for what is no integer."""
    number = operator.index(epoch)
    if not 0 <= number <= MAX_EPOCH:
        raise errors.OutOfRangeError(f"there is no epoch {number}: epochs are numbered from 0 to {MAX_EPOCH}")
    return number


class EpochIterator(Iterator[Batch]):
    """Delivers the batches of one epoch from a first one on. Made by loaders.

    position is the number of batches delivered, those before the first one included.
    """

    def __init__(self, loader: _Loader, epoch: int, first: int, step: int = 1):
        self.epoch = epoch
        self.first = first
        self.position = first
        self._step = step
        self._convert = loader._convert
        self._count = len(loader)
        self._stream = loader._open_source().stream(_checked_epoch(epoch), first, step, loader.prefetch)

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


class _Loader:
    """What training and evaluation loaders share: ranks, random access, epochs, iteration."""

    def __init__(self, dataset: Dataset, *, device, rank, world_size, prefetch, as_dict):
        if not isinstance(dataset, Dataset):
            raise TypeError(f"dataset is a {type(dataset).__name__}; expected a negpipe.Dataset")
        if device not in ("auto", "cpu"):
            raise errors.OptionError(
                f"device={device!r}: this loader delivers NumPy arrays and runs on the CPU; negpipe.torch.TrainLoader "
                "delivers on a GPU"
            )
        if not 0 <= prefetch <= 1024:
            raise errors.OptionError(f"prefetch={prefetch}: expected 0 to 1024 threads")
        if rank is not None or world_size is not None:
            find_ranks(rank, world_size)  # wrong arguments are refused here, not at the first batch
        self.dataset = dataset
        self.prefetch = prefetch
        self.as_dict = as_dict
        self._given_ranks = rank, world_size
        self._ranks: Ranks | None = None
        self._source: _native.BatchSource | None = None
        self._names: tuple[str, ...] = ()
        self._closed = False
        self._iterators: weakref.WeakSet[EpochIterator] = weakref.WeakSet()

    # ---- overridden by training and evaluation

    def _make_source(self, ranks: Ranks) -> _native.BatchSource:
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

    def _open_source(self) -> _native.BatchSource:
        if self._closed:
            raise ValueError("the loader is closed")
        if self._source is None:
            self._source = self._make_source(self.ranks)
            self._names = self._source.names
        return self._source

    # ---- batches

    def _convert(self, arrays: tuple[Any, ...]) -> Batch:
        return dict(zip(self._names, arrays)) if self.as_dict else arrays

    def _checked_number(self, number: int) -> int:
        count = len(self)
        if not -count <= number < count:
            raise errors.OutOfRangeError(f"there is no batch {number}: an epoch has {count}")
        return number % count

    def batch(self, epoch: int, number: int) -> Batch:
        """This rank's part of one batch of an epoch. Negative numbers count from the end.

        Raises OutOfRangeError (an IndexError). Any thread.
        """
        source = self._open_source()
        return self._convert(source.make(_checked_epoch(epoch), self._checked_number(number)))

    def fill_(self, epoch: int, number: int, out) -> Batch:
        """Writes one batch into arrays of the caller and returns them.

        out: arrays in the order of a batch, or a dict with its keys; writable, contiguous, in CPU memory, of the
        loader's dtypes and sizes; whatever speaks DLPack or the buffer protocol.
        """
        source = self._open_source()
        arrays = [out[name] for name in source.names] if isinstance(out, dict) else list(out)
        source.fill(_checked_epoch(epoch), self._checked_number(number), arrays)
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


class TrainLoader(_Loader):
    """Batches of training points: every positive of an epoch once, with num_negatives negatives each, shuffled.

    A batch is (users, items, labels), each [batch_size / world_size], as NumPy arrays that are the caller's to keep:
    users int32, items int32, labels float32 (1 positive, 0 negative) by default. padding="mask" adds
    valid_point_mask, bool, False for rows that fill the last batch. as_dict=True gives a dict with the keys user_id,
    item_id, labels, valid_point_mask.

    layout="pairwise" gives rows for BPR, softmax and listwise losses instead: (users, positives, negatives), where
    negatives are [batch_size / world_size, num_negatives] and every positive of an epoch is one row. The dict's keys
    are user_id, item_id, negative_item_id, valid_point_mask; label_dtype is ignored. num_negatives=0 serves losses
    with in-batch negatives.

    batch_size:     points, or rows, of all ranks together. Each rank gets an equal, contiguous part, so the sequence of
                    batches does not depend on the number of ranks.
    num_negatives:  negatives a positive, drawn from the items that are none of the user's positives.
    distribution:   of negatives: "uniform", or "popularity": in proportion to item_counts() ** alpha (0.75 by default).
    weights:        integers [num_items] instead; 0 is never drawn. Both draw on the CPU only.
    seed:           64 bits; equal seeds give equal batches.
    padding:        how the last batch is filled: "resample" (points or rows of the epoch again), "mask", or "drop" it.
    rank, world_size: found at the first batch when None: see negpipe.ranks.
    prefetch:       threads that make batches ahead, two each; 0: each batch is made when it is asked for.
    user_dtype:     "int32" or "int64". item_dtype: "uint16", "int32" or "int64". label_dtype: "int8", "int64" or
                    "float32".
    bitset_budget:  bytes for looking up positives fast; does not change the batches.

    Iteration starts with epoch 0 and goes on with the next epoch each time, unless set_epoch or load_state_dict says
    otherwise; epoch(n) iterates a given one.

    Raises OptionError (a ValueError).
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 65_536,
        *,
        num_negatives: int = 4,
        seed: int = 0,
        device: str = "auto",
        padding: str = "resample",
        layout: str = "pointwise",
        distribution: str = "uniform",
        alpha: float | None = None,
        weights: npt.ArrayLike | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        prefetch: int = 2,
        user_dtype: str = "int32",
        item_dtype: str = "int32",
        label_dtype: str = "float32",
        as_dict: bool = False,
        bitset_budget: int = DEFAULT_BITSET_BUDGET,
    ):
        super().__init__(
            dataset, device=device, rank=rank, world_size=world_size, prefetch=prefetch, as_dict=as_dict
        )
        self.batch_size = batch_size
        self.num_negatives = num_negatives
        self.seed = seed
        self.padding = padding
        self.layout = layout
        self._dtypes = {"user_dtype": user_dtype, "item_dtype": item_dtype, "label_dtype": label_dtype}
        self._bitset_budget = bitset_budget
        self._distribution = checked_distribution(distribution, alpha, weights)
        self._sampler = self._make_sampler()
        _native.training_source(self._sampler, 0, 1, **self._dtypes)  # wrong dtypes are refused here
        self._start = (0, 0)  # epoch and batch with which the next iteration begins
        self._active: EpochIterator | None = None

    def _make_sampler(self) -> _native.Sampler:
        alpha, weights = self._distribution
        return _native.training_sampler(
            self.dataset._native,
            seed=self.seed,
            num_negatives=self.num_negatives,
            batch_size=self.batch_size,
            padding=self.padding,
            layout=self.layout,
            bitset_budget=self._bitset_budget,
            weights=weights,
            alpha=alpha,
        )

    @property
    def weights_digest(self) -> str:
        """MD5 of the items' weights as little-endian uint32; empty if negatives are uniform."""
        return self._sampler.weights_digest

    def __len__(self) -> int:
        """Batches in an epoch, the same for every rank."""
        return self._sampler.batch_count

    def _make_source(self, ranks: Ranks) -> _native.BatchSource:
        return _native.training_source(self._sampler, ranks.rank, ranks.world_size, **self._dtypes)

    def __getitem__(self, number: int) -> Batch:
        """batch(current_epoch, number)."""
        return self.batch(self.current_epoch, number)

    def __repr__(self) -> str:
        unit = "rows" if self.layout == "pairwise" else "points"
        return (
            f"TrainLoader({len(self)} batches of {self.batch_size:,} {unit}, "
            f"{self.num_negatives} negatives, "
            f"seed {self.seed}, epoch {self.current_epoch}, {self._sampler.device})"
        )

    # ---- epochs

    def _position(self) -> tuple[int, int]:
        """Epoch and batch that come next: of the newest iterator once it has delivered something."""
        if self._active is None:
            return self._start
        if self._active.is_finished:
            return self._active.epoch + 1, 0
        return self._active.epoch, self._active.position

    @property
    def current_epoch(self) -> int:
        """The epoch that is being iterated, or comes next."""
        return self._position()[0]

    def _iterate(self, epoch: int, first: int, step: int = 1) -> EpochIterator:
        self._active = EpochIterator(self, epoch, first, step)
        self._iterators.add(self._active)
        return self._active

    def epoch(self, number: int) -> EpochIterator:
        """The batches of one epoch; from the middle on if load_state_dict was there last."""
        epoch, first = self._start if self._active is None else (number, 0)
        return self._iterate(number, first if epoch == number else 0)

    def __iter__(self) -> EpochIterator:
        """The next epoch. An iterator that has delivered nothing does not count."""
        active = self._active
        if active is None:
            return self._iterate(*self._start)
        if active.position == active.first:
            return self._iterate(active.epoch, active.first)
        return self._iterate(active.epoch + 1, 0)

    def set_epoch(self, number: int) -> None:
        """The epoch that the next iteration delivers. Keeps the batch that load_state_dict has set for that epoch."""
        number = _checked_epoch(number)
        if self._active is not None or self._start[0] != number:
            self._start = (number, 0)
            self._active = None

    # ---- state

    def _identity(self) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "stream_version": _native.stream_version,
            "layout": self.layout,
            "dataset": self.dataset.digest,
            "seed": self.seed,
            "num_negatives": self.num_negatives,
            "batch_size": self.batch_size,
            "padding": self.padding,
            **({"weights": self.weights_digest} if self.weights_digest else {}),
        }

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: JSON-ready, equal on every rank, valid for any number of ranks.

        batch counts what was delivered, not what was made ahead.
        """
        epoch, batch = self._position()
        return {**self._identity(), "epoch": epoch, "batch": batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on after the last delivered batch.

        Raises StateMismatchError (a ValueError), naming what differs, unless the loader makes the same batches.
        """
        if not isinstance(state, dict):
            raise errors.StateMismatchError(f"the state is a {type(state).__name__}; expected what state_dict returned")
        for name, ours in {"weights": None, **self._identity()}.items():
            if state.get(name) != ours:
                raise errors.StateMismatchError(
                    f"{name} is {state.get(name)!r} in the state and {ours!r} here: the batches would not be the same"
                )
        epoch, batch = state.get("epoch"), state.get("batch")
        try:
            epoch, batch = operator.index(epoch), operator.index(batch)
        except TypeError:
            raise errors.StateMismatchError(
                f"epoch is {epoch!r} and batch {batch!r} in the state; expected integers"
            ) from None
        if not (0 <= epoch <= MAX_EPOCH and 0 <= batch < len(self)):
            raise errors.StateMismatchError(
                f"batch {batch} of epoch {epoch}: an epoch has {len(self)} batches, and {MAX_EPOCH} is the last epoch"
            )
        self._start = (epoch, batch)
        self._active = None

    # ---- copies in other processes

    def __getstate__(self):
        state = {name: value for name, value in vars(self).items() if name not in _NOT_PICKLED}
        return {**state, "_start": self._position()}

    def __setstate__(self, state):
        vars(self).update(state, _source=None, _active=None, _iterators=weakref.WeakSet())
        self._sampler = self._make_sampler()


_NOT_PICKLED = {"_source", "_sampler", "_active", "_iterators"}


class EvalLoader(_Loader):
    """Evaluation rows: for each user the held-out item first, then num_negatives items that the user has not touched.

    A batch is (users, items, duplicate_mask), each [rows, num_negatives + 1]: users and items int32 by default,
    duplicate_mask bool, True where an item stood earlier in its row (with mlperf=True only; rows have distinct items
    otherwise). Users ascend. Rows past the last user are padding: zeros, whose mask is True everywhere but in the first
    column; negpipe.metrics leaves them out. as_dict=True gives a dict with the keys user_id, item_id, duplicate_mask.

    batch_size:  values of all ranks together, a multiple of num_negatives + 1 and of the number of ranks. By default
                 about 160,000.
    mlperf:      draw with replacement and exclude training positives only, as the MLPerf reference does. Otherwise the
                 user's items of all sets are excluded.
    split:       the held-out items that are evaluated: "test" or "validation"; exactly one a user. Users without one
                 get a padding row.
    infeasible:  users who have fewer than num_negatives items left: "error", "skip" (a padding row), or "fewer" (all
                 items that are left, then repeats, whose mask is True).
    candidates:  a file of save_candidates, whose rows are evaluated instead: seed has no effect. FormatError (a
                 ValueError) names a row that has an item held out of another split, or a training positive.
    rank, world_size, prefetch, user_dtype, item_dtype, as_dict: as for TrainLoader. Each user is evaluated by one rank.

    The rows are the same in every epoch. Raises OptionError, InfeasibleError (both ValueErrors).
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = None,
        *,
        num_negatives: int | None = None,
        seed: int = 0,
        mlperf: bool = False,
        split: str = "test",
        infeasible: str = "skip",
        candidates: str | os.PathLike[str] | None = None,
        device: str = "auto",
        rank: int | None = None,
        world_size: int | None = None,
        prefetch: int = 2,
        user_dtype: str = "int32",
        item_dtype: str = "int32",
        as_dict: bool = False,
    ):
        super().__init__(
            dataset, device=device, rank=rank, world_size=world_size, prefetch=prefetch, as_dict=as_dict
        )
        self._candidates = None if candidates is None else Candidates(candidates, dataset, split)
        num_negatives = self._checked_negatives(num_negatives, mlperf)
        if batch_size is not None and operator.index(batch_size) < 1:
            raise errors.OptionError(f"batch_size={batch_size}: expected 1 or more")
        self.num_negatives = num_negatives
        self.seed = seed
        self.mlperf = mlperf
        self.split = split
        self.infeasible = infeasible
        self._batch_size = batch_size
        self._dtypes = {"user_dtype": user_dtype, "item_dtype": item_dtype}
        # Refuses wrong options here, not at the first batch.
        self._sampler = self._sampler_for(1)
        self._source_for(0, 1)

    def _checked_negatives(self, number: int | None, mlperf: bool) -> int:
        if number is not None and operator.index(number) < 1:
            raise errors.OptionError(f"num_negatives={number}: expected 1 or more")
        if self._candidates is None:
            return 999 if number is None else number
        if mlperf:
            raise errors.OptionError("mlperf=True, but candidates are not drawn; leave one of them out")
        found = self._candidates.num_negatives
        if number not in (None, found):
            raise errors.OptionError(f"num_negatives={number}, but the candidates have {found} a row")
        return found

    def _rows_for(self, world_size: int) -> int:
        """Rows of one rank in a batch."""
        length = self.num_negatives + 1
        if self._batch_size is None:
            return max(1, 160_000 // (length * world_size))
        if self._batch_size % length:
            raise errors.OptionError(
                f"batch_size={self._batch_size}: expected a multiple of num_negatives + 1 = {length}"
            )
        rows = self._batch_size // length
        if rows % world_size:
            raise errors.OptionError(
                f"batch_size={self._batch_size}: its {rows} rows cannot be split into {world_size} equal parts, one a "
                f"rank; {(rows // world_size + 1) * world_size * length} can"
            )
        return rows // world_size

    def _sampler_for(self, world_size: int) -> _native.Sampler | None:
        if self._candidates is not None:
            return None
        return _native.evaluation_sampler(
            self.dataset._native,
            seed=self.seed,
            num_negatives=self.num_negatives,
            batch_size=self._rows_for(world_size) * (self.num_negatives + 1),
            mlperf=self.mlperf,
            split=self.split,
            infeasible=self.infeasible,
            # Rows without replacement are made without looking positives up.
            bitset_budget=DEFAULT_BITSET_BUDGET if self.mlperf else 0,
        )

    @property
    def batch_size(self) -> int:
        """Values of all ranks together in a batch."""
        world_size = self.ranks.world_size
        return self._rows_for(world_size) * world_size * (self.num_negatives + 1)

    def _source_for(self, rank: int, world_size: int) -> _native.BatchSource:
        if self._candidates is not None:
            return self._candidates.source(self._rows_for(world_size), rank, world_size, **self._dtypes)
        sampler = self._sampler if world_size == 1 else self._sampler_for(world_size)
        return _native.evaluation_source(sampler, rank, world_size, **self._dtypes)

    def _make_source(self, ranks: Ranks) -> _native.BatchSource:
        return self._source_for(ranks.rank, ranks.world_size)

    def save_candidates(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Writes the rows of all ranks to a file, for others to evaluate on: candidates= reads it.

        path: ends in .parquet (needs pyarrow) or .npy. Columns, or fields of a structured array: user_id, item_id (the
        held-out item) and negative_item_ids [num_negatives], by original ids. See negpipe.candidates.

        Raises OptionError (a ValueError) if the file is there and overwrite is False, FileError (an OSError).
        """
        source = self._source_for(0, 1)

        def blocks():
            for number in range(source.batch_count):
                users, items, mask = source.make(0, number)
                is_row = mask.sum(1) < self.num_negatives  # the others are padding
                yield users[is_row, 0], items[is_row]

        write_candidates(path, self.dataset, blocks, self.num_negatives, overwrite)

    def __len__(self) -> int:
        """Batches of the evaluation data, the same for every rank."""
        return self._open_source().batch_count

    def __getitem__(self, number: int) -> Batch:
        return self.batch(0, number)

    def __iter__(self) -> EpochIterator:
        iterator = EpochIterator(self, 0, 0)
        self._iterators.add(iterator)
        return iterator

    def __repr__(self) -> str:
        drawn = "from a file" if self._candidates else f"seed {self.seed}, {self._sampler.device}"
        return (
            f"EvalLoader({self.dataset.num_users:,} users, {self.num_negatives} negatives"
            f"{', MLPerf' if self.mlperf else ''}, {drawn})"
        )

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in _NOT_PICKLED}

    def __setstate__(self, state):
        vars(self).update(state, _source=None, _iterators=weakref.WeakSet())
        self._sampler = self._sampler_for(1)
