"""Reads datasets and records without the program and its Python package, and checks their guarantees.

Every check is an assertion. Written for small data: plain Python where speed does not matter."""

import collections
import gzip
import json
import struct

import crc32c
import numpy as np


class Dataset:
    """Returns the arrays of a dataset folder, after checks of order and ranges."""

    def __init__(self, folder):
        self.description = json.loads((folder / "dataset.json").read_text())
        self.offsets = np.load(folder / "user_offsets.npy")
        self.items = np.load(folder / "positive_items.npy")
        self.heldout = np.load(folder / "test_items.npy")
        self.user_count = len(self.heldout)
        self.item_count = self.description["items"]
        assert (np.load(folder / "test_offsets.npy") == np.arange(self.user_count + 1)).all()
        assert self.description["users"] == self.user_count and self.description["positives"] == len(self.items)
        assert self.offsets[0] == 0 and self.offsets[-1] == len(self.items) and (np.diff(self.offsets) >= 0).all()
        self.positives = [self.items[begin:end].tolist() for begin, end in zip(self.offsets[:-1], self.offsets[1:])]
        for row, heldout in zip(self.positives, self.heldout):
            assert row == sorted(set(row)) and heldout not in row
        assert ((0 <= self.items) & (self.items < self.item_count)).all()
        assert ((0 <= self.heldout) & (self.heldout < self.item_count)).all()
        for name, array in self.description["arrays"].items():
            if name.split("_")[0] not in ("user", "item", "positive", "test"):
                continue  # later versions may add members
            values = np.load(folder / f"{name}.npy")
            assert len(values) == array["length"] and f"{crc32c.crc32c(values.tobytes()):08x}" == array["crc32c"], name


def _unmask(masked):
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def _payloads(content):
    offset = 0
    while offset < len(content):
        length, header_crc = struct.unpack_from("<QI", content, offset)
        assert _unmask(header_crc) == crc32c.crc32c(content[offset : offset + 8])
        payload = content[offset + 12 : offset + 12 + length]
        assert len(payload) == length
        assert _unmask(struct.unpack_from("<I", content, offset + 12 + length)[0]) == crc32c.crc32c(payload)
        yield payload
        offset += length + 16


def _fields(message):
    """[(number, content)] of a protobuf message of length-delimited fields."""
    found, offset = [], 0

    def varint():
        nonlocal offset
        value = shift = 0
        while True:
            byte = message[offset]
            offset += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while offset < len(message):
        key, length = varint(), varint()
        assert key % 8 == 2 and offset + length <= len(message)
        found.append((key // 8, message[offset : offset + length]))
        offset += length
    return found


def _batch(payload, dtypes, batch_size):
    columns = {}
    for _, entry in _fields(_fields(payload)[0][1]):
        (_, name), (_, feature) = _fields(entry)
        content = _fields(_fields(feature)[0][1])[0][1]
        columns[name.decode()] = np.frombuffer(content, np.dtype(dtypes[name.decode()]).newbyteorder("<"))
    assert columns.keys() == dtypes.keys() and {len(column) for column in columns.values()} == {batch_size}
    return columns


def read_records(folder):
    """Returns (ready.json, {column: array of all batches}) of a folder. Checks the files against ready.json."""
    ready = json.loads((folder / "ready.json").read_text())
    batches = []
    for listed in ready["files"]:
        raw = (folder / listed["name"]).read_bytes()
        assert len(raw) == listed["byte_count"] and f"{crc32c.crc32c(raw):08x}" == listed["crc32c"], listed
        payloads = list(_payloads(gzip.decompress(raw) if ready["compression"] == "gzip" else raw))
        assert len(payloads) == listed["record_count"]
        batches += [_batch(payload, ready["dtypes"], ready["batch_size"]) for payload in payloads]
    assert len(batches) == ready["batch_count"]
    return ready, {name: np.concatenate([batch[name] for batch in batches]) for name in ready["dtypes"]}


def check_cycle(folder, data):
    """Checks that each positive occurs once per epoch with label 1, and K negatives with label 0, without padding."""
    ready, columns = read_records(folder)
    users, items, labels = columns["user_id"], columns["item_id"], columns["labels"]
    padding = len(users) - ready["point_count"]
    assert ready["padding"] == "resample" and 0 <= padding < ready["batch_size"]
    own = np.ones(len(users), bool)
    own[ready["batch_size"] - padding : ready["batch_size"]] = False  # the last batch is first
    points = list(zip(users[own].tolist(), items[own].tolist(), labels[own].tolist()))
    epochs, negatives = ready["epochs_per_cycle"], ready["num_neg"]
    found = collections.Counter((user, item) for user, item, label in points if label == 1)
    assert found == {(user, item): epochs for user, row in enumerate(data.positives) for item in row}
    counts = collections.Counter(user for user, _, label in points if label == 0)
    assert counts == {user: epochs * negatives * len(row) for user, row in enumerate(data.positives) if row}
    assert all(item not in data.positives[user] and 0 <= item < data.item_count
               for user, item, label in points if label == 0)


def check_evaluation(folder, data):
    """Checks rows: the held-out item, then E distinct items that are neither that nor positives; padding at the end."""
    ready, columns = read_records(folder)
    row_length = ready["eval_negatives"] + 1
    users = columns["user_id"].reshape(-1, row_length)[: data.user_count]
    items = columns["item_id"].reshape(-1, row_length)[: data.user_count]
    assert (users == np.arange(data.user_count)[:, None]).all() and (items[:, 0] == data.heldout).all()
    assert not columns["duplicate_mask"][: users.size].any()
    for user, row in enumerate(items.tolist()):
        assert len(set(row)) == row_length and not set(row) & set(data.positives[user])


def check_run(folder, data):
    """Checks an output folder of generate or produce."""
    for cycle in (folder / "training_epochs").iterdir():
        check_cycle(cycle, data)
    check_evaluation(folder / "eval_data", data)
