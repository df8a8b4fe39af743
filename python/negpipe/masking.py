"""Full ranking: scores of all items, from which the training positives of each user are removed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from negpipe import _native, columns, errors

if TYPE_CHECKING:
    from negpipe.dataset import Dataset


def checked_users(data: Dataset, users) -> np.ndarray:
    """users as int32 [n]. Raises OutOfRangeError, OptionError."""
    users = columns._as_numpy(users, "users")
    if users.ndim != 1 or not (np.issubdtype(users.dtype, np.integer) or not users.size):
        raise errors.OptionError(f"`users` is {users.dtype} {list(users.shape)}; expected integers of one dimension")
    wrong = np.flatnonzero((users < 0) | (users >= data.num_users))
    if wrong.size:
        raise errors.OutOfRangeError(
            f"`users`: value {wrong[0]} is {users[wrong[0]]}; expected a user in [0, {data.num_users})"
        )
    return np.ascontiguousarray(users, np.int32)


def users_of_rows(data: Dataset, users, scores_shape) -> np.ndarray:
    """checked_users. Raises OptionError unless scores are [n, num_items]."""
    users = checked_users(data, users)
    if tuple(scores_shape) != (len(users), data.num_items):
        raise errors.OptionError(
            f"`scores` has the shape {list(scores_shape)}; expected [{len(users)}, {data.num_items}], a row for each "
            "of `users` and a column for each item"
        )
    return users


def rows_of(offsets: np.ndarray, items: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of users: (offsets int64 [n + 1], items), where row i is items[offsets[i]:offsets[i + 1]]."""
    begins = offsets[users]
    ends = np.concatenate(([0], np.cumsum(offsets[users + 1] - begins)))
    rows = np.repeat(np.arange(len(users)), np.diff(ends))
    return ends, items[np.arange(len(rows)) - ends[rows] + begins[rows]]


def checked_set(data: Dataset, name: str, argument: str) -> str:
    """name. Raises OptionError unless it is "test" or "validation", and for a set that is not there."""
    if name not in ("test", "validation"):
        raise errors.OptionError(f"`{argument}`: {name!r} given; expected 'test' or 'validation'")
    if name == "validation" and not data.has_validation:
        raise errors.OptionError(f"`{argument}`: the dataset has no validation set; prepare it with a split that has")
    return name


def held_out(data: Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(offsets, items) of all users."""
    if name == "test":
        return data.test_offsets, data.test_items
    return data.validation_offsets, data.validation_items


def positions(data: Dataset, users: np.ndarray, also: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(rows, items) that are masked for users in a matrix with a row for each of them: int64, int32."""
    sets = [(data.user_offsets, data.positive_items)] + ([held_out(data, also)] if also else [])
    found = [rows_of(*each, users) for each in sets]
    rows = [np.repeat(np.arange(len(users)), np.diff(offsets)) for offsets, _ in found]
    return np.concatenate(rows), np.concatenate([items for _, items in found])


def _check_separate(strides, shape) -> None:
    """Raises OptionError where rows or columns share memory, as in a broadcast view: a user's mask would hit others."""
    if 0 not in shape and any(stride == 0 and size > 1 for stride, size in zip(strides, shape)):
        raise errors.OptionError("the rows or columns of `scores` share memory, as in a broadcast view; give a copy")


def _mask_numpy(data: Dataset, scores: np.ndarray, users: np.ndarray, also: str | None) -> None:
    if not scores.flags.writeable:
        raise errors.OptionError("`scores` is read-only; give a copy")
    if not scores.dtype.isnative:
        raise errors.OptionError(f"`scores` is {scores.dtype.str}; expected the byte order of this machine")
    if scores.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise errors.OptionError(f"`scores` is {scores.dtype}; expected float16, bfloat16, float32 or float64")
    _check_separate(scores.strides, scores.shape)
    as_bfloat16 = scores.dtype.name == "bfloat16"  # of ml_dtypes
    _native.mask_positives(
        data._native, scores.view(np.uint16) if as_bfloat16 else scores, users, as_bfloat16=as_bfloat16, also=also or ""
    )


def _mask_torch(data: Dataset, scores, users: np.ndarray, also: str | None) -> None:
    if scores.requires_grad:
        raise errors.OptionError("`scores` requires gradients; call under torch.no_grad(), or give scores.detach()")
    torch = sys.modules["torch"]
    if scores.layout != torch.strided:
        raise errors.OptionError(f"`scores` is {scores.layout}; expected a dense tensor, such as scores.to_dense()")
    _check_separate(scores.stride(), scores.shape)
    # The memory of a negated view, such as x.conj().imag, holds the opposite numbers: only PyTorch writes there.
    if scores.device.type == "cpu" and scores.is_floating_point() and not scores.is_neg():
        _native.mask_positives(data._native, scores, users, also=also or "")
    else:
        _mask_indexed(data, scores, users, also)


def _mask_indexed(data: Dataset, scores, users: np.ndarray, also: str | None = None) -> None:
    """By PyTorch, on the tensor's device."""
    torch = sys.modules["torch"]
    if not scores.is_floating_point():
        raise errors.OptionError(f"`scores` is {scores.dtype}; expected a floating-point type")
    rows, items = (torch.from_numpy(index).to(scores.device, torch.int64) for index in positions(data, users, also))
    scores[rows, items] = -torch.inf


def mask_positives_(data: Dataset, scores, users, also: str | None = None):
    """See Dataset.mask_positives_."""
    maker = type(scores).__module__.partition(".")[0]
    if maker in ("jax", "jaxlib"):
        raise TypeError("JAX arrays are immutable; negpipe.jax.mask_positives returns a masked copy")
    is_torch = hasattr(scores, "requires_grad") and hasattr(scores, "is_floating_point")
    if not is_torch and not isinstance(scores, np.ndarray):
        raise TypeError(f"scores is a {type(scores).__name__}; expected a NumPy array or a PyTorch tensor")
    users = users_of_rows(data, users, scores.shape)
    if also is not None:
        checked_set(data, also, "also")
    (_mask_torch if is_torch else _mask_numpy)(data, scores, users, also)
    return scores
