"""What loaders of Shards take their batches from: the samplers of a rank's shards."""

from __future__ import annotations

from typing import Any

import numpy as np

from negpipe import _native, errors, tables
from negpipe.ranks import Ranks
from negpipe.shards import Shards


def _weights(shards: Shards, alpha: float | None, weights: np.ndarray | None) -> _native.ItemWeights:
    """Weights that all shards share. Popularity is counted over all of them."""
    if alpha is None:
        return _native.item_weights(shards.num_items, weights)
    return _native.popularity_weights(shards.item_counts().astype(np.uint64), alpha)


class _ShardSamplers:
    """Options of a run over shards, which loads the shards of a rank when they are asked for."""

    device = "cpu"

    def __init__(self, shards: Shards, distribution: tuple[float | None, np.ndarray | None], bitset_budget: int):
        self.shards = shards
        self.weights = _weights(shards, *distribution)
        self._bitset_budget = bitset_budget

    @property
    def weights_digest(self) -> str:
        return self.weights.digest

    def _shard_count(self, world_size: int) -> int:
        """Shards of a rank."""
        count = len(self.shards)
        if count % world_size != 0:
            raise errors.OptionError(f"world_size is {world_size}; expected a divisor of {count} shards")
        return count // world_size

    def _load(self, make, ranks: Ranks, batch_count: int, threads: int, **options: Any) -> _native.ShardSamplers:
        own = self._shard_count(ranks.world_size)
        numbers = (ranks.rank * own, own, max(1, threads))
        return tables.from_file(
            lambda _: make(
                self.shards._native,
                numbers,
                batch_count,
                bitset_budget=self._bitset_budget // own,
                weights=self.weights,
                **options,
            ),
            self.shards.path,
        )


class TrainingShards(_ShardSamplers):
    """Batch b has batch b of each shard, one after the other."""

    def __init__(
        self,
        shards: Shards,
        *,
        seed: int,
        num_negatives: int,
        batch_size: int,
        padding: str,
        layout: str,
        bitset_budget: int,
        distribution: tuple[float | None, np.ndarray | None],
        dtypes: dict[str, str],
    ):
        _native.check_training_shards(
            shards._native,
            num_negatives=num_negatives,
            batch_size=batch_size,
            padding=padding,
            layout=layout,
            **dtypes,
        )
        if batch_size % len(shards) != 0:
            raise errors.OptionError(f"`batch_size`: {batch_size} given; expected a multiple of {len(shards)} shards")
        super().__init__(shards, distribution, bitset_budget)
        share = batch_size // len(shards)
        self._dtypes = dtypes
        self._options = dict(
            seed=seed, num_negatives=num_negatives, batch_size=share, padding=padding, layout=layout
        )
        points_a_positive = 1 if layout == "pairwise" else 1 + num_negatives
        points = [count * points_a_positive for count in shards._native.positive_counts]
        batches = [n // share if padding == "drop" else -(-n // share) for n in points]
        self.batch_count = min(batches) if padding == "drop" else max(batches)
        if self.batch_count == 0:
            raise errors.OptionError(
                f"`batch_size`: a shard has {min(points)} points, which fill no part of {share}; expected a smaller "
                "batch, or padding='resample'"
            )

    def source(self, ranks: Ranks, threads: int, cuda: int | None) -> _native.BatchSource | _native.DeviceSource:
        """Loads the shards of a rank, on some threads. cuda: the number of a device, or None."""
        samplers = self._load(_native.training_shards, ranks, self.batch_count, threads, **self._options)
        if cuda is None:
            return _native.shard_training_source(samplers, **self._dtypes)
        return _native.shard_training_device_source(samplers, cuda, **self._dtypes)


class EvaluationShards(_ShardSamplers):
    """The rows of a rank are those of the users in its shards."""

    def __init__(
        self,
        shards: Shards,
        *,
        seed: int,
        num_negatives: int,
        mlperf: bool,
        split: str,
        infeasible: str,
        bitset_budget: int,
        distribution: tuple[float | None, np.ndarray | None],
        dtypes: dict[str, str],
    ):
        _native.check_evaluation_shards(shards._native, split=split, infeasible=infeasible, **dtypes)
        super().__init__(shards, distribution, bitset_budget)
        self._dtypes = dtypes
        self._options = dict(
            seed=seed, num_negatives=num_negatives, mlperf=mlperf, split=split, infeasible=infeasible
        )

    def source(self, ranks: Ranks, rows: int, threads: int) -> _native.BatchSource:
        """Loads the shards of a rank. rows: of a rank in a batch."""
        own = self._shard_count(ranks.world_size)
        firsts = self.shards._native.first_users[::own]
        batch_count = max(-(-(last - first) // rows) for first, last in zip(firsts, firsts[1:]))
        samplers = self._load(
            _native.evaluation_shards,
            ranks,
            batch_count,
            threads,
            batch_size=rows * (self._options["num_negatives"] + 1),
            **self._options,
        )
        return _native.shard_evaluation_source(samplers, **self._dtypes)
