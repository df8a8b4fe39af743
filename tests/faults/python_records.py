"""Reads record files in plain Python, independent of the program and of negpipe.records: the second opinion of
folder_fuzz.py. Accepts what FORMAT.md allows and raises FormatError for everything else."""

import dataclasses
import hashlib
import math
import os
import pathlib
import re

import crc32c
import numpy as np
from negpipe.errors import FormatError
from python_ready_file import ITEM_COLUMN, NEGATIVE_ITEM_COLUMN, READY_FILE, USER_COLUMN, read_ready_file
from python_tfrecord import file_size, open_file, parse_example, payloads

TRAINING_FOLDER = "training_epochs"
EVALUATION_FOLDER = "eval_data"

_CYCLE_NAME = re.compile(r"cycle_([0-9]{1,19})")  # numbers of 64 bits, as in the program


def _file_checksum(path):
    checksum = 0
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            checksum = crc32c.crc32c(part, checksum)
    return f"{checksum:08x}"


class RecordFolder:
    """One published folder of records, as negpipe.records.RecordFolder."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        ready = read_ready_file(self.path / READY_FILE)
        self.is_training = ready.is_training
        self.compressed = ready.compressed
        self.dtypes = ready.dtypes
        self.shapes = ready.shapes
        self._listed = ready.files
        self._max_payload_bytes = ready.max_payload_bytes

    def batches(self):
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
            if (found := _file_checksum(path)) != listed.crc32c:
                raise FormatError(f"{path} has the CRC-32C {found}, {listed.crc32c} wanted by {READY_FILE}")

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


def hash(run):  # noqa: A001 - the name in negpipe.records
    """Returns the hashes of all folders of records in an output folder, as records.hash."""
    hashes = []
    for path, is_training in _folders_of(pathlib.Path(run)):
        folder = RecordFolder(path)
        if folder.is_training != is_training:
            raise FormatError(f'{path / READY_FILE}: "kind" does not match this folder')
        hashes.append(hash_batches(path.name, folder.batches()))
    if not hashes:
        raise FormatError(f"{run} holds no finished records")
    return hashes
