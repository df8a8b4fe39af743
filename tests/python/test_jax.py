"""negpipe.jax: arrays without a copy, over the devices of a sharding, and as a source for Grain."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import negpipe  # noqa: E402
import negpipe.jax  # noqa: E402
from negpipe import errors, metrics  # noqa: E402

BATCH_SIZE = 504


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)


def assert_equal(found, wanted):
    found, wanted = list(found), list(wanted)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted):
        assert all(isinstance(column, jax.Array) for column in ours)
        assert all(np.array_equal(np.asarray(a), b) for a, b in zip(ours, theirs))


def test_arrays_share_the_memory_of_the_batch(data):
    plain = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, prefetch=0)
    column = plain[0][0]
    assert jax.dlpack.from_dlpack(column).unsafe_buffer_pointer() == column.ctypes.data
    loader = negpipe.jax.TrainLoader(data, BATCH_SIZE, seed=42, padding="mask")
    masked = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, padding="mask")
    assert [column.dtype.name for column in loader[0]] == ["int32", "int32", "float32", "bool"]
    kept = list(loader)
    assert_equal(kept, masked)
    for _ in loader:  # memory that is held is not used again
        pass
    assert_equal(kept, masked.epoch(0))


def test_rows_are_evaluated_under_jit(data):
    loader = negpipe.jax.EvalLoader(data, 210, num_negatives=20)
    assert_equal(loader, negpipe.EvalLoader(data, 210, num_negatives=20))
    found = metrics.RankingMetrics((1, 10), 20)
    score = jax.jit(lambda users, items: (users * 31 + items * 17) % 101)
    for users, items, mask in loader:
        found.update(score(users, items).astype(float), mask)
    assert found.result()[10].row_count == data.num_users


def test_a_sharding_gives_arrays_of_the_global_shape(data):
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    loader = negpipe.jax.TrainLoader(data, BATCH_SIZE, seed=42, sharding=sharding)
    users = loader[0][0]
    assert users.sharding == sharding and users.shape == (BATCH_SIZE,)
    assert_equal(loader, negpipe.TrainLoader(data, BATCH_SIZE, seed=42))


def test_grain_reads_batches_of_all_epochs_at_random(data):
    loader = negpipe.jax.TrainLoader(data, BATCH_SIZE, seed=42)
    source = negpipe.jax.GrainSource(loader, epochs=3, first_epoch=1)
    assert len(source) == 3 * len(loader)
    wanted = [batch for epoch in (1, 2, 3) for batch in negpipe.TrainLoader(data, BATCH_SIZE, seed=42).epoch(epoch)]
    order = [len(source) - 1, 0, 7]
    assert_equal([source[i] for i in order], [wanted[i] for i in order])
    assert_equal([source[-2]], [wanted[-2]])
    with pytest.raises(IndexError, match="there is no batch"):
        source[len(source)]
    assert "epochs 1 to 3" in repr(source)


def test_types_that_jax_would_narrow_in_silence_are_refused(data):
    with pytest.raises(errors.OptionError, match="jax_enable_x64"):
        negpipe.jax.TrainLoader(data, BATCH_SIZE, item_dtype="int64")
