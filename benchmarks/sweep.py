"""How much faster is a sweep than a loop of fits, and than Keras on JAX? All timed here, in turns.

    python -m benchmarks.sweep                           # all works, some minutes
    python -m benchmarks.sweep A D                       # some of them
    python -m benchmarks.sweep --jax /tmp/jax/bin/python # with JAX, from an environment with:
                                                         # pip install keras jax
    python -m benchmarks.sweep --copies                  # how time and memory grow with them

The works are those of `benchmarks.works`. All times hold building the models and tracing or
compiling. Of each side the median of several turns is shown; of the loop, some models are timed
and the mean is multiplied. "again" is a second call for the same architecture, whose traced
functions are kept. The processor's seconds are those of all its cores: on a computer that does
other things too, they say more than the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import works
from benchmarks.works import BATCH_SIZE, WORKS

ROOT = Path(__file__).parent.parent


def data(name):
    """Return (x, y) to train on and (x, y) held out."""
    if name in ("texts", "series"):
        return works.made_up(name)
    from sklearn.model_selection import train_test_split

    from utils.data import load_dataset

    x, y = load_dataset(name, True)
    x, x_held_out, y, y_held_out = train_test_split(x, y, test_size=0.25, random_state=42)
    return (x, y), (x_held_out, y_held_out)


def timed(function, *args):
    """Return the seconds of the clock and of the processor, and what the function returns."""
    start, busy = time.perf_counter(), time.process_time()
    result = function(*args)
    return time.perf_counter() - start, time.process_time() - busy, result


def sweep(work):
    from lrsweep import sweep_learning_rates

    arguments = {"epochs": work.epochs, "seeds": work.seeds, "progress": False}
    return sweep_learning_rates(
        work.build, work.learning_rates, *data(work.data), batch_size=BATCH_SIZE, **arguments
    )


def forget():
    """Let nothing be kept of earlier calls."""
    from lrsweep import _copies

    getattr(_copies, "forget_traces", lambda: None)()


def loop(work, count):
    """Train some of the models of a work, one after another, as anybody would."""
    (x, y), held_out = data(work.data)
    for rate in work.learning_rates[:: work.rates // count][:count]:
        model = work.build()
        model.optimizer.learning_rate = rate
        model.fit(x, y, BATCH_SIZE, work.epochs, validation_data=held_out, verbose=0)


class Jax:
    """Keras on JAX in a process of its own."""

    def __init__(self, python, folder):
        parts = {
            f"{name}/{i}": part
            for name in {work.data for work in WORKS.values()}
            for i, part in enumerate(it for pair in data(name) for it in pair)
        }
        np.savez(Path(folder) / "data.npz", **parts)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
        environment = os.environ | {"PYTHONPATH": ""}
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.on_jax"], env=environment, **pipes
        )
        self.process.stdin.write(f"{folder}/data.npz\n")
        self.run("A small")

    def run(self, name):
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the Python of --jax needs keras and jax")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def row(*cells):
    print("".join(f"{cell:>11}" for cell in cells), flush=True)


def medians(turns):
    return [statistics.median(column) for column in zip(*(turn[:2] for turn in turns))]


def measure(name, turns, models, jax):
    """Print two rows for a work: seconds of the clock, and of the processor."""
    work = WORKS[name]
    sides = {"sweep": [], "again": [], "jax": [], "loop": []}
    for _ in range(turns):
        forget()
        sides["sweep"].append(timed(sweep, work))
        sides["again"].append(timed(sweep, work))
        if jax:
            sides["jax"].append(jax.run(name))
    sides["loop"].append(timed(loop, work, models))
    engine = sides["sweep"][0][2].engine
    copies = work.rates * work.seeds
    spent = {side: medians(it) for side, it in sides.items() if it}
    for i, kind in enumerate(("clock", "processor")):
        ours, alone = spent["sweep"][i], spent["loop"][i] / models
        theirs = spent["jax"][i] if jax else None
        row(
            *((name, copies, engine) if i == 0 else ("", "", "")),
            kind,
            f"{ours:.2f}",
            f"{spent['again'][i]:.2f}",
            f"{theirs:.2f}" if jax else "",
            f"{ours / theirs:.2f}" if jax else "",
            f"{alone * copies:.0f}",
            f"{alone * copies / ours:.0f}",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", help="of A to F; all without")
    parser.add_argument("--jax", metavar="PYTHON", help="of an environment with keras and jax")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--models", type=int, default=4, help="of the loop that are timed")
    parser.add_argument("--copies", action="store_true", help="time and memory of 1 to 4096 copies")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of is not None:
        print_memory(arguments.memory_of)
        return
    if arguments.copies:
        print_growth()
        return
    loop(WORKS["A"]._replace(epochs=1), 1)  # TensorFlow's own start-up
    sweep(WORKS["A"]._replace(rates=2, seeds=1, epochs=1))
    with tempfile.TemporaryDirectory() as folder:
        jax = Jax(arguments.jax, folder) if arguments.jax else None
        head = "work", "copies", "engine", "seconds of", "sweep", "again", "JAX", "sweep/JAX"
        row(*head, "loop", "loop/sweep")
        for name in arguments.works or WORKS:
            measure(name, arguments.turns, arguments.models, jax)
        if jax:
            jax.close()


def print_growth():
    row("copies", "seconds", "ms/copy", "MB")
    base = memory_of(0)
    for copies in (1, 4, 16, 64, 256, 1024, 4096):
        work = WORKS["A"]._replace(rates=copies, seeds=1)
        spent = statistics.median(timed(sweep, work)[0] for _ in range(3))
        used = memory_of(copies) - base
        row(copies, f"{spent:.2f}", f"{1000 * spent / copies:.2f}", f"{used / 1024:.0f}")


def memory_of(copies):
    """Return the peak memory of a process that sweeps so many copies, in kB."""
    command = [sys.executable, "-m", "benchmarks.sweep", "--memory-of", str(copies)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return int(run.stdout)


def print_memory(copies):
    import utils.data  # noqa: F401
    from lrsweep import _prepare  # noqa: F401

    if copies:
        sweep(WORKS["A"]._replace(rates=copies, seeds=1))
    status = Path("/proc/self/status").read_text()  # Linux; ru_maxrss would count the parent too
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
