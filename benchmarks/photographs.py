"""Do drawings help with photographs? The pocket Xception on the real clothes, at 64×64 pixels.

    CLOTHING_ARCHIVE=path/of/the.zip python -m benchmarks.photographs
    CLOTHING_ARCHIVE=path/of/the.zip python -m benchmarks.photographs other.npz ...

A head is trained on three kinds of features: those of the shipped backbone, those of random
backbones, and plain pixels; with files of weights, as `tools.pretrain --keep` writes them, on
those of these backbones instead. Its learning rate is chosen on validation pictures; the test
pictures are looked at once. All is done on the drawn garments too. The record of the
photographs goes to data/photographs_record.csv, which lesson 6 reads.
"""

import csv
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from course.clothing import load_clothing
from course.clothing.features import extract_features
from course.clothing.photographs import CLASSES, load_photographs
from lrsweep import sweep_learning_rates
from utils.models import build_head, build_pocket_xception

RECORD = Path(__file__).resolve().parents[1] / "data" / "photographs_record.csv"
RATES = np.geomspace(1e-4, 0.1, 13)
EPOCHS, SEEDS = 30, 5
SIZE = 64  # pixels


def pixels(photographs):
    """Return the photographs shrunk to 16×16 pixels, a row of numbers each."""
    rows = [keras.ops.average_pool(images, SIZE // 16) for images, _ in photographs]
    return np.concatenate([np.reshape(row, (len(row), -1)) for row in rows])


def seen_by(backbone):
    return lambda photographs: extract_features(backbone, photographs, progress=False)


def newborn(seed):
    keras.utils.set_random_seed(seed)
    return build_pocket_xception(weights=None)


def measure(extract, pictures):
    """Return the rate chosen on the validation pictures, and both accuracies with it."""
    x = {part: extract(getattr(pictures, part)) for part in pictures.labels}
    mean, spread = x["train"].mean(axis=0), x["train"].std(axis=0) + 1e-9
    parts = {name: ((x[name] - mean) / spread, labels) for name, labels in pictures.labels.items()}

    def head():
        return build_head(x["train"].shape[1], len(CLASSES))

    def accuracy(rates, part):
        result = sweep_learning_rates(
            head, rates, parts["train"], parts[part], EPOCHS, seeds=SEEDS, progress=False
        )
        return result.metrics["val_accuracy"][:, :, -1].mean(axis=1)

    validation = accuracy(RATES, "validation")
    best = int(validation.argmax())
    return RATES[best], validation[best], accuracy([RATES[best]], "test")[0]


def judge(kinds, pictures):
    """Print what each kind of features is worth on some pictures, and return rows for it."""
    tested, rows = len(pictures.labels["test"]), []
    for name, extractors in kinds.items():
        found = np.array([measure(extract, pictures) for extract in extractors])
        rate, validation, test = found.mean(axis=0)
        error = np.sqrt(test * (1 - test) / tested)
        rows.append([name, f"{rate:.2g}", f"{validation:.4f}", f"{test:.4f}", f"{error:.4f}"])
        each = " ".join(f"{value:.3f}" for value in found[:, 2])
        print(f"    {name}: validation {validation:.3f}, test {test:.3f} ± {error:.3f} ({each})")
    return rows


def main(others):
    kinds = {Path(path).stem: [seen_by(build_pocket_xception(path))] for path in others} or {
        "pretrained on drawings": [seen_by(build_pocket_xception())],
        "random weights": [seen_by(newborn(seed)) for seed in range(3)],
        "pixels": [pixels],
    }
    print("drawn garments")
    judge(kinds, load_clothing("drawn"))
    print("real photographs")
    rows = judge(kinds, load_photographs(SIZE))
    if others:
        return
    with open(RECORD, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["features", "learning_rate", "validation_accuracy", "test_accuracy", "standard_error"]
        )
        writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
