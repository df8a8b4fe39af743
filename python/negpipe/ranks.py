"""Rank and world size of this process."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Mapping

from negpipe import errors
from negpipe._numbers import checked_integer

log = logging.getLogger("negpipe")

MAX_RANKS = 2**32

# Set by torchrun, Accelerate and Lightning; Open MPI; Slurm's srun. SLURM_NTASKS is not used, because a batch script
# outside srun has it too.
_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)


@dataclasses.dataclass(frozen=True)
class Ranks:
    rank: int
    world_size: int
    source: str
    """Source of the numbers: "the arguments", names of variables, "jax.distributed", or "nothing"."""


def _checked(rank, world_size, source: str) -> Ranks:
    try:
        rank, world_size = int(rank), int(world_size)
    except ValueError:
        raise errors.OptionError(f"rank {rank!r} of {world_size!r} from {source}; expected integers") from None
    if not 0 <= rank < world_size:
        raise errors.OptionError(f"rank {rank} of {world_size} from {source}; expected 0 <= rank < world_size")
    return Ranks(rank, world_size, source)


def _jax_ranks() -> Ranks | None:
    jax = sys.modules.get("jax")
    if jax is None or not getattr(jax.distributed, "is_initialized", lambda: False)():
        return None
    return _checked(jax.process_index(), jax.process_count(), "jax.distributed")


def find_ranks(rank: int | None, world_size: int | None, environment: Mapping[str, str] | None = None) -> Ranks:
    """Returns the first of: both arguments; the launcher's variables; JAX's process index; 0 of 1.

    Raises OptionError (a ValueError) for one argument without the other, and for a rank that is not below world_size.
    """
    if (rank is None) != (world_size is None):
        raise errors.OptionError(f"rank={rank} and world_size={world_size}: give both or neither")
    if rank is not None:
        numbers = checked_integer(rank, "rank", MAX_RANKS - 1), checked_integer(world_size, "world_size", MAX_RANKS)
        return _checked(*numbers, "the arguments")
    environment = os.environ if environment is None else environment
    for names in _VARIABLES:
        if all(name in environment for name in names):
            return _checked(*(environment[name] for name in names), " and ".join(names))
    return _jax_ranks() or Ranks(0, 1, "nothing")
