"""README.md and the pages it names are correct: commands run unchanged, programs read their output, paths and options
exist."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ["NEGPIPE_PROGRAM"])
PACKAGE = PROGRAM.parent / "python" if (PROGRAM.parent / "python").exists() else ROOT / "python"
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs/cli.md").read_text()
RECORDS = (ROOT / "docs/tensorflow.md").read_text()
DEVICE = (ROOT / "docs/cpp.md").read_text()
PYTHON_README = (ROOT / "python/README.md").read_text()
SUBCOMMANDS = re.findall(r"^\| `negpipe (\w+) ", COMMANDS, re.MULTILINE)


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(command, folder):
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(PACKAGE)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the shell blocks of docs/cli.md, which begins with README's, were run in order."""
    folder = tmp_path_factory.mktemp("readme")
    for block in blocks("sh", COMMANDS):
        run(["sh", "-eu", "-c", block], folder)
    return folder


def test_there_are_blocks():
    assert len(blocks("sh", COMMANDS)) >= 2 and len(blocks("python", RECORDS)) == 3
    assert len(blocks("python")) == 1 and len(blocks("python", PYTHON_README)) == 2


def test_the_first_commands_of_readme_and_guide_are_the_same():
    without_notes = [re.sub(r" +#.*", "", text) for text in (blocks("sh")[0], blocks("sh", COMMANDS)[0])]
    assert len(blocks("sh")) == 1 and without_notes[0] == without_notes[1]


def test_the_device_snippet_is_part_of_its_example():
    example = {line.strip() for line in (ROOT / "examples/device_batches.cpp").read_text().splitlines()}
    (block,) = [block for block in blocks("cpp", DEVICE) if "device_sampler" in block]
    assert {line.strip() for line in block.splitlines()} <= example


def test_commands_run_unchanged(folder):
    cycles = sorted(path.name for path in folder.glob("run/training_epochs/*"))
    assert cycles == [f"cycle_{cycle:05}" for cycle in range(5)]


def test_tensorflow_reads_the_output_of_the_commands(folder):
    pytest.importorskip("tensorflow")
    # Counts of the shape: each positive once, four negatives for each, and padding of the last batch.
    check = """
seen = [int(tf.size(batch["labels"])) for batch in batches.map(columns)]
assert seen == [ready["batch_size"]] * ready["batch_count"], seen
assert users.shape == items.shape == labels.shape == [ready["batch_size"]]
positives = sum(int(tf.reduce_sum(tf.cast(batch["labels"], tf.int64))) for batch in batches.map(columns))
assert positives >= ready["dataset"]["positive_count"] == 1000209 - 6040, positives
"""
    run([sys.executable, "-c", blocks("python", RECORDS)[0] + check], folder)


def test_the_reader_in_format_md_reads_it(folder):
    pytest.importorskip("tensorflow")
    page = (ROOT / "host/record/FORMAT.md").read_text()
    lines = re.search(r"^TensorFlow:\n\n((?:    .*\n|\n)+)", page, re.MULTILINE).group(1).splitlines()
    reader = "\n".join(line[4:] for line in lines)
    check = """
points = positives = 0
for batch in batches:
    assert {key: value.dtype.name for key, value in batch.items()} == ready["dtypes"]
    assert all(value.shape == [ready["batch_size"]] for value in batch.values())
    points += ready["batch_size"]
    positives += int(tf.reduce_sum(tf.cast(batch["labels"], tf.int64)))
assert points == ready["batch_size"] * ready["batch_count"] >= ready["point_count"], points
assert positives >= ready["dataset"]["positive_count"], positives
"""
    run([sys.executable, "-c", reader + check], folder)


@pytest.fixture(scope="module")
def ratings_folder(tmp_path_factory):
    """A folder with a ratings.csv whose users have 999 items left."""
    folder = tmp_path_factory.mktemp("ratings")
    shape = ["--users", "100", "--items", "2000", "--positives", "6000", "--seed", "1"]
    run([PROGRAM, "synth", *shape, "--out", "dataset", "--csv", "ratings.csv"], folder)
    return folder


def test_the_training_loop_of_the_python_readme_runs(ratings_folder):
    output = run([sys.executable, "-c", blocks("python", PYTHON_README)[0]], ratings_folder)
    assert re.fullmatch(r"(epoch [012]: 1 batches, then 0\n){3}", output), output


def test_the_training_loop_of_the_readme_runs(ratings_folder):
    check = "\nassert len(users) == 65_536 and len(train) == 1"
    run([sys.executable, "-c", blocks("python")[0] + check], ratings_folder)


def test_the_trainer_of_the_python_readme_runs(ratings_folder):
    pytest.importorskip("tensorflow")
    output = run([sys.executable, "-c", blocks("python", PYTHON_README)[1]], ratings_folder)
    assert re.fullmatch(r"(Iteration [123]: HR = 0\.\d{4}, NDCG = 0\.\d{4}\n){3}", output), output


def test_the_table_lists_every_subcommand(folder):
    listed = re.findall(r"^  (\w+) +\S", run([PROGRAM, "--help"], folder).partition("Subcommands:")[2], re.MULTILINE)
    assert sorted(SUBCOMMANDS) == sorted(listed)


def test_options_exist():
    known = {option for subcommand in SUBCOMMANDS
             for option in re.findall(r"--[a-z][a-z-]+", subprocess.run([PROGRAM, subcommand, "--help"],
                                                                        capture_output=True, text=True).stdout)}
    ours = {"--help", "--version"} | known
    # Ignores options of other programs, in the lines that name these programs.
    pages = "\n".join((README, COMMANDS, RECORDS))
    lines = [line for line in pages.splitlines() if not re.search(r"cmake|scripts/|\bpip\b|bench/", line)]
    used = {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    assert used - ours == set()


def options_of(subcommand):
    """{option: default, or ""} of --help."""
    text = subprocess.run([PROGRAM, subcommand, "--help"], capture_output=True, text=True, check=True).stdout
    pattern = r"^  (?:-h,)?(--[a-z-]+)\S*(?: [A-Z|]+(?::[^=\n]*?)?(?:=([a-z0-9]\S*|[A-Z]+))?)?(?=[ \n])"
    found = re.findall(pattern, text, re.MULTILINE)
    return {option: "" if default.isupper() else default for option, default in found}


def documented_options(subcommand):
    """{option: default} of the tables for a command in docs/cli.md."""
    def rows(heading):
        section = re.search(rf"^##+ {heading}\n(.*?)(?=^##)", COMMANDS, re.MULTILINE | re.DOTALL).group(1)
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in section.splitlines()
                if re.match(r"\| `", line)]

    several = "hash, publish, join, info"
    if subcommand in several.split(", "):
        table = [cells[1:] for cells in rows(several) if cells[0] == f"`{subcommand}`"]
    else:
        table = rows(subcommand)
    if subcommand == "produce":
        table = [cells for cells in rows("generate") if not re.search("--(out|part)", cells[0])] + table
    return {option: default for option, default, *_ in
            [(option, *cells[1:]) for cells in rows(r"Which options are there\?") + table
             for option in re.findall(r"`(--[a-z-]+)", cells[0])]}


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_option_is_documented_with_its_default(subcommand):
    known, documented = options_of(subcommand), documented_options(subcommand)
    assert set(known) == set(documented) and len(known) > 3
    wrong = {option: (default, documented[option]) for option, default in known.items()
             if default not in ("", documented[option])}
    assert wrong == {}


def test_the_python_readme_names_every_example():
    files = [path.name for folder in ("examples", "python/examples") for path in (ROOT / folder).glob("*.py")]
    assert len(files) > 5 and [name for name in files if f"`{name}`" not in PYTHON_README
                               and f"`python/examples/{name}`" not in PYTHON_README] == []


def test_paths_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    named = re.findall(r"`((?:scripts|include|tests|bench|python|host|cmake)/[\w./*-]*)`", README)
    commands = re.findall(r"^\$ (\S+/\S+)", README, re.MULTILINE)
    assert links and commands
    for path in links + named + commands:
        assert list(ROOT.glob(path.rstrip("/"))), f"{path} does not exist"
