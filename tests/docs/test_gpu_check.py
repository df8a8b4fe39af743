"""scripts/gpu-check where there is no device: a step that cannot run is skipped with its reason."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]


def check(out, build, *options):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": ""}
    result = subprocess.run([ROOT / "scripts/gpu-check", "--build", build, "--out", out, *options], cwd=ROOT,
                            capture_output=True, text=True, check=False, env=environment)
    return result.returncode, result.stdout, (out / "steps.tsv").read_text()


def test_the_python_package_without_a_device_is_skipped(tmp_path):
    build = pathlib.Path(os.environ["NEGPIPE_PROGRAM"]).parent
    status, told, steps = check(tmp_path / "out", build, "--steps", "python")
    assert status == 0 and steps == "python\tskipped\t0\n"
    assert "SKIPPED: the Python package" in told and "finds no device" in told
    assert "| python | skipped | 0 |" in (tmp_path / "out/gpu-check.md").read_text()


def test_a_missing_program_is_a_failure(tmp_path):
    (tmp_path / "empty").mkdir()
    status, told, steps = check(tmp_path / "out", tmp_path / "empty", "--steps", "python,commands")
    assert status == 1 and "generate: FAILED, there is no" in told
    assert steps == "generate\tmissing\t0\npython\tskipped\t0\n"
