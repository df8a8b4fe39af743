import pathlib
import sys

import pytest

# Uses the helpers of the tests of the other subcommands.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

from fixtures import dataset as dataset, ratings as ratings  # noqa: E402
from program import SMALL, negpipe, preloading  # noqa: E402


@pytest.fixture(scope="session")
def undisturbed(dataset, tmp_path_factory):
    """Eight cycles and the evaluation data that generate makes of it with seed 42."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    negpipe("generate", dataset, "--out", path, "--cycles", 8, "--seed", 42, *SMALL)
    return path


@pytest.fixture(scope="session")
def preload():
    """Environment of a producer whose clock and disk a test controls."""
    return preloading("NEGPIPE_PRELOAD")
