"""Folders that were crafted to attack their reader: one table, for the program and for Python.

Each must be refused quickly and with little memory: by `hash` and `verify` with a message and status 4 or 6 (verify
also 1), by negpipe.records with FormatError."""

import gzip
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import zlib

import folder_fuzz
import independent_reader
import numpy as np
import pytest
from folder_fuzz import crc32c, example, field, frame, records
from program import PROGRAM

MEMORY_BYTES = 1 << 30  # of address space, most of it libraries and mapped files
PATIENCE_SECONDS = 60
FILE = "train_0.tfrecords"

READ = """
import sys
try:
    from negpipe import records
except ImportError:
    import python_records as records
try:
    records.hash(sys.argv[1])
except records.FormatError as failure:
    sys.exit(f"FormatError: {failure}")
"""


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def limited(*command):
    """Runs a command with little memory and time. Returns (status, output)."""
    sanitized = os.environ.get("NEGPIPE_SANITIZED") == "1"  # sanitizers reserve terabytes of addresses
    outcome = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             errors="replace", timeout=PATIENCE_SECONDS, check=False,
                             cwd=pathlib.Path(__file__).parent,
                             env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                             preexec_fn=None if sanitized else limit_memory)
    return outcome.returncode, outcome.stderr + outcome.stdout


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return folder_fuzz.Originals(tmp_path_factory.mktemp("originals"))


# Cases in which a reader that trusts the files would need too much memory.
SWELLING = ("a gzip bomb", "a record of 2 GiB", "a record file of 4 TiB", "ready.json of 64 GiB")


def read_in_python(run, in_little_memory):
    """Asserts that negpipe.records refuses a folder with FormatError."""
    if in_little_memory:
        status, said = limited(sys.executable, "-c", READ, run)
        assert status == 1 and said.startswith("FormatError: "), said
        return
    signal.alarm(PATIENCE_SECONDS)  # a hang ends the test
    try:
        with pytest.raises(records.FormatError):
            records.hash(run)
    finally:
        signal.alarm(0)


# ---- the table: name -> change(folder of the cycle, content of ready.json). What it returns replaces ready.json.


def members(**changes):
    return lambda folder, ready: {**ready, **changes}


def without(name):
    return lambda folder, ready: {key: value for key, value in ready.items() if key != name}


def nested(name, key, value):
    return lambda folder, ready: {**ready, name: {**ready[name], key: value}}


def listed(number=0, **changes):
    def change(folder, ready):
        files = [{**file, **changes} if i == number else file for i, file in enumerate(ready["files"])]
        return {**ready, "files": files}

    return change


def names(rename):
    return lambda folder, ready: {**ready, "files": [{**file, "name": rename(folder, file["name"])}
                                                     for file in ready["files"]]}


def swapped(folder, ready):
    return {**ready, "files": ready["files"][::-1]}


def text(edit):
    return lambda folder, ready: edit(json.dumps(ready).encode())


def content(make, **changes):
    """Writes a record file with other bytes, and lists it in ready.json."""

    def change(folder, ready):
        raw = make((folder / FILE).read_bytes())
        (folder / FILE).write_bytes(raw)
        return {**listed(byte_count=len(raw), crc32c=f"{crc32c.crc32c(raw):08x}")(folder, ready), **changes}

    return change


def zipped(make, members_of=gzip.compress):
    return lambda folder, ready: content(lambda raw: members_of(make(raw)), compression="gzip")(folder, {
        **ready, "files": [{**file, "byte_count": 20 * (file["record_count"] > 0)} for file in ready["files"]]})


def instead(name, put):
    def change(folder, ready):
        (folder / name).unlink()
        put(folder / name)

    return change


def grown(name, size):
    def change(folder, ready):
        os.truncate(folder / name, size)

    return change


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(path.parent)  # names of sockets are short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def zeros(count):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = bytes(1 << 20)
    return b"".join(packer.compress(chunk) for _ in range(count >> 20)) + packer.flush()


def first_payload(change):
    def make(raw):
        payloads = [bytes(payload) for payload in independent_reader._payloads(raw)]
        return b"".join(map(frame, [change(payloads[0]), *payloads[1:]]))

    return make


RECORDS = {
    "text after NUL": text(lambda raw: raw + b"\0 more"),
    "text after the object": text(lambda raw: raw + b"{}"),
    "a byte order mark": text(lambda raw: b"\xef\xbb\xbf" + raw),
    "no UTF-8": text(lambda raw: raw.replace(b"none", b"\xff\xfe")),
    "UTF-16": text(lambda raw: raw.decode().encode("utf-16")),
    "half a surrogate": text(lambda raw: raw.replace(b'"none"', b'"none", "x": "\\ud800"')),
    "two members of one name": text(lambda raw: raw.replace(b'"kind"', b'"kind": "train", "kind"')),
    "NaN": text(lambda raw: raw.replace(b'"batch_size": 256', b'"batch_size": NaN')),
    "Infinity": text(lambda raw: raw.replace(b'"batch_size": 256', b'"batch_size": Infinity')),
    "1e999": text(lambda raw: raw.replace(b'"batch_size": 256', b'"batch_size": 1e999')),
    "a number of 5000 digits": text(lambda raw: raw.replace(b'"batch_size": 256', b'"batch_size": ' + b"9" * 5000)),
    "a deep nest": text(lambda raw: b"[" * 200_000),
    "a deep member": text(lambda raw: raw.replace(b'"kind"', b'"x": ' + b"[" * 40 + b"]" * 40 + b', "kind"')),
    "an array": text(lambda raw: b"[]"),
    "null": text(lambda raw: b"null"),
    "nothing": text(lambda raw: b""),
    **{f"no {name}": without(name) for name in ("files", "dtypes", "batch_count", "kind", "readers", "seed", "dataset",
                                               "compression", "format_version", "padding", "cycle", "point_count")},
    **{f"batch_size {value!r}": members(batch_size=value)
       for value in (0, -1, 256.0, 256.5, "256", True, None, [], 255, 2**31, 2**63, 2**64)},
    **{f"batch_count {value!r}": members(batch_count=value) for value in (0, 1, 2**64 - 1, "3", None, {})},
    **{f"readers {value!r}": members(readers=value) for value in (0, 1, 2**32, None)},
    **{f"files {value!r}": members(files=value) for value in (None, {}, [], [None], [[]], "files")},
    **{f"kind {value!r}": members(kind=value) for value in ("eval", "test", None, 1, ["train"])},
    **{f"compression {value!r}": members(compression=value) for value in ("gzip", "zip", "GZIP", "", None)},
    **{f"format_version {value!r}": members(format_version=value) for value in (0, 2, 99, "1", 1.0, True)},
    **{f"seed {value!r}": members(seed=value) for value in (5, "", "-1", "+1", " 1", "1\n", "\u0661", str(2**64))},
    **{f"dtype {value!r}": nested("dtypes", "user_id", value)
       for value in ("object", "O", "float32", "int64", "V0", "U4", "i4,(100000000,)i8", None, ["i4"],
                     {"names": ["a"]})},
    "item dtype int32 of uint16": nested("dtypes", "item_id", "int32"),
    "one dtype more": nested("dtypes", "more", "int8"),
    "dtypes []": members(dtypes=[]),
    "dataset []": members(dataset=[]),
    "digest with NUL": nested("dataset", "digest", "a\0b"),
    "names up": names(lambda folder, name: "../cycle_00000/" + name),
    "names below": names(lambda folder, name: "./" + name),
    "absolute names": names(lambda folder, name: str(folder / name)),
    "names with NUL": names(lambda folder, name: name + "\0"),
    "empty names": names(lambda folder, name: ""),
    "the folder itself": names(lambda folder, name: "."),
    "one name twice": listed(1, name=FILE),
    "swapped files": swapped,
    "no crc32c": listed(crc32c=None),
    "upper-case crc32c": listed(crc32c="ABCDEF01"),
    "the crc32c of another file": listed(crc32c="abcdef01"),
    **{f"record_count {value!r}": listed(record_count=value) for value in (0, -1, 1.0, None, 2**64, True)},
    **{f"byte_count {value!r}": listed(byte_count=value) for value in (0, -1, None, 2**63, 1 << 42)},
    **{f"{name} is {what}": instead(name, put) for name in ("ready.json", FILE) for what, put in {
        "missing": lambda path: None,
        "a FIFO": os.mkfifo,
        "a folder": pathlib.Path.mkdir,
        "a socket": make_socket,
        "a link to a device": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "another file": lambda path: path.symlink_to("/etc/passwd"),
    }.items()},
    "ready.json of 64 GiB": grown("ready.json", 1 << 36),
    "a record file of 4 TiB": grown(FILE, 1 << 42),
    "a record of 2 GiB": content(lambda raw: frame(b"", 2**31 - 1) + bytes(4000)),
    "an empty payload": content(lambda raw: frame(b"") + raw[len(frame(next(independent_reader._payloads(raw)))):]),
    "a payload of empty fields": content(first_payload(lambda payload: b"\x0a\x00" * 1500)),
    "a map of empty entries": content(first_payload(lambda payload: field(1, b"\x0a\x00" * 1500))),
    "300 features": content(first_payload(lambda payload: example([(b"%d" % i, b"") for i in range(300)]))),
    "a number of 70 bits": content(first_payload(lambda payload: b"\x0a" + b"\xff" * 9 + b"\x7f")),
    "a name that is no UTF-8": content(first_payload(lambda payload: payload.replace(b"item_id", b"\xfftem_id"))),
    "a name twice": content(first_payload(lambda payload: payload.replace(b"user_id", b"item_id"))),
    "one record too many": content(lambda raw: raw + frame(next(independent_reader._payloads(raw)))),
    "one record too few": content(lambda raw: raw[len(frame(next(independent_reader._payloads(raw)))):]),
    "bytes after the last record": content(lambda raw: raw + b"\0" * 16),
    "compressed files called plain": content(gzip.compress),
    "plain files called compressed": members(compression="gzip"),
    "a gzip bomb": zipped(lambda raw: b"", lambda _: zeros(1 << 30)),
    "zeros after the gzip stream": zipped(lambda raw: raw, lambda raw: gzip.compress(raw) + bytes(600)),
    "a gzip stream that is cut off": zipped(lambda raw: raw, lambda raw: gzip.compress(raw)[:-1]),
}


@pytest.mark.parametrize("name", RECORDS)
def test_hostile_records_are_refused_with_a_format_error(name, originals, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(originals.runs[0], run)
    folder = run / "training_epochs/cycle_00000"
    ready = json.loads((folder / "ready.json").read_text())
    changed = RECORDS[name](folder, ready)
    if changed is not None:
        (folder / "ready.json").write_bytes(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
    for command, statuses in (((PROGRAM, "hash", run, "--quiet"), (4, 6)),
                              ((PROGRAM, "verify", originals.dataset, run, "--threads", 1), (1, 4, 6))):
        status, said = limited(*command)
        assert status in statuses and said, (command[1], status, said)
    read_in_python(run, name in SWELLING)


# ---- datasets


def array(name, change, dtype=None):
    """Writes another array with matching length and checksums."""

    def edit(folder, description):
        values = change(np.load(folder / f"{name}.npy"))
        np.save(folder / f"{name}.npy", values if dtype is None else values.astype(dtype))
        description["arrays"][name].update(length=len(values), crc32c=f"{crc32c.crc32c(values.tobytes()):08x}")

    return edit


def described(**changes):
    return lambda folder, description: description.update(changes)


def replaced(index, value):
    def change(values):
        values[index] = value
        return values

    return change


def entry(name, put):
    def edit(folder, description):
        (folder / name).unlink()
        put(folder / name)

    return edit


DATASETS = {
    "other counts": described(users=13),
    "other positives": described(positives=1),
    "no origin": lambda folder, description: description.pop("origin"),
    "no arrays": described(arrays=None),
    "a version": described(format_version=99),
    "a version in text": described(format_version="1"),
    "a length in text": lambda folder, description: description["arrays"]["item_ids"].update(length="100"),
    "a negative length": lambda folder, description: description["arrays"]["item_ids"].update(length=-1),
    "offsets that fall": array("user_offsets", replaced(1, 2**40)),
    "an offset below zero": array("user_offsets", replaced(1, -1)),
    "an item out of range": array("positive_items", replaced(0, 2**31 - 1)),
    "a negative item": array("positive_items", replaced(0, -1)),
    "a held-out item out of range": array("test_items", replaced(0, 2**31 - 1)),
    "a user too few": array("test_offsets", lambda values: values[:-1]),
    "another type": array("test_items", lambda values: values, "<i8"),
    **{f"{name} is {what}": entry(name, put) for name in ("dataset.json", "positive_items.npy") for what, put in {
        "missing": lambda path: None,
        "a FIFO": os.mkfifo,
        "a folder": pathlib.Path.mkdir,
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "empty": pathlib.Path.touch,
        "a link to itself": lambda path: path.symlink_to(path.name),
    }.items()},
    "an array of 4 TiB": lambda folder, description: os.truncate(folder / "positive_items.npy", 1 << 42),
}


@pytest.mark.parametrize("name", DATASETS)
def test_hostile_datasets_are_refused_with_a_format_error(name, originals, tmp_path):
    folder = tmp_path / "dataset"
    shutil.copytree(originals.dataset, folder)
    description = json.loads((folder / "dataset.json").read_text())
    del description["checksum"]
    DATASETS[name](folder, description)
    if (folder / "dataset.json").is_file() and (folder / "dataset.json").stat().st_size:
        plain = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode()
        (folder / "dataset.json").write_text(json.dumps({**description, "checksum": f"{crc32c.crc32c(plain):08x}"}))
    status, said = limited(PROGRAM, "info", folder)
    assert status in (4, 6) and str(folder) in said, (status, said)
    status, said = limited(PROGRAM, "generate", folder, "--out", tmp_path / "run", "--no-eval", "--quiet")
    assert status in (4, 6) and not (tmp_path / "run").exists(), (status, said)


def test_the_originals_are_accepted(originals):
    assert limited(PROGRAM, "info", originals.dataset)[0] == 0
    for run in originals.runs:
        assert folder_fuzz.compare_records(run, originals.dataset)


def test_updating_the_checksums_of_a_dataset_keeps_it_valid(originals, tmp_path):
    """Datasets of the table above are refused for their content, not for their checksums."""
    folder = tmp_path / "dataset"
    shutil.copytree(originals.dataset, folder)
    description = json.loads((folder / "dataset.json").read_text())
    checksum = description.pop("checksum")
    plain = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode()
    assert checksum == f"{crc32c.crc32c(plain):08x}"
