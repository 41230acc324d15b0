"""How often does `lrsweep.check_up` name what is wrong, and how often does it cry wolf?

    python -m benchmarks.check_up                  # forty models, seeds 8 to 10
    python -m benchmarks.check_up --seeds 11       # another seed
    python -m benchmarks.check_up --write          # also puts the table into lrsweep/README.md

Twenty healthy models and twenty sick ones, see `benchmarks.clinic`. The thresholds of the
measures were set at seeds 0 to 2. A sick model counts as found if the report's first line is its
own cause; a healthy one as a false alarm if there is any alarm at all.
"""

import argparse
import os
import statistics
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks import clinic
from lrsweep import check_up
from tools import marked

MEASURES = "start", "inputs", "units", "memory", "updates", "limit", "noise", "averages", "labels"
README = Path(__file__).parent.parent / "lrsweep/README.md"


def examined(make, seed):
    """Return the report on a model of the clinic."""
    case = make(seed)
    report = check_up(case.model, case.train, case.validation, seed=seed, **case.arguments)
    keras.backend.clear_session()
    return report


def rows(seeds):
    """Return for each model its name, its cause or "", and the reports' causes and seconds."""
    sick = [(name, cause, make) for name, (cause, make) in clinic.SICK.items()]
    table = []
    for name, cause, make in [(*pair[:1], "", pair[1]) for pair in clinic.HEALTHY.items()] + sick:
        reports = [examined(make, seed) for seed in seeds]
        found = [report.causes[0] if report.causes else "" for report in reports]
        table.append((name, cause, found, reports))
        print(f"{name:<48}{cause:<12}{', '.join(it or '-' for it in found)}", flush=True)
    return table


def markdown(table, seeds):
    lines = [
        f"| model | sick with | first line, seeds {', '.join(map(str, seeds))} |",
        "|---|---|---|",
    ]
    for name, cause, found, _ in table:
        said = found[:1] if len(set(found)) == 1 else found
        said = ", ".join(it or "nothing" for it in said)
        right = "" if all(it == cause for it in found) else " ✗"
        lines.append(f"| {name} | {cause or '–'} | {said}{right} |")
    return "\n".join(lines)


def summary(table):
    sick = [it == cause for _, cause, found, _ in table if cause for it in found]
    alarms = [it != "" for _, cause, found, _ in table if not cause for it in found]
    seconds = [report.seconds for *_, reports in table for report in reports]
    return (
        f"Of {len(sick)} check-ups of sick models, {sum(sick)} named the model's own cause first "
        f"({100 * sum(sick) / len(sick):.0f} %); of {len(alarms)} check-ups of healthy models, "
        f"{sum(alarms)} gave an alarm ({100 * sum(alarms) / len(alarms):.0f} %). They took "
        f"{statistics.median(seconds):.1f} s each in the median, {max(seconds):.1f} s at most, on "
        "two busy cores."
    )


def ranges(table):
    """Return what the healthy models' measures were, for the docstrings of the thresholds."""
    lines = []
    for name in MEASURES:
        values = [it[name].value for _, cause, _, reports in table if not cause for it in reports]
        values = [value for value in values if value is not None and np.isfinite(value)]
        lines.append(f"{name:<12}{min(values):.3g} to {max(values):.3g}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[8, 9, 10])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    table = rows(arguments.seeds)
    print(f"\n{summary(table)}\n\nHealthy models measured:\n{ranges(table)}")
    if arguments.write:
        text = f"{summary(table)}\n\n{markdown(table, arguments.seeds)}"
        README.write_text(marked.put(README.read_text("utf-8"), "check-up", text), "utf-8")


if __name__ == "__main__":
    main()
