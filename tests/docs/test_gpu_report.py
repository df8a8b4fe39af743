"""The report of scripts/gpu-check, from made-up figures: whole even if steps failed or were ended."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/gpu_report.py"


def report(folder, *options, status=0):
    result = subprocess.run([sys.executable, SCRIPT, folder, "0123456789abcdef", *options], capture_output=True,
                            text=True, check=False)
    assert result.returncode == status, result.stderr
    return (folder / "gpu-check.md").read_text(), json.loads((folder / "gpu-check.json").read_text())


def timing(rate):
    return {"median_seconds": 1e-3, "p95_seconds": 2e-3, "per_second": rate, "late_runs": 0}


def points(rate):
    return {"form": "bitset", "negatives": 4, "batch": 1048576, "footprint_bytes": 1e8, "bytes_a_point": 7,
            "random_sectors_per_second": 1e10, "memory_ceiling_points_per_second": 2e10,
            "instruction_ceiling_points_per_second": 3e10, "warm": timing(rate), "cold": timing(rate)}


def draw(work, rate):
    return {"work": work, "form": "bitset", "distribution": "popularity", "negatives": 64, "batch": 65536,
            **timing(rate)}


@pytest.fixture
def figures():
    shape = {"shape": "ml-20m", "users": 100, "items": 100, "positives": 1000, "automatic_form": "bitset",
             "points": [points(1.5e10)],
             "evaluation": [{"form": "bitset", "mlperf": True, "rows": 9, **timing(1e10)}],
             "uploads": [{"form": "bitset", "seconds": 0.1, "positives_per_second": 1e8}],
             "sort": {"seconds": 0.1, "rows_per_second": 1e8},
             "launches": {"batch": 65536, "host_seconds_fill": 1e-6, "host_seconds_fill_next": 1e-6,
                          "host_seconds_graph_launch": 1e-6, "device_seconds_graph": 1e-6},
             "way_out": {"points_per_second": 5e9, "computing_share": 0.3, "copying_share": 0.9, "idle_share": 0.1,
                         "calls": [{"threads": 1, "page_locked": True, "points_per_second": 4e9}],
                         "records": [{"threads": 1, "in_place": True, "points_per_second": 3e9}]},
             "draws": [draw("pairs", 2e10)]}
    return {"device": {"name": "a card", "compute_capability": "9.0", "multiprocessors": 132, "driver": 13000,
                       "runtime": 13000},
            "ceilings": {"instructions_per_second": 1e13, "copy_bytes_per_second": 3e12, "bus_bytes_per_second": 5e10},
            "shapes": [shape], "failures": ["wide: out of memory"]}


def test_a_run_that_was_ended_at_its_first_step_has_a_report(tmp_path):
    (tmp_path / "steps.tsv").write_text("contract\tended: limit\t540\ndevice\tnot started: limit\t0\n")
    (tmp_path / "contract.log").write_text("many lines\n" * 100 + "[  FAILED  ] contract.is_kept\n")
    text, content = report(tmp_path)
    assert "| contract | ended: limit | 540 |" in text
    assert "The end of `contract.log`:" in text and "[  FAILED  ] contract.is_kept" in text
    assert text.count("many lines") == 19
    assert "No benchmark ran." in text
    assert len(content["steps"]) == 2


def test_figures_of_the_shapes_that_were_measured_are_kept(tmp_path, figures):
    (tmp_path / "steps.tsv").write_text("bench\t1\t60\n")
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    text, _ = report(tmp_path)
    assert "Not measured: wide: out of memory." in text
    assert "| ml-20m | 1 | written in place | 3.00 G |" in text
    (tmp_path / "bench.json").write_text(json.dumps({**figures, "shapes": []}))
    text, _ = report(tmp_path)
    assert "| ml-20m |" not in text


def test_draws_are_reported_of_either_step(tmp_path, figures):
    row = "| ml-20m | {} | bitset | popularity | 64 | 65536 | 1000.0 us | 2000.0 us | {} | 0 |"
    (tmp_path / "draws.json").write_text(json.dumps({
        "device": figures["device"], "shapes": [{"shape": "ml-20m", "draws": [draw("free draws", 3e10)]}],
        "failures": ["log_q: the bytes differ"]}))
    text, _ = report(tmp_path)
    assert "No benchmark ran." in text and row.format("free draws", "30.00 G") in text
    assert "Draws not measured: log_q: the bytes differ." in text
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    text, _ = report(tmp_path)
    assert row.format("pairs", "20.00 G") in text and row.format("free draws", "30.00 G") in text
    del figures["shapes"][0]["draws"]  # a run that was ended
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    text, _ = report(tmp_path)
    assert "| pairs |" not in text and row.format("free draws", "30.00 G") in text


def test_rates_below_their_threshold_and_missing_ones_fail(tmp_path, figures):
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    _, content = report(tmp_path, "--thresholds", status=1)
    assert [check["holds"] for check in content["thresholds"]] == [True, False, False]  # PyTorch was not measured
    peer = {"torch": "2", "unchecked": {"points_per_second": 1e9}, "exact": {"points_per_second": 1e8}}
    (tmp_path / "peer.json").write_text(json.dumps(peer))
    report(tmp_path, "--thresholds")
    figures["shapes"][0]["points"] = [points(8e9)]
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    report(tmp_path, "--thresholds", status=1)
    figures["shapes"][0]["positives"] = 6000  # no limit for users who have most of the items
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    _, content = report(tmp_path, "--thresholds")
    assert len(content["thresholds"]) == 2
