"""Pretrain the pocket Xception on things that do not exist, and write what data/ ships.

    python -m tools.pretrain                      # seed 0: data/pocket_xception.npz and its log
    python -m tools.pretrain --seed 1             # another seed: only its log
    python -m tools.pretrain --compare            # 16 plain shapes against all kinds, same budget

Each picture is asked two questions: what thing is this, and of what cloth? The answers come
from two Dense layers that are thrown away afterwards.
"""

import argparse
import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from tools.invented import FAMILIES, PLAIN, draw_things

SOURCES = {"rich": range(FAMILIES + len(PLAIN)), "plain": range(FAMILIES, FAMILIES + len(PLAIN))}
DATA = Path(__file__).resolve().parents[1] / "data"
LOG = DATA / "pocket_xception_log.csv"
PICTURES, HELD_OUT = 17_920, 1_120
UPDATES, BATCH, PEAK = 3_200, 64, 3e-3
CLOTH_SHARE = 0.3  # of the loss
COLUMNS = ("source", "seed", "updates", "epoch", "seconds", "loss", "thing_accuracy",
            "cloth_accuracy", "val_thing_accuracy", "val_cloth_accuracy")  # fmt: skip


def draw_source(source, pictures, seed):
    """Return pictures, kinds (from 0) and textures of a source, drawn by all cores."""
    kinds = list(SOURCES[source])
    each = pictures // len(kinds)
    with ProcessPoolExecutor() as pool:
        parts = pool.map(
            draw_things, [[k] for k in kinds], [each] * len(kinds), [seed] * len(kinds)
        )
        images, labels, textures = map(np.concatenate, zip(*parts))
    return images, labels - kinds[0], textures


def augment(images, labels):
    """Crop, mirror and recolour a batch of uint8 pictures; return pixels from −1 to 1."""
    import tensorflow as tf

    n = tf.shape(images)[0]
    images = tf.cast(images, tf.float32) / 255
    size = tf.random.uniform((n, 2), 0.62, 1.08)
    corner = tf.random.uniform((n, 2)) * (1 - size)
    (top, left), (bottom, right) = (tf.unstack(c, axis=1) for c in (corner, corner + size))
    mirror = tf.random.uniform((n,)) < 0.5
    left, right = tf.where(mirror, right, left), tf.where(mirror, left, right)
    boxes = tf.stack([top, left, bottom, right], axis=1)
    images = tf.image.crop_and_resize(images, boxes, tf.range(n), images.shape[1:3])
    grey = tf.cast(tf.random.uniform((n, 1, 1, 1)) < 0.25, tf.float32)
    images += grey * (tf.reduce_mean(images, axis=3, keepdims=True) - images)
    contrast = tf.random.uniform((n, 1, 1, 1), 0.6, 1.3)
    light = tf.random.uniform((n, 1, 1, 1), -0.15, 0.15)
    tint = tf.random.uniform((n, 1, 1, 3), -0.08, 0.08)
    images = (images - 0.5) * contrast + 0.5 + light + tint
    return 2 * tf.clip_by_value(images, 0, 1) - 1, labels


def train(source, seed, updates=UPDATES):
    """Pretrain on a source and return the backbone and its log, one dict for each epoch."""
    import keras
    import tensorflow as tf

    from utils.models import build_pocket_xception

    keras.utils.set_random_seed(seed)
    images, things, cloths = draw_source(source, PICTURES, seed=1000 + seed)
    held_out, *answers = draw_source(source, HELD_OUT, seed=2000 + seed)
    questions = {"thing": int(things.max()) + 1, "cloth": int(cloths.max()) + 1}

    backbone = build_pocket_xception(weights=None)
    vectors = keras.layers.GlobalAveragePooling2D()(backbone.output)
    vectors = keras.layers.Dropout(0.1)(vectors)
    outputs = {
        name: keras.layers.Dense(classes, name=name)(vectors) for name, classes in questions.items()
    }
    model = keras.Model(backbone.input, outputs)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, updates - updates // 20, warmup_target=PEAK, warmup_steps=updates // 20
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        loss=dict.fromkeys(questions, loss),
        loss_weights={"thing": 1.0, "cloth": CLOTH_SHARE},
        metrics={name: ["accuracy"] for name in questions},
    )

    labels = {"thing": things, "cloth": cloths}
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(images), seed=seed).repeat().batch(BATCH).map(augment).prefetch(2)
    per_epoch = len(images) // BATCH
    epochs = -(-updates // per_epoch)
    record = _Record(source, seed, updates)
    model.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=updates // epochs,
        validation_data=(held_out / 127.5 - 1, dict(zip(questions, answers))),
        callbacks=[record.callback()],
        shuffle=False,  # the batches come shuffled
        verbose=0,
    )
    return backbone, record.rows


class _Record:
    """The log of one training."""

    def __init__(self, source, seed, updates):
        self.head = {"source": source, "seed": seed, "updates": updates}
        self.rows, self.start = [], time.perf_counter()

    def callback(self):
        """Return what Keras calls after each epoch."""
        import keras

        return keras.callbacks.LambdaCallback(on_epoch_end=self._note)

    def _note(self, epoch, logs):
        seconds = round(time.perf_counter() - self.start)
        logs = {name: f"{value:.4g}" for name, value in logs.items()}
        row = self.head | {"epoch": epoch + 1, "seconds": seconds} | logs
        self.rows.append({name: str(row.get(name, "")) for name in COLUMNS})
        print(*self.rows[-1].values(), flush=True)


def write_log(rows):
    """Put a training's rows into the log, in place of an earlier one of the same name."""
    name = ("source", "seed", "updates")
    new = {tuple(row[part] for part in name) for row in rows}
    if LOG.exists():
        with LOG.open(encoding="utf-8", newline="") as file:
            kept = list(csv.DictReader(file))
        rows = [row for row in kept if tuple(row[part] for part in name) not in new] + rows
    with LOG.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the pictures")
    parser.add_argument("--compare", action="store_true", help="both sources at a quarter budget")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the weights of trainings not shipped"
    )
    arguments = parser.parse_args()
    from utils.models import save_weights

    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)  # now, not after the training
    shipped = arguments.seed == 0 and not arguments.compare
    plans = [("rich", UPDATES)]
    if arguments.compare:
        plans = [(source, UPDATES // 4) for source in SOURCES]
    for source, updates in plans:
        backbone, rows = train(source, arguments.seed, updates)
        write_log(rows)
        folder = DATA if shipped else arguments.keep
        if folder:
            name = f"_{source}_{updates}_{arguments.seed}" if not shipped else ""
            path = folder / f"pocket_xception{name}.npz"
            checksum = save_weights(backbone, path)
            print(f"{path.name}: {path.stat().st_size} bytes, SHA-256 {checksum}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
