"""The exceptions of negpipe. Each also derives from the matching built-in exception.

Messages say what was found and where, what was expected, and what to do.
"""


class Error(Exception):
    """Base class of all exceptions of negpipe."""


class InputError(Error, ValueError):
    """Invalid ratings; the message names file, line and column."""


class OptionError(Error, ValueError):
    """An argument out of range, or arguments that exclude each other."""


class FormatError(Error, ValueError):
    """A dataset folder or a record file that is damaged, incomplete or of another version."""


class InfeasibleError(Error, ValueError):
    """The request cannot be met, such as 999 distinct negatives for a user with 10 items left."""


class StateMismatchError(Error, ValueError):
    """A loader's state that belongs to another dataset, other options or another stream version."""


class UnknownIdError(Error, KeyError):
    """An id that is not in the dataset."""

    __str__ = Exception.__str__  # that of KeyError quotes the message


class OutOfRangeError(Error, IndexError):
    """A batch, user or item number that does not exist."""


class FileError(Error, OSError):
    """An error of the operating system, such as no permission."""


class MissingFileError(FileError, FileNotFoundError):
    """A missing file or folder."""


class DiskFullError(FileError):
    """The disk is full."""


class BackendError(Error, RuntimeError):
    """A device is not available, or failed."""


class DeviceMemoryError(BackendError, MemoryError):
    """The device has too little memory for the request."""


class DeviceLostError(BackendError):
    """The device is lost: all later calls of this process fail too."""


class ForkError(BackendError):
    """An object was used in a process forked from the one that made it."""
