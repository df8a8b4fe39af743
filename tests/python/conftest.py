import pathlib
import sys

import pytest

# The program is run as the tests of its subcommands do it.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

from program import SMALL, negpipe, write_ratings  # noqa: E402


@pytest.fixture(scope="session")
def ratings(tmp_path_factory):
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    write_ratings(path)
    return path


@pytest.fixture(scope="session")
def dataset(ratings, tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset") / "small"
    negpipe("prepare", ratings, "--out", path)
    return path


@pytest.fixture(scope="session")
def run(dataset, tmp_path_factory):
    """Two cycles and the evaluation data, seed 42; not to be changed."""
    path = tmp_path_factory.mktemp("run") / "run"
    negpipe("generate", dataset, "--out", path, "--cycles", 2, "--seed", 42, *SMALL)
    return path
