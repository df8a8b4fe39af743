"""TensorFlow reads all record files, with checksums on, and finds the expected arrays."""

import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow", reason="tensorflow-cpu is not installed; run scripts/setup")

DTYPES = {"int32": tf.int32, "uint16": tf.uint16, "int8": tf.int8}


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    subprocess.run([os.environ["NEGPIPE_ORACLE_WRITER"], folder], check=True, timeout=300)
    return sorted(folder.iterdir())


def folders_of(run):
    return [(run / "run/training_epochs/cycle_00000", run / "train"), (run / "run/eval_data", run / "eval")]


def read_with_tensorflow(folder, ready):
    """Returns the arrays of all batches in reading order, by feature name."""
    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in ready["dtypes"]}
    files = [str(folder / file["name"]) for file in ready["files"]]
    compression = {"none": "", "gzip": "GZIP"}[ready["compression"]]
    dataset = tf.data.TFRecordDataset(files, compression_type=compression)
    batches = [
        {key: tf.io.decode_raw(example[key], DTYPES[dtype]).numpy() for key, dtype in ready["dtypes"].items()}
        for example in dataset.map(lambda record: tf.io.parse_single_example(record, spec))
    ]
    assert len(batches) == ready["batch_count"]
    per_row = {"negative_item_id": ready.get("num_neg")}
    for batch in batches:
        assert all(len(column) == ready["batch_size"] * per_row.get(key, 1) for key, column in batch.items())
    return {key: np.concatenate([batch[key] for batch in batches]) for key in ready["dtypes"]}


def test_tensorflow_reads_the_expected_arrays(runs):
    assert len(runs) == 27
    for run in runs:
        for folder, meant in folders_of(run):
            ready = json.loads((folder / "ready.json").read_text())
            found = read_with_tensorflow(folder, ready)
            assert ready["dtypes"]["item_id"] == run.name.split("-")[0]
            columns = {"user_id": "users", "item_id": "items"}
            if meant.name == "eval":
                columns["duplicate_mask"] = "flags"
            elif "pairwise" in run.name:
                columns["negative_item_id"] = "negatives"
            else:
                columns["labels"] = "flags"
            if "mask" in run.name and meant.name == "train":
                columns["valid_point_mask"] = "valid"
            assert set(columns) == set(found), run.name
            for key, file in columns.items():
                wanted = np.fromfile(meant / file, dtype=found[key].dtype)
                np.testing.assert_array_equal(found[key], wanted, err_msg=f"{run.name} {meant.name} {key}")


def test_bytes_equal_deterministic_protobuf(runs):
    for run in runs:
        for folder, _ in folders_of(run):
            ready = json.loads((folder / "ready.json").read_text())
            compression = {"none": "", "gzip": "GZIP"}[ready["compression"]]
            for file in ready["files"]:
                for record in tf.data.TFRecordDataset(str(folder / file["name"]), compression_type=compression):
                    example = tf.train.Example.FromString(record.numpy())
                    assert example.SerializeToString(deterministic=True) == record.numpy()


def test_index_points_at_records(runs):
    for run in runs:
        for folder, _ in folders_of(run):
            ready = json.loads((folder / "ready.json").read_text())
            for file in ready["files"]:
                path = folder / file["name"]
                index = pathlib.Path(f"{path}.idx")
                assert index.exists() == (ready["compression"] == "none")
                if not index.exists():
                    continue
                lines = [tuple(map(int, line.split())) for line in index.read_text().splitlines()]
                records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
                content = path.read_bytes()
                assert [content[offset + 12:offset + length - 4] for offset, length in lines] == records
                assert len(records) == file["record_count"]


def test_file_checksums_are_plain_crc32c(runs):
    crc32c = pytest.importorskip("crc32c", reason="crc32c is not installed; run scripts/setup")
    for run in runs:
        for folder, _ in folders_of(run):
            ready = json.loads((folder / "ready.json").read_text())
            for file in ready["files"]:
                content = (folder / file["name"]).read_bytes()
                assert len(content) == file["byte_count"]
                assert f"{crc32c.crc32c(content):08x}" == file["crc32c"], f"{run.name} {file['name']}"


def test_tensorflow_detects_damage(runs, tmp_path):
    folder = next(run for run in runs if run.name == "uint16-resample-none-1") / "run/eval_data"
    content = bytearray((folder / "eval_0.tfrecords").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(tmp_path / "damaged")))
