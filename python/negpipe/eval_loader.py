"""EvalLoader: the held-out item of each user among negatives, drawn or read from a file."""

from __future__ import annotations

import os
import weakref

import numpy.typing as npt

from negpipe import _native, errors
from negpipe._numbers import checked_integer, checked_text
from negpipe.candidates import Candidates, write_candidates
from negpipe.dataset import Dataset
from negpipe.loader import (
    DEFAULT_BITSET_BUDGET,
    NOT_PICKLED,
    Batch,
    EpochIterator,
    Loader,
    Source,
    checked_dtypes,
)
from negpipe.negatives import DEFAULT_EVAL_ALPHA, checked_distribution
from negpipe.ranks import Ranks
from negpipe.shard_samplers import EvaluationShards
from negpipe.shards import Shards


class EvalLoader(Loader):
    """Evaluation rows: for each user the held-out item first, then num_negatives items that the user has not touched.

    A batch is (users, items, duplicate_mask), each [rows, num_negatives + 1]: users and items int32 by default,
    duplicate_mask bool, True where an item stood earlier in its row (with mlperf=True only; rows have distinct items
    otherwise). Users ascend. Rows past the last user are padding: zeros, whose mask is True everywhere but in the first
    column; negpipe.metrics leaves them out. as_dict=True gives a dict with the keys user_id, item_id, duplicate_mask.

    dataset:     a Dataset, or Shards: each rank loads its shards only and delivers the rows of their users, which are
                 those of the whole dataset. world_size must divide the number of shards. On the CPU only, and without
                 candidates.
    batch_size:  values of all ranks together, a multiple of num_negatives + 1 and of the number of ranks. By default
                 about 160,000.
    mlperf:      draw with replacement and exclude training positives only, as the MLPerf reference does. Otherwise the
                 user's items of all sets are excluded.
    split:       the held-out items that are evaluated: "test" or "validation"; exactly one a user. Users without one
                 get a padding row.
    infeasible:  users who have fewer than num_negatives items left: "error", "skip" (a padding row), or "fewer" (all
                 items that are left, then repeats, whose mask is True). Items of weight 0 are never left.
    distribution: of negatives: "uniform", or "popularity": drawn one after the other, without replacement unless
                 mlperf=True, in proportion to item_counts() ** alpha. alpha is 1 by default here, as in published
                 protocols; it is 0.75 in TrainLoader.
    weights:     integers [num_items] instead; 0 is never drawn.
    candidates:  a file of save_candidates, whose rows are evaluated instead: seed has no effect. FormatError (a
                 ValueError) names a row that has an item held out of another split, or a training positive. The rows
                 are made in host memory; negpipe.torch and negpipe.jax copy them to a device.
    device, rank, world_size, prefetch, user_dtype, item_dtype, as_dict: as for TrainLoader. Each user is
                 evaluated by one rank.

    The rows are the same in every epoch. Raises OptionError, InfeasibleError (both ValueErrors); for Shards,
    InfeasibleError at the first batch.
    """

    _sources_of_data = (Dataset, Shards)

    def __init__(
        self,
        dataset: Dataset | Shards,
        batch_size: int | None = None,
        *,
        num_negatives: int | None = None,
        seed: int = 0,
        mlperf: bool = False,
        split: str = "test",
        infeasible: str = "skip",
        distribution: str = "uniform",
        alpha: float | None = None,
        weights: npt.ArrayLike | None = None,
        candidates: str | os.PathLike[str] | None = None,
        device: str = "auto",
        rank: int | None = None,
        world_size: int | None = None,
        prefetch: int = 2,
        user_dtype: str = "int32",
        item_dtype: str = "int32",
        as_dict: bool = False,
    ):
        if candidates is not None and str(device).startswith("cuda"):
            raise errors.OptionError(
                f"`candidates`: their rows are made in host memory, but device={device!r} gives arrays in the device's "
                "memory; leave `device` out, or use negpipe.torch.EvalLoader, which copies rows to the device"
            )
        super().__init__(
            dataset, device=device, rank=rank, world_size=world_size, prefetch=prefetch, as_dict=as_dict
        )
        if isinstance(dataset, Shards):
            self._check_shards(device, candidates)
        self._distribution = checked_distribution(distribution, alpha, weights, DEFAULT_EVAL_ALPHA)
        self._candidates = None if candidates is None else Candidates(candidates, dataset, split)
        self.mlperf = bool(mlperf)
        self.num_negatives = self._checked_negatives(num_negatives)
        self.seed = checked_integer(seed, "seed", 2**64 - 1)
        self.split = checked_text(split, "split")
        self.infeasible = checked_text(infeasible, "infeasible")
        self._batch_size = None if batch_size is None else checked_integer(batch_size, "batch_size", 2**64 - 1, 1)
        self._dtypes = checked_dtypes(user_dtype=user_dtype, item_dtype=item_dtype)
        # Refuses wrong options here, not at the first batch.
        self._sampler = self._sampler_for(self._rows_for(1))
        if isinstance(dataset, Dataset):
            self._host_source(Ranks(0, 1, "nothing"))

    def _check_shards(self, device, candidates) -> None:
        if self._cuda is not None:
            raise errors.OptionError(f"device={device!r}, but rows of shards are made on the CPU; expected 'cpu'")
        if candidates is not None:
            raise errors.OptionError("`candidates`: not possible with Shards; load the whole dataset, or draw rows")

    def _checked_negatives(self, number: int | None) -> int:
        if number is not None:
            number = checked_integer(number, "num_negatives", 2**32 - 1, 1)
        if self._candidates is None:
            return 999 if number is None else number
        if self.mlperf:
            raise errors.OptionError("mlperf=True, but candidates are not drawn; leave one of them out")
        if self._is_weighted:
            raise errors.OptionError("a distribution is given, but candidates are not drawn; leave one of them out")
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

    @property
    def _is_weighted(self) -> bool:
        return any(given is not None for given in self._distribution)

    def _sampler_for(self, rows: int) -> _native.Sampler | EvaluationShards | None:
        if self._candidates is not None:
            return None
        options = dict(
            seed=self.seed,
            num_negatives=self.num_negatives,
            mlperf=self.mlperf,
            split=self.split,
            infeasible=self.infeasible,
            # Uniform rows without replacement are made without looking positives up.
            bitset_budget=DEFAULT_BITSET_BUDGET if self.mlperf or self._is_weighted else 0,
        )
        if isinstance(self.dataset, Shards):
            return EvaluationShards(self.dataset, distribution=self._distribution, dtypes=self._dtypes, **options)
        alpha, weights = self._distribution
        return _native.evaluation_sampler(
            self.dataset._native, batch_size=rows * (self.num_negatives + 1), weights=weights, alpha=alpha, **options
        )

    @property
    def weights_digest(self) -> str:
        """MD5 of the items' weights as little-endian uint32; empty if negatives are uniform, or from a file."""
        if isinstance(self._sampler, EvaluationShards):
            return self._sampler.weights_digest
        return self._sampler.eval_weights_digest if self._sampler else ""

    @property
    def batch_size(self) -> int:
        """Values of all ranks together in a batch."""
        world_size = self.ranks.world_size
        return self._rows_for(world_size) * world_size * (self.num_negatives + 1)

    def _host_source(self, ranks: Ranks) -> _native.BatchSource:
        rows = self._rows_for(ranks.world_size)
        if self._candidates is not None:
            return self._candidates.source(rows, ranks.rank, ranks.world_size, **self._dtypes)
        if isinstance(self._sampler, EvaluationShards):
            return self._sampler.source(ranks, rows, self.prefetch)
        sampler = self._sampler if ranks.world_size == 1 else self._sampler_for(rows)
        return _native.evaluation_source(sampler, ranks.rank, ranks.world_size, **self._dtypes)

    def _make_source(self, ranks: Ranks) -> Source:
        if self._cuda is None:
            return self._host_source(ranks)
        rows = self._rows_for(ranks.world_size) * ranks.world_size
        sampler = self._sampler if ranks.world_size == 1 else self._sampler_for(rows)
        return _native.evaluation_device_source(
            sampler, ranks.rank, ranks.world_size, self._cuda, **self._dtypes
        )

    def save_candidates(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Writes the rows of all ranks to a file, for others to evaluate on: candidates= reads it.

        path: ends in .parquet (needs pyarrow) or .npy. Columns, or fields of a structured array: user_id, item_id (the
        held-out item) and negative_item_ids [num_negatives], by original ids. See negpipe.candidates.

        Raises OptionError (a ValueError) if the file is there and overwrite is False, and for Shards; FileError (an
        OSError).
        """
        if isinstance(self.dataset, Shards):
            raise errors.OptionError("candidates are saved of a Dataset; load the whole dataset")
        source = self._host_source(Ranks(0, 1, "nothing"))

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
        return {name: value for name, value in vars(self).items() if name not in NOT_PICKLED}

    def __setstate__(self, state):
        vars(self).update(state, _source=None, _iterators=weakref.WeakSet())
        self._sampler = self._sampler_for(self._rows_for(1))
