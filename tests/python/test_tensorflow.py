"""Reading existing folders in TensorFlow."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from negpipe import records
from negpipe import tf as negpipe_tf
from program import SMALL, negpipe


def rows(dataset):
    """Returns all points of a dataset as a multiset of tuples."""
    counted = collections.Counter()
    for batch in dataset:
        features, labels = batch if isinstance(batch, tuple) else (batch, None)
        columns = [column.numpy() for _, column in sorted(features.items())]
        counted.update(zip(*columns, *([] if labels is None else [labels.numpy()]), strict=True))
    return counted


@pytest.mark.parametrize("part", ["training_epochs/cycle_00000", "training_epochs/cycle_00001", "eval_data"])
def test_deterministic_reading_is_the_programs_order(part, run):
    folder = records.RecordFolder(run / part)
    dataset = negpipe_tf.read_dataset(folder)
    ours = negpipe_tf.hash_pipeline(dataset, True)
    theirs = records.hash(run / part)[0]
    assert (ours.batch_count, ours.all_batches, ours.first_batch) == (
        theirs.batch_count,
        theirs.all_batches,
        theirs.first_batch,
    )
    assert dataset.cardinality().numpy() == folder.batch_count


def test_more_than_ten_files_are_read_in_the_order_of_their_numbers(dataset, tmp_path):
    usual = [word for pair in zip(SMALL[::2], SMALL[1::2], strict=True) if pair[0] != "--readers" for word in pair]
    negpipe("generate", dataset, "--out", tmp_path, "--seed", 5, *usual, "--readers", 12)
    folder = tmp_path / "training_epochs/cycle_00000"
    ours = negpipe_tf.hash_pipeline(negpipe_tf.read_dataset(records.RecordFolder(folder)), True)
    assert ours.all_batches == records.hash(folder)[0].all_batches


@pytest.mark.parametrize("part", ["training_epochs/cycle_00000", "eval_data"])
def test_parallel_reading_gives_the_same_points(part, run):
    folder = records.RecordFolder(run / part)
    assert rows(negpipe_tf.read_dataset(folder, deterministic=False)) == rows(negpipe_tf.read_dataset(folder))


def test_types(run):
    features, labels = negpipe_tf.read_dataset(records.RecordFolder(run / "training_epochs/cycle_00000")).element_spec
    assert features == {"user_id": tf.TensorSpec((512,), tf.int32), "item_id": tf.TensorSpec((512,), tf.uint16)}
    assert labels == tf.TensorSpec((512,), tf.bool)
    spec = negpipe_tf.read_dataset(records.RecordFolder(run / "eval_data"), int32_items=True).element_spec
    assert spec["item_id"].dtype == tf.int32 and spec["duplicate_mask"].dtype == tf.bool


def test_items_for_a_tpu_are_the_same(run):
    folder = records.RecordFolder(run / "eval_data")
    assert rows(negpipe_tf.read_dataset(folder, int32_items=True)) == rows(negpipe_tf.read_dataset(folder))


@pytest.mark.parametrize("options", [("--compression", "gzip"), ("--padding", "mask")], ids=["gzip", "mask"])
def test_other_kinds_of_records(options, dataset, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path, "--seed", 5, "--no-eval", *SMALL, *options)
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    wanted = list(folder.batches())
    for batch, (features, labels) in zip(wanted, negpipe_tf.read_dataset(folder), strict=True):
        found = {**features, "labels": labels}
        assert found.keys() == batch.keys()
        for name, column in batch.items():
            np.testing.assert_array_equal(found[name].numpy().astype(column.dtype), column)


@pytest.mark.parametrize("options", [(), ("--padding", "mask"), ("--num-neg", 0)], ids=["plain", "mask", "none"])
def test_rows_of_the_pairwise_layout(options, dataset, tmp_path):
    usual = [word for pair in zip(SMALL[::2], SMALL[1::2]) if pair[0] not in options for word in pair]
    pairwise = ("--layout", "pairwise", *options)
    negpipe("generate", dataset, "--out", tmp_path, "--seed", 5, "--no-eval", *usual, *pairwise)
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    read = negpipe_tf.read_dataset(folder)
    negatives = folder.ready["num_neg"]
    assert read.element_spec["negative_item_id"] == tf.TensorSpec((512, negatives), tf.uint16)
    for batch, found in zip(folder.batches(), read, strict=True):
        assert found.keys() == batch.keys()
        for name, column in batch.items():
            np.testing.assert_array_equal(found[name].numpy().astype(column.dtype), column)
    assert negpipe_tf.hash_pipeline(read, True).all_batches == records.hash(folder.path)[0].all_batches
    wide = negpipe_tf.read_dataset(folder, int32_items=True).element_spec
    assert wide["item_id"].dtype == wide["negative_item_id"].dtype == tf.int32


def test_more_items_than_16_bits_number(tmp_path):
    shape = ("--users", 100, "--items", 66_000, "--positives", 70_000)
    negpipe("synth", *shape, "--seed", 1, "--out", tmp_path / "data")
    negpipe("generate", tmp_path / "data", "--out", tmp_path, "--seed", 5, "--no-eval", "--num-neg", 1)
    folder = records.RecordFolder(tmp_path / "training_epochs/cycle_00000")
    dataset = negpipe_tf.read_dataset(folder)
    assert dataset.element_spec[0]["item_id"].dtype == tf.int32
    assert negpipe_tf.hash_pipeline(dataset, True).all_batches == records.hash(folder.path)[0].all_batches
    assert max(int(tf.reduce_max(features["item_id"])) for features, _ in dataset) > 65_535


@pytest.mark.parametrize("is_training", [True, False])
def test_synthetic_data(is_training):
    params = {"batch_size": 16, "eval_batch_size": 32, "num_users": 5, "num_items": 7}
    input_fn, record_dir, batch_count = negpipe_tf.make_input_fn(None, is_training)
    assert record_dir is None and batch_count == 2000
    batches = list(input_fn(params))
    assert len(batches) == 2000
    features = batches[0][0] if is_training else batches[0]
    assert features["user_id"].shape == (16 if is_training else 32)
    assert int(tf.reduce_max(features["user_id"])) < 5 and int(tf.reduce_max(features["item_id"])) < 7
    assert (batches[0][1] if is_training else features["duplicate_mask"]).dtype == tf.bool
    assert ("duplicate_mask" in features) != is_training
