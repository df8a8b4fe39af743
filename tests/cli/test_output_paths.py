"""Output paths: two runs with one path do not damage each other, and --force replaces only negpipe's output."""

import os
import shutil
import signal
import stat
import subprocess

import pytest
from program import (OK, PROGRAM, SHAPE, SMALL, SYSTEM, USAGE, as_ordinary_user, digests, in_the_making, leftovers,
                     negpipe, refuses, start, wait_until, works)


@pytest.fixture(scope="session")
def as_in_a_container():
    """Returns a command prefix that gives the command pid 1, as in a container."""
    prefix = ["unshare", "--pid", "--fork"] if os.geteuid() == 0 else ["unshare", "--pid", "--fork", "--map-root-user"]
    if not works(*prefix, "true"):
        pytest.skip("a pid namespace needs root or user namespaces, which are not available here")
    return prefix


# ---- two runs with one path

def test_two_runs_of_one_pid_do_not_mix(as_in_a_container, dataset, tmp_path):
    # Two runs of several seconds with different seeds: the output must be that of one run, and the other must fail.
    out = tmp_path / "run"
    long = ("--epochs-per-cycle", 300, "--threads", 1, "--no-eval", "--compression", "gzip", *SMALL)
    runs = []
    for seed in (1, 2):
        runs.append(start("generate", dataset, "--out", out, "--seed", seed, *long, prefix=as_in_a_container))
        wait_until(lambda: len(in_the_making(out / "training_epochs")) == seed, f"run {seed} to begin")
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [OK, USAGE], said
    assert "cycle_00000 exists already" in said[0 if runs[0].returncode == USAGE else 1]
    negpipe("verify", dataset, out)
    assert leftovers(out) == []


def test_two_datasets_of_one_pid_do_not_mix(as_in_a_container, tmp_path):
    out = tmp_path / "data"
    runs = []
    for seed in (1, 2):
        runs.append(start("synth", *SHAPE, "--out", out, "--csv", tmp_path / "r.csv", "--seed", seed, "--force",
                          prefix=as_in_a_container))
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [OK, OK], said
    negpipe("info", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "r.csv"]


@pytest.mark.parametrize("flags", [{}, {"NO_RENAME_FLAGS": "1"}], ids=["flags", "no flags"])
@pytest.mark.parametrize("what", ["prepare", "synth", "csv", "cycle", "evaluation"])
def test_the_second_of_two_runs_is_refused(what, flags, commands, until_it_appears, tmp_path):
    arguments, path = commands[what]
    theirs = {}

    def happen():
        # Another run with another seed finishes first; the path does not exist yet when it starts.
        other = [tmp_path / "another" if word == tmp_path / "own" else word for word in arguments]
        if what == "evaluation":
            other = [*other[:-1], 1, "--first-cycle", 2]
        negpipe(*other, "--seed", 2)
        theirs.update(digests(path.parent, f"{path.name}/**/*") or digests(path.parent, path.name))

    status, said = until_it_appears([*arguments, "--seed", 1], path, happen, **flags)
    assert status == USAGE, said
    assert str(path) in said and "exists already" in said and "--force" in said
    assert theirs and theirs == (digests(path.parent, f"{path.name}/**/*") or digests(path.parent, path.name))
    assert leftovers(tmp_path) == []
    assert not (tmp_path / "own").exists(), "the dataset was published without its ratings"


# ---- replacement

@pytest.mark.parametrize("what", ["prepare", "synth", "cycle", "evaluation"])
def test_a_kill_during_replacement_leaves_a_complete_folder(what, made, renames):
    arguments, path = made(what)
    before = digests(path)
    process = start(*arguments, env={**renames, "RENAME_PATH": str(path), "RENAME_KILLS": "1"})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert set(digests(path)) == set(before)
    assert digests(path) != before, "killed before the replacement"
    negpipe(*arguments)


@pytest.mark.parametrize("flags", [{}, {"NO_RENAME_FLAGS": "1"}], ids=["flags", "no flags"])
@pytest.mark.parametrize("what", ["prepare", "synth", "cycle", "evaluation"])
def test_replacing_leaves_nothing_of_the_old(what, flags, made, renames, tmp_path):
    arguments, path = made(what)
    before = digests(path)
    negpipe(*arguments, env={**renames, **flags})
    after = digests(path)
    assert set(after) == set(before) and after != before
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("flags", [{}, {"NO_RENAME_FLAGS": "1"}], ids=["flags", "no flags"])
@pytest.mark.parametrize("what", ["prepare", "cycle"])
def test_a_folder_may_disappear_or_appear_during_the_run(what, flags, made, until_it_appears, tmp_path):
    arguments, path = made(what)
    whole = set(digests(path))
    status, said = until_it_appears(arguments, path, lambda: shutil.rmtree(path), **flags)
    assert status == OK, said
    assert set(digests(path)) == whole
    shutil.rmtree(path)
    status, said = until_it_appears(arguments, path, lambda: negpipe(*arguments), **flags)
    assert status == OK, said
    assert set(digests(path)) == whole
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("what", ["prepare", "synth", "cycle", "evaluation"])
def test_an_old_folder_that_may_not_be_removed_is_refused_before_the_work(what, made, tmp_path):
    arguments, path = made(what)
    before = digests(tmp_path)
    path.chmod(0o555)
    command = [*as_ordinary_user(), PROGRAM, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == SYSTEM, result.stderr
    assert f"cannot remove the contents of {path}" in result.stderr
    assert digests(tmp_path) == before and leftovers(tmp_path) == []


@pytest.mark.parametrize("what", ["prepare", "synth", "cycle", "evaluation"])
def test_a_folder_with_a_foreign_file_is_not_replaced(what, made):
    arguments, path = made(what)
    arguments.remove("--force")
    (path / "thesis.tex").write_text("years of work")
    refuses_to_replace(arguments, path, "holds thesis.tex", "does not list")
    (path / "thesis.tex").unlink()
    (path / "notes").mkdir()
    refuses_to_replace(arguments, path, "holds notes")


@pytest.mark.parametrize("flags", [{}, {"NO_RENAME_FLAGS": "1"}], ids=["flags", "no flags"])
@pytest.mark.parametrize("comes", ["a folder", "a file", "a file in the old folder"])
@pytest.mark.parametrize("what", ["prepare", "cycle"])
def test_a_folder_that_appears_between_check_and_exchange_is_put_back(what, comes, flags, made, until_it_appears,
                                                                    tmp_path):
    arguments, path = made(what)
    old = digests(path)

    def happen():
        if comes != "a file in the old folder":
            path.rename(tmp_path / "saved")
        if comes == "a file":
            path.write_text("years of work")
        else:
            path.mkdir(exist_ok=True)
            (path / "thesis.tex").write_text("years of work")

    status, said = until_it_appears(arguments, path, happen, **flags)
    assert status == USAGE and str(path) in said and "was left there" in said, said
    assert (path if comes == "a file" else path / "thesis.tex").read_text() == "years of work"
    assert {**digests(path), **(digests(tmp_path / "saved") if (tmp_path / "saved").exists() else {})}.items() >= (
        old.items())
    assert leftovers(tmp_path) == []


def test_records_are_not_written_into_the_dataset(dataset, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(dataset, data)
    (tmp_path / "link").symlink_to("data")
    before = digests(data)
    for out in (data, data / "run", tmp_path / "link", tmp_path / "link/run"):
        for force in ((), ("--force",)):
            command = ("generate", data, "--out", out, *SMALL, *force)
            refuses(USAGE, *command, naming=["--out", out, "lies in the dataset"])
            assert "was drawn" not in negpipe(*command, expect=USAGE).stderr  # a seed that no output has
    refuses(USAGE, "produce", data, "--data-dir", data, "--cache-id", "c", *SMALL, naming=["lies in the dataset"])
    assert digests(data) == before


def refuses_to_replace(arguments, path, *naming, **options):
    """The run must fail with --force too, and keep the existing path."""
    before = {file: file.is_file() and file.read_bytes() for file in path.rglob("*")}
    refuses(USAGE, *arguments, "--force", naming=["--force" if naming else "working directory", path, *naming],
            **options)
    assert {file: file.is_file() and file.read_bytes() for file in path.rglob("*")} == before
    assert path.exists() or path.is_symlink()
    assert leftovers(path.parent) == []


@pytest.mark.parametrize("what", ["prepare", "synth", "cycle", "evaluation"])
def test_force_replaces_only_negpipe_output(what, commands, tmp_path):
    arguments, path = commands[what]
    mark = "dataset.json" if what in ("prepare", "synth") else "ready.json"
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("years of work")
    refuses_to_replace(arguments, path, "thesis.tex", f"no {mark}")
    for text in ('{"format": "pictures"}', '{"comment": "not a negpipe dataset"}', "{}", "[]", "", "negpipe dataset",
                 '{"format": "negpipe dataset", "format_version": 1, "arrays": {"thesis": {}}}'):  # common names
        (path / mark).write_text(text)
        refuses_to_replace(arguments, path, mark)
    shutil.rmtree(path)
    path.write_text("years of work")
    refuses_to_replace(arguments, path, "is not a folder")
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    refuses_to_replace(arguments, path, "is not a folder")
    path.unlink()
    path.mkdir()
    negpipe(*arguments, "--force")  # an empty folder
    negpipe(*arguments, "--force")  # and what that wrote
    assert (path / mark).exists()


def test_later_cycles_are_checked_before_the_first_byte(commands):
    arguments, path = commands["cycle"]
    foreign = path.parent / "cycle_00003"
    foreign.mkdir(parents=True)
    (foreign / "thesis.tex").touch()
    refuses(USAGE, *arguments, "--cycles", 5, "--force", naming=[foreign, "thesis.tex"])
    assert list(path.parent.iterdir()) == [foreign]


@pytest.mark.parametrize("where", [".", "below", "below/further"])
def test_the_working_directory_is_not_replaced(where, made):
    for what in ("prepare", "cycle"):
        arguments, path = made(what)
        (path / where).mkdir(parents=True, exist_ok=True)
        refuses_to_replace([word for word in arguments if word != "--force"], path, cwd=path / where)
        shutil.rmtree(path)


def test_the_working_directory_is_recognized_as_dot(ratings, tmp_path):
    for where in (".", "./", "..", "/"):
        refuses(USAGE, "synth", *SHAPE, "--out", where, "--force", cwd=tmp_path, naming=["working directory"])
    (tmp_path / "file").touch()
    refuses(USAGE, "prepare", ratings, "--out", ".", cwd=tmp_path, naming=["exists already"])


@pytest.mark.parametrize("what", ["prepare", "synth", "cycle"])
def test_a_path_below_a_dangling_link_is_refused(what, commands, tmp_path):
    arguments, path = commands[what]
    out = arguments[arguments.index("--out") + 1]
    (tmp_path / "link").symlink_to("nowhere")
    inside = [tmp_path / "link" / out.name if word == out else word for word in arguments]
    refuses(USAGE, *inside, naming=[tmp_path / "link", "a link to nowhere", "another path"])
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("what", ["prepare", "synth", "cycle"])
def test_dot_dot_after_a_link_is_resolved_like_by_the_system(what, commands, tmp_path):
    (tmp_path / "other/folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to("other/folder")
    arguments, path = commands[what]
    out = arguments[arguments.index("--out") + 1]
    negpipe(*arguments, "--seed", 1)
    before = digests(out)
    negpipe(*[tmp_path / "link/.." / out.name if word == out else word for word in arguments], "--seed", 2, "--force")
    assert digests(out) == before, "the folder beside the link was replaced"
    assert set(digests(tmp_path / "other" / out.name)) == set(before)


def test_other_inputs_and_outputs_of_a_run_are_not_replaced(ratings, tmp_path):
    data = tmp_path / "data"
    negpipe("prepare", ratings, "--out", data)
    shutil.copy(ratings, data / "r.csv")
    refuses(USAGE, "prepare", data / "r.csv", "--out", data, "--force", naming=[data / "r.csv", "another path"])
    refuses(USAGE, "synth", *SHAPE, "--out", data, "--csv", data / "s.csv", "--force", naming=[data / "s.csv"])
    (tmp_path / "elsewhere").mkdir()
    (data / "sub").symlink_to("../elsewhere")
    refuses(USAGE, "synth", *SHAPE, "--out", data, "--csv", data / "sub/s.csv", "--force", naming=[data / "sub/s.csv"])
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (tmp_path / "elsewhere").rmdir()
    refuses(USAGE, "synth", *SHAPE, "--out", tmp_path / "new", "--csv", data, "--force",
            naming=[data, "is not a regular file"])
    refuses(USAGE, "synth", *SHAPE, "--out", tmp_path / "new", "--csv", "/dev/null", "--force", naming=["/dev/null"])
    assert (data / "r.csv").read_bytes() == ratings.read_bytes()
    negpipe("info", data)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["-", "r.csv.gz", "r.parquet"])
def test_ratings_are_not_written_under_a_misleading_name(name, tmp_path):
    refuses(USAGE, "synth", *SHAPE, "--out", tmp_path / "data", "--csv", name, cwd=tmp_path, naming=["--csv"])
    assert list(tmp_path.iterdir()) == []
    negpipe("synth", *SHAPE, "--out", tmp_path / "data", "--csv", "./-", cwd=tmp_path)


# ---- names and permissions

@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids=oct)
def test_permissions_follow_the_umask(umask, dataset, tmp_path):
    run = tmp_path / "run"
    negpipe("synth", *SHAPE, "--out", tmp_path / "data", "--csv", tmp_path / "r.csv", umask=umask)
    negpipe("generate", dataset, "--out", run, *SMALL, umask=umask)
    for path in [*tmp_path.glob("data/**/*"), *run.glob("**/*"), tmp_path / "r.csv", tmp_path / "data", run]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path


def test_a_name_of_maximum_length_is_accepted(dataset, tmp_path):
    out = tmp_path / ("n" * 255)
    negpipe("synth", *SHAPE, "--out", out, "--csv", tmp_path / ("c" * 255))
    assert len(digests(tmp_path)) == 8
