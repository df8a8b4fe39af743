"""Record files without TensorFlow: NumPy views over mapped files, checksums checked.

A folder of records is one cycle of training data or the evaluation data; FORMAT.md of the library describes it. One
record is one batch.
"""

import dataclasses
import gzip
import hashlib
import json
import mmap
import os
import pathlib
import re
import struct
import zlib

import crc32c
import numpy as np

READY_FILE = "ready.json"
TRAINING_FOLDER = "training_epochs"
EVALUATION_FOLDER = "eval_data"
USER_COLUMN = "user_id"
ITEM_COLUMN = "item_id"
LABELS = "labels"
DUPLICATE_MASK = "duplicate_mask"
VALID_POINT_MASK = "valid_point_mask"

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_CYCLE_NAME = re.compile(r"cycle_(\d+)$")


class FormatError(ValueError):
    """A record file or ready.json is damaged or of another version; the message says where."""


# ---- framing


def _masked_crc(data):
    crc = crc32c.crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _map(path, compressed):
    if compressed:
        try:
            with gzip.open(path, "rb") as file:
                return memoryview(file.read())
        except (EOFError, zlib.error, gzip.BadGzipFile) as failure:
            raise FormatError(f"{path} is no whole gzip file: {failure}") from failure
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _damage(path, record, offset, what):
    return FormatError(f"{path}: record {record} at byte {offset}: {what}")


def read_payloads(path, compressed=False):
    """Yields the payload of each record of a file as a memoryview, both checksums checked. Raises FormatError."""
    content = _map(path, compressed)
    offset = 0
    record = 0
    while offset < len(content):
        left = len(content) - offset
        if left < _HEADER.size:
            raise _damage(path, record, offset, f"{left} bytes are left, {_HEADER.size} wanted")
        length, header_crc = _HEADER.unpack_from(content, offset)
        if header_crc != _masked_crc(content[offset : offset + 8]):
            raise _damage(path, record, offset, "the checksum of the length is wrong")
        begin = offset + _HEADER.size
        end = begin + length
        if end + _FOOTER.size > len(content):
            missing = end + _FOOTER.size - len(content)
            raise _damage(path, record, offset, f"the file ends {missing} bytes too early")
        payload = content[begin:end]
        if _FOOTER.unpack_from(content, end)[0] != _masked_crc(payload):
            raise _damage(path, record, offset, "the checksum of the payload is wrong")
        yield payload
        offset = end + _FOOTER.size
        record += 1


# ---- tf.train.Example


def _varint(data, offset):
    value = 0
    for shift in range(0, 64, 7):
        if offset >= len(data):
            break
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise FormatError("a number of the message is cut off or longer than 64 bits")


def _messages(data):
    """Yields (field number, content) of a message all of whose fields are length-delimited."""
    offset = 0
    while offset < len(data):
        key, offset = _varint(data, offset)
        if key & 7 != 2:
            raise FormatError(f"a field has wire type {key & 7}, 2 wanted")
        length, offset = _varint(data, offset)
        if offset + length > len(data):
            raise FormatError("a field is longer than its message")
        yield key >> 3, data[offset : offset + length]
        offset += length


def _only(data, wanted):
    found = [content for number, content in _messages(data) if number == wanted]
    if len(found) != 1:
        raise FormatError(f"field {wanted} occurs {len(found)} times, once wanted")
    return found[0]


def parse_example(payload):
    """The features of a serialized tf.train.Example, each a BytesList of one value, as {name: memoryview}."""
    features = {}
    for number, entry in _messages(_only(payload, 1)):
        if number != 1:
            raise FormatError(f"the feature map holds field {number}, 1 wanted")
        fields = dict(_messages(entry))
        if fields.keys() != {1, 2}:
            raise FormatError("an entry of the feature map is no pair of name and feature")
        features[bytes(fields[1]).decode()] = _only(_only(fields[2], 1), 1)
    return features


# ---- folders


class RecordFolder:
    """One published folder of records. Reading it is safe from any number of threads.

    Attributes: path; ready (the content of ready.json, a dict); batch_size; batch_count; is_training; dtypes ({column:
    numpy dtype}); files (record files in the order of their numbers).
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        ready_file = self.path / READY_FILE
        try:
            self.ready = json.loads(ready_file.read_text())
            self.batch_size = int(self.ready["batch_size"])
            self.batch_count = int(self.ready["batch_count"])
            self.is_training = self.ready["kind"] == "train"
            self.compressed = self.ready["compression"] == "gzip"
            self.dtypes = {name: np.dtype(kind).newbyteorder("<") for name, kind in self.ready["dtypes"].items()}
            self.files = [self.path / file["name"] for file in self.ready["files"]]
        except (ValueError, KeyError, TypeError) as failure:
            raise FormatError(f"{ready_file} is not what negpipe writes: {failure!r}") from failure

    def batches(self):
        """Yields every batch in order as {column: array [batch_size]}, read-only views of the file where it is plain.

        Raises FormatError for anything that is not as ready.json says.
        """
        count = 0
        for path, listed in zip(self.files, self.ready["files"]):
            records = 0
            for payload in read_payloads(path, self.compressed):
                yield self._columns(path, records, payload)
                records += 1
            if records != listed["record_count"]:
                raise FormatError(f"{path} holds {records} records, {listed['record_count']} wanted")
            count += records
        if count != self.batch_count:
            raise FormatError(f"{self.path} holds {count} batches, {self.batch_count} wanted")

    def _columns(self, path, record, payload):
        try:
            features = parse_example(payload)
        except FormatError as failure:
            raise FormatError(f"{path}: record {record}: {failure}") from failure
        if features.keys() != self.dtypes.keys():
            raise FormatError(f"{path}: record {record} has {sorted(features)}, {sorted(self.dtypes)} wanted")
        for name, dtype in self.dtypes.items():
            if len(features[name]) != self.batch_size * dtype.itemsize:
                raise FormatError(
                    f"{path}: record {record}: {name} has {len(features[name])} bytes, "
                    f"{self.batch_size} of {dtype} wanted"
                )
        return {name: np.frombuffer(features[name], dtype) for name, dtype in self.dtypes.items()}


def cycle_folders(training_folder):
    """The published cycles below a folder `training_epochs`, ascending, as [(number, path)]; [] if it is missing."""
    cycles = []
    try:
        names = os.listdir(training_folder)
    except FileNotFoundError:
        return cycles
    for name in names:
        match = _CYCLE_NAME.match(name)
        path = pathlib.Path(training_folder) / name
        if match and (path / READY_FILE).exists():
            cycles.append((int(match.group(1)), path))
    return sorted(cycles)


# ---- hash


@dataclasses.dataclass(frozen=True)
class RecordHash:
    """MD5 over users and items of all batches in order, and of the first alone, in hexadecimal: as `negpipe hash`."""

    name: str
    batch_count: int
    all_batches: str
    first_batch: str


def hash_batches(name, batches):
    """The RecordHash of an iterable of batches ({column: array})."""
    digest = hashlib.md5(usedforsecurity=False)
    count = 0
    first = digest.hexdigest()
    for batch in batches:
        digest.update(batch[USER_COLUMN])
        digest.update(batch[ITEM_COLUMN])
        count += 1
        if count == 1:
            first = digest.hexdigest()
    return RecordHash(name, count, digest.hexdigest(), first if count else "")


def hash(folder):  # noqa: A001 - the name of the program's subcommand
    """A RecordHash for every cycle below an output folder, ascending, then for the evaluation data if it is there.

    A folder of records itself gives a list of one.
    """
    folder = pathlib.Path(folder)
    if (folder / READY_FILE).exists():
        found = [folder]
    else:
        found = [path for _, path in cycle_folders(folder / TRAINING_FOLDER)]
        if (folder / EVALUATION_FOLDER / READY_FILE).exists():
            found.append(folder / EVALUATION_FOLDER)
    if not found:
        raise FormatError(f"{folder} holds no finished records; give the folder that generate or produce wrote to")
    return [hash_batches(path.name, RecordFolder(path).batches()) for path in found]
