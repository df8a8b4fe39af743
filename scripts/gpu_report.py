"""Puts the results of scripts/gpu-check together: gpu_report.py FOLDER COMMIT. Needs Python 3 alone."""

import datetime
import json
import pathlib
import sys


def read_json(path):
    """The first JSON object in a file, behind whatever else a program said; None when there is none."""
    try:
        text = path.read_text()
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except (OSError, ValueError):
        return None


def giga(value):
    return f"{value / 1e9:.2f} G"


def point_rows(bench):
    for shape in bench["shapes"]:
        for row in shape["points"]:
            ceiling = min(row["memory_ceiling_points_per_second"], row["instruction_ceiling_points_per_second"])
            warm = row["warm"]["per_second"]
            yield (shape["shape"], row["form"], row["negatives"], row["batch"], giga(warm),
                   f"{row['warm']['p95_seconds'] * 1e6:.1f} us", giga(row["cold"]["per_second"]),
                   f"{row['footprint_bytes'] / 1e6:.0f} MB", giga(row["random_sectors_per_second"]), giga(ceiling),
                   f"{warm / ceiling:.0%}")


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def markdown(report):
    lines = [f"# GPU check of {report['date']}, commit {report['commit'][:12]}", ""]
    lines += table(("step", "result", "seconds"),
                   [(step["name"], "passed" if step["status"] == "0" else step["status"], step["seconds"])
                    for step in report["steps"]])
    lines += ["", "```", report["nvidia_smi"].strip(), "```", ""]
    bench = report["bench"]
    if bench is None:
        return "\n".join(lines + ["No benchmark ran.", ""])
    lines += generate_lines(report["generate"]) + [""]
    device, ceilings = bench["device"], bench["ceilings"]
    lines += [f"{device['name']}, compute capability {device['compute_capability']}, "
              f"{device['multiprocessors']} multiprocessors, driver {device['driver']}, runtime {device['runtime']}.",
              f"Ceilings: {ceilings['instructions_per_second'] / 1e12:.1f} T thread instructions/s, copy "
              f"{ceilings['copy_bytes_per_second'] / 1e9:.0f} GB/s, "
              f"bus {ceilings['bus_bytes_per_second'] / 1e9:.1f} GB/s.",
              ""]
    lines += table(("shape", "form", "K", "B", "points/s warm", "p95", "cold L2", "footprint", "sectors/s there",
                    "ceiling", "share"), point_rows(bench))
    lines += [""] + table(("shape", "mode", "rows", "ms", "p95 ms"),
                          [(s["shape"], "with replacement" if e["mlperf"] else "distinct", e["rows"],
                            f"{e['median_seconds'] * 1e3:.2f}", f"{e['p95_seconds'] * 1e3:.2f}")
                           for s in bench["shapes"] for e in s["evaluation"]])
    lines += [""] + table(("shape", "way out, points/s", "computing", "copying", "idle"),
                          [(s["shape"], giga(s["way_out"]["points_per_second"]),
                            *(f"{s['way_out'][share]:.0%}"
                              for share in ("computing_share", "copying_share", "idle_share")))
                           for s in bench["shapes"] if s["way_out"]])
    return "\n".join(lines + peer_lines(report) + [""])


def generate_lines(runs):
    """Whole runs of generate, to the memory-backed files of gpu-check where there are such."""
    rows = [(device, giga(cycle["points"] / cycle["seconds"]), f"{cycle['bytes'] / cycle['seconds'] / 1e9:.2f} GB")
            for device, run in runs.items() if run for cycle in run["cycles"]]
    return table(("generate, device", "points/s", "written a second"), rows)


def peer_lines(report):
    """PyTorch's epochs beside the fastest of ours on the same dataset: the first shape, four negatives."""
    peer = report["peer"]
    if peer is None:
        return []
    ours = max(row["warm"]["per_second"] for row in report["bench"]["shapes"][0]["points"] if row["negatives"] == 4)
    return [""] + table((f"PyTorch {peer['torch']}, the same shape", "points/s", "ours is so many times as fast"),
                        [(way, giga(peer[way]["points_per_second"]),
                          f"{ours / peer[way]['points_per_second']:.1f}") for way in ("unchecked", "exact")])


def main(folder, commit):
    folder = pathlib.Path(folder)
    steps = [dict(zip(("name", "status", "seconds"), line.split("\t")))
             for line in (folder / "steps.tsv").read_text().splitlines()]
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit,
        "steps": steps,
        "nvidia_smi": (folder / "nvidia-smi.csv").read_text(),
        "generate": {device: read_json(folder / f"generate-{device}.log") for device in ("cpu", "cuda")},
        "bench": read_json(folder / "bench.json"),
        "peer": read_json(folder / "peer.json"),
    }
    (folder / "gpu-check.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "gpu-check.md").write_text(markdown(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
