# SPDX-License-Identifier: Apache-2.0
"""The tables and plots of docs/benchmarks.md, made from bench/results/*.json. Run by tools/bench-page.

In the page, the lines between "<!-- NAME -->" and "<!-- end -->" are replaced.
"""

import json
import re
import statistics
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs/benchmarks.md"
PLOTS = TOP / "docs/plots"
COLOURS = ["#00718a", "#c4622d", "#6a4c93", "#5a8f29", "#b03060", "#888888"]
plt.rcParams.update({"svg.hashsalt": "gossamer", "font.size": 9, "font.family": "sans-serif"})


def medians(values):
    return {name: statistics.median(v) for name, v in values.items() if v}


def number(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def table(part):
    names = list(next(iter(part["values"].values())))
    peers = names[1:]
    lines = [
        f"| {part['title']} | unit | " + " | ".join(names) + " | " + " | ".join(f"/ {p}" for p in peers) + " |",
        "|---|---|" + "--:|" * (len(names) + len(peers)),
    ]
    for workload, values in part["values"].items():
        m = medians(values)
        cells = [number(m[n]) if n in m else "" for n in names]
        cells += [f"{m[names[0]] / m[p]:.3g}" if p in m and names[0] in m else "" for p in peers]
        lines.append(f"| {workload} | {part['units'].get(workload, '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(name, parts):
    """Each workload's share of each peer's, on a logarithmic axis: left of 1 gossamer takes less."""
    bars = []
    for part in parts:
        ours, *peers = next(iter(part["values"].values()))
        for peer in peers:
            label = peer if len(parts) == 1 else f"{peer}, {part['title'].split(', ')[-1]}"
            found = {}
            for workload, values in part["values"].items():
                m = medians(values)
                if ours in m and peer in m:
                    found[workload] = m[ours] / m[peer]
            if found:
                bars.append((label, found))
    workloads = list(dict.fromkeys(w for _, found in bars for w in found))
    figure, axes = plt.subplots(figsize=(8, 0.6 + len(workloads) * (0.08 + 0.085 * len(bars))))
    height = 0.8 / len(bars)
    for i, (label, found) in enumerate(bars):
        at = [workloads.index(w) - 0.4 + height * (i + 0.5) for w in found]
        axes.barh(at, [v - 1 for v in found.values()], height, left=1, label=label, color=COLOURS[i % len(COLOURS)])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(workloads)), workloads)
    axes.set_ylim(len(workloads) - 0.4, -0.6)
    axes.set_xlabel("gossamer's part of the peer's figure (left of 1: gossamer takes less)")
    axes.legend(loc="best", frameon=False)
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / f"{name}.svg", metadata={"Date": None})


def section(name, result):
    about, versions = result["machine"], result["versions"]
    named = ", ".join(f"{k} {v}" for k, v in versions.items())
    lines = [
        f"Medians of {result['rounds']} interleaved rounds on {about['cpu']}, {about['kernel']}, {about['system']}; "
        f"load {about['load']}. {named}.",
        f"![The table below as a plot](plots/{name}.svg)",
        *(table(part) for part in result["tables"]),
    ]
    return "\n\n".join(lines)


def main():
    page = PAGE.read_text()
    for file in sorted((TOP / "bench/results").glob("*.json")):
        name, result = file.stem, json.loads(file.read_text())
        plot(name, result["tables"])
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = section(name, result)
        page, n = mark.subn(lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", page)
        if n != 1:
            raise SystemExit(f"bench-page: {PAGE.name} has no place for {name}")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
