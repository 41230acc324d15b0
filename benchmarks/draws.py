"""Lesson 6 on other drawings: what fine-tuning gains, and whether every claim of it holds.

Runs the lesson's own cells, assertions and all, on garments of several seeds; the lesson as it
is read uses seed 0. Run from the project's folder: python -m benchmarks.draws [NUMBER OF SEEDS].
"""

import re
import sys

import numpy as np

from tests.run_lesson import run
from tools import rules

OTHER = """
import functools
from course import clothing
clothing.load_clothing = functools.partial(clothing.load_clothing, seed={seed})
"""
REPORTED = {
    "frozen": r"head alone: validation (\S+), test (\S+)",
    "fine-tuned": r"fine-tuned at 0.001: validation (\S+), test (\S+)",
    "at 0.01": r"base 0.01 +head 0.01 +validation loss \S+, accuracy (\S+)",
    "random": r"best accuracy on random features: (\S+?)\. ",
}


def main(seeds=5):
    """Print one line per seed, and the mean gain with its standard error."""
    gains = []
    for seed in range(seeds):
        said = run(rules.lessons()[5], rules.ROOT, before=OTHER.format(seed=seed))
        found = {
            name: np.array(re.search(words, said["stdout"]).groups(), dtype=float)
            for name, words in REPORTED.items()
        }
        gains.append(found["fine-tuned"] - found["frozen"])
        line = ", ".join(f"{name} {values}" for name, values in found.items())
        print(f"seed {seed}: {line}; error: {said['error']}", flush=True)
    mean, error = np.mean(gains, axis=0), np.std(gains, axis=0, ddof=1) / np.sqrt(seeds)
    print(f"gain by fine-tuning: validation {mean[0]:+.3f} ± {error[0]:.3f}, ", end="")
    print(f"test {mean[1]:+.3f} ± {error[1]:.3f} (standard errors over {seeds} seeds)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
