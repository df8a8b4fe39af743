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

import math
from typing import Any

import torch
import torch.utils.data

from negpipe import _native, errors, eval_loader, loader, train_loader
from negpipe._torch_negatives import stream_handle
from negpipe.devices import local_rank, require_cuda
from negpipe.loader import checked_epoch
from negpipe.ranks import Ranks
from negpipe.shards import Shards

Batch = loader.Batch
MAX_GROUP_BYTES = 64 << 20


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
    require_cuda(device)
    if found.index is None:
        number = local_rank()
        found = torch.device("cuda", torch.cuda.current_device() if number is None else number)
    return found


class _Columns:
    """Memory for the columns that a native source describes, from PyTorch's allocator."""

    def __init__(self, native, device: torch.device):
        self.device = device
        self._columns = [(name, tuple(shape), getattr(torch, dtype)) for name, shape, dtype in native.columns]
        self._scratch_bytes = native.scratch_bytes

    @property
    def batch_bytes(self) -> int:
        return sum(math.prod(shape) * torch.empty(0, dtype=dtype).element_size() for _, shape, dtype in self._columns)

    def new(self, *batches: int) -> list[torch.Tensor]:
        """Columns of one batch, or of so many, with a first dimension for them."""
        device = self.device
        return [torch.empty(batches + shape, dtype=dtype, device=device) for _, shape, dtype in self._columns]

    def new_scratch(self, batches: int = 1) -> torch.Tensor:
        return torch.empty(self._scratch_bytes * batches, dtype=torch.uint8, device=self.device)

    def check(self, tensors) -> None:
        """Raises OptionError unless the tensors can be filled."""
        if len(tensors) != len(self._columns):
            raise errors.OptionError(f"`out`: {len(tensors)} tensors given; expected {len(self._columns)}")
        for tensor, (name, shape, dtype) in zip(tensors, self._columns):
            found = tensor.shape, tensor.dtype, tensor.device
            if found != (shape, dtype, self.device) or not tensor.is_contiguous():
                raise errors.OptionError(
                    f"`out`: {name} is {tuple(found[0])}, {found[1]}, on {found[2]}; expected {shape}, {dtype}, on "
                    f"{self.device}, contiguous"
                )

    def stream(self) -> int:
        return stream_handle(self.device.index)


def _addresses(tensors) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


class _DeviceSource:
    """Batches in tensors of a CUDA device, with the interface of _native.BatchSource."""

    def __init__(self, native: _native.DeviceSource, device: torch.device):
        self._native = native
        self._columns = _Columns(native, device)
        self.names = native.names
        self.batch_count = native.batch_count

    def _fill(self, epoch: int, first: int, out, count: int = 1, step: int = 1) -> None:
        # Scratch memory is kept until all work is queued: another thread of this stream could be given it before. After
        # that PyTorch gives it out in the order of the stream.
        scratch = self._columns.new_scratch(count)
        self._native.fill_at(
            epoch, first, _addresses(out), scratch.data_ptr(), self._columns.stream(), count=count, step=step
        )

    def make(self, epoch: int, number: int) -> tuple[torch.Tensor, ...]:
        made = self._columns.new()
        self._fill(epoch, number, made)
        return tuple(made)

    def make_group(self, epoch: int, first: int, count: int, step: int) -> list[tuple[torch.Tensor, ...]]:
        """Batches first, first + step, ..., each a part of common tensors: together they cost little more than one."""
        if count == 1:
            return [self.make(epoch, first)]
        made = self._columns.new(count)
        self._fill(epoch, first, made, count, step)
        return _batches(made)

    def fill(self, epoch: int, number: int, out) -> None:
        self._columns.check(out)
        self._fill(epoch, number, out)

    def stream(self, epoch: int, first: int, step: int, prefetch: int) -> _DeviceStream:
        group = max(1, min(prefetch + 1, MAX_GROUP_BYTES // max(1, self._columns.batch_bytes)))
        return _DeviceStream(self, epoch, range(first, self.batch_count, step), group)

    def current_stream(self) -> int:
        return self._columns.stream()


def _batches(columns: list[torch.Tensor]) -> list[tuple[torch.Tensor, ...]]:
    """The batches of columns whose first dimension counts them. They share memory, but autograd takes them for tensors
    of their own (`data`): a change of one in place does not concern graphs that saved another."""
    return list(zip(*([part.data for part in column.unbind(0)] for column in columns)))


class _DeviceStream:
    """Batches of an epoch, queued in groups when they are asked for: the device works while the caller goes on."""

    def __init__(self, source: _DeviceSource, epoch: int, numbers: range, group: int):
        self._source: _DeviceSource | None = source
        self._epoch = epoch
        self._numbers = numbers  # that are not delivered
        self._group = group
        self._queued: list[tuple[torch.Tensor, ...]] = []  # the next one last
        self._queued_to = 0

    def next(self) -> tuple[torch.Tensor, ...] | None:
        numbers = self._numbers
        if self._source is None or not numbers:
            return None
        stream = self._source.current_stream()
        # Tensors of another stream would not be awaited, so they are made again.
        if not self._queued or stream != self._queued_to:
            self._queued = self._source.make_group(
                self._epoch, numbers[0], min(self._group, len(numbers)), numbers.step
            )
            self._queued.reverse()
            self._queued_to = stream
        self._numbers = numbers[1:]
        return self._queued.pop()

    def close(self) -> None:
        self._source = None
        self._queued.clear()


class Replay:
    """Batches in tensors that stay where they are, for CUDA graphs: the position is in device memory, so that a graph
    with one captured fill_next() makes the next batch at every launch. Made by TrainLoader.replay.

    batch: this rank's part of a batch, as the loader delivers it (a dict with as_dict=True). Its tensors are
           overwritten by each fill.

    Batch 0 of the next epoch follows the last batch of an epoch. Fills must not overlap. The loader's state_dict knows
    nothing of a replay: save position(). Pointwise layout only.
    """

    def __init__(self, native: _native.Replay, device: torch.device, as_batch):
        """Internal."""
        self._native = native
        self._columns = _Columns(native, device)
        self._tensors = self._columns.new()
        self._scratch = self._columns.new_scratch()
        self.batch = as_batch(self._tensors)

    def fill_next(self) -> Batch:
        """Queues the next batch to the current stream, and returns `batch`. Does not wait; may be captured."""
        self._native.fill_next(_addresses(self._tensors), self._scratch.data_ptr(), self._columns.stream())
        return self.batch

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Queues a move to a batch of an epoch to the current stream. Raises OptionError (a ValueError)."""
        self._native.seek(checked_epoch(epoch), batch, self._columns.stream())

    def position(self) -> tuple[int, int]:
        """The epoch and the batch that come next. Waits for the current stream."""
        return self._native.position(self._columns.stream())


class _OnTorch:
    """Delivers tensors."""

    device: torch.device

    def __init__(self, dataset, batch_size, device, options, is_copied=False):
        self.device = find_device(device)
        is_on_host = is_copied or self.device.type == "cpu"
        super().__init__(dataset, batch_size, device="cpu" if is_on_host else f"cuda:{self.device.index}", **options)

    def _make_source(self, ranks: Ranks):
        source = super()._make_source(ranks)
        return source if self._cuda is None else _DeviceSource(source, self.device)

    def _convert(self, arrays) -> Batch:
        if self._cuda is None:
            arrays = tuple(map(torch.from_numpy, arrays))
            if self.device.type != "cpu":
                arrays = tuple(array.to(self.device, non_blocking=True) for array in arrays)
        return self._as_batch(arrays)


class TrainLoader(_OnTorch, train_loader.TrainLoader, torch.utils.data.IterableDataset):
    """negpipe.TrainLoader with tensors: the same arguments, batches and state.

    device: "auto", "cpu", "cuda", "cuda:1", a torch.device. On a CUDA device batches are made there, prefetch + 1 at
            once (up to 64 MiB), and share their memory until all of them are dropped.
    """

    def __init__(self, dataset, batch_size: int = 65_536, *, device: Any = "auto", **options):
        super().__init__(dataset, batch_size, device, options)

    def replay(self, epoch: int = 0, batch: int = 0) -> Replay:
        """Batches in static tensors from a first one on, for CUDA graphs. device="cuda" only. Waits until it is ready.

        Raises OptionError (a ValueError).
        """
        if self._cuda is None:
            raise errors.OptionError(f"a replay is made on a CUDA device, and this loader is on {self.device}")
        if isinstance(self.dataset, Shards):
            raise errors.OptionError("a replay is made of a Dataset; load the whole dataset, or one shard")
        self._open_source()
        native = _native.replay(
            self._sampler,
            self.ranks.rank,
            self.ranks.world_size,
            self._cuda,
            **self._dtypes,
            epoch=checked_epoch(epoch),
            batch=self._checked_number(batch),
        )
        return Replay(native, self.device, self._as_batch)

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


class EvalLoader(_OnTorch, eval_loader.EvalLoader, torch.utils.data.IterableDataset):
    """negpipe.EvalLoader with tensors: the same arguments and batches.

    device: as for TrainLoader. Rows of candidates and of Shards are made on the CPU and copied to a CUDA device without
        waiting.
    """

    def __init__(self, dataset, batch_size: int | None = None, *, device: Any = "auto", **options):
        is_copied = isinstance(dataset, Shards) or options.get("candidates") is not None
        super().__init__(dataset, batch_size, device, options, is_copied)

    def __iter__(self):
        number, count = _worker()
        iterator = loader.EpochIterator(self, 0, number, count)
        self._iterators.add(iterator)
        return iterator
