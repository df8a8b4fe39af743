"""`negpipe doctor`: checks this installation.

Prints versions, backends and frameworks, and makes a small epoch on each available device: the batches must be equal.
Exits with 1 if something that should work does not.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import platform
import shutil
import subprocess
import sys


def _version(name: str) -> str | None:
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    return getattr(module, "__version__", "?")


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "nvidia-smi is not there"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    outcome = subprocess.run(query, capture_output=True, text=True, check=False)
    return (outcome.stdout or outcome.stderr).strip().replace("\n", "; ") or "nvidia-smi shows nothing"


def _digest(batches) -> str:
    digest = hashlib.md5()
    for batch in batches:
        for column in batch:
            column = column.cpu().numpy() if hasattr(column, "cpu") else column
            digest.update(column.tobytes())
    return digest.hexdigest()


def _runs():
    """Yields (description, function that makes the loader) of each device."""
    import negpipe

    data = negpipe.Dataset.synthetic(users=200, items=400, interactions=8000)
    options = {"batch_size": 4096, "seed": 7, "padding": "mask"}
    yield "cpu", lambda: negpipe.TrainLoader(data, **options)
    if _version("torch") is not None:
        import torch

        import negpipe.torch

        for index in range(torch.cuda.device_count()):
            yield (
                f"cuda:{index} by torch",
                lambda index=index: negpipe.torch.TrainLoader(data, device=f"cuda:{index}", **options),
            )


def main(arguments=()) -> int:
    """Prints the report, or help. Returns 1 if a device fails or differs, else 0."""
    argparse.ArgumentParser("negpipe doctor", description=__doc__.partition("\n\n")[2]).parse_args(arguments)
    try:
        from negpipe import _native
    except ImportError as failure:
        print(f"negpipe: the extension module does not load: {failure}")
        return 1
    print(f"negpipe {_native.__version__}, stream version {_native.stream_version}")
    print(f"Python {platform.python_version()}, {platform.machine()}")
    for name, works, reason in _native.backends():
        print(f"backend {name}: {'available' if works else 'not available: ' + reason}")
    print(f"driver: {_driver()}")
    for name in ("numpy", "torch", "jax", "tensorflow", "pyarrow"):
        print(f"{name}: {_version(name) or 'not installed'}")
    wanted, failed = None, False
    for what, make in _runs():
        try:
            found = _digest(make().epoch(0))
        except Exception as failure:  # any failure is part of the report
            print(f"batches on {what}: failed: {failure}")
            failed = True
            continue
        wanted = wanted or found
        print(f"batches on {what}: {'equal' if found == wanted else 'DIFFERENT from those of the cpu'}")
        failed |= found != wanted
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
