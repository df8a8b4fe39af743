"""One run made by several processes: generate --part, publish, and --part of verify and hash."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from program import (BAD_DATA, PROGRAM, SMALL, SYSTEM, USAGE, digests, leftovers, negpipe, refuses, small, start,
                     wait_until)

RUN = ("--cycles", 2, "--seed", 42, *small("--readers", 6))


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """The run of one process. Must not be changed."""
    path = tmp_path_factory.mktemp("whole") / "run"
    negpipe("generate", dataset, "--out", path, *RUN)
    return path


def part(dataset, out, which, *options, **more):
    return negpipe("generate", dataset, "--out", out, "--part", which, *(options or RUN), **more)


def hidden(out, folder="training_epochs/.cycle_00000"):
    return next(out.glob(f"{folder}.parts-*"))


@pytest.mark.parametrize("count", [1, 4, 8], ids=lambda count: f"{count}_parts")
def test_parts_make_the_bytes_of_one_process(count, dataset, whole, tmp_path):
    out = tmp_path / "run"
    workers = [start("generate", dataset, "--out", out, "--part", f"{i}/{count}", *RUN) for i in range(count)]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * count, [w.communicate() for w in workers]
    assert not (out / "training_epochs/cycle_00000").exists()
    negpipe("publish", out)
    assert digests(out) == digests(whole)
    assert leftovers(out) == []


def test_parts_of_gzip_files_and_of_a_single_cycle(dataset, tmp_path):
    options = ("--first-cycle", 3, "--seed", 1, "--no-eval", *small("--compression", "gzip"))
    for i in (1, 0):
        part(dataset, tmp_path / "parts", f"{i}/2", *options)
    negpipe("publish", tmp_path / "parts")
    negpipe("generate", dataset, "--out", tmp_path / "one", *options)
    assert digests(tmp_path / "parts") == digests(tmp_path / "one")


def test_publishing_again_does_nothing(dataset, whole, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/1")
    assert "published\n" in negpipe("publish", out).stdout
    assert "published already\n" in negpipe("publish", out).stdout
    part(dataset, out, "0/1")  # a scheduler may start a finished part again
    assert digests(out) == digests(whole)


def test_publish_names_what_is_missing(dataset, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/3")
    refuses(BAD_DATA, "publish", out, naming=["cycle_00000: part 1/3", "cycle_00001: part 2/3", "eval_data: part 1/3"])
    part(dataset, out, "1/3")
    part(dataset, out, "2/3")
    (hidden(out) / "train_4.tfrecords").write_bytes(b"short")
    refuses(BAD_DATA, "publish", out, naming=["train_4.tfrecords of part 1/3"])
    shutil.rmtree(hidden(out, "training_epochs/.cycle_00001"))
    refuses(BAD_DATA, "publish", out, naming=["cycle_00001: all parts"])
    assert not list(out.rglob("ready.json"))
    refuses(BAD_DATA, "publish", tmp_path, naming=["holds no records"])


def test_a_part_that_runs_again_keeps_what_is_whole_and_right(dataset, whole, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/2")
    folder = hidden(out)
    damaged, lost, kept = (folder / f"train_{f}.tfrecords" for f in (0, 2, 4))
    damaged.write_bytes(bytes(damaged.stat().st_size))
    lost.unlink()
    before = kept.stat().st_ino
    assert "1 files made before" in part(dataset, out, "0/2").stdout
    assert kept.stat().st_ino == before
    part(dataset, out, "1/2")
    negpipe("publish", out)
    assert digests(out) == digests(whole)


@pytest.mark.parametrize("moment", ["rename:1", "rename:4", "rename:9", "fsync:3", "pwrite64:4", "mkdir:3"])
def test_a_killed_part_completes_when_run_again(moment, dataset, whole, tmp_path):
    """tests/faults/strikes.py kills it at every system call."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    out = tmp_path / "run"
    call, when = moment.split(":")
    killed = subprocess.run(["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e",
                             f"inject={call}:signal=KILL:when={when}", PROGRAM, "generate", dataset, "--out",
                             out, "--part", "1/2", *map(str, RUN)], capture_output=True, timeout=60, check=False)
    assert killed.returncode != 0
    for which in ("0/2", "1/2"):
        part(dataset, out, which)
    negpipe("publish", out)
    assert digests(out) == digests(whole)
    assert leftovers(out) == []


def test_a_publication_that_is_killed_continues(dataset, whole, tmp_path, renames):
    out = tmp_path / "run"
    part(dataset, out, "0/1")
    flag = tmp_path / "waits"
    place = out / "training_epochs/cycle_00001"
    process = start("publish", out, env={**renames, "RENAME_PATH": str(place), "RENAME_WAITS": str(flag)})
    wait_until(flag.exists, "the rename of the second cycle")
    process.kill()
    process.communicate()
    assert (out / "training_epochs/cycle_00000").exists() and not place.exists()
    negpipe("publish", out)
    assert digests(out) == digests(whole)
    assert leftovers(out) == []


def test_a_second_run_of_a_part_in_progress_is_refused(dataset, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/2")
    part(dataset, out, "1/2")
    with open(hidden(out) / "part_1.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        message = refuses(SYSTEM, "generate", dataset, "--out", out, "--part", "1/2", "--quiet", *RUN,
                          naming=["part 1/2", "another process"])
        refuses(BAD_DATA, "publish", out, naming=["part 1/2 (in progress)"])
    assert str(hidden(out)) in message
    negpipe("publish", out)


@pytest.mark.parametrize("change, found", [
    (("--seed", 43), '"seed" is "42", "43" wanted'),
    (("--cycles", 3), '"cycle_count" is 2, 3 wanted'),
    (("--readers", 5), '"readers" is 6, 5 wanted'),
    (("--batch-size", 256), '"batch_size" is 512, 256 wanted'),
], ids=lambda value: value[0].strip("-") if isinstance(value, tuple) else "")
def test_a_part_of_another_run_is_refused(change, found, dataset, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/2")
    options = [value for pair in zip(RUN[::2], RUN[1::2]) for value in (change if pair[0] == change[0] else pair)]
    arguments = ("generate", dataset, "--out", out, "--part", "1/2", *options)
    refuses(USAGE, *arguments, "--quiet", naming=[found, "--force"])
    refuses(USAGE, "generate", dataset, "--out", out, "--part", "1/3", "--quiet", *RUN, naming=['"parts" is 2'])
    negpipe(*arguments, "--force")
    assert len(list((out / "training_epochs").glob(".cycle_00000.*"))) == 1, "the stale part is still there"


def test_a_part_of_another_dataset_is_refused(dataset, tmp_path):
    negpipe("synth", "--users", 50, "--items", 100, "--positives", 1500, "--seed", 1, "--out", tmp_path / "other")
    part(dataset, tmp_path / "run", "0/2")
    refuses(USAGE, "generate", tmp_path / "other", "--out", tmp_path / "run", "--part", "1/2", "--quiet", *RUN,
            naming=["another run", '"digest"'])


def test_a_published_run_is_replaced_only_with_force(dataset, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    other = [43 if value == 42 else value for value in RUN]
    refuses(USAGE, "generate", dataset, "--out", out, "--part", "0/1", "--quiet", *other, naming=["another run"])
    part(dataset, out, "0/1", "--force", *other)
    refuses(USAGE, "publish", out, naming=["exists already", "--force"])
    negpipe("publish", out, "--force")
    negpipe("verify", dataset, out)
    assert digests(out) != digests(whole)


def test_files_that_no_part_wrote_are_not_removed(dataset, tmp_path):
    part(dataset, tmp_path / "run", "0/1")
    for name in ("notes.txt", "part_notes.txt", "part_1.json", "part_0.txt", ".part_x.tmp", "part_00.json", "part_0"):
        notes = hidden(tmp_path / "run") / name
        notes.write_text("mine")
        refuses(USAGE, "publish", tmp_path / "run", naming=[name])
        assert notes.read_text() == "mine"
        notes.unlink()


def test_verify_and_hash_read_only_their_part(dataset, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    damaged = out / "training_epochs/cycle_00001/train_3.tfrecords"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    negpipe("verify", dataset, out, "--part", "0/2")
    negpipe("hash", out, "--part", "0/2")
    result = negpipe("verify", dataset, out, "--part", "1/2", expect=1)
    assert "train_3.tfrecords" in result.stdout and "train_2" not in result.stdout
    refuses(BAD_DATA, "hash", out, "--part", "1/2", naming=["train_3.tfrecords"])
    assert negpipe("hash", whole, "--part", "0/1").stdout == negpipe("hash", whole).stdout


def test_verify_reads_a_part_before_it_is_published(dataset, whole, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "1/2")
    result = json.loads(negpipe("verify", dataset, out, "--part", "1/2", "--json").stdout)
    shutil.copytree(whole, tmp_path / "published")
    expected = json.loads(negpipe("verify", dataset, tmp_path / "published", "--part", "1/2", "--json").stdout)
    assert result == expected and result["record_count"] > 0 and result["has_evaluation"]
    damaged = hidden(out) / "train_3.tfrecords"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    result = negpipe("verify", dataset, out, "--part", "1/2", expect=1)
    assert "train_3.tfrecords: record" in result.stdout and "cycle_00001" not in result.stdout
    assert all(line.count("train_3.tfrecords") <= 1 for line in result.stdout.splitlines())
    assert not list(out.rglob("ready.json"))


def test_hash_reads_a_part_before_it_is_published(dataset, whole, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "1/2")
    assert negpipe("hash", out, "--part", "1/2").stdout == negpipe("hash", whole, "--part", "1/2").stdout
    refuses(BAD_DATA, "hash", out, naming=["not published", "--part"])
    refuses(BAD_DATA, "hash", out, "--part", "0/2", naming=["part_0.json: is missing: run this part"])
    refuses(USAGE, "hash", out, "--part", "0/3", naming=["--part", "0/3 given", "in 2 parts"])
    with open(hidden(out) / "part_1.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refuses(BAD_DATA, "hash", out, "--part", "1/2", naming=["another process makes this part"])
    (hidden(out) / "train_3.tfrecords").unlink()
    refuses(BAD_DATA, "hash", out, "--part", "1/2", naming=["train_3.tfrecords"])


def test_hash_says_that_a_part_has_no_batches(whole):
    assert negpipe("hash", whole, "--part", "8/9").stdout == "".join(
        f"{name}: no batches of part 8/9\n" for name in ("cycle_00000", "cycle_00001", "eval_data"))
    for folder in json.loads(negpipe("hash", whole, "--part", "8/9", "--json").stdout)["folders"]:
        assert (folder["batch_count"], folder["all_batches"], folder["first_batch"]) == (0, None, None)


def test_verify_says_what_a_part_that_is_not_published_lacks(dataset, whole, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/2")
    refuses(BAD_DATA, "verify", dataset, out, naming=["not published", "--part"])
    refuses(USAGE, "verify", dataset, out, "--part", "0/3", naming=["--part", "0/3 given", "in 2 parts"])
    assert "part_1.json: is missing" in negpipe("verify", dataset, out, "--part", "1/2", expect=1).stdout
    note = hidden(out) / "part_0.json"
    text = json.loads(note.read_text())
    text["files"] = [file for file in text["files"] if file["name"] != "train_2.tfrecords"]
    note.write_text(json.dumps(text))
    found = negpipe("verify", dataset, out, "--part", "0/2", expect=1).stdout
    assert "part_0.json: part 0/2 is not complete: train_2.tfrecords is missing" in found
    with open(hidden(out, "training_epochs/.cycle_00001") / "part_0.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process makes" in negpipe("verify", dataset, out, "--part", "0/2", expect=1).stdout


def test_verify_reads_the_parts_that_will_replace_a_published_run(dataset, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    part(dataset, out, "0/1", "--force", *[43 if value == 42 else value for value in RUN])
    (hidden(out) / "train_0.tfrecords").unlink()
    assert ".cycle_00000.parts-" in negpipe("verify", dataset, out, "--part", "0/1", expect=1).stdout
    negpipe("verify", dataset, out)


def test_publish_check_says_what_is_there_and_publishes_nothing(dataset, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/2")
    found = json.loads(negpipe("publish", out, "--check", "--json", expect=1).stdout)
    missing = [f"{folder}: part 1/2" for folder in ("cycle_00000", "cycle_00001", "eval_data")]
    assert found == {"ok": False, "complete": [], "present": [], "missing": missing}
    part(dataset, out, "1/2")
    (hidden(out) / "train_1.tfrecords").unlink()
    result = negpipe("publish", out, "--check", expect=1)
    assert "missing: cycle_00000: train_1.tfrecords of part 1/2\n" in result.stdout
    assert "cycle_00001: complete\n" in result.stdout and "eval_data: complete\n" in result.stdout
    assert "train_1.tfrecords" in negpipe("publish", out, "--check", "--quiet", expect=1).stderr
    part(dataset, out, "1/2")
    before = sorted(out.rglob("*"))
    assert json.loads(negpipe("publish", out, "--check", "--json").stdout)["missing"] == []
    assert sorted(out.rglob("*")) == before
    negpipe("publish", out)
    assert len(json.loads(negpipe("publish", out, "--check", "--json").stdout)["present"]) == 3


def test_publish_check_lists_the_missing_files_of_one_part_beside_a_missing_part(dataset, tmp_path):
    part(dataset, tmp_path, "0/2")
    (hidden(tmp_path) / "train_2.tfrecords").unlink()
    missing = json.loads(negpipe("publish", tmp_path, "--check", "--json", expect=1).stdout)["missing"]
    assert [name for name in missing if name.startswith("cycle_00000")] == [
        "cycle_00000: part 1/2", "cycle_00000: train_2.tfrecords of part 0/2"]


def test_publish_check_refuses_files_that_no_part_wrote(dataset, tmp_path):
    part(dataset, tmp_path, "0/1")
    (hidden(tmp_path, "training_epochs/.cycle_00001") / "notes.txt").write_text("mine")
    refuses(USAGE, "publish", tmp_path, "--check", naming=["notes.txt", "not written by negpipe"])
    refuses(USAGE, "publish", tmp_path, naming=["notes.txt"])
    assert not list(tmp_path.rglob("ready.json")), "a cycle was published before the refusal"


@pytest.mark.parametrize("damage", ["missing", "changed", "short", "long"])
def test_a_damaged_index_is_found_before_publication_and_repaired_by_the_part(damage, dataset, whole, tmp_path):
    part(dataset, tmp_path, "0/2")
    part(dataset, tmp_path, "1/2")
    index = hidden(tmp_path) / "train_3.tfrecords.idx"
    content = index.read_bytes()
    index.unlink()
    if damage != "missing":
        index.write_bytes({"changed": b"1" + content[1:], "short": content[:-1], "long": content + b"0 1\n"}[damage])
    name = "cycle_00000: train_3.tfrecords.idx of part 1/2"
    assert f"missing: {name}\n" in negpipe("publish", tmp_path, "--check", expect=1).stdout
    refuses(BAD_DATA, "publish", tmp_path, naming=[name])
    part(dataset, tmp_path, "1/2")
    negpipe("publish", tmp_path)
    assert digests(tmp_path) == digests(whole)


def test_publish_explains_a_folder_without_ready_json(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / "training_epochs/cycle_7").mkdir()
    for options in ((), ("--check",)):
        refuses(BAD_DATA, "publish", out, *options, naming=["cycle_7 has no ready.json", "remove it"])


@pytest.mark.parametrize("options", [(), ("--force",)], ids=["plain", "force"])
def test_a_part_of_a_published_run_says_that_it_wrote_nothing(options, dataset, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    text = part(dataset, out, "0/2", *RUN, *options).stdout
    assert text.count("published already") == 3 and "publish with:" not in text and "points/s" not in text
    assert digests(out) == digests(whole)


@pytest.mark.parametrize("lost", ["training_epochs/.cycle_00001", ".eval_data"])
def test_verify_reports_a_folder_of_the_run_that_is_missing(lost, dataset, tmp_path):
    part(dataset, tmp_path, "0/2")
    shutil.rmtree(hidden(tmp_path, lost))
    result = negpipe("verify", dataset, tmp_path, "--part", "0/2", expect=1)
    assert "part_0.json: is missing: run this part" in result.stdout and lost in result.stdout
    assert result.stdout.endswith("; 1 failures\n")


def test_verify_refuses_parts_of_two_runs(dataset, tmp_path):
    out = tmp_path / "run"
    part(dataset, out, "0/2")
    part(dataset, tmp_path / "other", "0/2", *[43 if value == 42 else value for value in RUN])
    other = hidden(tmp_path / "other")
    shutil.copytree(other, out / "training_epochs" / other.name)
    refuses(USAGE, "verify", dataset, out, "--part", "0/2",
            naming=["different runs", other.name, '"seed" is', '"42"', '"43"'])


def test_verify_says_which_files_it_read(dataset, whole):
    text = negpipe("verify", dataset, whole, "--part", "1/4").stdout
    assert "verified part 1/4 of 2 cycles and the evaluation data: 6 files, " in text
    assert "every guarantee of these files holds" in text
    text = negpipe("verify", dataset, whole, "--part", "6/7").stdout
    assert text == "verified nothing: no record file of 2 cycles and the evaluation data belongs to part 6/7\n"
    assert json.loads(negpipe("verify", dataset, whole, "--part", "6/7", "--json").stdout)["file_count"] == 0
    assert "verified 2 cycles and the evaluation data: 18 files, " in negpipe("verify", dataset, whole).stdout


def test_verify_names_a_damaged_note_once(dataset, tmp_path):
    part(dataset, tmp_path, "0/2")
    part(dataset, tmp_path, "1/2")
    (hidden(tmp_path) / "part_1.json").write_text("{")
    text = negpipe("verify", dataset, tmp_path, "--part", "1/2", expect=1).stdout
    assert "part_1.json: is not valid JSON" in text and text.splitlines()[0].count("part_1.json") == 1


# ---- --part auto

LAUNCHERS = {
    "slurm_from_0": {"SLURM_ARRAY_TASK_ID": 2, "SLURM_ARRAY_TASK_COUNT": 4, "SLURM_ARRAY_TASK_MIN": 0,
                     "SLURM_ARRAY_TASK_MAX": 3},
    "slurm_from_1": {"SLURM_ARRAY_TASK_ID": 3, "SLURM_ARRAY_TASK_COUNT": 4, "SLURM_ARRAY_TASK_MIN": 1,
                     "SLURM_ARRAY_TASK_MAX": 4},
    "slurm_by_10": {"SLURM_ARRAY_TASK_ID": 25, "SLURM_ARRAY_TASK_COUNT": 4, "SLURM_ARRAY_TASK_MIN": 5,
                    "SLURM_ARRAY_TASK_MAX": 35, "SLURM_ARRAY_TASK_STEP": 10},
    "open_mpi": {"OMPI_COMM_WORLD_RANK": 2, "OMPI_COMM_WORLD_SIZE": 4},
    "pmi": {"PMI_RANK": 2, "PMI_SIZE": 4},
    "torchrun": {"RANK": 2, "WORLD_SIZE": 4},
    "two_that_agree": {"RANK": 2, "WORLD_SIZE": 4, "PMI_RANK": 2, "PMI_SIZE": 4},
}


def environment(variables):
    names = re.compile("SLURM_|OMPI_|PMI_|RANK$|WORLD_SIZE$")
    plain = {name: value for name, value in os.environ.items() if not names.match(name)}
    return {**plain, **{name: str(value) for name, value in variables.items()}}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_auto_takes_the_part_from_the_environment(launcher, whole, tmp_path):
    env = environment(LAUNCHERS[launcher])
    assert negpipe("hash", whole, "--part", "auto", env=env).stdout == negpipe("hash", whole, "--part", "2/4").stdout


@pytest.mark.parametrize("variables, named", [
    ({}, "SLURM_ARRAY_TASK_ID"),
    ({"RANK": 2}, "WORLD_SIZE"),
    ({"RANK": 4, "WORLD_SIZE": 4}, "4/4"),
    ({"RANK": -1, "WORLD_SIZE": 4}, "RANK is -1"),
    ({"RANK": 2, "WORLD_SIZE": 4, "OMPI_COMM_WORLD_RANK": 1, "OMPI_COMM_WORLD_SIZE": 4}, "torchrun says 2/4"),
    ({**LAUNCHERS["slurm_from_0"], "SLURM_ARRAY_TASK_MAX": 9}, "gaps"),
    ({"SLURM_ARRAY_TASK_ID": 3}, "SLURM_ARRAY_TASK_COUNT"),
])
def test_auto_refuses_an_environment_without_a_part(variables, named, whole):
    refuses(USAGE, "hash", whole, "--part", "auto", env=environment(variables), naming=["--part", named])


@pytest.mark.parametrize("text", ["4/4", "1", "1/0", "-1/4", "1/4/2", "a/b", "1/4 "])
def test_a_part_that_does_not_exist_is_refused(text, whole):
    refuses(USAGE, "hash", whole, f"--part={text}", naming=["--part", "I/N"])


def test_a_part_needs_a_seed(dataset, tmp_path):
    refuses(USAGE, "generate", dataset, "--out", tmp_path / "run", "--part", "0/2", *SMALL, naming=["--seed"])


def launch(command, dataset, out):
    result = subprocess.run([*command, PROGRAM, "generate", dataset, "--out", out, "--part", "auto", *map(str, RUN)],
                            capture_output=True, text=True, timeout=300, check=False, env=environment({}))
    assert result.returncode == 0, result.stdout + result.stderr


def test_mpirun_starts_the_parts(dataset, whole, tmp_path):
    if shutil.which("mpirun") is None:
        pytest.skip("there is no mpirun: install openmpi-bin")
    launch(["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "4"], dataset, tmp_path / "run")
    negpipe("publish", tmp_path / "run")
    assert digests(tmp_path / "run") == digests(whole)


def test_torchrun_starts_the_parts(dataset, whole, tmp_path):
    pytest.importorskip("torch")
    launch([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python"], dataset,
           tmp_path / "run")
    negpipe("publish", tmp_path / "run")
    assert digests(tmp_path / "run") == digests(whole)
