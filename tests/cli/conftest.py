import os
import pathlib

import pytest
from program import SMALL, negpipe, write_ratings


@pytest.fixture(scope="session")
def ratings(tmp_path_factory):
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    write_ratings(path)
    return path


@pytest.fixture(scope="session")
def dataset(ratings, tmp_path_factory):
    """A small dataset, prepared; not to be changed."""
    path = tmp_path_factory.mktemp("dataset") / "small"
    negpipe("prepare", ratings, "--out", path)
    return path


@pytest.fixture(scope="session")
def run(dataset, tmp_path_factory):
    """Three cycles and the evaluation data of it, seed 42; not to be changed."""
    path = tmp_path_factory.mktemp("run") / "run"
    negpipe("generate", dataset, "--out", path, "--cycles", 3, "--seed", 42, *SMALL)
    return path


@pytest.fixture(scope="session")
def movielens():
    """Real ratings, which the project may not ship."""
    path = pathlib.Path(os.environ.get("NEGPIPE_SHARED_DIR", "")) / "data/movielens-small/ratings.csv"
    if not path.exists():
        pytest.skip(f"there is no {path}: set NEGPIPE_SHARED_DIR to a folder with data/movielens-small/ratings.csv")
    return path


@pytest.fixture(scope="session")
def sanitized():
    return os.environ.get("NEGPIPE_SANITIZED") == "1"
