"""The program negpipe, as `python -m negpipe` and as the command that the wheel installs; and `negpipe doctor`."""

import os
import sys

from negpipe import program


def main():
    """Replaces this process by the program, with the same arguments."""
    if sys.argv[1:2] == ["doctor"]:
        from negpipe import doctor

        sys.exit(doctor.main(sys.argv[2:]))
    try:
        path = program.find_program()
    except program.ProgramError as failure:
        sys.exit(f"negpipe: {failure}")
    if sys.argv[1:2] == ["prepare"]:
        from negpipe import parquet

        if any(map(parquet.is_parquet, sys.argv[2:])):
            sys.exit(parquet.run_with_csv(path, sys.argv[1:]))
    os.execv(path, ["negpipe", *sys.argv[1:]])


if __name__ == "__main__":
    main()
