"""Options, help, and what goes to which stream."""

import json
import re
import subprocess

import pytest
from program import OK, PROGRAM, SMALL, SUBCOMMANDS, SYSTEM, USAGE, digests, negpipe, refuses, small

COMMON = ("--json", "--quiet", "--threads")


@pytest.mark.parametrize("subcommand", [*SUBCOMMANDS, "produce", "publish", "join"])
def test_help_ends_with_an_example_whose_options_exist(subcommand):
    text = negpipe(subcommand, "--help").stdout
    assert all(option in text for option in COMMON)
    options, _, example = text.partition("Example:")
    assert f"negpipe {subcommand} " in example
    for option in re.findall(r"--[a-z-]+", example):
        assert option in options


@pytest.mark.parametrize("subcommand", [*SUBCOMMANDS, "produce", "publish", "join"])
def test_help_is_readable(subcommand):
    assert all(line.isprintable() for line in negpipe(subcommand, "--help").stdout.splitlines())


def test_help_lists_the_subcommands():
    text = negpipe("--help").stdout
    assert all(subcommand in text for subcommand in (*SUBCOMMANDS, "produce", "publish", "join"))


def test_help_shows_the_defaults():
    text = negpipe("generate", "--help").stdout
    for option, default in (("--num-neg", "4"), ("--batch-size", "65536"), ("--eval-batch-size", "160000"),
                            ("--readers", "4"), ("--eval-negatives", "999"), ("--device", "auto")):
        line = next(line for line in text.splitlines() if option + " " in line)
        assert default in line
    assert re.search(r"--min-ratings .*20", negpipe("prepare", "--help").stdout)


def test_version():
    assert re.fullmatch(r"negpipe \d+\.\d+\.\d+\n", negpipe("--version").stdout)


@pytest.mark.parametrize("arguments", [
    (), ("frobnicate",), ("generate",), ("generate", "somewhere"), ("prepare", "somewhere"), ("synth",), ("hash",),
    ("verify", "somewhere"), ("info",), ("produce",),
    *[(subcommand, "--no-such-option") for subcommand in SUBCOMMANDS]])
def test_wrong_usage(arguments, tmp_path):
    refuses(USAGE, *arguments, naming=[], cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option, value", [
    ("--num-neg", "-1"), ("--num-neg", "four"), ("--batch-size", 0), ("--readers", 0), ("--readers", 65_537),
    ("--cycles", 0),
    ("--cycles", "-1"), ("--epochs-per-cycle", 0), ("--padding", "zeros"), ("--compression", "zip"),
    ("--layout", "listwise"),
    ("--threads", "many"), ("--threads", 4097), ("--threads", 100_000), ("--seed", "18446744073709551616"),
    ("--seed", "-1"), ("--seed", "0x10"), ("--seed", ""), ("--device", "tpu"), ("--device", ""),
    ("--bitset-budget", "-1"), ("--bitset-budget", "1x"), ("--bitset-budget", "k"), ("--bitset-budget", "0x10"),
    ("--bitset-budget", "18446744073709551616"), ("--bitset-budget", "17179869184G")])
def test_values_out_of_range_are_refused_before_anything_is_written(option, value, dataset, tmp_path):
    naming = ["device" if option == "--device" else option]
    refuses(USAGE, "generate", dataset, "--out", tmp_path / "out", *small(option, value), naming=naming)
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_decimal(dataset, tmp_path):
    # strtoull reads a leading zero as octal.
    for name, seed in (("a", "010"), ("b", "10")):
        negpipe("generate", dataset, "--out", tmp_path / name, *SMALL, "--seed", seed, "--bitset-budget", "064 KiB")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.parametrize("subcommand, option", [("generate", "--out"), ("prepare", "--out"), ("synth", "--out"),
                                                ("synth", "--csv")])
def test_an_empty_name_is_not_the_working_folder(subcommand, option, ratings, dataset, tmp_path):
    arguments = {"generate": (dataset, *SMALL), "prepare": (ratings,),
                 "synth": ("--users", 50, "--items", 100, "--positives", 1500)}[subcommand]
    out = () if option == "--out" else ("--out", "data")
    refuses(USAGE, subcommand, *arguments, *out, option, "", naming=[option], cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def all_subcommands(ratings, dataset, run, folder):
    return {
        "prepare": ("prepare", ratings, "--out", folder / "prepared"),
        "synth": ("synth", "--users", 50, "--items", 100, "--positives", 1500, "--out", folder / "synth"),
        "info": ("info", dataset),
        "generate": ("generate", dataset, "--out", folder / "run", *SMALL),
        "verify": ("verify", dataset, run),
        "hash": ("hash", run),
    }


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_json_is_one_object(subcommand, ratings, dataset, run, tmp_path):
    result = negpipe(*all_subcommands(ratings, dataset, run, tmp_path)[subcommand], "--json")
    assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize("subcommand", ["prepare", "synth", "generate", "info"])
def test_json_gives_seeds_as_text(subcommand, ratings, dataset, run, tmp_path):
    # Like in ready.json: many readers store numbers as doubles, which cannot represent this seed.
    seed = 2**64 - 1
    command = all_subcommands(ratings, dataset, run, tmp_path)[subcommand]
    if subcommand == "info":
        negpipe("prepare", ratings, "--out", tmp_path / "shuffled", "--ties", "shuffled", "--seed", seed)
        found = json.loads(negpipe("info", tmp_path / "shuffled", "--json").stdout)["origin"]
    else:
        more = ("--ties", "shuffled") if subcommand == "prepare" else ()
        found = json.loads(negpipe(*command, *more, "--seed", seed, "--json").stdout)
    assert found["seed"] == str(seed)


def test_the_json_of_produce_gives_the_seed_as_text_too(dataset, tmp_path):
    command = ("produce", dataset, "--data-dir", tmp_path, "--cache-id", 1, "--cycles", 1, *SMALL, "--parent", 0)
    found = json.loads(negpipe(*command, "--seed", 2**64 - 1, "--json").stdout)
    assert (found["seed"], found["cycles"]) == (str(2**64 - 1), 1)


@pytest.mark.parametrize("parent", ["-1", 2**31, 2**32 - 1])
def test_a_parent_that_no_process_can_be_is_refused(parent, dataset, tmp_path):
    refuses(USAGE, "produce", dataset, "--data-dir", tmp_path, "--cache-id", 1, *SMALL, "--parent", parent,
            naming=["--parent"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
@pytest.mark.parametrize("form", ["--json", None])
def test_an_outcome_that_cannot_be_printed_is_an_error(form, subcommand, ratings, dataset, run, tmp_path):
    command = [PROGRAM, *map(str, all_subcommands(ratings, dataset, run, tmp_path)[subcommand])]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command + ([form] if form else []), stdout=full, stderr=subprocess.PIPE, text=True,
                                check=False)
        assert result.returncode == SYSTEM
        assert "standard output" in result.stderr and "No space left on device" in result.stderr
        assert subprocess.run([PROGRAM, subcommand, "--help"], stdout=full, check=False).returncode == SYSTEM


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_text_without_json(subcommand, ratings, dataset, run, tmp_path):
    result = negpipe(*all_subcommands(ratings, dataset, run, tmp_path)[subcommand])
    assert result.stdout.strip() != "" and not result.stdout.startswith("{")


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_quiet_prints_nothing_but_hashes(subcommand, ratings, dataset, run, tmp_path):
    command = all_subcommands(ratings, dataset, run, tmp_path)[subcommand]
    result = negpipe(*command, "--quiet", expect=OK)
    assert result.stderr == ""
    assert result.stdout == (negpipe(*command).stdout if subcommand == "hash" else "")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bytes_do_not_depend_on_threads(threads, ratings, dataset, run, tmp_path):
    negpipe("prepare", ratings, "--out", tmp_path / "small", "--threads", threads)
    assert digests(tmp_path / "small") == digests(dataset)
    negpipe("generate", dataset, "--out", tmp_path / "run", "--cycles", 3, "--seed", 42, *SMALL, "--threads", threads)
    assert digests(tmp_path / "run", "**/*.tfrecords") == digests(run, "**/*.tfrecords")
    negpipe("verify", dataset, tmp_path / "run", "--threads", threads)
