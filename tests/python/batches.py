"""A loader and the comparison of its batches, shared by the tests of loaders."""

import numpy as np
import pytest

import negpipe

BATCH_SIZE = 504  # a multiple of all world sizes


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)


@pytest.fixture
def loader(data):
    with negpipe.TrainLoader(data, BATCH_SIZE, seed=42) as made:
        yield made


def copied(batches):
    return [tuple(np.array(column) for column in batch) for batch in batches]


def assert_equal(found, wanted):
    found, wanted = copied(found), copied(wanted)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted):
        assert [column.dtype for column in ours] == [column.dtype for column in theirs]
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))


def joined(parts):
    """Returns the batches of several ranks as one sequence."""
    return [tuple(np.concatenate(columns) for columns in zip(*batches)) for batches in zip(*parts)]
