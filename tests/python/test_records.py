"""The reader without TensorFlow: equal to the program, and robust against damaged files."""

import json
import os
import shutil

import numpy as np
import pytest
from negpipe import errors, records
from program import BAD_DATA, SMALL, negpipe, refuses, small


def program_hashes(folder):
    return json.loads(negpipe("hash", folder, "--json").stdout)["folders"]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--compression", "gzip"),
        ("--padding", "mask"),
        ("--padding", "drop"),
        ("--readers", 40),
        ("--layout", "pairwise"),
    ],
    ids=["plain", "gzip", "mask", "drop", "empty-files", "pairwise"],
)
def test_hash_equals_that_of_the_program(options, dataset, tmp_path):
    usual = [word for pair in zip(SMALL[::2], SMALL[1::2]) if pair[0] not in options for word in pair]
    negpipe("generate", dataset, "--out", tmp_path, "--cycles", 2, "--seed", 5, *usual, *options)
    ours = records.hash(tmp_path)
    theirs = program_hashes(tmp_path)
    assert [entry.name for entry in ours] == ["cycle_00000", "cycle_00001", "eval_data"]
    for mine, other in zip(ours, theirs, strict=True):
        assert vars(mine).items() <= other.items(), (mine, other)
    assert ours[0].all_batches != ours[1].all_batches


def test_train_10_comes_after_train_9(dataset, tmp_path):
    usual = [word for pair in zip(SMALL[::2], SMALL[1::2]) if pair[0] != "--readers" for word in pair]
    negpipe("generate", dataset, "--out", tmp_path / "many", "--seed", 5, *usual, "--readers", 12)
    negpipe("generate", dataset, "--out", tmp_path / "one", "--seed", 5, *usual, "--readers", 1)
    assert records.hash(tmp_path / "many") == records.hash(tmp_path / "one")


def test_columns(run):
    folder = records.RecordFolder(run / "training_epochs/cycle_00001")
    batches = list(folder.batches())
    assert folder.is_training and len(batches) == folder.batch_count
    for batch in batches:
        assert {name: (column.dtype, column.shape) for name, column in batch.items()} == {
            "user_id": (np.dtype("<i4"), (512,)),
            "item_id": (np.dtype("<u2"), (512,)),
            "labels": (np.dtype("i1"), (512,)),
        }
        assert set(np.unique(batch["labels"])) <= {0, 1}
        assert not batch["user_id"].flags.writeable and not batch["user_id"].flags.owndata
    evaluation = records.RecordFolder(run / "eval_data")
    assert not evaluation.is_training
    assert set(next(evaluation.batches())) == {"user_id", "item_id", "duplicate_mask"}


@pytest.mark.parametrize("batch_size", [1, 13, 510, 512, 20_000])
def test_held_batches_stay_as_they_were_and_are_aligned(batch_size, dataset, tmp_path):
    usual = small("--batch-size", batch_size, "--readers", 1)
    negpipe("generate", dataset, "--out", tmp_path, "--no-eval", "--seed", 5, *usual)
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    copies = []
    held = []
    for batch, _ in zip(folder.batches(), range(100)):
        copies.append({name: column.copy() for name, column in batch.items()})
        held.append(batch)
    for batch, copy in zip(held, copies):
        assert all(np.array_equal(batch[name], copy[name]) for name in copy)
        assert all(column.flags.aligned for column in batch.values())


def test_a_file_that_is_truncated_while_it_is_read_is_refused(dataset, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path, "--no-eval", *small("--batch-size", 5000, "--readers", 1))
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    assert folder.files[0].stat().st_size > 65_536  # more than what the reader reads ahead
    batches = folder.batches()
    next(batches)
    os.truncate(folder.files[0], 50_000)
    with pytest.raises(records.FormatError, match="train_0.tfrecords.* is truncated"):
        list(batches)


@pytest.mark.parametrize("negatives", [0, 6])
def test_columns_of_the_pairwise_layout(negatives, dataset, tmp_path):
    usual = [word for pair in zip(SMALL[::2], SMALL[1::2]) if pair[0] != "--num-neg" for word in pair]
    options = ("--layout", "pairwise", "--padding", "mask", "--num-neg", negatives)
    negpipe("generate", dataset, "--out", tmp_path, "--seed", 5, "--no-eval", *usual, *options)
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    batches = list(folder.batches())
    assert folder.ready["layout"] == "pairwise" and len(batches) == folder.batch_count
    for batch in batches:
        assert {name: (column.dtype, column.shape) for name, column in batch.items()} == {
            "user_id": (np.dtype("<i4"), (512,)),
            "item_id": (np.dtype("<u2"), (512,)),
            "negative_item_id": (np.dtype("<u2"), (512, negatives)),
            "valid_point_mask": (np.dtype("i1"), (512,)),
        }
    assert sum(int(batch["valid_point_mask"].sum()) for batch in batches) == folder.ready["point_count"]


def test_a_ready_file_without_a_layout_is_pointwise(run, tmp_path):
    folder = tmp_path / "cycle_00000"
    shutil.copytree(run / "training_epochs/cycle_00000", folder)
    ready = json.loads((folder / "ready.json").read_text())
    assert ready.pop("layout") == "pointwise"
    (folder / "ready.json").write_text(json.dumps(ready))
    assert records.hash(folder)[0].all_batches == records.hash(run)[0].all_batches


@pytest.mark.parametrize("version", [0, 2, 99])
def test_unknown_stream_versions_are_not_hashed(version, run, tmp_path):
    path = tmp_path / "eval_data/ready.json"
    shutil.copytree(run / "eval_data", path.parent)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stream_version": version}))
    with pytest.raises(records.FormatError, match=f'"stream_version" is {version}, 1 to 1 wanted'):
        records.hash(tmp_path)
    refuses(BAD_DATA, "hash", tmp_path, naming=["stream_version", version, "1 to 1"])


@pytest.mark.parametrize("folder", ["training_epochs/cycle_00000", "eval_data"])
def test_a_distribution_must_be_whole(folder, run, tmp_path):
    shutil.copytree(run / folder, tmp_path / "copy")
    ready = json.loads((tmp_path / "copy/ready.json").read_text())
    whole = {"distribution": "popularity", "alpha": 1, "weights_digest": "0" * 32}
    for fields, is_refused in [(whole, False), ({"weights_digest": "0" * 32}, True), ({**whole, "alpha": 17}, True),
                               ({**whole, "weights_digest": "x"}, True), ({"distribution": "uniform"}, True)]:
        (tmp_path / "copy/ready.json").write_text(json.dumps(ready | fields))
        if is_refused:
            with pytest.raises(records.FormatError):
                records.RecordFolder(tmp_path / "copy")
        else:
            assert records.RecordFolder(tmp_path / "copy").ready["alpha"] == 1


def test_a_folder_of_records_itself(run):
    assert records.hash(run / "eval_data") == records.hash(run)[-1:]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_every_flipped_byte_is_refused(compression, dataset, tmp_path):
    options = ("--num-neg", 0, "--batch-size", 64, "--no-eval", "--readers", 1, "--compression", compression)
    negpipe("generate", dataset, "--out", tmp_path, "--seed", 5, *options)
    folder = tmp_path / "training_epochs/cycle_00000"
    path = folder / "train_0.tfrecords"
    whole = path.read_bytes()
    assert records.hash(folder)[0].batch_count > 1
    positions = [*range(0, 600), *range(600, len(whole), 97)]
    for position in positions:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            records.hash(folder)
        except records.FormatError as failure:
            assert "train_0.tfrecords" in str(failure)
        else:
            raise AssertionError(f"accepts another byte at {position}")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_file_in_the_place_of_another_is_refused_after_its_batches(compression, dataset, tmp_path):
    usual = small("--readers", 4, "--batch-size", 50)
    negpipe("generate", dataset, "--out", tmp_path, "--no-eval", "--seed", 5, "--compression", compression, *usual)
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    first, second = folder.files[:2]
    assert folder.ready["files"][0]["record_count"] == folder.ready["files"][1]["record_count"] > 1
    wanted = folder.ready["files"][0]["crc32c"]
    shutil.copyfile(second, first)
    if compression == "gzip":  # of another size in general: as if ready.json listed that
        ready = json.loads((folder.path / "ready.json").read_text())
        ready["files"][0]["byte_count"] = second.stat().st_size
        (folder.path / "ready.json").write_text(json.dumps(ready))
        folder = records.RecordFolder(folder.path)
    found = folder.ready["files"][1]["crc32c"]
    read = 0
    with pytest.raises(records.FormatError, match=f"train_0.tfrecords: its CRC-32C is {found}, {wanted} wanted"):
        for _ in folder.batches():
            read += 1
    assert read == folder.ready["files"][0]["record_count"]
    refuses(BAD_DATA, "hash", tmp_path, naming=["train_0.tfrecords", found, wanted])


def test_truncation_is_detected(run, tmp_path):
    folder = tmp_path / "cycle"
    shutil.copytree(run / "training_epochs/cycle_00000", folder)
    path = folder / "train_1.tfrecords"
    whole = path.read_bytes()
    for length in (0, 5, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(records.FormatError, match="train_1.tfrecords"):
            list(records.RecordFolder(folder).batches())


def test_a_record_is_refused_before_memory_is_allocated(run):
    path = run / "training_epochs/cycle_00000/train_0.tfrecords"
    size = len(next(records.read_payloads(path)))
    assert len(next(records.read_payloads(path, max_payload_bytes=size))) == size
    with pytest.raises(records.FormatError, match=f"at most {size - 1} wanted"):
        next(records.read_payloads(path, max_payload_bytes=size - 1))
    with pytest.raises(errors.OptionError, match="`max_payload_bytes`: -1 given"):
        next(records.read_payloads(path, max_payload_bytes=-1))


def test_a_folder_without_its_files_is_refused_before_it_is_read(run, tmp_path):
    shutil.copytree(run / "eval_data", tmp_path / "eval_data")
    folder = records.RecordFolder(tmp_path / "eval_data")
    folder.check_files()
    (tmp_path / "eval_data/eval_1.tfrecords").unlink()
    with pytest.raises(records.FormatError, match="eval_1.tfrecords"):
        folder.check_files()


def test_a_folder_that_was_not_finished_has_no_hash(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/training_epochs/cycle_00001/ready.json").unlink()
    with pytest.raises(records.FormatError, match="ready.json"):
        records.hash(tmp_path / "run")
    assert [number for number, _ in records.cycle_folders(tmp_path / "run/training_epochs")] == [0]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"batch_size": "many"}'])
def test_an_invalid_ready_file(text, tmp_path):
    (tmp_path / "ready.json").write_text(text)
    with pytest.raises(records.FormatError, match="ready.json"):
        records.RecordFolder(tmp_path)


def test_nothing_to_read(tmp_path):
    with pytest.raises(records.FormatError, match="no finished records"):
        records.hash(tmp_path)
    (tmp_path / "training_epochs/cycle_00000").mkdir(parents=True)
    assert records.cycle_folders(tmp_path / "training_epochs") == []
    assert records.cycle_folders(tmp_path / "none") == []
