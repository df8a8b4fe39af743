"""Loaders whose batches are PyTorch tensors.

On the CPU tensors share the memory of the batch: nothing is copied. On a CUDA device they come from PyTorch's caching
allocator and are filled on the current stream; nothing waits.

    loader = negpipe.torch.TrainLoader(data, batch_size=65_536, device="cuda", seed=1)
    for users, items, labels in loader.epoch(0):
        ...

A loader is an iterable with a state, made for plain loops, Lightning and Accelerate alike; it needs no DataLoader, and
it shards by itself: do not wrap it in a DistributedSampler. It may stand in a torch.utils.data.DataLoader with
batch_size=None; workers then share the batches of this rank.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.utils.data

from negpipe import _native, errors, loader
from negpipe.ranks import Ranks

Batch = loader.Batch


def _worker() -> tuple[int, int]:
    """Number of this DataLoader worker, and how many there are; (0, 1) outside of workers."""
    info = torch.utils.data.get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)


def find_device(device: str | int | torch.device) -> torch.device:
    """The device of a loader: "auto" is "cuda" where both PyTorch and negpipe can use one, else "cpu". "cuda" alone is
    the one of LOCAL_RANK, if that is set, else PyTorch's current one. Raises BackendError with the reason."""
    if device == "auto":
        usable = torch.cuda.is_available() and any(name == "cuda" and works for name, works, _ in _native.backends())
        device = "cuda" if usable else "cpu"
    found = torch.device(device)
    if found.type == "cpu":
        return found
    if found.type != "cuda":
        raise errors.OptionError(f"device={device!r}; expected cpu or cuda")
    if not torch.cuda.is_available():
        raise errors.BackendError(f"device={device!r}, but PyTorch {torch.__version__} finds no CUDA device")
    for name, works, reason in _native.backends():
        if name == "cuda" and not works:
            raise errors.BackendError(f"device={device!r}: {reason}")
    if found.index is None:
        local_rank = os.environ.get("LOCAL_RANK")
        found = torch.device("cuda", torch.cuda.current_device() if local_rank is None else int(local_rank))
    return found


class _DeviceSource:
    """Batches in the memory of a CUDA device, with the interface of _native.BatchSource.

    Each rank makes the whole batch and keeps its part.
    """

    def __init__(self, fill, batch_count: int, device: torch.device, part: slice, columns):
        """fill: DeviceFiller.fill or fill_pairs. columns: {name: (shape of a whole batch, dtype made, dtype given)}."""
        self._fill = fill
        self._device = device
        self._part = part
        self._columns = list(columns.values())
        self._pid = os.getpid()
        self.names = tuple(columns)
        self.batch_count = batch_count

    def make(self, epoch: int, number: int) -> tuple[torch.Tensor, ...]:
        if os.getpid() != self._pid:
            raise errors.ForkError(
                "this process was forked after the loader began to use CUDA; use num_workers=0 (batches are made on "
                "the device, workers gain nothing) or the start method spawn"
            )
        made = [torch.empty(shape, dtype=dtype, device=self._device) for shape, dtype, _ in self._columns]
        stream = torch.cuda.current_stream(self._device).cuda_stream
        self._fill(epoch, number, [column.data_ptr() for column in made], made[0].numel(), stream)
        return tuple(column[self._part].to(dtype) for column, (_, _, dtype) in zip(made, self._columns))

    def fill(self, epoch: int, number: int, out) -> None:
        for column, made in zip(out, self.make(epoch, number), strict=True):
            column.copy_(made)

    def stream(self, epoch: int, first: int, step: int, prefetch: int) -> _DeviceStream:
        return _DeviceStream(self, epoch, first, step)


class _DeviceStream:
    """Batches of an epoch, queued when they are asked for: the device works while the caller goes on."""

    def __init__(self, source: _DeviceSource, epoch: int, first: int, step: int):
        self._source: _DeviceSource | None = source
        self._epoch = epoch
        self._next = first
        self._step = step

    def next(self) -> tuple[torch.Tensor, ...] | None:
        if self._source is None or self._next >= self._source.batch_count:
            return None
        made = self._source.make(self._epoch, self._next)
        self._next += self._step
        return made

    def close(self) -> None:
        self._source = None


class _OnTorch:
    """Turns arrays into tensors, and shares batches among DataLoader workers."""

    device: torch.device

    def _convert(self, arrays) -> Batch:
        if self.device.type == "cpu":
            arrays = tuple(map(torch.from_numpy, arrays))
        return super()._convert(arrays)


class TrainLoader(_OnTorch, loader.TrainLoader, torch.utils.data.IterableDataset):
    """negpipe.TrainLoader with tensors: the same arguments, batches and state.

    device: "auto", "cpu", "cuda", "cuda:1", a torch.device. On a CUDA device batches are made there; prefetch is not
            needed and has no effect.
    """

    def __init__(self, dataset, batch_size: int = 65_536, *, device: Any = "auto", **options):
        self.device = find_device(device)
        super().__init__(dataset, batch_size, **options)

    def _make_source(self, ranks: Ranks):
        if self.device.type == "cpu":
            return super()._make_source(ranks)
        if self.batch_size % ranks.world_size:
            super()._make_source(ranks)  # raises
        filler = _native.training_filler(self._sampler, self.device.index)
        size = self.batch_size // ranks.world_size
        part = slice(ranks.rank * size, (ranks.rank + 1) * size)
        fill = filler.fill_pairs if self.layout == "pairwise" else filler.fill
        return _DeviceSource(fill, filler.batch_count, self.device, part, self._device_columns())

    def _device_columns(self):
        """{name: (shape of the whole batch, dtype that the filler makes, dtype of the batch)}"""
        rows = (self.batch_size,)
        users, items, labels = (getattr(torch, name) for name in self._dtypes.values())
        columns = {"user_id": (rows, torch.int32, users), "item_id": (rows, torch.int32, items)}
        if self.layout == "pairwise":
            columns["negative_item_id"] = ((self.batch_size, self.num_negatives), torch.int32, items)
        else:
            columns["labels"] = (rows, torch.int8, labels)
        if self.padding == "mask":
            columns["valid_point_mask"] = (rows, torch.int8, torch.bool)
        return columns

    # ---- DataLoader workers: worker i of n makes batches first + i, first + i + n, ..., which the DataLoader takes in
    # turn, so that the sequence is the one without workers.

    def _iterate(self, epoch: int, first: int, step: int = 1):
        number, count = _worker()
        resumes_here = self._resumes_worker == (number, count)
        self._resumes_worker = None
        return super()._iterate(epoch, first if resumes_here else first + number, step * count)

    _resumes_worker: tuple[int, int] | None = None

    def state_dict(self) -> dict[str, Any]:
        number, count = _worker()
        state = super().state_dict()
        if count > 1:
            state["worker"] = [number, count]
            if self._active is not None and self._active.is_finished:
                state["batch"] = number
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._resumes_worker = tuple(state["worker"]) if "worker" in state else None


class EvalLoader(_OnTorch, loader.EvalLoader, torch.utils.data.IterableDataset):
    """negpipe.EvalLoader with tensors: the same arguments and batches, made on the CPU.

    device: where the tensors are delivered. For a CUDA device rows are copied there without waiting.
    """

    def __init__(self, dataset, batch_size: int | None = None, *, device: Any = "auto", **options):
        self.device = find_device(device)
        super().__init__(dataset, batch_size, **options)

    def _convert(self, arrays) -> Batch:
        if self.device.type != "cpu":
            arrays = tuple(torch.from_numpy(array).to(self.device, non_blocking=True) for array in arrays)
        return super()._convert(arrays)

    def __iter__(self):
        number, count = _worker()
        iterator = loader.EpochIterator(self, 0, number, count)
        self._iterators.add(iterator)
        return iterator
