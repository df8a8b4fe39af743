"""The program negpipe, as `python -m negpipe` and as the command that the wheel installs."""

import os
import sys

from negpipe import program


def main():
    """Replaces this process by the program, with the same arguments."""
    try:
        path = program.find_program()
    except program.ProgramError as failure:
        sys.exit(f"negpipe: {failure}")
    os.execv(path, ["negpipe", *sys.argv[1:]])


if __name__ == "__main__":
    main()
