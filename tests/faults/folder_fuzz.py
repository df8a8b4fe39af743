"""Changes folders of records and of datasets in ways that keep their structure, and compares their readers.

A folder of records: `negpipe hash`, negpipe.records, and the reader in plain Python (python_records.py) must all accept
it, with the same hashes, or all refuse it; and `negpipe verify` must not accept what they refuse. A dataset:
independent_reader.py must accept what `negpipe info` accepts. All refusals must have status 4 or 6, or be a
FormatError.

Usage: folder_fuzz.py [--cases N] [--seed N]
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import zlib

import strikes  # also makes the helpers of tests/cli importable

import crc32c
import independent_reader
import numpy as np
import python_records
from program import PROGRAM, negpipe, write_ratings

try:
    from negpipe import records
except ImportError:  # a build without the extension module, such as those with sanitizers
    records = python_records

REFUSALS = (4, 6)
ODD = (None, True, False, 0, 1, 2, -1, 3, 255, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 1.0, 1.5,
       1e300, "", "0", "1", "none", "gzip", "train", "eval", "mask", "int32", "uint16", "int8", "float32", "../x",
       "/etc", "train_0.tfrecords", "train_1.tfrecords", "a\0b", "\ud800", "é", [], {}, [[]], [0], {"a": 1}, "0" * 32)


# ---- JSON


def _paths(value, path=()):
    """Yields every member and element below a JSON value, as (container, key)."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _paths(value[key], (*path, key))


def change_json(text, generator):
    """Returns a JSON text with one change of its values or its syntax."""
    root = json.loads(text)
    container, key = generator.choice(list(_paths(root)))
    kind = generator.randrange(10)
    if kind == 0:
        del container[key]
    elif kind < 5:
        container[key] = generator.choice(ODD)
    elif kind == 5 and type(container[key]) is int:
        container[key] += generator.choice((-1, 1, 2**32, -container[key]))
    elif kind == 6 and isinstance(container[key], str) and container[key]:
        changed = list(container[key])
        changed[generator.randrange(len(changed))] = generator.choice("0az_/.A")
        container[key] = "".join(changed)
    elif kind == 7 and isinstance(container, dict):
        items = list(container.items())
        generator.shuffle(items)
        container.clear()
        container.update(items)
    elif kind == 8 and isinstance(container, dict):
        container[generator.choice(("new", "Files", ""))] = generator.choice(ODD)
    else:
        return change_text(json.dumps(root, indent=generator.choice((None, 1))).encode(), generator)
    return json.dumps(root).encode()


def change_text(text, generator):
    """Returns a JSON text with allowed or forbidden bytes around it."""
    begin = text.index(b"{") + 1
    nest = b"[" * generator.choice((31, 32, 33, 900))
    members = b",".join(b'"m%d":0' % i for i in range(generator.choice((900, 1001))))
    return generator.choice((
        text + b"\0", text + b"\0 more", text + b"\n \t", text + b"x", b"\xef\xbb\xbf" + text, b"\xff" + text,
        text[:-1], b" " + text, text + text, text.decode().encode("utf-16"),
        text[:begin] + b'"a":NaN,' + text[begin:], text[:begin] + b'"a":-Infinity,' + text[begin:],
        text[:begin] + b'"a":1e999,' + text[begin:], text[:begin] + b'"a":' + b"9" * 5000 + b"," + text[begin:],
        text[:begin] + b'"a":-0,' + text[begin:], text[:begin] + b'"a":"\\ud800",' + text[begin:],
        text[:begin] + b'"a":"\xed\xa0\x80",' + text[begin:], text[:begin] + b'"a":1,"a":2,' + text[begin:],
        text[:begin] + b'"a":{"b":1,"b":1},' + text[begin:], text[:begin] + b'"a":01,' + text[begin:],
        text[:begin] + b'"a":' + nest + nest.replace(b"[", b"]") + b"," + text[begin:],
        text[:begin] + members + b"," + text[begin:], text.replace(b":", b": -", 1), text.replace(b'"', b"'"),
    ))


# ---- records


def frame(payload, length=None):
    """Returns a payload in TFRecord framing, whose header may have another length."""
    header = struct.pack("<Q", len(payload) if length is None else length)
    masked = [((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF for crc in map(crc32c.crc32c, (header, payload))]
    return header + struct.pack("<I", masked[0]) + payload + struct.pack("<I", masked[1])


def varint(value, padded=0):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    for _ in range(padded):
        out[-1] |= 128
        out.append(0)
    return bytes(out)


def field(number, content, padded=0):
    return varint(number << 3 | 2) + varint(len(content), padded) + content


def example(columns, padded=0):
    entries = [field(1, field(1, name) + field(2, field(1, field(1, values, padded)))) for name, values in columns]
    return field(1, b"".join(entries))


def change_payload(payload, generator):
    """Returns a payload with one change of its features or bytes."""
    fields = independent_reader._fields
    entries = [fields(entry) for _, entry in fields(fields(payload)[0][1])]
    columns = [(name, fields(fields(feature)[0][1])[0][1]) for (_, name), (_, feature) in entries]
    which = generator.randrange(len(columns))
    name, values = columns[which]
    kind = generator.randrange(9)
    if kind == 0:
        generator.shuffle(columns)
        return example(columns, padded=generator.choice((0, 0, 1)))
    if kind == 1:
        columns[which] = (generator.choice((b"", b"labels", b"user_id", b"\xff", b"x" * 200)), values)
    elif kind == 2:
        columns[which] = (name, generator.choice((b"", values[:-1], values + values[:1], values * 2, values * 9)))
    elif kind == 3:
        del columns[which]
    elif kind == 4:
        columns.append(generator.choice((columns[which], (b"more", b""))))
    elif kind == 5:
        columns += [(b"%d" % i, b"") for i in range(generator.choice((10, 300)))]
    elif kind == 6:
        return generator.choice((b"", payload * 2, payload[:-1], payload + b"\x0a\x00", b"\x0a\x00" * 50,
                                 field(2, payload), b"\x0a" + b"\xff" * 9 + b"\x7f", payload + b"\x10\x01"))
    else:
        changed = bytearray(payload)
        changed[generator.randrange(min(len(changed), generator.choice((40, len(changed)))))] = generator.randrange(256)
        return bytes(changed)
    return example(columns)


def change_payloads(payloads, generator):
    kind = generator.randrange(6)
    if kind == 0 and payloads:
        return payloads[:-1]
    if kind == 1 and payloads:
        return [*payloads, payloads[0]]
    if kind == 2:
        return payloads[::-1]
    if not payloads:
        return [b"\x0a\x00"]
    which = generator.randrange(len(payloads))
    return [change_payload(payload, generator) if i == which else payload for i, payload in enumerate(payloads)]


def packed(content, compression, generator):
    """Returns the bytes of a record file, almost always with the right compression."""
    kind = generator.randrange(12)
    if compression == "none":
        return gzip.compress(content) if kind == 0 else content + b"\0" * 16 if kind == 1 else content
    middle = generator.randrange(len(content) + 1)
    if kind == 0:
        return content
    if kind == 1:
        return gzip.compress(content[:middle]) + gzip.compress(content[middle:])
    whole = gzip.compress(content, generator.choice((1, 9)))
    return whole + generator.choice((b"",) * 6 + (b"\0", b"\0" * 600, b"x", whole[:5], gzip.compress(b"")))


def change_record_file(folder, generator):
    """Changes one record file. In most cases ready.json then lists its new size, count and checksum."""
    ready = json.loads((folder / "ready.json").read_text())
    listed = generator.choice(ready["files"])
    path = folder / listed["name"]
    raw = path.read_bytes()
    content = gzip.decompress(raw) if ready["compression"] == "gzip" else raw
    payloads = [bytes(payload) for payload in independent_reader._payloads(content)]
    if generator.randrange(3):
        payloads = change_payloads(payloads, generator)
    content = bytearray(b"".join(map(frame, payloads)))
    if content and generator.randrange(8) == 0:
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    raw = packed(bytes(content), ready["compression"], generator)
    raw = raw if generator.randrange(10) else raw[: generator.randrange(len(raw) + 1)]
    path.write_bytes(raw)
    if generator.randrange(6):
        listed["byte_count"] = len(raw)
        listed["crc32c"] = f"{crc32c.crc32c(raw):08x}"
    if generator.randrange(3) == 0:
        listed["record_count"] = len(payloads)
    (folder / "ready.json").write_text(json.dumps(ready))


def change_entry(path, generator):
    """Replaces a file by something else."""
    path.unlink()
    kind = generator.randrange(6)
    if kind == 1:
        path.mkdir()
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        path.symlink_to(generator.choice((path.name, "/dev/zero", "/dev/null", "/etc/passwd", "nowhere")))
    elif kind == 4:
        path.write_bytes(b"")
    elif kind == 5:
        with open(path, "wb") as file:
            file.truncate(1 << 42)


def change_folder(folder, generator):
    kind = generator.randrange(10)
    if kind < 5:
        ready = folder / "ready.json"
        ready.write_bytes(change_json(ready.read_bytes(), generator))
    elif kind < 9:
        change_record_file(folder, generator)
    else:
        change_entry(generator.choice(sorted(path for path in folder.iterdir() if path.suffix != ".idx")), generator)


def _orderly(outcome):
    assert outcome.returncode in (0, *REFUSALS), (outcome.returncode, outcome.stderr)
    assert outcome.returncode == 0 or outcome.stderr.startswith("negpipe: "), outcome.stderr
    return outcome.returncode == 0


def _program(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                          text=True, errors="replace", check=False)


def compare_records(run, dataset):
    """Asserts that all readers of an output folder agree. Returns whether they accept it."""
    outcome = _program("hash", run, "--json", "--quiet")
    theirs = json.loads(outcome.stdout)["folders"] if _orderly(outcome) else None
    try:
        plain = python_records.hash(run)
    except records.FormatError as failure:
        plain = failure
    try:
        ours = records.hash(run)
    except records.FormatError as failure:
        assert theirs is None, f"the program accepts, negpipe.records does not: {failure}"
        assert isinstance(plain, records.FormatError), f"the reader in plain Python accepts: {failure}"
        verified = _program("verify", dataset, run, "--quiet")
        assert verified.returncode in (1, *REFUSALS), "verify accepts what no reader accepts"
        return False
    assert theirs is not None, f"negpipe.records accepts, the program does not: {outcome.stderr}"
    assert list(map(vars, plain)) == list(map(vars, ours)), "the reader in plain Python finds other batches"
    assert not isinstance(plain, records.FormatError), f"the reader in plain Python refuses: {plain}"
    assert [vars(one).items() <= other.items() for one, other in zip(ours, theirs, strict=True)] == [True] * len(ours)
    return True


# ---- datasets


def change_dataset(folder, generator):
    """Changes a dataset. In most cases updates its checksums."""
    path = folder / "dataset.json"
    kind = generator.randrange(4)
    if kind == 0:
        return change_entry(generator.choice(sorted(folder.iterdir())), generator)
    if kind == 1:
        changed = change_json(path.read_bytes(), generator)
    else:
        description = json.loads(path.read_text())
        name = generator.choice(sorted(description["arrays"]))
        values = np.load(folder / f"{name}.npy")
        value = generator.choice((-1, 0, 1, 7, len(values), 2**31 - 1))
        values[generator.randrange(len(values))] = value % 256 if values.dtype == np.uint8 else value
        if generator.randrange(3) == 0:
            values = generator.choice((values[:-1], np.append(values, values[-1:]), values[::-1].copy()))
        if generator.randrange(6) == 0:
            values = values.astype(generator.choice(("<i8", "<i4", "<f4", ">i8")))
        np.save(folder / f"{name}.npy", values)
        if generator.randrange(6):
            description["arrays"][name].update(length=len(values), crc32c=f"{crc32c.crc32c(values.tobytes()):08x}")
        changed = json.dumps(description).encode()
    path.write_bytes(changed)
    if generator.randrange(4):
        try:
            description = json.loads(changed)
            description.pop("checksum", None)
            text = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode()
            description["checksum"] = f"{crc32c.crc32c(text):08x}"
            path.write_text(json.dumps(description))
        except (ValueError, AttributeError, RecursionError):
            pass  # no longer a JSON object
    return None


def check_dataset(folder):
    """Asserts that the program accepts only valid datasets. Returns whether it accepts this one."""
    accepted = _orderly(_program("info", folder))
    if accepted:
        independent_reader.Dataset(folder)
    return accepted


# ---- running


class Originals:
    """Valid folders to change, and a folder for the changed ones."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        write_ratings(self.root / "ratings.csv", users=12, items=120)
        self.dataset = self.root / "dataset"
        negpipe("prepare", self.root / "ratings.csv", "--out", self.dataset, "--quiet")
        self.runs = []
        options = (), ("--compression", "gzip"), ("--padding", "mask"), ("--readers", 7), ("--batch-size", 90)
        for number, more in enumerate(options):
            run = self.root / f"run{number}"
            usual = dict(zip(strikes.SMALL[::2], strikes.SMALL[1::2]), **dict(zip(more[::2], more[1::2])))
            negpipe("generate", self.dataset, "--out", run, "--seed", 5, "--quiet",
                    *(word for pair in usual.items() for word in pair))
            self.runs.append(run)

    def records_case(self, seed):
        generator = random.Random(seed)
        work = self.root / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(generator.choice(self.runs), work)
        folder = work / generator.choice(("training_epochs/cycle_00000", "eval_data"))
        for _ in range(generator.choice((1, 1, 1, 2))):
            if all(path.is_file() and not path.is_symlink() for path in folder.iterdir()):
                try:
                    change_folder(folder, generator)
                except (ValueError, KeyError, AssertionError, IndexError, TypeError, RecursionError, OSError,
                        EOFError, MemoryError, zlib.error):
                    break  # the result of the first change cannot be changed again
        return compare_records(work, self.dataset)

    def dataset_case(self, seed):
        work = self.root / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.dataset, work)
        change_dataset(work, random.Random(seed))
        return check_dataset(work)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    root = strikes.scratch_folder()
    bad = 0
    try:
        originals = Originals(root)
        for name, case in (("records", originals.records_case), ("dataset", originals.dataset_case)):
            accepted = 0
            for seed in range(options.seed, options.seed + options.cases):
                try:
                    accepted += case(seed)
                except Exception as failure:  # noqa: BLE001 - any exception is a finding
                    bad += 1
                    print(f"BAD {name} {seed}: {type(failure).__name__}: {str(failure)[:400]}", flush=True)
            print(f"{name}: {options.cases} folders, {accepted} accepted", flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{bad} bad")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
