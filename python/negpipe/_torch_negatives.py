"""The draws of a NegativeSampler for PyTorch's tensors on a CUDA device: queued on the current stream, without waiting.

Imported only if a caller gives such a tensor.
"""

from __future__ import annotations

import torch

from negpipe import _native, errors


# The handle of a device's current stream, without making a Stream object where PyTorch can.
stream_handle = getattr(
    torch._C, "_cuda_getCurrentRawStream", lambda index: torch.cuda.current_stream(index).cuda_stream
)


def _ids(values, device: torch.device, what: str) -> torch.Tensor:
    """int32 or int64, contiguous, on the device. Raises OptionError."""
    if (
        isinstance(values, torch.Tensor)
        and (values.dtype == torch.int64 or values.dtype == torch.int32)
        and values.device == device
        and values.is_contiguous()
    ):
        return values
    tensor = torch.as_tensor(values, device=device).detach()
    if tensor.dtype in (torch.int32, torch.int64):
        return tensor.contiguous()
    if tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype == torch.bool:
        raise errors.OptionError(f"`{what}` is {tensor.dtype}; expected integers")
    return tensor.to(torch.int64).contiguous()


def _number(value, device: torch.device, what: str) -> torch.Tensor:
    if value.numel() != 1 or value.dtype != torch.int64 or value.device != device:
        raise errors.OptionError(
            f"`{what}` is {value.dtype} {list(value.shape)} on {value.device}; expected an integer, or one int64 on "
            f"{device}"
        )
    return value.detach()


def _excluded_rows(items: torch.Tensor, shape: tuple[int, ...], num_items: int) -> torch.Tensor:
    """int32 [*shape, X], contiguous. Numbers beyond int32 stay numbers of no item, which the kernel reports."""
    try:
        items = items.clamp(-1, num_items).to(torch.int32).expand(shape + tuple(items.shape[-1:]))
    except RuntimeError:
        raise errors.OptionError(
            f"`exclude` has the shape {list(items.shape)}; expected {[*shape, 'X']}, or one that broadcasts"
        ) from None
    return items.contiguous()


def _lookup(users: torch.Tensor, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...], bool]:
    """Contiguous (users, items), the shape to which they broadcast, and whether each user has all the items. Else each
    has as many of them as the others, in order. Does not repeat what the kernel repeats."""
    if 0 < users.dim() == items.dim() and users.shape[-1] == 1 and items.shape[:-1] == users.shape[:-1]:
        shape = tuple(items.shape)  # items of each user; PyTorch takes long to find it
    else:
        shape = tuple(torch.broadcast_shapes(users.shape, items.shape))
    has_rows = len(shape) > 0 and tuple(users.shape) == (*shape[:-1], 1)
    each = has_rows and items.numel() == shape[-1]
    if not has_rows:
        users = users.expand(shape).contiguous()
    if not each:
        items = items.expand(shape).contiguous()
    return users, items, shape, each


def _array_at(tensor: torch.Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel()


def _ids_at(tensor: torch.Tensor) -> tuple[int, int, bool]:
    return tensor.data_ptr(), tensor.numel(), tensor.dtype == torch.int64


class DeviceSampler:
    """Draws on one device, and looks up membership there."""

    def __init__(self, sampler: _native.NegativeSampler, num_items: int, bitset_budget: int, device: torch.device):
        self._native = _native.device_negatives(sampler, bitset_budget=bitset_budget, device=device.index)
        self._num_items = num_items
        self._device = device

    def sample(self, users, count: int, *, at, offset, distinct: bool, exclude) -> torch.Tensor:
        """The arguments of NegativeSampler.sample; users None means shared. at and offset: checked integers, or tensors
        of one int64 on this device."""
        more = {}
        for name, value in (("at", at), ("offset", offset)):
            if isinstance(value, int):
                more[name] = value
            else:
                more["device_" + name] = _number(value, self._device, name).data_ptr()
        rows = None if users is None else self.ids(users, "users")
        shape = () if rows is None else tuple(rows.shape)
        out = torch.empty((*shape, count), dtype=torch.int32, device=self._device)
        if exclude is not None:
            excluded = _excluded_rows(self.ids(exclude, "exclude"), shape, self._num_items)
            more["excluded"] = _array_at(excluded)
        self._native.sample(
            None if rows is None else _ids_at(rows),
            _array_at(out),
            negatives=count,
            distinct=distinct,
            stream=stream_handle(self._device.index),
            **more,
        )
        return out

    def ids(self, values, what: str) -> torch.Tensor:
        """int32 or int64, contiguous, on this device. Raises OptionError."""
        return _ids(values, self._device, what)

    def contains(self, users, items) -> torch.Tensor:
        """bool, in the shape to which both broadcast."""
        users, items, shape, each = _lookup(self.ids(users, "users"), self.ids(items, "items"))
        found = torch.empty(shape, dtype=torch.bool, device=self._device)
        stream = stream_handle(self._device.index)
        self._native.contains(_ids_at(users), _ids_at(items), _array_at(found), each=each, stream=stream)
        return found

    def log_q(self, users, items) -> torch.Tensor:
        """float32, in the shape to which both broadcast."""
        users, items, shape, each = _lookup(self.ids(users, "users"), self.ids(items, "items"))
        values = torch.empty(shape, dtype=torch.float32, device=self._device)
        stream = stream_handle(self._device.index)
        self._native.log_q(_ids_at(users), _ids_at(items), _array_at(values), each=each, stream=stream)
        return values

    def check(self) -> None:
        self._native.check(stream=stream_handle(self._device.index))
