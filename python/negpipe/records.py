"""Reads record files without TensorFlow: NumPy arrays, batch by batch, with checksums checked.

A folder of records holds one cycle of training data or the evaluation data (see FORMAT.md). One record is one batch.

The reader is independent of the program and trusts nothing in the folder: whatever FORMAT.md does not allow raises
FormatError. It needs memory for one batch, whatever the files claim. An OSError concerns the process, not the files:
no permission, or no file descriptor left.
"""

import dataclasses
import hashlib
import math
import os
import pathlib
import re

import numpy as np

from negpipe._ready_file import (
    DUPLICATE_MASK,
    FORMAT_VERSION,
    ITEM_COLUMN,
    LABELS,
    MAX_JSON_LEVELS,
    MAX_JSON_MEMBERS,
    MAX_READY_FILE_BYTES,
    NEGATIVE_ITEM_COLUMN,
    READY_FILE,
    USER_COLUMN,
    VALID_POINT_MASK,
    read_ready_file,
)
from negpipe._tfrecord import (
    MAX_FEATURES,
    MAX_PAYLOAD_BYTES,
    file_size,
    open_file,
    parse_example,
    payloads,
    read_payloads,
)
from negpipe.errors import FormatError

__all__ = [
    "DUPLICATE_MASK",
    "EVALUATION_FOLDER",
    "FORMAT_VERSION",
    "ITEM_COLUMN",
    "LABELS",
    "MAX_FEATURES",
    "MAX_JSON_LEVELS",
    "MAX_JSON_MEMBERS",
    "MAX_PAYLOAD_BYTES",
    "MAX_READY_FILE_BYTES",
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

TRAINING_FOLDER = "training_epochs"
EVALUATION_FOLDER = "eval_data"

_CYCLE_NAME = re.compile(r"cycle_([0-9]{1,19})")  # numbers of 64 bits, as in the program


class RecordFolder:
    """One published folder of records. Safe to read from any number of threads.

    Attributes: path; ready (the content of ready.json, a dict); batch_size; batch_count; is_training; compressed;
    dtypes ({column: numpy dtype}); shapes ({column: shape in a batch}); files (record files in the order of their
    numbers).

    Raises FormatError if ready.json is missing or is not as in FORMAT.md. Does not open the record files.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        ready = read_ready_file(self.path / READY_FILE)
        self.ready = ready.content
        self.batch_size = ready.batch_size
        self.batch_count = ready.batch_count
        self.is_training = ready.is_training
        self.compressed = ready.compressed
        self.dtypes = ready.dtypes
        self.shapes = ready.shapes
        self.files = [self.path / listed.name for listed in ready.files]
        self._listed = ready.files
        self._max_payload_bytes = ready.max_payload_bytes

    def check_files(self):
        """Raises FormatError unless all record files are regular files of the sizes that ready.json lists."""
        for listed in self._listed:
            self._open(listed).close()

    def batches(self):
        """Yields all batches in order as {column: read-only array}, each [batch_size]; negative_item_id of the pairwise
        layout is [batch_size, num_neg].

        Raises FormatError if the files differ from ready.json.
        """
        for listed in self._listed:
            yield from self._file_batches(listed)

    def _open(self, listed):
        path = self.path / listed.name
        file = open_file(path)
        size = file_size(file)
        if size != listed.byte_count:
            file.close()
            raise FormatError(f"{path} has {size} bytes, {listed.byte_count} wanted by {READY_FILE}")
        return file

    def _file_batches(self, listed):
        path = self.path / listed.name
        count = 0
        with self._open(listed) as file:
            for payload in payloads(path, file, self.compressed, self._max_payload_bytes):
                if count == listed.record_count:
                    raise FormatError(f"{path} holds more than {count} records, {count} wanted")
                yield self._columns(path, count, payload)
                count += 1
        if count != listed.record_count:
            raise FormatError(f"{path} holds {count} records, {listed.record_count} wanted")

    def _columns(self, path, record, payload):
        try:
            features = parse_example(payload)
        except FormatError as failure:
            raise FormatError(f"{path}: record {record}: {failure}") from failure
        if features.keys() != self.dtypes.keys():
            raise FormatError(f"{path}: record {record} has {sorted(features)}, {sorted(self.dtypes)} wanted")
        for name, dtype in self.dtypes.items():
            count = math.prod(self.shapes[name])
            if len(features[name]) != count * dtype.itemsize:
                raise FormatError(
                    f"{path}: record {record}: {name} has {len(features[name])} bytes, {count} of {dtype} wanted"
                )
        return {
            name: np.frombuffer(features[name], dtype).reshape(self.shapes[name]) for name, dtype in self.dtypes.items()
        }


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


def hash(folder):  # noqa: A001 - the name of the program's subcommand
    """Returns the RecordHash of each cycle of an output folder, ascending, and then of the evaluation data, if any.

    For a folder of records the list has one element. Raises FormatError, also for an unfinished folder.
    """
    folder = pathlib.Path(folder)
    if os.path.lexists(folder / READY_FILE):
        return [hash_batches(folder.name, RecordFolder(folder).batches())]
    hashes = []
    for path, is_training in _folders_of(folder):
        records = RecordFolder(path)
        if records.is_training != is_training:
            raise FormatError(f'{path / READY_FILE}: "kind" does not match this folder')
        hashes.append(hash_batches(path.name, records.batches()))
    if not hashes:
        raise FormatError(f"{folder} holds no finished records; give the folder that generate or produce wrote to")
    return hashes
