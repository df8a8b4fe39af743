import pathlib
import sys

import pytest

# Uses the helpers of the tests of the subcommands.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

from fixtures import dataset as dataset, ratings as ratings  # noqa: E402
from program import SMALL, negpipe  # noqa: E402


@pytest.fixture
def pipeline(dataset, tmp_path):
    """Starts pipelines, and ends them at the end of the test."""
    from negpipe import tf as negpipe_tf  # here: not all tests need TensorFlow
    from pipelines import USUAL

    started = []

    def start(source=dataset, **options):
        started.append(
            negpipe_tf.instantiate_pipeline(
                source, tmp_path / "data", **{**USUAL, "deterministic": True, "seed": 42, **options}
            )
        )
        return started[-1]

    yield start
    for _, cleanup_fn in started:
        cleanup_fn()


@pytest.fixture(scope="session")
def run(dataset, tmp_path_factory):
    """Two cycles and the evaluation data, seed 42. Must not be changed."""
    path = tmp_path_factory.mktemp("run") / "run"
    negpipe("generate", dataset, "--out", path, "--cycles", 2, "--seed", 42, *SMALL)
    return path
