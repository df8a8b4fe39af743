"""Starts and observes producers."""

import contextlib
import json
import math
import os
import pathlib
import signal
import subprocess

from program import PATIENCE_SECONDS, PROGRAM, SMALL, digests, wait_until

CACHE_ID = "test"
# Time limit for a requested end. Sanitizers slow everything down by an unknown factor.
PROMPT_SECONDS = 20 if os.environ.get("NEGPIPE_SANITIZED") == "1" else 2


class Producer:
    """A producer under test. Its messages go to a file beside the cache."""

    def __init__(
        self,
        data_dir,
        *arguments,
        prefix=(),
        cache_id=CACHE_ID,
        messages=None,
        spelled=("--data-dir", "--cache-id"),
        terminal=None,
        **options,
    ):
        self.data_dir = pathlib.Path(data_dir)
        self.cache = self.data_dir / f"{cache_id}_ncf_recommendation_cache"
        self.messages = messages or self.data_dir.parent / f"{self.data_dir.name}.messages"
        self.command = [*prefix, PROGRAM, "produce", *map(str, arguments)]
        self.command += [spelled[0], str(data_dir), spelled[1], cache_id]
        with open(self.messages, "ab") as messages:
            heard = messages if terminal is None else terminal
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=messages, stderr=heard, **options
            )

    @property
    def cycles(self):
        """Returns the published cycles, ascending by name."""
        folder = self.cache / "training_epochs"
        try:
            return sorted(path for path in folder.iterdir())
        except FileNotFoundError:
            return []

    @property
    def alive_file(self):
        return self.cache / "subproc.alive"

    def said(self):
        return self.messages.read_text()

    def wait_for_cycles(self, count, patience=PATIENCE_SECONDS):
        def published():
            assert self.process.poll() is None or len(self.cycles) >= count, self.said()
            return len(self.cycles) >= count

        wait_until(published, f"{count} cycles; {self.said()}", patience)

    def wait_until_idle(self):
        wait_until(lambda: "waiting for one to be consumed" in self.said(), "the producer to wait")

    def stop(self, with_signal=signal.SIGINT):
        self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE_SECONDS)

    def status(self):
        """Waits for the end and returns the exit status."""
        return self.process.wait(PATIENCE_SECONDS)


    def is_making(self, name):
        """Returns whether a folder, such as "cycle_00001", is being written."""
        return any(name in path.name for path in (self.cache / ".partial").glob(".*"))

    def wait_until_making(self, name):
        wait_until(lambda: self.is_making(name), f"{name}; {self.said()}")

    def bytes_made(self, name):
        """Returns the current size of a folder that is being written, or its final size once it is published."""
        if any(cycle.name == name for cycle in self.cycles):
            return math.inf
        total = 0
        for path in (self.cache / ".partial").glob(f".*{name}*/*"):
            with contextlib.suppress(FileNotFoundError):  # published in between
                total += path.stat().st_size
        return total


# Work that takes longer than any test waits (a billion points), or some seconds (thirty million).
ENDLESS_CYCLE = ("--epochs-per-cycle", 100_000, "--compression", "gzip")
ENDLESS_EVALUATION = ("--mlperf", "--eval-negatives", 499_999, "--eval-batch-size", 500_000, "--compression", "gzip")

# Phases of a producer: arguments that keep it in a phase, and how to wait for the phase.
PHASES = {
    "first_cycle": (ENDLESS_CYCLE, lambda producer: producer.wait_until_making("cycle_00000")),
    "evaluation": (ENDLESS_EVALUATION, lambda producer: producer.wait_until_making("eval_data")),
    "waiting": ((), Producer.wait_until_idle),
}


@contextlib.contextmanager
def producing(data_dir, *arguments, **options):
    """A producer that is killed at the end of the test if it still runs."""
    producer = Producer(data_dir, *arguments, **options)
    try:
        yield producer
    finally:
        producer.process.kill()
        producer.process.wait()


def small(dataset, *arguments):
    """Returns the arguments of a producer for the small dataset. Given arguments precede the default ones."""
    usual = (*SMALL, "--seed", 42)
    pairs = zip(usual[::2], usual[1::2])
    return (dataset, *arguments, *(word for pair in pairs if pair[0] not in arguments for word in pair))


def require_equal(cycle, undisturbed):
    """Checks that a published folder equals that of generate, byte for byte."""
    same = undisturbed / cycle.relative_to(cycle.parents[1] if cycle.name != "eval_data" else cycle.parent)
    assert digests(cycle) == digests(same), f"{cycle} differs from {same}"
    assert json.loads((cycle / "ready.json").read_text())["batch_count"] > 0
