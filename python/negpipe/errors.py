"""The exceptions of negpipe. Each is also the built-in exception that callers catch for such a failure.

Messages say what was found and where, what was expected, and what to do.
"""


class Error(Exception):
    """Base of all others."""


class InputError(Error, ValueError):
    """Ratings that cannot be read as they stand: names file, line and column."""


class OptionError(Error, ValueError):
    """An argument out of its range, or arguments that exclude each other."""


class FormatError(Error, ValueError):
    """A dataset folder or a record file that is damaged, incomplete or of another version."""


class InfeasibleError(Error, ValueError):
    """What was asked for does not exist, such as 999 distinct negatives of a user who has 10 items left."""


class StateMismatchError(Error, ValueError):
    """A loader's state that belongs to another dataset, other options or another stream version."""


class UnknownIdError(Error, KeyError):
    """An id that is not in the dataset."""

    __str__ = Exception.__str__  # KeyError's shows quotes around the message


class OutOfRangeError(Error, IndexError):
    """A number that no batch, user or item has."""


class FileError(Error, OSError):
    """The operating system refused: no permission, not a folder, no such file."""


class MissingFileError(FileError, FileNotFoundError):
    """There is no such file or folder."""


class DiskFullError(FileError):
    """There is no room left on the disk."""


class BackendError(Error, RuntimeError):
    """A device that is not there or failed."""


class DeviceMemoryError(BackendError, MemoryError):
    """The device has too little memory for what was asked."""


class DeviceLostError(BackendError):
    """The device failed in a way that no later call of this process recovers from."""


class ForkError(BackendError):
    """An object that cannot be used in a process forked from the one that made it."""
