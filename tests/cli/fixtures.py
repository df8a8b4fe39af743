"""Fixtures of all tests of the program."""

import pytest
from program import negpipe, write_ratings


@pytest.fixture(scope="session")
def ratings(tmp_path_factory):
    """A small file of ratings. Must not be changed."""
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    write_ratings(path)
    return path


@pytest.fixture(scope="session")
def dataset(ratings, tmp_path_factory):
    """The dataset of the ratings. Must not be changed."""
    path = tmp_path_factory.mktemp("dataset") / "small"
    negpipe("prepare", ratings, "--out", path)
    return path
