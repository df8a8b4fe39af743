"""gpu_report.py FOLDER COMMIT [--thresholds]: writes the report of scripts/gpu-check. Needs only the standard library.

With --thresholds, the exit status is 1 if a rate is below its limit or was not measured.
"""

import collections
import csv
import datetime
import json
import pathlib
import re
import statistics
import sys


# Bits of nvidia-smi's reasons for reduced clocks.
IDLE = 0x1
THROTTLE_REASONS = {0x2: "application clocks", 0x4: "power cap (software)", 0x8: "slowdown (hardware)",
                    0x10: "sync boost", 0x20: "heat (software)", 0x40: "heat (hardware)",
                    0x80: "power brake (hardware)", 0x100: "display clocks"}

# Limits with a margin below what an H200 reached. Shares of the lower ceiling (0.56 to 0.78 there) are those of large
# batches in the form that the backend chooses; ceilings do not count the many candidates of users who have most items.
MIN_SHARE_OF_CEILING = 0.45
LARGE_BATCH = 1 << 20
MAX_DENSITY = 0.5
MIN_TIMES_PYTORCH = {"unchecked": 4, "exact": 5}

PEER_BYTES_PER_POINT = 8 + 8 + 4  # bench/peers/pytorch_negatives.py: int64 users and items, float32 labels


def read_json(path):
    """Returns the first JSON object in a file, after any other output; None if there is none."""
    try:
        text = path.read_text()
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except (OSError, ValueError):
        return None


def read_benchmark(path):
    """Returns the JSON of Google Benchmark without the machine's name and paths; None if there is none."""
    result = read_json(path)
    for name in ("host_name", "executable"):
        if result:
            result["context"].pop(name, None)
    return result


def read_text(path):
    """Returns the text of a file; empty if there is none, because its step did not run."""
    return path.read_text(errors="replace") if path.exists() else ""


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
    lines += failure_lines(report["steps"])
    lines += ["", "```", report["nvidia_smi"].strip(), "```", ""]
    lines += generate_lines(report) + [""]
    bench = report["bench"]
    if bench is None:
        return "\n".join(lines + ["No benchmark ran.", *draw_lines(report), ""])
    lines += [clocks_line(report["clocks"]), *(f"Not measured: {failure}." for failure in bench["failures"]), ""]
    return "\n".join(lines + bench_lines(bench) + cost_lines(bench) + draw_lines(report)
                     + cpu_lines(report) + peer_lines(report) + counter_lines(report) + threshold_lines(report) + [""])


def failure_lines(steps):
    """Returns the ends of the logs of steps that failed: the logs may stay on another machine."""
    lines = []
    for step in steps:
        if step.get("log_end"):
            lines += ["", f"The end of `{step['name']}.log`:", "", "```", *step["log_end"], "```"]
    return lines


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
    lines += [""] + table(("shape", "threads, one batch per call", "columns", "points/s"),
                          [(s["shape"], call["threads"], "page-locked" if call["page_locked"] else "pageable",
                            giga(call["points_per_second"]))
                           for s in bench["shapes"] if s["way_out"] for call in s["way_out"]["calls"]])
    lines += [""] + table(("shape", "threads, records in memory", "columns", "points/s"),
                          [(s["shape"], made["threads"], "written in place" if made["in_place"] else "copied",
                            giga(made["points_per_second"]))
                           for s in bench["shapes"] if s["way_out"] for made in s["way_out"]["records"]])
    return lines


def cost_lines(bench):
    """Returns what work outside the fill kernels takes."""
    def microseconds(value):
        return f"{value * 1e6:.1f} us"

    shapes = bench["shapes"]
    lines = [""] + table(("shape", "B", "host time: fill", "replay", "graph launch", "graph on the device"),
                         [(s["shape"], s["launches"]["batch"],
                           *(microseconds(s["launches"][name]) for name in
                             ("host_seconds_fill", "host_seconds_fill_next", "host_seconds_graph_launch",
                              "device_seconds_graph"))) for s in shapes])
    uploads = [(s["shape"], f"upload, {u['form']}", f"{u['seconds'] * 1e3:.1f} ms", giga(u["positives_per_second"]))
               for s in shapes for u in s["uploads"]]
    sorts = [(s["shape"], "sort on the device", f"{s['sort']['seconds'] * 1e3:.1f} ms",
              giga(s["sort"]["rows_per_second"])) for s in shapes]
    return lines + [""] + table(("shape", "dataset", "time", "positives/s"), uploads + sorts)


def cpu_lines(report):
    """Returns the rates of the CPU on all cores beside those of the card: large batches, K = 4."""
    rows = []
    names = {"bitset": "bitset", "filter": "Bloom filter"}
    for shape in report["bench"]["shapes"]:
        for kind, file in report["cpu"].items():
            for run in file["benchmarks"] if file else []:
                found, form = run["name"].split("/")[1:3]
                if found != shape["shape"]:
                    continue
                if kind == "points":
                    same = [r["warm"]["per_second"] for r in shape["points"]
                            if r["negatives"] == 4 and r["form"] == names.get(form)]
                else:
                    same = [e["per_second"] for e in shape["evaluation"] if e["mlperf"] == (form == "mlperf")]
                if same:
                    rows.append((found, f"{kind}, {form}", giga(run["points/s"]), giga(max(same)),
                                 f"{max(same) / run['points/s']:.0f}"))
    if not rows:
        return []
    return [""] + table(("shape", "what", "CPU, all cores, points/s", "GPU", "speedup of the GPU"), rows)


def draw_lines(report):
    """Returns the times of draws other than uniform points, of the steps bench and draws."""
    rows = []
    for bench in (report["bench"], report["draws"]):
        for shape in bench["shapes"] if bench else []:
            rows += [(shape["shape"],
                      *(draw[name] for name in ("work", "form", "distribution", "negatives", "batch")),
                      f"{draw['median_seconds'] * 1e6:.1f} us", f"{draw['p95_seconds'] * 1e6:.1f} us",
                      giga(draw["per_second"]), draw["late_runs"]) for draw in shape.get("draws", [])]
    if not rows:
        return []
    failures = report["draws"]["failures"] if report["draws"] else []
    lines = [f"Draws not measured: {failure}." for failure in failures]
    return ["", *lines, *([""] if lines else [])] + table(
        ("shape", "work", "form", "distribution", "K", "batch", "median", "p95", "values/s", "late runs"), rows)


def counter_lines(report):
    """Returns the median of each counter for each kernel, over its launches."""
    values = collections.defaultdict(list)
    for counter in report["counters"]:
        kernel = " ".join(re.findall(r"(?<=::)fill_\w+(?=<)(?<!_job)|\w+_form|bounded32|weighted_draw|\w+_cursor",
                                     counter["kernel"]))
        values[kernel, counter["counter"], counter["unit"]].append(float(counter["value"].replace(",", "")))
    if not values:
        return []
    return [""] + table(("kernel", "launches", "counter", "median"),
                        [(kernel, len(found), counter, f"{statistics.median(found):,.6g} {unit}")
                         for (kernel, counter, unit), found in values.items()])


def read_counters(path):
    """Returns the counters in a CSV file of ncu, after its own messages."""
    lines = [line for line in read_text(path).splitlines() if line.startswith('"')]
    return [{"kernel": row["Kernel Name"], "counter": row["Metric Name"], "value": row["Metric Value"],
             "unit": row["Metric Unit"]} for row in csv.DictReader(lines) if row.get("Metric Name")]


def thresholds(report):
    """Returns what is checked, what was found, and whether it holds; None where it was not measured."""
    checks = []
    bench = report["bench"]
    for shape in bench["shapes"] if bench else []:
        rows = [row for row in shape["points"] if row["negatives"] == 4 and row["form"] == shape["automatic_form"]
                and row["memory_ceiling_points_per_second"] is not None and row["batch"] >= LARGE_BATCH]
        if not rows or shape["positives"] > MAX_DENSITY * shape["users"] * shape["items"]:
            continue
        row = max(rows, key=lambda row: row["batch"])
        share = row["warm"]["per_second"] / min(row["memory_ceiling_points_per_second"],
                                                row["instruction_ceiling_points_per_second"])
        checks.append({"check": f"{shape['shape']}, batches of {row['batch']}: share of the lower ceiling",
                       "limit": MIN_SHARE_OF_CEILING, "found": share})
    peer = report["peer"]
    row = chosen_row(bench)
    for way, limit in MIN_TIMES_PYTORCH.items():
        times = row["warm"]["per_second"] / peer[way]["points_per_second"] if row and peer else None
        checks.append({"check": f"times PyTorch's {way} loader", "limit": limit, "found": times})
    return [{**check, "holds": check["found"] is not None and check["found"] >= check["limit"]} for check in checks]


def threshold_lines(report):
    return [""] + table(("threshold", "at least", "found", "holds"),
                        [(c["check"], c["limit"], "not measured" if c["found"] is None else f"{c['found']:.2f}",
                          "yes" if c["holds"] else "no") for c in report["thresholds"]])


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
    for line in read_text(path).splitlines():
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
    parts = [(f"{device}, {name}", part) for device, run in runs.items() if run
             for name, part in [*(("cycle", cycle) for cycle in run["cycles"]), ("evaluation", run.get("evaluation"))]]
    rows = [(name, giga(part["points"] / part["seconds"]), f"{part['bytes'] / part['seconds'] / 1e9:.2f} GB")
            for name, part in parts if part]
    if not rows:
        return ["No whole run of generate."]
    return [f"Written to {report['scratch'].strip()}.", ""] + table(
        ("generate, device", "points/s", "written per second"), rows)


def chosen_row(bench):
    """Returns the largest batch of the first shape with four negatives, in the form that the backend would choose; None
    if it was not measured."""
    if not bench or not bench["shapes"]:
        return None
    shape = bench["shapes"][0]
    return max((row for row in shape["points"] if row["negatives"] == 4 and row["form"] == shape["automatic_form"]),
               key=lambda row: row["batch"])


def peer_lines(report):
    """Compares with PyTorch on the same dataset: first shape, four negatives, large batches, and the membership form
    that the backend would choose."""
    peer = report["peer"]
    row = chosen_row(report["bench"])
    if peer is None or row is None:
        return []
    ours = row["warm"]["per_second"]
    rows = [(f"PyTorch {peer['torch']}, {way}", giga(peer[way]["points_per_second"]), PEER_BYTES_PER_POINT,
             f"{ours / peer[way]['points_per_second']:.1f}") for way in ("unchecked", "exact")]
    rows.append((f"negpipe, {row['form']}, batches of {row['batch']}", giga(ours), row["bytes_a_point"], ""))
    return [""] + table(("the same shape", "points/s", "bytes per point", "speedup of negpipe"), rows)


def main(folder, commit, *options):
    folder = pathlib.Path(folder)
    steps = [dict(zip(("name", "status", "seconds"), line.split("\t")))
             for line in read_text(folder / "steps.tsv").splitlines()]
    for step in steps:
        if step["status"] not in ("0", "skipped"):
            step["log_end"] = [line[:300] for line in read_text(folder / f"{step['name']}.log").splitlines()[-20:]]
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit,
        "steps": steps,
        "scratch": read_text(folder / "scratch.txt"),
        "nvidia_smi": read_text(folder / "nvidia-smi.csv"),
        "generate": {device: read_json(folder / f"generate-{device}.log") for device in ("cpu", "cuda", "cuda:all")},
        "clocks": read_clocks(folder / "clocks.csv"),
        "bench": read_json(folder / "bench.json"),
        "draws": read_json(folder / "draws.json"),
        "peer": read_json(folder / "peer.json"),
        "cpu": {kind: read_benchmark(folder / f"cpu-{kind}.json") for kind in ("points", "evaluation")},
        "counters": read_counters(folder / "counters.csv"),
    }
    report["thresholds"] = thresholds(report)
    (folder / "gpu-check.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "gpu-check.md").write_text(markdown(report))
    missed = [check["check"] for check in report["thresholds"] if not check["holds"]]
    if "--thresholds" in options and missed:
        sys.exit(f"gpu-check: below the threshold: {'; '.join(missed)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
