"""TrainLoader: batches of training points, or of rows for pairwise and listwise losses."""

from __future__ import annotations

import operator
import weakref
from typing import Any

import numpy.typing as npt

from negpipe import _native, errors
from negpipe._numbers import checked_integer, checked_text
from negpipe.dataset import Dataset
from negpipe.loader import (
    DEFAULT_BITSET_BUDGET,
    MAX_EPOCH,
    NOT_PICKLED,
    Batch,
    EpochIterator,
    Loader,
    Source,
    checked_dtypes,
    checked_epoch,
)
from negpipe.negatives import checked_distribution
from negpipe.ranks import Ranks
from negpipe.shard_samplers import TrainingShards
from negpipe.shards import Shards

STATE_VERSION = 1


class TrainLoader(Loader):
    """Batches of training points: every positive of an epoch once, with num_negatives negatives each, shuffled.

    A batch is (users, items, labels), each [batch_size / world_size], as NumPy arrays that are the caller's to keep:
    users int32, items int32, labels float32 (1 positive, 0 negative) by default. padding="mask" adds
    valid_point_mask, bool, False for rows that fill the last batch. as_dict=True gives a dict with the keys user_id,
    item_id, labels, valid_point_mask.

    layout="pairwise" gives rows for BPR, softmax and listwise losses instead: (users, positives, negatives), where
    negatives are [batch_size / world_size, num_negatives] and every positive of an epoch is one row. The dict's keys
    are user_id, item_id, negative_item_id, valid_point_mask; label_dtype is ignored. num_negatives=0 serves losses
    with in-batch negatives.

    dataset:        a Dataset, or Shards, of which each rank loads only its own: world_size must divide their number,
                    and their number batch_size. Users have the numbers of the whole dataset. Popularity is counted
                    over all shards, which each rank loads once for that, one after the other.
    batch_size:     points, or rows, of all ranks together. Each rank gets an equal, contiguous part, so the sequence of
                    batches does not depend on the number of ranks.
    num_negatives:  negatives a positive, drawn from the items that are none of the user's positives.
    distribution:   of negatives: "uniform", or "popularity": in proportion to item_counts() ** alpha (0.75 by default).
    weights:        integers [num_items] instead; 0 is never drawn.
    seed:           64 bits; equal seeds give equal batches.
    padding:        how the last batch is filled: "resample" (points or rows of the epoch again), "mask", or "drop" it.
    device:         "auto" or "cpu": NumPy arrays. "cuda", "cuda:1": DeviceArrays, made there and handed to frameworks
                    by DLPack; "cuda" alone is the device of LOCAL_RANK, if that is set, else 0. prefetch is then the
                    number of batches that are queued ahead.
    rank, world_size: found at the first batch when None: see negpipe.ranks.
    prefetch:       threads that make batches ahead, two each; 0: each batch is made when it is asked for.
    user_dtype:     "int32" or "int64". item_dtype: "uint16", "int32" or "int64". label_dtype: "int8", "int64" or
                    "float32".
    bitset_budget:  bytes for looking up positives fast; does not change the batches. The shards of a rank get equal
                    parts.

    Iteration starts with epoch 0 and goes on with the next epoch each time, unless set_epoch or load_state_dict says
    otherwise; epoch(n) iterates a given one.

    Raises OptionError (a ValueError).
    """

    _sources_of_data = (Dataset, Shards)

    def __init__(
        self,
        dataset: Dataset | Shards,
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
        self.batch_size = checked_integer(batch_size, "batch_size", 2**64 - 1)
        self.num_negatives = checked_integer(num_negatives, "num_negatives", 2**32 - 1)
        self.seed = checked_integer(seed, "seed", 2**64 - 1)
        self.padding = checked_text(padding, "padding")
        self.layout = checked_text(layout, "layout")
        self._dtypes = checked_dtypes(user_dtype=user_dtype, item_dtype=item_dtype, label_dtype=label_dtype)
        self._bitset_budget = checked_integer(bitset_budget, "bitset_budget", 2**64 - 1)
        self._distribution = checked_distribution(distribution, alpha, weights)
        self._sampler = self._make_sampler()
        if isinstance(self._sampler, _native.Sampler):
            _native.training_source(self._sampler, 0, 1, **self._dtypes)  # wrong dtypes are refused here
        self._start = (0, 0)  # epoch and batch with which the next iteration begins
        self._active: EpochIterator | None = None

    def _make_sampler(self) -> _native.Sampler | TrainingShards:
        options = dict(
            seed=self.seed,
            num_negatives=self.num_negatives,
            batch_size=self.batch_size,
            padding=self.padding,
            layout=self.layout,
            bitset_budget=self._bitset_budget,
        )
        if isinstance(self.dataset, Shards):
            return TrainingShards(self.dataset, distribution=self._distribution, dtypes=self._dtypes, **options)
        alpha, weights = self._distribution
        return _native.training_sampler(self.dataset._native, weights=weights, alpha=alpha, **options)

    @property
    def weights_digest(self) -> str:
        """MD5 of the items' weights as little-endian uint32; empty if negatives are uniform."""
        return self._sampler.weights_digest

    def __len__(self) -> int:
        """Batches in an epoch, the same for every rank."""
        return self._sampler.batch_count

    def _make_source(self, ranks: Ranks) -> Source:
        if isinstance(self._sampler, TrainingShards):
            return self._sampler.source(ranks, self.prefetch, self._cuda)
        if self._cuda is None:
            return _native.training_source(self._sampler, ranks.rank, ranks.world_size, **self._dtypes)
        return _native.training_device_source(
            self._sampler, ranks.rank, ranks.world_size, self._cuda, **self._dtypes
        )

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
        number = checked_epoch(number)
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
            **({"shards": len(self.dataset)} if isinstance(self.dataset, Shards) else {}),
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
        for name, ours in {"weights": None, "shards": None, **self._identity()}.items():
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
        state = {name: value for name, value in vars(self).items() if name not in NOT_PICKLED}
        return {**state, "_start": self._position()}

    def __setstate__(self, state):
        vars(self).update(state, _source=None, _active=None, _iterators=weakref.WeakSet())
        self._sampler = self._make_sampler()
