"""Negatives for the users of a training loop's own batches, exact membership, and the probability of each draw."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from negpipe import _native, columns, errors
from negpipe._numbers import checked_integer, checked_number
from negpipe.dataset import Dataset

DEFAULT_ALPHA = 0.75
DEFAULT_EVAL_ALPHA = 1.0
MAX_AT = 2**32 - 1

# Samplers of a parent process. Their threads do not exist in the child, so they must not be destroyed there.
_of_parents: list[_native.NegativeSampler] = []


def _integers(values, what: str) -> np.ndarray:
    """int32 or int64, C-contiguous. Raises OptionError, and OutOfRangeError for numbers beyond int64."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else columns._as_numpy(values, f"`{what}`"))
    if array.dtype == np.int32 or array.dtype == np.int64:
        return np.asarray(array, order="C")
    if array.size == 0 and array.dtype == np.float64:
        return np.zeros(array.shape, np.int32)  # an empty list
    if array.dtype.kind not in "iu":
        kind = "of objects, such as integers beyond 64 bits" if array.dtype == object else array.dtype
        raise errors.OptionError(f"`{what}` is {kind}; expected integers")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise errors.OutOfRangeError(f"`{what}`: {array.max()} given; expected at most {np.iinfo(np.int64).max}")
    return np.asarray(array, np.int64, order="C")


def _narrow(values, what: str, count: int, field: str | None = None) -> np.ndarray:
    """int32 below count; negative numbers stay negative. Raises OptionError, OutOfRangeError."""
    array = _integers(values, field or f"{what}s")
    if array.size and array.max() >= count:
        raise errors.OutOfRangeError(f"there is no {what} {array.max()}: there are {count}, numbered from 0")
    if array.dtype == np.int32:
        return array
    return np.maximum(array, -1).astype(np.int32)


def _like(result: np.ndarray, given: Any):
    """result as the given kind of array, on its device; NumPy's for what is no array."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor):
        return torch.from_numpy(result).to(given.device)
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(given, jax.Array):
        return jax.device_put(result, next(iter(given.devices())))
    if isinstance(given, np.ndarray) or not hasattr(given, "__dlpack__"):
        return result
    space = sys.modules.get(type(given).__module__.partition(".")[0])
    if space is None or not hasattr(space, "from_dlpack"):
        return result
    if space.__name__ == "cupy":  # its from_dlpack refuses host memory
        with given.device:
            return space.asarray(result)
    return space.from_dlpack(result)


def _first_array(*values):
    """The first that is an array of a framework, else None."""
    return next((value for value in values if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray)), None)


def _number(value, what: str, limit: int):
    """A checked integer, or the given tensor of a CUDA device, which a kernel will read."""
    return value if getattr(value, "is_cuda", False) else checked_integer(value, what, limit)


def _broadcast(users: np.ndarray, items: np.ndarray) -> list[np.ndarray]:
    try:
        return np.broadcast_arrays(users, items)
    except ValueError:
        raise errors.OptionError(
            f"`users` {list(users.shape)} and `items` {list(items.shape)} do not broadcast to one shape; for each user "
            "with each item give users[:, None]"
        ) from None


class NegativeSampler:
    """Draws negatives for given users: items outside a user's training positives, exactly in proportion to weights.

    Element k of user i is draw e = (offset + i) * num_negatives + k of call `at`: a function of (dataset, weights,
    seed, at, e) and the user. Bytes do not depend on threads, on machines, or on how a batch is split into calls.

        draw = negpipe.NegativeSampler(data, seed=1)
        negatives = draw.sample(users, 4, at=step)

    Users and items are dense numbers, of any integer type and shape: NumPy arrays, lists, torch tensors, JAX arrays, or
    objects with DLPack. Results have the kind and the device of users. Negative numbers are padding, such as -1 in
    [batch, length] sequences. The GIL is released while drawing; a sampler may be shared among threads, and used after
    a fork.

    Torch tensors on a CUDA device are drawn and looked up there, with the same bytes, if this build has CUDA: queued on
    torch's current stream, without waiting, also while a CUDA graph is captured. Errors that only a kernel can find (a
    user or item that does not exist, too few items left) are raised by a later call, or by check().
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int = 0,
        *,
        distribution: str = "uniform",
        alpha: float | None = None,
        weights: npt.ArrayLike | None = None,
        threads: int = 1,
        bitset_budget: int = 1 << 30,
        device: str = "auto",
    ):
        """
        seed:          64 bits; the key of all draws.
        distribution:  "uniform", or "popularity": in proportion to item_counts() ** alpha.
        alpha:         0 to 16, for popularity; 0.75 by default. The weights are the same on every machine.
        weights:       integers [num_items] instead of a distribution; 0 is never drawn, the sum is below 2^32.
        threads:       of each call; 0 is one per core. Calls below 16,384 draws use one.
        bitset_budget: bytes that a bit per (user, item) may take; beyond it a Bloom filter is used, with equal results.
        device:        "auto": tensors on a CUDA device are served there, the first of a device copies the dataset to
                       it; "cpu": by the CPU.

        Raises InfeasibleError, naming users, if all items outside some user's positives weigh 0; OptionError (both
        ValueErrors).
        """
        if not isinstance(dataset, Dataset):
            raise TypeError(f"dataset is a {type(dataset).__name__}; expected a negpipe.Dataset")
        self.dataset = dataset
        if device not in ("auto", "cpu"):
            raise errors.OptionError(f"`device`: {device!r} given; expected 'auto' or 'cpu'")
        self.alpha, given = checked_distribution(distribution, alpha, weights)
        self.distribution = "weights" if weights is not None else distribution
        self.device = device
        self._on_devices: dict[int, Any] = {}
        self._making = threading.Lock()
        self._process = os.getpid()
        self._bitset_budget = checked_integer(bitset_budget, "bitset_budget", 2**64 - 1)
        self._native = _native.negative_sampler(
            dataset._native,
            seed=checked_integer(seed, "seed", 2**64 - 1),
            weights=given,
            alpha=self.alpha,
            threads=checked_integer(threads, "threads", 4096),
            bitset_budget=self._bitset_budget,
        )

    def _open(self) -> _native.NegativeSampler:
        if self._process != os.getpid():
            _of_parents.append(self._native)
            self._native = self._native.with_threads(1)
            self._process = os.getpid()
        return self._native

    def _on_device(self, *values):
        """The sampler on the CUDA device of the first value that lies on one; None if the CPU is to draw."""
        torch = sys.modules.get("torch")
        if torch is None or self.device == "cpu":
            return None
        for given in values:
            if isinstance(given, torch.Tensor) and given.is_cuda:
                break
        else:
            return None
        made = self._on_devices.get(given.device.index)
        if made is not None:
            return made
        if not any(name == "cuda" and works for name, works, _ in _native.backends()):
            return None
        from negpipe._torch_negatives import DeviceSampler

        with self._making:
            if given.device.index not in self._on_devices:
                self._on_devices[given.device.index] = DeviceSampler(
                    self._open(), self.dataset.num_items, self._bitset_budget, given.device
                )
            return self._on_devices[given.device.index]

    def check(self) -> None:
        """Waits for torch's current streams on the CUDA devices that were used, and raises what kernels found.

        Does nothing on the CPU, which raises errors at once. Not while a CUDA graph is captured.
        """
        for on_device in list(self._on_devices.values()):
            on_device.check()

    @property
    def seed(self) -> int:
        return self._native.seed

    @property
    def weights(self) -> npt.NDArray[np.uint32] | None:
        """uint32 [num_items]: a copy of the items' weights; None if uniform."""
        return self._native.weights

    @property
    def weights_digest(self) -> str:
        """MD5 of the weights as little-endian uint32; empty if uniform."""
        return self._native.weights_digest

    def sample(
        self,
        users,
        num_negatives: int = 1,
        *,
        at: int = 0,
        offset: int = 0,
        distinct: bool = False,
        shared: bool = False,
        exclude=None,
    ):
        """Draws num_negatives items per user: int32 [..., num_negatives], of the kind of users.

        users:    integers [...]; the negatives of negative numbers are -1. With shared=True they only name the kind of
                  the result, and may be None.
        at:       the number of the call, below 2^32, such as the step: equal numbers draw equal items. For users on a
                  CUDA device also an int64 tensor of one number on it, read (modulo 2^32) when the kernel runs: a
                  captured graph that increments it draws anew at each replay.
        offset:   number of the first user in its batch, where a batch is split into calls (with shared=True: of the
                  first item). An int64 tensor as at.
        distinct: no item twice among the negatives of a user. With shared=True: among those of the call; a call with
                  another offset may give them again, so draw all in one call.
        shared:   draws num_negatives items for the whole batch from all items, positives of some users included:
                  int32 [num_negatives]. contains() tells them apart.
        exclude:  further items that are not drawn: integers that broadcast to [..., X] (with shared=True: [X]).
                  Negative numbers are ignored.

        Raises OutOfRangeError (an IndexError) for a user or item that does not exist; InfeasibleError (a ValueError)
        if distinct or exclude leave a user too few items; OptionError (a ValueError). For users on a CUDA device the
        first two are raised later, see check(); the rows have -1.
        """
        count = checked_integer(num_negatives, "num_negatives", 2**32 - 1)
        if distinct and count > self.dataset.num_items:  # before memory is allocated
            raise errors.InfeasibleError(
                f"{count} distinct negatives wanted, but the dataset has only {self.dataset.num_items} items; draw "
                "fewer"
            )
        if users is None and not shared:
            raise errors.OptionError("`users` is None; expected integers, or shared=True")
        on_device = self._on_device(users)
        if on_device is not None:
            return on_device.sample(
                None if shared else users,
                count,
                at=_number(at, "at", MAX_AT),
                offset=_number(offset, "offset", 2**64 - 1),
                distinct=bool(distinct),
                exclude=exclude,
            )
        kind = users
        numbers = None if shared else _integers(users, "users")
        shape = () if numbers is None else numbers.shape
        excluded = np.zeros(0, np.int32)
        if exclude is not None:
            excluded = _narrow(exclude, "item", self.dataset.num_items, "exclude")
            wanted = shape + excluded.shape[-1:]
            try:
                excluded = np.ascontiguousarray(np.broadcast_to(excluded, wanted))
            except ValueError:
                raise errors.OptionError(
                    f"`exclude` has the shape {list(excluded.shape)}; expected {[*shape, 'X']}, or one that broadcasts"
                ) from None
        given = {
            "negatives": count,
            "at": checked_integer(at, "at", MAX_AT),
            "offset": checked_integer(offset, "offset", 2**64 - 1),
        }
        try:
            items = self._open().sample(
                None if numbers is None else numbers.ravel(),
                distinct=bool(distinct),
                excluded=excluded.ravel(),
                **given,
            )
        except MemoryError:
            wanted = 4 * count * (1 if numbers is None else numbers.size)
            raise MemoryError(
                f"`num_negatives`: {count} given, for the shape {list(shape)} of users: {wanted:,} bytes, more than "
                "the system gives this process; draw fewer, or a part of the users in each call (offset)"
            ) from None
        return _like(items.reshape(*shape, count), kind)

    def contains(self, users, items):
        """Whether items are training positives of users: bool, in the shape to which both broadcast. Exact.

        [B, 1] and [K] give the hits of shared negatives; for large batches see masks(). False for negative numbers.
        """
        on_device = self._on_device(users, items)
        if on_device is not None:
            return on_device.contains(users, items)
        both = _broadcast(*self._numbers(users, items))
        found = self._open().contains(*map(np.atleast_1d, both)).view(bool)
        return _like(found.reshape(both[0].shape), _first_array(users, items))

    def masks(self, users, items, rows: int = 1024) -> Iterator[tuple[slice, Any]]:
        """The mask contains(users[:, None], items[None, :]) in tiles: yields (slice of users, bool [rows, items]).

        users, items: integers [B] and [K]. Never holds the whole mask, which for a batch of 65,536 has 2^32 values.
        Raises, at the first tile, what contains() raises, and OptionError (a ValueError) for other shapes.
        """
        rows = max(1, checked_integer(rows, "rows", 2**31 - 1))
        on_device = self._on_device(users, items)
        if on_device is not None:
            users_array, items_array, kind = on_device.ids(users, "users"), on_device.ids(items, "items"), None
        else:
            users_array, items_array = self._numbers(users, items)
            kind = _first_array(users, items)
        for what, array in (("users", users_array), ("items", items_array)):
            if array.ndim != 1:
                raise errors.OptionError(f"`{what}` has the shape {list(array.shape)}; expected one dimension")
        for begin in range(0, len(users_array), rows):
            part = slice(begin, min(begin + rows, len(users_array)))
            yield part, _like(self.contains(users_array[part, None], items_array[None, :]), kind)

    def log_q(self, users, items):
        """The natural logarithm of the probability that a draw for users gives items: float32, broadcast as contains().

        Uniform: -log(I - d), with I items and d positives of the user. Weighted: log w - log(W - W_u). -inf for weight
        0. The user's positives, which are never drawn, have what the formula gives. users=None, or a negative number,
        stands for shared draws: log w - log W. 0 for negative items.
        """
        users = -1 if users is None else users
        on_device = self._on_device(users, items)
        if on_device is not None:
            return on_device.log_q(users, items)
        both = _broadcast(*self._numbers(users, items))
        values = self._open().log_q(*map(np.atleast_1d, both))
        return _like(values.reshape(both[0].shape), _first_array(users, items))

    def _numbers(self, users, items) -> tuple[np.ndarray, np.ndarray]:
        return _narrow(users, "user", self.dataset.num_users), _narrow(items, "item", self.dataset.num_items)

    def __reduce__(self):
        options = {"distribution": "uniform" if self.distribution == "weights" else self.distribution}
        weights = self.weights if self.distribution == "weights" else None
        return _rebuild, (self.dataset, self.seed, {**options, "device": self.device}, self.alpha, weights)

    def __repr__(self) -> str:
        how = self.distribution if self.alpha is None else f"{self.distribution} ** {self.alpha:g}"
        return f"NegativeSampler({self.dataset!r}, seed={self.seed}, {how}, {self._native.description})"


def _rebuild(dataset, seed, options, alpha, weights) -> NegativeSampler:
    return NegativeSampler(dataset, seed, alpha=alpha, weights=weights, **options)


def checked_distribution(
    distribution: str, alpha, weights, default_alpha: float = DEFAULT_ALPHA
) -> tuple[float | None, np.ndarray | None]:
    """(alpha of popularity or None, weights as uint32 or None). Raises OptionError."""
    if distribution not in ("uniform", "popularity"):
        raise errors.OptionError(f"`distribution`: {distribution!r} given; expected 'uniform' or 'popularity'")
    if distribution == "popularity" and weights is not None:
        raise errors.OptionError("`weights`: excludes `distribution`; leave one of them out")
    if alpha is not None and distribution != "popularity":
        raise errors.OptionError("`alpha`: only distribution='popularity' takes it")
    if distribution == "popularity":
        return checked_number(default_alpha if alpha is None else alpha, "alpha"), None
    return None, None if weights is None else _checked_weights(weights)


def _checked_weights(weights) -> np.ndarray:
    """uint32. Raises OptionError for numbers that are negative, no integers, or too large."""
    array = _integers(weights, "weights")
    if array.ndim != 1:
        raise errors.OptionError(f"`weights` has the shape {list(array.shape)}; expected one weight an item")
    wrong = array[(array < 0) | (array > np.iinfo(np.uint32).max)]
    if wrong.size:
        raise errors.OptionError(f"`weights`: {wrong[0]} given; expected 0 to {np.iinfo(np.uint32).max}")
    return array.astype(np.uint32)
