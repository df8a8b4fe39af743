"""The programs in examples/: they learn, share the work among processes, and resume in the middle of an epoch."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
from program import negpipe as negpipe_program

import negpipe

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SMALL = ["--batch-size", "1024", "--eval-negatives", "50"]
NEEDS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None,
                                 reason="PyTorch is not installed; run scripts/setup-torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "dataset"
    negpipe.Dataset.synthetic(users=100, items=400, interactions=4000, seed=2).save(path)
    return path


def run(*command):
    outcome = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False,
                             timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def figures(told, epoch):
    line = re.search(rf"^epoch {epoch}: (.*?)(, [\d.]+ s)?$", told, re.MULTILINE)
    assert line, told
    return line.group(1)


def test_jax_learns(folder):
    told = run(EXAMPLES / "factorization_jax.py", folder, "--epochs", 6, *SMALL)
    losses = [float(loss) for loss in re.findall(r"loss (\S+),", told)]
    assert len(losses) == 6 and losses[-1] < losses[0]


@NEEDS_TORCH
def test_neumf_resumes_in_the_middle_of_an_epoch(folder, tmp_path):
    neumf = [EXAMPLES / "neumf_torch.py", folder, "--epochs", 2, *SMALL]
    whole = run(*neumf)
    checkpoint = ["--checkpoint", tmp_path / "neumf.pt"]
    assert "stopped after 25 steps" in run(*neumf, *checkpoint, "--max-steps", 25)  # an epoch has 20
    resumed = run(*neumf, *checkpoint)
    assert "resumed at epoch 1, batch 5" in resumed
    assert figures(resumed, 1) == figures(whole, 1)


@NEEDS_TORCH
def test_neumf_runs_under_torchrun(folder):
    told = run("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, EXAMPLES / "neumf_torch.py",
               folder, "--epochs", 1, *SMALL)
    assert re.fullmatch(r"loss 0\.\d+, HR@5 .*, NDCG@10 0\.\d+", figures(told, 0))


@NEEDS_TORCH
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bpr_torch", ["--batch-size", 512, "--negatives", 4]),
        ("two_tower_torch", ["--batch-size", 256, "--negatives", 128]),
        ("sasrec_torch", ["--batch-size", 32, "--negatives", 8, "--length", 12, "--width", 16]),
    ],
)
def test_loops_with_negatives_of_their_own_learn(tmp_path, name, options):
    negpipe_program("synth", "--users", 100, "--items", 300, "--positives", 3000, "--seed", 1,
                    "--out", tmp_path / "dataset", "--csv", tmp_path / "ratings.csv")
    told = run(EXAMPLES / f"{name}.py", tmp_path / "ratings.csv", "--epochs", 4, "--device", "cpu", *options)
    line = re.compile(r"^epoch \d: loss (\S+), Recall@20 0\.\d+, NDCG@20 0\.\d+", re.MULTILINE)
    losses = [float(loss) for loss in line.findall(told)]
    assert len(losses) == 4 and losses[-1] < losses[0], told


def test_examples_are_short():
    assert len(list(EXAMPLES.glob("*.py"))) >= 5
    for path in EXAMPLES.rglob("*.py"):
        assert len(path.read_text().splitlines()) < 150, path
