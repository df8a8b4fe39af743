"""The wheel works in an environment with only NumPy: the package, its extension module, the program."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command, **options):
    outcome = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert outcome.returncode == 0, f"{command}\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    folder = tmp_path_factory.mktemp("wheel")
    # The same folder and compiler options as the presets, so that a compiler cache can be used.
    options = ["NEGPIPE_CUDA=OFF", "NEGPIPE_WARNINGS_AS_ERRORS=ON"]
    settings = [f"build-dir={ROOT}/build/wheel", *(f"cmake.define.{option}" for option in options)]
    run(*pip, *(f"--config-settings={setting}" for setting in settings), "-w", folder, ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The bin folder of an environment with the wheel and the NumPy of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (site,) = folder.glob("lib/python*/site-packages")
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    numpy_package = pathlib.Path(numpy.__file__).parent
    for part in (numpy_package, numpy_package.with_name("numpy.libs")):
        if part.exists():
            (site / part.name).symlink_to(part)
    return folder / "bin"


def test_the_wheel_holds_types_and_program_and_no_sources(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"negpipe/py.typed", "negpipe/_native.pyi", "negpipe/bin/negpipe", "negpipe/dataset.py"} <= set(names)
    assert all(name.startswith(("negpipe/", "negpipe-")) for name in names), names
    assert not [name for name in names if name.endswith((".cpp", ".hpp", ".a"))]


def test_the_program_runs_by_both_names(environment, tmp_path):
    shape = ["--users", "50", "--items", "100", "--positives", "1500"]
    run(environment / "negpipe", "synth", *shape, "--out", tmp_path / "dataset", env={})
    told = run(environment / "python", "-m", "negpipe", "info", tmp_path / "dataset", env={})
    assert "users" in told and "50" in told
    refused = subprocess.run([environment / "negpipe", "info", "/nowhere"], capture_output=True, check=False, env={})
    assert refused.returncode == 6


def test_the_package_works_where_it_was_installed(environment):
    script = """
import negpipe
print(negpipe.Dataset.synthetic(users=50, items=100, interactions=1500))
print(negpipe.__file__)"""
    told, path = run(environment / "python", "-c", script, env={}, cwd="/").splitlines()
    assert "50 users" in told
    assert pathlib.Path(path).is_relative_to(environment.parent)


def test_a_program_in_the_path_takes_precedence_over_the_bundled_one(environment, tmp_path):
    named = tmp_path / "negpipe"
    shutil.copy("/bin/true", named)
    script = "from negpipe import program; print(program.find_program())"
    assert run(environment / "python", "-c", script, env={"NEGPIPE_PROGRAM": str(named)}).strip() == str(named)
    carried = run(environment / "python", "-c", script, env={}).strip()
    assert carried.endswith("site-packages/negpipe/bin/negpipe")
