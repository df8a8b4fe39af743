"""Comparison of batches, shared by the tests of loaders."""

import numpy as np


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
