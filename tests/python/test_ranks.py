"""Sources of rank and world size."""

import pytest

from negpipe import errors
from negpipe.ranks import find_ranks

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"}
SLURM = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize("environment, rank, world_size", [
    ({}, 0, 1),
    (TORCHRUN, 1, 4),
    (OPEN_MPI, 2, 4),
    (SLURM, 3, 4),
    ({**SLURM, **OPEN_MPI, **TORCHRUN}, 1, 4),
    ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, 0, 1),  # a batch script, which runs once
    ({"RANK": "1"}, 0, 1),
])
def test_launchers_are_detected(environment, rank, world_size):
    found = find_ranks(None, None, environment)
    assert (found.rank, found.world_size) == (rank, world_size)


def test_arguments_take_precedence():
    assert find_ranks(0, 2, TORCHRUN).source == "the arguments"
    assert find_ranks(None, None, TORCHRUN).source == "RANK and WORLD_SIZE"


def test_invalid_values_are_refused_with_their_source():
    with pytest.raises(errors.OptionError, match="rank 4 of 4 from RANK and WORLD_SIZE"):
        find_ranks(None, None, {"RANK": "4", "WORLD_SIZE": "4"})
    with pytest.raises(errors.OptionError, match="expected integers"):
        find_ranks(None, None, {"RANK": "one", "WORLD_SIZE": "4"})
    with pytest.raises(errors.OptionError, match="give both or neither"):
        find_ranks(None, 2)
