"""Reads record files without TensorFlow: NumPy arrays, batch by batch, with checksums checked.

A folder of records holds one cycle of training data or the evaluation data (see FORMAT.md). One record is one batch.

The reader is the program's, and trusts nothing in the folder: whatever FORMAT.md does not allow raises FormatError, and
so does a file that is truncated while it is read. It needs memory for one batch, whatever the files claim, besides that
of the batches that are held: arrays are views of what was read. An OSError concerns the process, not the files: no
permission, or no file descriptor left.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import pathlib
import re

import numpy as np

from negpipe import _native
from negpipe._numbers import checked_integer
from negpipe.errors import FileError, FormatError

__all__ = [
    "DUPLICATE_MASK",
    "EVALUATION_FOLDER",
    "FORMAT_VERSION",
    "ITEM_COLUMN",
    "LABELS",
    "MAX_PAYLOAD_BYTES",
    "NEGATIVE_ITEM_COLUMN",
    "READY_FILE",
    "TRAINING_FOLDER",
    "USER_COLUMN",
    "VALID_POINT_MASK",
    "FormatError",
    "RecordFolder",
    "RecordHash",
    "cycle_folders",
    "hash",
    "hash_batches",
    "parse_example",
    "read_payloads",
]

FORMAT_VERSION = 1
READY_FILE = "ready.json"
USER_COLUMN = "user_id"
ITEM_COLUMN = "item_id"
NEGATIVE_ITEM_COLUMN = "negative_item_id"
LABELS = "labels"
DUPLICATE_MASK = "duplicate_mask"
VALID_POINT_MASK = "valid_point_mask"
MAX_PAYLOAD_BYTES = 2**31 - 1
TRAINING_FOLDER = "training_epochs"
EVALUATION_FOLDER = "eval_data"

_CYCLE_NAME = re.compile(r"cycle_([0-9]{1,19})")  # numbers of 64 bits, as in the program


@contextlib.contextmanager
def _distrusting(*paths):
    """Raises FormatError for a FileError that concerns one of the files, not this process: links in a circle."""
    try:
        yield
    except FileError as failure:
        for path in paths:
            try:
                os.stat(path)
            except OSError as found:
                if found.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG):
                    raise FormatError(str(failure)) from None
        raise


class RecordFolder:
    """One published folder of records. Safe to read from any number of threads.

    Attributes: path; ready (the content of ready.json, a dict); batch_size; batch_count; is_training; compressed;
    dtypes ({column: numpy dtype}); shapes ({column: shape in a batch}); files (record files in the order of their
    numbers).

    Raises FormatError if ready.json is missing or is not as in FORMAT.md. Does not open the record files.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with _distrusting(self.path / READY_FILE):
            self._batches = _native.RecordBatches(self.path)
        self.ready = json.loads(self._batches.ready_json)
        self.batch_size = self._batches.batch_size
        self.batch_count = self._batches.batch_count
        self.is_training = self._batches.is_training
        self.compressed = self._batches.compressed
        self.dtypes = {name: np.dtype(dtype) for name, dtype, _ in self._batches.columns}
        self.shapes = {name: shape for name, _, shape in self._batches.columns}
        self.files = [self.path / name for name in self._batches.files]

    def check_files(self):
        """Raises FormatError unless all record files are regular files of the sizes that ready.json lists."""
        with _distrusting(*self.files):
            self._batches.check_files()

    def batches(self):
        """Yields all batches in order as {column: read-only array}, each [batch_size]; negative_item_id of the pairwise
        layout is [batch_size, num_neg]. The arrays of a batch share memory, which lives as long as one of them.

        Raises FormatError for files of other sizes than ready.json has, for records that are damaged, and, after the
        last batch of a file, for another checksum than ready.json has: another file was put in its place.
        """
        for file in range(len(self.files)):
            with _distrusting(self.files[file]):
                reader = _native.RecordBatchReader(self._batches, file)
            while (arrays := reader.next()) is not None:
                yield dict(zip(self.shapes, arrays))


def read_payloads(path, compressed=False, max_payload_bytes=MAX_PAYLOAD_BYTES):
    """Yields the payload of each record of a file as a read-only memoryview. Checks both checksums.

    Raises FormatError for damage, and for a payload longer than max_payload_bytes before it allocates memory.
    """
    max_payload_bytes = checked_integer(max_payload_bytes, "max_payload_bytes", MAX_PAYLOAD_BYTES)
    reader = _native.RecordReader(pathlib.Path(path), bool(compressed), max_payload_bytes)
    while (payload := reader.next()) is not None:
        yield memoryview(payload)


def parse_example(payload):
    """Returns the features of a serialized tf.train.Example as {name: memoryview}.

    Raises FormatError unless each is a BytesList of one value.
    """
    payload = memoryview(payload)
    found = _native.parse_example(bytes(payload))
    return {name: payload[offset : offset + length] for name, offset, length in found}


def _numbered_folders(training_folder):
    """Returns the entries cycle_N of a folder `training_epochs` as [(number, path)], ascending; [] if missing."""
    try:
        names = os.listdir(training_folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = [match for match in map(_CYCLE_NAME.fullmatch, names) if match]
    return sorted((int(match.group(1)), pathlib.Path(training_folder) / match.group()) for match in matches)


def cycle_folders(training_folder):
    """Returns the published cycles of a folder `training_epochs` as [(number, path)], ascending; [] if missing."""
    return [(number, path) for number, path in _numbered_folders(training_folder) if (path / READY_FILE).exists()]


@dataclasses.dataclass(frozen=True)
class RecordHash:
    """MD5 of the users, items and negatives of all batches in order, and of the first batch, as `negpipe hash`."""

    name: str
    batch_count: int
    all_batches: str
    first_batch: str


def hash_batches(name, batches):
    """Returns the RecordHash of an iterable of batches ({column: array})."""
    digest = hashlib.md5(usedforsecurity=False)
    count = 0
    first = digest.hexdigest()
    for batch in batches:
        digest.update(batch[USER_COLUMN])
        digest.update(batch[ITEM_COLUMN])
        if NEGATIVE_ITEM_COLUMN in batch:
            digest.update(batch[NEGATIVE_ITEM_COLUMN])
        count += 1
        if count == 1:
            first = digest.hexdigest()
    return RecordHash(name, count, digest.hexdigest(), first if count else "")


def _folders_of(folder):
    """Returns [(path, whether it must be training data)] of all folders of records in an output folder."""
    found = [(path, True) for _, path in _numbered_folders(folder / TRAINING_FOLDER)]
    if (folder / EVALUATION_FOLDER).is_dir():
        found.append((folder / EVALUATION_FOLDER, False))
    return found


def _hash_folder(records):
    version = records.ready["stream_version"]
    if not 1 <= version <= _native.stream_version:
        raise FormatError(
            f'{records.path / READY_FILE}: "stream_version" is {version}, 1 to {_native.stream_version} wanted; '
            f"hash it with negpipe {records.ready['library_version']}"
        )
    return hash_batches(records.path.name, records.batches())


def hash(folder):  # noqa: A001 - the name of the program's subcommand
    """Returns the RecordHash of each cycle of an output folder, ascending, and then of the evaluation data, if any.

    For a folder of records the list has one element. Raises FormatError, also for an unfinished folder, and for a later
    stream version.
    """
    folder = pathlib.Path(folder)
    if os.path.lexists(folder / READY_FILE):
        return [_hash_folder(RecordFolder(folder))]
    hashes = []
    for path, is_training in _folders_of(folder):
        records = RecordFolder(path)
        if records.is_training != is_training:
            raise FormatError(f'{path / READY_FILE}: "kind" does not match this folder')
        hashes.append(_hash_folder(records))
    if not hashes:
        raise FormatError(f"{folder} holds no finished records; give the folder that generate or produce wrote to")
    return hashes
