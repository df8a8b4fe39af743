"""gpu_report.py FOLDER COMMIT: writes the report of scripts/gpu-check. Needs only the standard library."""

import datetime
import json
import pathlib
import statistics
import sys


# Bits of nvidia-smi's reasons for reduced clocks.
IDLE = 0x1
THROTTLE_REASONS = {0x2: "application clocks", 0x4: "power cap (software)", 0x8: "slowdown (hardware)",
                    0x10: "sync boost", 0x20: "heat (software)", 0x40: "heat (hardware)",
                    0x80: "power brake (hardware)", 0x100: "display clocks"}

PEER_BYTES_PER_POINT = 8 + 8 + 4  # bench/peers/pytorch_negatives.py: int64 users and items, float32 labels


def read_json(path):
    """Returns the first JSON object in a file, after any other output; None if there is none."""
    try:
        text = path.read_text()
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except (OSError, ValueError):
        return None


def giga(value):
    return f"{value / 1e9:.2f} G"


def ceiling_cells(row):
    """Returns the lower ceiling and the reached share of it. Sorted search has none."""
    ceilings = (row["memory_ceiling_points_per_second"], row["instruction_ceiling_points_per_second"])
    if None in ceilings:
        return "-", "-"
    return giga(min(ceilings)), f"{row['warm']['per_second'] / min(ceilings):.0%}"


def point_rows(bench):
    for shape in bench["shapes"]:
        for row in shape["points"]:
            yield (shape["shape"], row["form"], row["negatives"], row["batch"], giga(row["warm"]["per_second"]),
                   f"{row['warm']['p95_seconds'] * 1e6:.1f} us", giga(row["cold"]["per_second"]),
                   f"{row['footprint_bytes'] / 1e6:.0f} MB", giga(row["random_sectors_per_second"]),
                   *ceiling_cells(row))


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def markdown(report):
    lines = [f"# GPU check of {report['date']}, commit {report['commit'][:12]}", ""]
    lines += table(("step", "result", "seconds"),
                   [(step["name"], "passed" if step["status"] == "0" else step["status"], step["seconds"])
                    for step in report["steps"]])
    lines += ["", "```", report["nvidia_smi"].strip(), "```", ""]
    lines += generate_lines(report) + [""]
    bench = report["bench"]
    if bench is None:
        return "\n".join(lines + ["No benchmark ran.", ""])
    lines += [clocks_line(report["clocks"]), ""]
    return "\n".join(lines + bench_lines(bench) + peer_lines(report) + [""])


def bench_lines(bench):
    device, ceilings = bench["device"], bench["ceilings"]
    lines = [f"{device['name']}, compute capability {device['compute_capability']}, "
             f"{device['multiprocessors']} multiprocessors, driver {device['driver']}, runtime {device['runtime']}.",
             f"Ceilings: {ceilings['instructions_per_second'] / 1e12:.1f} T thread instructions/s, copy "
             f"{ceilings['copy_bytes_per_second'] / 1e9:.0f} GB/s read and written, "
             f"bus {ceilings['bus_bytes_per_second'] / 1e9:.1f} GB/s.",
             late_line(bench), ""]
    lines += table(("shape", "form", "K", "B", "points/s warm", "p95", "cold L2", "footprint", "sectors/s there",
                    "ceiling", "share"), point_rows(bench))
    lines += [""] + table(("shape", "form", "mode", "rows", "ms", "p95 ms"),
                          [(s["shape"], e["form"], "with replacement" if e["mlperf"] else "distinct", e["rows"],
                            f"{e['median_seconds'] * 1e3:.2f}", f"{e['p95_seconds'] * 1e3:.2f}")
                           for s in bench["shapes"] for e in s["evaluation"]])
    lines += [""] + table(("shape", "way out, points/s", "computing", "copying", "idle"),
                          [(s["shape"], giga(s["way_out"]["points_per_second"]),
                            *(f"{s['way_out'][share]:.0%}"
                              for share in ("computing_share", "copying_share", "idle_share")))
                           for s in bench["shapes"] if s["way_out"]])
    return lines


def late_line(bench):
    """Says how many times may include host work."""
    timings = [row[cache] for s in bench["shapes"] for row in s["points"] for cache in ("warm", "cold")]
    timings += [row for s in bench["shapes"] for row in s["evaluation"]]
    late = sum(t["late_runs"] != 0 for t in timings)
    return f"{late} of {len(timings)} timings include runs that the host queued late."


def clocks_line(clocks):
    if clocks is None:
        return "No clocks were sampled during the benchmark."
    return (f"Clocks during the benchmark ({clocks['at_work']} of {clocks['samples']} samples under load): "
            f"SM {clocks['sm_mhz']['min']:.0f} MHz minimum, {clocks['sm_mhz']['median']:.0f} median; "
            f"memory {clocks['memory_mhz']['min']:.0f} MHz minimum, {clocks['memory_mhz']['median']:.0f} median; "
            f"throttled by: {', '.join(clocks['throttled_by']) or 'nothing'}.")


def read_clocks(path):
    """Returns minimum and median of the clocks under load, and all reasons for throttling; None without samples."""
    samples = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            sm, memory, reasons = line.split(",")
            samples.append((float(sm), float(memory), int(reasons, 16)))
        except ValueError:  # a message, a value the card does not report, or a truncated last line
            continue
    at_work = [sample for sample in samples if not sample[2] & IDLE]
    if not at_work:
        return None
    sm, memory, reasons = zip(*at_work)
    return {"samples": len(samples), "at_work": len(at_work),
            "sm_mhz": {"min": min(sm), "median": statistics.median(sm)},
            "memory_mhz": {"min": min(memory), "median": statistics.median(memory)},
            "throttled_by": [name for bit, name in THROTTLE_REASONS.items() if any(r & bit for r in reasons)]}


def generate_lines(report):
    """Returns the rates of whole runs of generate, and the kind of file system."""
    runs = report["generate"]
    rows = [(device, giga(cycle["points"] / cycle["seconds"]), f"{cycle['bytes'] / cycle['seconds'] / 1e9:.2f} GB")
            for device, run in runs.items() if run for cycle in run["cycles"]]
    if not rows:
        return ["No whole run of generate."]
    return [f"Written to {report['scratch'].strip()}.", ""] + table(
        ("generate, device", "points/s", "written per second"), rows)


def peer_lines(report):
    """Compares with PyTorch on the same dataset: first shape, four negatives, large batches, and the membership form
    that the backend would choose."""
    peer = report["peer"]
    if peer is None:
        return []
    shape = report["bench"]["shapes"][0]
    row = max((row for row in shape["points"] if row["negatives"] == 4 and row["form"] == shape["automatic_form"]),
              key=lambda row: row["batch"])
    ours = row["warm"]["per_second"]
    rows = [(f"PyTorch {peer['torch']}, {way}", giga(peer[way]["points_per_second"]), PEER_BYTES_PER_POINT,
             f"{ours / peer[way]['points_per_second']:.1f}") for way in ("unchecked", "exact")]
    rows.append((f"negpipe, {row['form']}, batches of {row['batch']}", giga(ours), row["bytes_a_point"], ""))
    return [""] + table(("the same shape", "points/s", "bytes per point", "speedup of negpipe"), rows)


def main(folder, commit):
    folder = pathlib.Path(folder)
    steps = [dict(zip(("name", "status", "seconds"), line.split("\t")))
             for line in (folder / "steps.tsv").read_text().splitlines()]
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit,
        "steps": steps,
        "scratch": (folder / "scratch.txt").read_text(),
        "nvidia_smi": (folder / "nvidia-smi.csv").read_text(),
        "generate": {device: read_json(folder / f"generate-{device}.log") for device in ("cpu", "cuda")},
        "clocks": read_clocks(folder / "clocks.csv"),
        "bench": read_json(folder / "bench.json"),
        "peer": read_json(folder / "peer.json"),
    }
    (folder / "gpu-check.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "gpu-check.md").write_text(markdown(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
