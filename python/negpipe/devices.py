"""The device of a loader."""

from __future__ import annotations

import os
import re

from negpipe import _native, errors

_NAME = re.compile(r"cuda(?::([0-9]{1,4}))?")


def local_rank() -> int | None:
    """The number of this process among those of its machine, if a launcher has set LOCAL_RANK."""
    value = os.environ.get("LOCAL_RANK")
    return None if value is None else int(value)


def require_cuda(device: object) -> None:
    """Raises BackendError with the reason if no CUDA device can be used."""
    for name, works, reason in _native.backends():
        if name == "cuda" and not works:
            raise errors.BackendError(f"device={str(device)!r}: {reason}")


def cuda_number(device: str) -> int | None:
    """The number of a CUDA device; None for "auto" and "cpu". "cuda" is the device of LOCAL_RANK, or 0.

    Raises OptionError (a ValueError) for other names, BackendError if no CUDA device can be used. Does not look whether
    this one exists.
    """
    if device in ("auto", "cpu"):
        return None
    found = _NAME.fullmatch(device) if isinstance(device, str) else None
    if found is None:
        raise errors.OptionError(f"device={device!r}; expected auto, cpu, cuda or cuda:NUMBER")
    require_cuda(device)
    return int(found[1]) if found[1] else local_rank() or 0
