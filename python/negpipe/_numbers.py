"""Checks of single numbers that are given as arguments."""

from __future__ import annotations

import operator

from negpipe import errors


def checked_integer(value, what: str, limit: int) -> int:
    """value as an int. Raises TypeError for what is no integer, OptionError unless it is in [0, limit]."""
    try:
        number = operator.index(value.item() if getattr(value, "ndim", None) == 0 else value)
    except TypeError:
        raise TypeError(f"`{what}`: {value!r} given; expected an integer") from None
    if not 0 <= number <= limit:
        raise errors.OptionError(f"`{what}`: {number} given; expected 0 to {limit}")
    return number


def checked_number(value, what: str) -> float:
    """value as a float. Raises OptionError."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise errors.OptionError(f"`{what}`: {value!r} given; expected a number") from None
