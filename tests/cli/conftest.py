import os
import pathlib

import pytest
from fixtures import dataset as dataset, ratings as ratings
from program import SHAPE, SMALL, negpipe, preloading, start, wait_until


@pytest.fixture(scope="session")
def run(dataset, tmp_path_factory):
    """Three cycles and the evaluation data of it, seed 42. Must not be changed."""
    path = tmp_path_factory.mktemp("run") / "run"
    negpipe("generate", dataset, "--out", path, "--cycles", 3, "--seed", 42, *SMALL)
    return path


@pytest.fixture(scope="session")
def movielens():
    """Real ratings, which the project may not distribute."""
    path = pathlib.Path(os.environ.get("NEGPIPE_SHARED_DIR", "")) / "data/movielens-small/ratings.csv"
    if not path.exists():
        pytest.skip(f"there is no {path}: set NEGPIPE_SHARED_DIR to a folder with data/movielens-small/ratings.csv")
    return path


@pytest.fixture(scope="session")
def sanitized():
    return os.environ.get("NEGPIPE_SANITIZED") == "1"


@pytest.fixture(scope="session")
def renames():
    """Environment of a program whose renames a test controls."""
    return preloading("NEGPIPE_RENAMES")


@pytest.fixture
def until_it_appears(renames, tmp_path):
    """Runs the program up to the rename that publishes a path, calls a function there, and continues."""
    def run(arguments, path, happen, **environment):
        flag = tmp_path.parent / f"{tmp_path.name}.waits"
        environment = {**renames, "RENAME_PATH": str(path), "RENAME_WAITS": str(flag), **environment}
        process = start(*arguments, env=environment)
        try:
            wait_until(lambda: flag.exists() or process.poll() is not None, "the rename")
            assert process.poll() is None, process.communicate()
            happen()
            flag.unlink()
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
        return process.returncode, said
    return run


@pytest.fixture
def commands(ratings, dataset, tmp_path):
    """By subcommand: its arguments without --seed, and the first path that it publishes."""
    data = tmp_path / "data"
    run = tmp_path / "run"
    return {"prepare": (("prepare", ratings, "--ties", "shuffled", "--out", data), data),
            "synth": (("synth", *SHAPE, "--out", data), data),
            "csv": (("synth", *SHAPE, "--out", tmp_path / "own", "--csv", tmp_path / "r.csv"), tmp_path / "r.csv"),
            "cycle": (("generate", dataset, "--out", run, *SMALL), run / "training_epochs/cycle_00000"),
            "evaluation": (("generate", dataset, "--out", run, *SMALL, "--cycles", 2), run / "eval_data")}


@pytest.fixture
def made(commands):
    """Path of a subcommand with existing output of seed 1, and the arguments that replace it."""
    def make(what):
        arguments, path = commands[what]
        negpipe(*arguments, "--seed", 1)
        return [*arguments, "--force", "--seed", 2], path
    return make
