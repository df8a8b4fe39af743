"""Record files: regular files, plain or gzip, in TFRecord framing, with one tf.train.Example per record.

The program's counterpart is host/record. Nothing in a file is trusted: whatever FORMAT.md does not allow raises
FormatError, and memory is limited by the payload size that the caller allows.
"""

import errno
import os
import stat
import struct
import zlib

import crc32c

from negpipe.errors import FormatError

# FORMAT.md gives the reasons for these limits.
MAX_PAYLOAD_BYTES = 2**31 - 1
MAX_FEATURES = 256

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
FRAME_BYTES = _HEADER.size + _FOOTER.size
_CHUNK_BYTES = 1 << 18

# Errors of open() that concern the file, not the state of this process.
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV, errno.EISDIR}


def open_file(path):
    """Opens a regular file, without blocking. Raises FormatError for anything else."""
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


def file_size(file):
    return os.fstat(file.fileno()).st_size


class PlainStream:
    """Reads the bytes of a file."""

    def __init__(self, file):
        self._file = file

    def read(self, count):
        """Returns the next `count` bytes, fewer only at the end of the file."""
        content = bytearray()
        while len(content) < count:
            # Memory grows with the bytes found, not with the bytes requested.
            chunk = self._file.read(min(count - len(content), 64 * _CHUNK_BYTES))
            if not chunk:
                break
            content += chunk
        return content


class GzipStream:
    """Reads the uncompressed bytes of consecutive gzip members."""

    def __init__(self, file):
        self._file = file
        self._compressed = b""
        self._member = zlib.decompressobj(wbits=31)
        self._has_ended = False  # whether the member has; the file may end there

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



def _masked_crc(data):
    crc = crc32c.crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_payload(stream, max_payload_bytes):
    """Returns the payload of the next record, or None at the end. Raises FormatError without the file's name."""
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


def payloads(path, file, compressed, max_payload_bytes):
    """Yields the payload of each record of an open file; path is for messages."""
    stream = GzipStream(file) if compressed else PlainStream(file)
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
        offset += len(payload) + FRAME_BYTES
        record += 1


def read_payloads(path, compressed=False, max_payload_bytes=MAX_PAYLOAD_BYTES):
    """Yields the payload of each record of a file as a read-only memoryview. Checks both checksums.

    Raises FormatError for damage, and for a payload longer than max_payload_bytes before it allocates memory.
    """
    with open_file(path) as file:
        yield from payloads(path, file, compressed, max_payload_bytes)



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
    """Yields (field number, content) of a message. All fields must be length-delimited."""
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
    """Returns the content of field 1, which must be the only field."""
    content = None
    for number, value in _messages(data):
        if number != 1 or content is not None:
            raise FormatError(f"field {number} found in a message, only field 1, once, wanted")
        content = value
    if content is None:
        raise FormatError("a message has no field 1")
    return content


def _entry(data):
    """Returns name and value of an entry of the feature map."""
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
    """Returns the features of a serialized tf.train.Example as {name: memoryview}.

    Raises FormatError unless each is a BytesList of one value.
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
