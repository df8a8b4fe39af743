"""The workflows of .github are valid, and keep the rules of zizmor: pinned actions, few permissions, no injection."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TOOLS = pathlib.Path(sys.executable).parent

UNPINNED = """\
on: push
permissions: {}
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@main
        with: {persist-credentials: false}
"""


def run(tool, *arguments):
    return subprocess.run([TOOLS / tool, *arguments], capture_output=True, text=True, check=False)


def schema(path):
    return run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


def audit(path):
    return run("zizmor", "--offline", "--no-progress", "--quiet", path)


def test_there_is_a_workflow():
    assert WORKFLOWS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
@pytest.mark.parametrize("check", [schema, audit])
def test_workflows_pass(check, path):
    result = check(path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_checks_detect_violations(tmp_path):
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    unpinned = folder / "unpinned.yml"
    unpinned.write_text(UNPINNED)
    assert schema(unpinned).returncode == 0
    assert "unpinned-uses" in audit(unpinned).stdout
    unknown_key = folder / "unknown.yml"
    unknown_key.write_text(UNPINNED.replace("runs-on", "runs-at"))
    assert schema(unknown_key).returncode != 0
