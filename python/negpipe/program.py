"""Finds and runs the program `negpipe`."""

import os
import pathlib
import shutil
import subprocess


class ProgramError(RuntimeError):
    """The program was not found, or ended with an error; the message contains its error message."""


def find_program():
    """Returns the path of the program.

    The first of: NEGPIPE_PROGRAM; the program in the wheel; build/release/negpipe, if the package is in a source tree;
    `negpipe` in PATH. Raises ProgramError.
    """
    named = os.environ.get("NEGPIPE_PROGRAM")
    if named:
        if os.access(named, os.X_OK):
            return named
        raise ProgramError(f"NEGPIPE_PROGRAM is {named}, which is not an executable program")
    carried = pathlib.Path(__file__).with_name("bin") / "negpipe"
    if os.access(carried, os.X_OK):
        return str(carried)
    built = pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "negpipe"
    if os.access(built, os.X_OK):
        return str(built)
    found = shutil.which("negpipe")
    if found:
        return found
    raise ProgramError(
        "found no program negpipe; build it (cmake --preset release && cmake --build --preset release) and put it on "
        "the PATH (cmake --install build/release), or give its path in NEGPIPE_PROGRAM"
    )


def open_standard_streams():
    """Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise a file or pipe that is opened later gets that number, and receives the output of this process or a child.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def run(*arguments, program=None):
    """Runs the program and returns its standard output. Raises ProgramError with its error message."""
    open_standard_streams()
    command = [program or find_program(), *map(str, arguments)]
    outcome = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="backslashreplace", check=False
    )
    if outcome.returncode != 0:
        raise ProgramError(f"{' '.join(command)} ended with status {outcome.returncode}: {outcome.stderr.strip()}")
    return outcome.stdout
