"""Checks of single values that are given as arguments."""

from __future__ import annotations

import operator

from negpipe import errors


def checked_integer(value, what: str, limit: int, least: int = 0) -> int:
    """value as an int. Raises TypeError for what is no integer, OptionError unless it is in [least, limit]."""
    try:
        number = operator.index(value.item() if getattr(value, "ndim", None) == 0 else value)
    except TypeError:
        raise TypeError(f"`{what}`: {value!r} given; expected an integer") from None
    if not least <= number <= limit:
        raise errors.OptionError(f"`{what}`: {number} given; expected {least} to {limit}")
    return number


def optional_integer(value, what: str, limit: int) -> int | None:
    """None, or value as checked_integer returns it."""
    return None if value is None else checked_integer(value, what, limit)


def checked_text(value, what: str) -> str:
    """value, which is one of the names of an option. Raises TypeError for what is no str."""
    if not isinstance(value, str):
        raise TypeError(f"`{what}`: {value!r} given; expected a name, as text")
    return value


def checked_number(value, what: str) -> float:
    """value as a float. Raises OptionError."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise errors.OptionError(f"`{what}`: {value!r} given; expected a number") from None
