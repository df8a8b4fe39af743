"""Parquet files on the command line: `python -m negpipe prepare x.parquet` gives the program a CSV file instead."""

import contextlib
import errno
import os
import subprocess
import tempfile

from negpipe.messages import tell

MAGIC = b"PAR1"
TOLD_FROM_BYTES = 100_000_000


def split_path(argument: str) -> tuple[str, str]:
    """("--test=", "x.parquet") of --test=x.parquet, ("", argument) of others."""
    option, equals, path = argument.partition("=")
    return (option + equals, path) if equals and option.startswith("--") else ("", argument)


def is_parquet(argument: str) -> bool:
    """Returns whether an argument names a Parquet file. Does not open pipes, which would wait for a writer."""
    _, path = split_path(argument)
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def _without_dictionary(field):
    import pyarrow

    return field.with_type(field.type.value_type) if pyarrow.types.is_dictionary(field.type) else field


def _write_csv(source: str, target) -> None:
    """Writes the columns of numbers, text and times. The others have no form in CSV. Memory: one row group."""
    try:
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        raise SystemExit(f"negpipe: {source} is a Parquet file, which needs pyarrow: pip install pyarrow") from None
    types = pyarrow.types
    try:
        with pyarrow.parquet.ParquetFile(source) as file:
            schema = file.schema_arrow
            names = [
                field.name
                for field in schema
                if not (types.is_nested(field.type) or types.is_binary(field.type) or types.is_large_binary(field.type))
            ]
            skipped = [name for name in schema.names if name not in names]
            if skipped:
                tell(f"{source}: columns that have no text form are ignored: {', '.join(skipped)}")
            bytes_ = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
            if bytes_ > TOLD_FROM_BYTES:
                tell(f"{source}: its CSV copy takes about {bytes_ / 1e9:.1f} GB in {tempfile.gettempdir()}")
            plain = pyarrow.schema([_without_dictionary(schema.field(name)) for name in names])
            with pyarrow.csv.CSVWriter(target, plain) as out:
                for batch in file.iter_batches(columns=names):
                    out.write_table(pyarrow.Table.from_batches([batch]).cast(plain))
        target.flush()
    except (OSError, pyarrow.ArrowException) as failure:
        if getattr(failure, "errno", None) == errno.ENOSPC:
            raise SystemExit(
                f"negpipe: {source}: no space left for its CSV copy in {tempfile.gettempdir()}; set TMPDIR to a folder "
                "with more space"
            ) from None
        raise SystemExit(f"negpipe: {source}: the Parquet file cannot be read: {failure}") from None


def run_with_csv(program: str, arguments: list[str]) -> int:
    """Runs the program on CSV copies of the Parquet files, which it shows by the names of these. Returns its status.

    The copies are unnamed files in the temporary folder: nothing is left of them, even by a kill.
    """
    with contextlib.ExitStack() as copies:
        given, names, descriptors = [], [], []
        for argument in arguments:
            if is_parquet(argument):
                option, source = split_path(argument)
                copy = copies.enter_context(tempfile.TemporaryFile(prefix="negpipe-"))
                _write_csv(source, copy)
                descriptors.append(copy.fileno())
                path = f"/proc/self/fd/{copy.fileno()}"
                names += ["--name", f"{path}={source}"]
                argument = option + path
            given.append(argument)
        return subprocess.run([program, *given, *names], check=False, pass_fds=descriptors).returncode
