"""A sample of power_cuts.py: after a power cut every output is as before or complete."""

import power_cuts
import pytest
import strikes
from strikes import SCENARIOS

CUTS_EACH = 3


@pytest.mark.parametrize("name", ["generate", "generate_force", "prepare_force"])
def test_outputs_are_as_before_or_complete_after_a_power_cut(name, arena, tmp_path):
    reason = power_cuts.cannot_cut()
    if reason:
        pytest.skip(reason)
    by = strikes.Strace()
    machine = power_cuts.Machine(arena, SCENARIOS[name], tmp_path)
    assert machine.finish() == []
    moments = machine.calls(by)
    for strike in moments[:: max(1, len(moments) // CUTS_EACH)]:
        assert machine.cut(by, strike) == [], strike


def test_a_run_without_syncs_is_detected(arena, tmp_path):
    reason = power_cuts.cannot_cut()
    if reason:
        pytest.skip(reason)
    machine = power_cuts.Machine(arena, SCENARIOS["generate"], tmp_path)
    assert machine.finish(("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsync:retval=0"))
