"""Writes measured figures to bench/results/NAME.json, with machine, commit, date, load and command."""

import datetime
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def cpu_model():
    with open("/proc/cpuinfo") as f:
        return re.search(r"model name\s*:\s*(.*)", f.read()).group(1)


def commit():
    """The commit of the tree; for a package that was built elsewhere, what NEGPIPE_COMMIT says."""
    if os.environ.get("NEGPIPE_COMMIT"):
        return os.environ["NEGPIPE_COMMIT"]
    return subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def portable(word):
    """Returns an argument of a command without machine-specific paths."""
    option, equals, value = word.rpartition("=")
    if not os.path.isabs(value):
        return word
    below = os.path.relpath(value, ROOT)
    return option + equals + (os.path.basename(os.path.normpath(value)) if below.startswith("..") else below)


def circumstances(command=None):
    """Returns machine, commit, date, load and the command that was run."""
    command = command or [os.path.relpath(sys.argv[0], ROOT)] + sys.argv[1:]
    return {"date": datetime.date.today().isoformat(), "commit": commit(), "cpu": cpu_model(),
            "cores": os.cpu_count(), "load_before": os.getloadavg()[0], "command": " ".join(map(portable, command))}


def save(name, figures, command=None):
    """Writes the figures and the circumstances of the measurement."""
    folder = os.path.join(ROOT, "bench", "results")
    os.makedirs(folder, exist_ok=True)
    record = {**circumstances(command), **figures}
    path = os.path.join(folder, name + ".json")
    with open(path, "w") as f:
        json.dump(record, f, indent=2)
        f.write("\n")
    print(f"written: {os.path.relpath(path, ROOT)}")
