"""A sample of power_cuts.py: what the disk held when the power went is as before or whole."""

import power_cuts
import pytest
import strikes
from strikes import SCENARIOS

CUTS_EACH = 3


@pytest.mark.parametrize("name", ["generate", "generate_force", "prepare_force"])
def test_what_the_disk_held_is_as_before_or_whole(name, arena, tmp_path):
    reason = power_cuts.cannot_cut()
    if reason:
        pytest.skip(reason)
    by = strikes.Strace()
    machine = power_cuts.Machine(arena, SCENARIOS[name], tmp_path)
    assert machine.finish() == []
    moments = machine.calls(by)
    for strike in moments[:: max(1, len(moments) // CUTS_EACH)]:
        assert machine.cut(by, strike) == [], strike


def test_a_run_that_syncs_nothing_is_noticed(arena, tmp_path):
    reason = power_cuts.cannot_cut()
    if reason:
        pytest.skip(reason)
    machine = power_cuts.Machine(arena, SCENARIOS["generate"], tmp_path)
    assert machine.finish(("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:retval=0"))
