import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

import strikes  # noqa: E402


@pytest.fixture(scope="session")
def arena():
    root = strikes.scratch_folder()
    yield strikes.Arena(pathlib.Path(root) / "arena")
    shutil.rmtree(root, ignore_errors=True)
