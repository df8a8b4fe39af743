"""Reads record files without TensorFlow: NumPy arrays, batch by batch, checksums checked.

A folder of records is one cycle of training data or the evaluation data; the library's FORMAT.md describes it. One
record is one batch.

The reader is independent of the program and trusts nothing in the folder: whatever is not as FORMAT.md has it is a
FormatError. It needs memory for one batch, whatever the files claim. An OSError is left for what is not a matter of the
files, such as a lack of permission or of file descriptors.
"""

import dataclasses
import errno
import hashlib
import json
import math
import os
import pathlib
import re
import stat
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
FORMAT_VERSION = 1

# What a reader allows; FORMAT.md gives the reasons.
MAX_READY_FILE_BYTES = 16 << 20
MAX_JSON_LEVELS = 32
MAX_JSON_MEMBERS = 1000
MAX_PAYLOAD_BYTES = 2**31 - 1
MAX_FEATURES = 256

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_FRAME_BYTES = _HEADER.size + _FOOTER.size
_CHUNK_BYTES = 1 << 18
_CYCLE_NAME = re.compile(r"cycle_([0-9]{1,19})")  # what the program reads: numbers of 64 bits
_DIGEST = re.compile(r"[0-9a-f]{32}")
_CHECKSUM = re.compile(r"[0-9a-f]{8}")
_DIGITS = re.compile(r"[0-9]{1,20}")


class FormatError(ValueError):
    """A record file or ready.json is damaged, missing or of another version; the message says where."""


# ---- files

# What open() says of a name that is not that of a readable file, whatever the state of this process.
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV, errno.EISDIR}


def _open(path):
    """Opens a regular file. Raises FormatError for anything else; does not wait for a writer, as a FIFO would."""
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
    except OSError as failure:
        if failure.errno in _NO_FILE:
            raise FormatError(f"{path} cannot be opened: {failure.strerror}") from failure
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FormatError(f"{path} is not a regular file")
    return file


def _size(file):
    return os.fstat(file.fileno()).st_size


class _PlainStream:
    """The bytes of a file."""

    def __init__(self, file):
        self._file = file

    def read(self, count):
        """Returns the next `count` bytes, fewer only at the end of the file."""
        content = bytearray()
        while len(content) < count:
            # Memory grows with what is there, not with what is asked for.
            chunk = self._file.read(min(count - len(content), 64 * _CHUNK_BYTES))
            if not chunk:
                break
            content += chunk
        return content


class _GzipStream:
    """The uncompressed bytes of gzip members that follow each other to the end of the file."""

    def __init__(self, file):
        self._file = file
        self._compressed = b""
        self._member = zlib.decompressobj(wbits=31)
        self._has_ended = False  # the member; the file may end there

    def read(self, count):
        """Returns the next `count` bytes, fewer only at the end of the file. Raises FormatError."""
        content = bytearray()
        while len(content) < count:
            if not self._compressed:
                self._compressed = self._file.read(_CHUNK_BYTES)
            if not self._compressed and self._has_ended:
                break
            if self._has_ended:
                self._member = zlib.decompressobj(wbits=31)
                self._has_ended = False
            content += self._inflate(count - len(content))
        return content

    def _inflate(self, max_bytes):
        at_end = not self._compressed
        try:
            chunk = self._member.decompress(self._compressed, min(max_bytes, 64 * _CHUNK_BYTES))
        except zlib.error as failure:
            raise FormatError(f"the gzip stream is damaged ({failure})") from failure
        self._has_ended = self._member.eof
        if at_end and not chunk and not self._has_ended:
            raise FormatError("the gzip stream is cut off")
        self._compressed = self._member.unused_data if self._has_ended else self._member.unconsumed_tail
        return chunk


# ---- framing


def _masked_crc(data):
    crc = crc32c.crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_payload(stream, max_payload_bytes):
    """Returns the payload of the next record, or None at the end. Raises FormatError without the place."""
    header = stream.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise FormatError(f"{len(header)} bytes are left, {_HEADER.size} wanted for a header")
    length, header_crc = _HEADER.unpack(header)
    if header_crc != _masked_crc(header[:8]):
        raise FormatError("the checksum of the length is wrong")
    if length > max_payload_bytes:
        raise FormatError(f"its length is {length} bytes, at most {max_payload_bytes} wanted")
    body = stream.read(length + _FOOTER.size)
    if len(body) < length + _FOOTER.size:
        raise FormatError(f"{len(body)} bytes are left, {length + _FOOTER.size} wanted")
    payload = memoryview(body).toreadonly()[:length]
    if _FOOTER.unpack_from(body, length)[0] != _masked_crc(payload):
        raise FormatError("the checksum of the payload is wrong")
    return payload


def _payloads(path, file, compressed, max_payload_bytes):
    stream = _GzipStream(file) if compressed else _PlainStream(file)
    offset = 0
    record = 0
    while True:
        try:
            payload = _read_payload(stream, max_payload_bytes)
        except FormatError as failure:
            raise FormatError(f"{path}: record {record} at byte {offset}: {failure}") from failure
        if payload is None:
            return
        yield payload
        offset += len(payload) + _FRAME_BYTES
        record += 1


def read_payloads(path, compressed=False, max_payload_bytes=MAX_PAYLOAD_BYTES):
    """Yields the payload of each record of a file as a read-only memoryview, both checksums checked.

    Raises FormatError for damage and for a payload of more than max_payload_bytes, before memory is spent on it.
    """
    with _open(path) as file:
        yield from _payloads(path, file, compressed, max_payload_bytes)


# ---- tf.train.Example


def _varint(data, offset):
    value = 0
    for shift in range(0, 64, 7):
        if offset >= len(data):
            break
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < 2**64:
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


def _only_field(data):
    """The content of a message that has field 1 once, and no other."""
    content = None
    for number, value in _messages(data):
        if number != 1 or content is not None:
            raise FormatError(f"field {number} found in a message of field 1 alone")
        content = value
    if content is None:
        raise FormatError("a message has no field 1")
    return content


def _entry(data):
    """The name and the value of an entry of the feature map."""
    fields = {}
    for number, content in _messages(data):
        if number not in (1, 2) or number in fields:
            raise FormatError(f"field {number} found in an entry of the feature map, one name and one feature wanted")
        fields[number] = content
    if len(fields) != 2:
        raise FormatError("an entry of the feature map has no name or no feature")
    try:
        name = bytes(fields[1]).decode()
    except UnicodeDecodeError as failure:
        raise FormatError(f"the name of a feature is not UTF-8: {failure}") from failure
    return name, _only_field(_only_field(fields[2]))


def parse_example(payload):
    """The features of a serialized tf.train.Example, each a BytesList of one value, as {name: memoryview}.

    Raises FormatError.
    """
    features = {}
    for number, data in _messages(_only_field(memoryview(payload))):
        if number != 1:
            raise FormatError(f"the feature map holds field {number}, 1 wanted")
        if len(features) == MAX_FEATURES:
            raise FormatError(f"there are more than {MAX_FEATURES} features")
        name, value = _entry(data)
        if name in features:
            raise FormatError(f"feature {name!r} occurs twice")
        features[name] = value
    return features


# ---- ready.json


def _members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("two members of an object have one name")
    if len(pairs) > MAX_JSON_MEMBERS:
        raise ValueError(f"an object has more than {MAX_JSON_MEMBERS} members")
    return members


def _float(text):
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"a number is out of range: {text[:40]}")
    return value


def _int(text):
    # A number with a sign or of more than 64 bits is no count, version or size.
    return int(text) if len(text) <= 20 and text[0] != "-" else _float(text)


def _no_constant(text):
    raise ValueError(f"{text} is no JSON")


def _check_values(root):
    """Raises ValueError for values that nest too deep, and for text that is no Unicode."""
    rest = [(root, 1)]
    while rest:
        value, level = rest.pop()
        if isinstance(value, str):
            value.encode()
        if not isinstance(value, (dict, list)):
            continue
        if level > MAX_JSON_LEVELS:
            raise ValueError(f"values nest deeper than {MAX_JSON_LEVELS} levels")
        if isinstance(value, dict):
            rest += [(name, level + 1) for name in value]
            value = value.values()
        rest += [(element, level + 1) for element in value]


def _parse_json(text):
    root = json.loads(
        text.decode("utf-8"),
        object_pairs_hook=_members,
        parse_int=_int,
        parse_float=_float,
        parse_constant=_no_constant,
    )
    _check_values(root)
    return root


def _wanted(name, value, wanted):
    shown = json.dumps(value)
    return FormatError(f'"{name}" is {shown if len(shown) < 200 else "a long value"}, {wanted} wanted')


class _Fields:
    """Takes members out of a JSON object. Raises FormatError for what is missing, or of another type or range."""

    def __init__(self, members, name=READY_FILE):
        if not isinstance(members, dict):
            raise _wanted(name, members, "an object")
        self._members = members

    def _value(self, name):
        if name not in self._members:
            raise FormatError(f'"{name}" is missing')
        return self._members[name]

    def number(self, name, minimum=0, maximum=2**64 - 1):
        value = self._value(name)
        if type(value) is not int or not minimum <= value <= maximum:  # bool is an int, too
            raise _wanted(name, value, f"a whole number from {minimum} to {maximum}")
        return value

    def text(self, name, pattern=None, wanted="a text"):
        value = self._value(name)
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            raise _wanted(name, value, wanted)
        return value

    def boolean(self, name):
        if not isinstance(self._value(name), bool):
            raise _wanted(name, self._value(name), "true or false")

    def one_of(self, name, *wanted):
        value = self._value(name)
        if value not in wanted:
            raise _wanted(name, value, " or ".join(map(json.dumps, wanted)))
        return value

    def fields(self, name):
        return _Fields(self._value(name), name)

    def elements(self, name):
        if not isinstance(self._value(name), list):
            raise _wanted(name, self._value(name), "an array")
        return self._value(name)


_U32 = 2**32 - 1


def _check_kind(fields, kind):
    """Checks the fields of training or of evaluation data. Returns whether there is a valid_point_mask."""
    if kind == "eval":
        fields.number("eval_negatives", maximum=_U32)
        fields.boolean("mlperf")
        return False
    fields.number("cycle", maximum=_U32)
    fields.number("epochs_per_cycle", maximum=_U32)
    fields.number("num_neg", maximum=_U32)
    return fields.one_of("padding", "resample", "mask", "drop") == "mask"


def _check_origin(fields):
    fields.number("stream_version", maximum=_U32)
    fields.text("library_version")
    seed = fields.text("seed", _DIGITS, "the digits of a number of at most 64 bits")
    if int(seed) >= 2**64:
        raise _wanted("seed", seed, "the digits of a number of at most 64 bits")
    fields.number("point_count")
    dataset = fields.fields("dataset")
    dataset.text("digest", _DIGEST, "32 hexadecimal digits")
    for name in ("user_count", "item_count", "positive_count"):
        dataset.number(name)


def _dtypes(fields, kind, has_mask):
    item = fields.fields("dtypes").one_of(ITEM_COLUMN, "uint16", "int32")
    wanted = {USER_COLUMN: "int32", ITEM_COLUMN: item, DUPLICATE_MASK if kind == "eval" else LABELS: "int8"}
    if has_mask:
        wanted[VALID_POINT_MASK] = "int8"
    fields.one_of("dtypes", wanted)
    return {name: np.dtype(dtype).newbyteorder("<") for name, dtype in wanted.items()}


@dataclasses.dataclass(frozen=True)
class _File:
    """One record file, as ready.json lists it."""

    path: pathlib.Path
    record_count: int
    byte_count: int

    def open(self):
        file = _open(self.path)
        if _size(file) != self.byte_count:
            size = _size(file)
            file.close()
            raise FormatError(f"{self.path} has {size} bytes, {self.byte_count} wanted by {READY_FILE}")
        return file


# ---- folders


class RecordFolder:
    """One published folder of records. Reading it is safe from any number of threads.

    Attributes: path; ready (the content of ready.json, a dict); batch_size; batch_count; is_training; compressed;
    dtypes ({column: numpy dtype}); files (record files in the order of their numbers).

    Raises FormatError when ready.json is missing or is not as FORMAT.md has it. The record files are not opened.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        ready_file = self.path / READY_FILE
        with _open(ready_file) as file:
            text = _PlainStream(file).read(MAX_READY_FILE_BYTES + 1)
        try:
            if len(text) > MAX_READY_FILE_BYTES:
                raise ValueError(f"it has more than {MAX_READY_FILE_BYTES} bytes")
            self.ready = _parse_json(text)
            self._read_fields(_Fields(self.ready))
        except (ValueError, RecursionError) as failure:
            raise FormatError(f"{ready_file} is not what negpipe writes: {failure}") from failure

    def _read_fields(self, fields):
        version = fields.number("format_version")
        if version != FORMAT_VERSION:
            raise FormatError(f'"format_version" is {version}, {FORMAT_VERSION} wanted; read it with its own version')
        _check_origin(fields)
        kind = fields.one_of("kind", "train", "eval")
        self.is_training = kind == "train"
        self.dtypes = _dtypes(fields, kind, _check_kind(fields, kind))
        value_bytes = sum(dtype.itemsize for dtype in self.dtypes.values())
        self.batch_size = fields.number("batch_size", 1, MAX_PAYLOAD_BYTES // 6)
        self.batch_count = fields.number("batch_count")
        self.compressed = fields.one_of("compression", "none", "gzip") == "gzip"
        # Twice the arrays, and 1 KiB for names and lengths.
        self._max_payload_bytes = min(2 * self.batch_size * value_bytes + 1024, MAX_PAYLOAD_BYTES)
        self._files = self._read_files(fields)
        self.files = [file.path for file in self._files]

    def _read_files(self, fields):
        listed = fields.elements("files")
        readers = fields.number("readers", 1, _U32)
        if readers != len(listed):
            raise FormatError(f'"readers" is {readers}, but {len(listed)} files are listed')
        per_file = -(-self.batch_count // readers)
        files = []
        for number, members in enumerate(listed):
            entry = _Fields(members, f"files[{number}]")
            # The order of the numbers is that of the batches, and a name leads nowhere but into this folder.
            name = entry.one_of("name", f"{'train' if self.is_training else 'eval'}_{number}.tfrecords")
            share = min(per_file, max(self.batch_count - number * per_file, 0))
            records = entry.number("record_count", share, share)
            most = records * (self._max_payload_bytes + _FRAME_BYTES)
            byte_count = entry.number("byte_count", 0, 2 * most + 1024 if self.compressed else most)
            entry.text("crc32c", _CHECKSUM, "eight hexadecimal digits")
            files.append(_File(self.path / name, records, byte_count))
        return files

    def check_files(self):
        """Raises FormatError unless all record files are regular files of the sizes that ready.json lists."""
        for file in self._files:
            file.open().close()

    def batches(self):
        """Yields every batch in order as {column: array [batch_size]}, the arrays read-only.

        Raises FormatError for anything that is not as ready.json says.
        """
        for listed in self._files:
            yield from self._file_batches(listed)

    def _file_batches(self, listed):
        count = 0
        with listed.open() as file:
            for payload in _payloads(listed.path, file, self.compressed, self._max_payload_bytes):
                if count == listed.record_count:
                    raise FormatError(f"{listed.path} holds more than {count} records, {count} wanted")
                yield self._columns(listed.path, count, payload)
                count += 1
        if count != listed.record_count:
            raise FormatError(f"{listed.path} holds {count} records, {listed.record_count} wanted")

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


def _numbered_folders(training_folder):
    """Everything named cycle_N below a folder `training_epochs`, by number: [(number, path)]; [] if it is missing."""
    try:
        names = os.listdir(training_folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    matches = [match for match in map(_CYCLE_NAME.fullmatch, names) if match]
    return sorted((int(match.group(1)), pathlib.Path(training_folder) / match.group()) for match in matches)


def cycle_folders(training_folder):
    """The published cycles below a folder `training_epochs`, ascending, as [(number, path)]; [] if it is missing."""
    return [(number, path) for number, path in _numbered_folders(training_folder) if (path / READY_FILE).exists()]


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


def _folders_of(folder):
    """(path, whether it must be training data) of all folders of records below an output folder."""
    found = [(path, True) for _, path in _numbered_folders(folder / TRAINING_FOLDER)]
    if (folder / EVALUATION_FOLDER).is_dir():
        found.append((folder / EVALUATION_FOLDER, False))
    return found


def hash(folder):  # noqa: A001 - the name of the program's subcommand
    """A RecordHash for every cycle below an output folder, ascending, then for the evaluation data if it is there.

    A folder of records itself gives a list of one. Raises FormatError, also for a folder that was not finished.
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
