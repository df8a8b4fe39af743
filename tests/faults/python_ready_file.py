"""ready.json: what a folder of records holds. Parsed within limits and checked field by field.

Limits and fields are those of FORMAT.md; the program's counterpart is host/record/ready_file.cpp.
"""

import dataclasses
import json
import math
import re

import numpy as np

from python_tfrecord import FRAME_BYTES, MAX_PAYLOAD_BYTES, PlainStream, open_file
from negpipe.errors import FormatError

READY_FILE = "ready.json"
FORMAT_VERSION = 1
USER_COLUMN = "user_id"
ITEM_COLUMN = "item_id"
NEGATIVE_ITEM_COLUMN = "negative_item_id"
LABELS = "labels"
DUPLICATE_MASK = "duplicate_mask"
VALID_POINT_MASK = "valid_point_mask"

# FORMAT.md gives the reasons for these limits.
MAX_READY_FILE_BYTES = 16 << 20
MAX_JSON_LEVELS = 32
MAX_JSON_MEMBERS = 1000

_U32 = 2**32 - 1
_DIGEST = re.compile(r"[0-9a-f]{32}")
_CHECKSUM = re.compile(r"[0-9a-f]{8}")
_DIGITS = re.compile(r"[0-9]{1,20}")



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
    # All integers of ready.json are unsigned and have at most 64 bits; _Fields.number rejects a float.
    return int(text) if len(text) <= 20 and text[0] != "-" else _float(text)


def _no_constant(text):
    raise ValueError(f"{text} is not JSON")


def _check_values(root):
    """Raises ValueError for values nested too deeply, and for text that is not valid Unicode."""
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
    """Reads the members of a JSON object. Raises FormatError if one is missing or has another type or range."""

    def __init__(self, members, name=READY_FILE):
        if not isinstance(members, dict):
            raise _wanted(name, members, "an object")
        self._members = members

    def _value(self, name):
        if name not in self._members:
            raise FormatError(f'"{name}" is missing')
        return self._members[name]

    def has(self, name):
        return name in self._members

    def number(self, name, minimum=0, maximum=2**64 - 1):
        value = self._value(name)
        if type(value) is not int or not minimum <= value <= maximum:  # bool is a subclass of int
            raise _wanted(name, value, f"a whole number from {minimum} to {maximum}")
        return value

    def real(self, name, minimum, maximum):
        value = self._value(name)
        if type(value) not in (int, float) or not minimum <= value <= maximum:
            raise _wanted(name, value, f"a number from {minimum} to {maximum}")

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


def _check_distribution(fields):
    """Draws are uniform unless the fields are there."""
    if not fields.has("distribution") and not fields.has("weights_digest"):
        return
    if fields.one_of("distribution", "popularity", "weights") == "popularity":
        fields.real("alpha", 0, 16)
    fields.text("weights_digest", _DIGEST, "32 hexadecimal digits")


def _check_kind(fields, kind):
    """Checks the fields of training or evaluation data.

    Returns (whether there is a valid_point_mask, the number of negatives in a row of the pairwise layout, else None).
    """
    _check_distribution(fields)
    if kind == "eval":
        fields.number("eval_negatives", maximum=_U32)
        fields.boolean("mlperf")
        return False, None
    fields.number("cycle", maximum=_U32)
    fields.number("epochs_per_cycle", maximum=_U32)
    negatives = fields.number("num_neg", maximum=_U32)
    has_mask = fields.one_of("padding", "resample", "mask", "drop") == "mask"
    # Files of earlier versions have no layout.
    is_pairwise = fields.has("layout") and fields.one_of("layout", "pointwise", "pairwise") == "pairwise"
    return has_mask, negatives if is_pairwise else None


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


def _dtypes(fields, kind, has_mask, is_pairwise):
    item = fields.fields("dtypes").one_of(ITEM_COLUMN, "uint16", "int32")
    wanted = {USER_COLUMN: "int32", ITEM_COLUMN: item}
    if is_pairwise:
        wanted[NEGATIVE_ITEM_COLUMN] = item
    else:
        wanted[DUPLICATE_MASK if kind == "eval" else LABELS] = "int8"
    if has_mask:
        wanted[VALID_POINT_MASK] = "int8"
    fields.one_of("dtypes", wanted)
    return {name: np.dtype(dtype).newbyteorder("<") for name, dtype in wanted.items()}


@dataclasses.dataclass(frozen=True)
class ListedFile:
    """One record file, as ready.json lists it."""

    name: str
    record_count: int
    byte_count: int
    crc32c: str


@dataclasses.dataclass(frozen=True)
class ReadyFile:
    """The checked content of ready.json. content is all of it, as parsed; shapes are those of a batch's columns."""

    content: dict
    is_training: bool
    dtypes: dict
    shapes: dict
    batch_size: int
    batch_count: int
    compressed: bool
    max_payload_bytes: int
    files: list


def _read_files(fields, kind, batch_count, max_file_bytes):
    """Returns the listed files. max_file_bytes(record_count): limit of the size of a file."""
    listed = fields.elements("files")
    readers = fields.number("readers", 1, _U32)
    if readers != len(listed):
        raise FormatError(f'"readers" is {readers}, but {len(listed)} files are listed')
    per_file = -(-batch_count // readers)
    files = []
    for number, members in enumerate(listed):
        entry = _Fields(members, f"files[{number}]")
        # The name gives the order of the batches, and cannot lead out of the folder.
        name = entry.one_of("name", f"{kind}_{number}.tfrecords")
        share = min(per_file, max(batch_count - number * per_file, 0))
        records = entry.number("record_count", share, share)
        byte_count = entry.number("byte_count", 0, max_file_bytes(records))
        checksum = entry.text("crc32c", _CHECKSUM, "eight hexadecimal digits")
        files.append(ListedFile(name, records, byte_count, checksum))
    return files


def _read_fields(content):
    fields = _Fields(content)
    version = fields.number("format_version")
    if version != FORMAT_VERSION:
        raise FormatError(f'"format_version" is {version}, {FORMAT_VERSION} wanted; read it with its own version')
    _check_origin(fields)
    kind = fields.one_of("kind", "train", "eval")
    has_mask, negatives = _check_kind(fields, kind)
    dtypes = _dtypes(fields, kind, has_mask, negatives is not None)
    batch_size = fields.number("batch_size", 1, MAX_PAYLOAD_BYTES // 6)
    shapes = {name: (batch_size, negatives) if name == NEGATIVE_ITEM_COLUMN else (batch_size,) for name in dtypes}
    batch_count = fields.number("batch_count")
    compressed = fields.one_of("compression", "none", "gzip") == "gzip"
    # Twice the arrays, and 1 KiB for names and lengths.
    batch_bytes = sum(math.prod(shapes[name]) * dtype.itemsize for name, dtype in dtypes.items())
    max_payload_bytes = min(2 * batch_bytes + 1024, MAX_PAYLOAD_BYTES)

    def max_file_bytes(records):
        plain = records * (max_payload_bytes + FRAME_BYTES)
        return 2 * plain + 1024 if compressed else plain

    files = _read_files(fields, kind, batch_count, max_file_bytes)
    return ReadyFile(
        content, kind == "train", dtypes, shapes, batch_size, batch_count, compressed, max_payload_bytes, files
    )


def read_ready_file(path):
    """Reads and checks a ready.json. Raises FormatError with the path."""
    with open_file(path) as file:
        text = PlainStream(file).read(MAX_READY_FILE_BYTES + 1)
    try:
        if len(text) > MAX_READY_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_READY_FILE_BYTES} bytes")
        return _read_fields(_parse_json(text))
    except (ValueError, RecursionError) as failure:
        raise FormatError(f"{path} is not what negpipe writes: {failure}") from failure
