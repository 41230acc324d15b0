"""Things that do not exist, drawn as the garments are, to learn to see from.

Each invented family has a random body, limbs, a head, a tail, holes, seams and spots, fixed
by its number; each of its members differs a little. Sixteen plain shapes come with them.
Nothing here looks at a garment: only the way of drawing is shared.
"""

from dataclasses import replace

import numpy as np

from course.clothing.garments import LEVELS
from course.clothing.garments._scene import (
    TEXTURES,
    Pose,
    Sketch,
    band,
    ellipse,
    mirrored,
    photograph,
    rounded,
)

FAMILIES = 96


def _star(points, inner):
    """Return a star; `inner` is how far its notches lie from the centre."""
    radius = np.tile([0.8, 0.8 * inner], points)[:, None]
    return ellipse(0, 0, 1, 1, 2 * points) * radius


def _crescent():
    outer, inner = ellipse(0, 0, 0.8, 0.8, 32)[4:29], ellipse(0.3, 0, 0.6, 0.6, 32)[4:29]
    return np.concatenate([outer, inner[::-1]])


PLAIN = (
    ellipse(0, 0, 0.75, 0.75, 24),
    ellipse(0, 0, 0.85, 0.45, 24),
    ellipse(0, 0, 0.8, 0.8, 3),
    ellipse(0, 0, 0.85, 0.85, 4),
    ellipse(0, 0, 0.8, 0.8, 5),
    ellipse(0, 0, 0.8, 0.8, 6),
    mirrored((0.85, -0.4), (0.85, 0.4)),
    mirrored((0.4, -0.7), (0.85, 0.7)),
    mirrored((0.25, -0.8), (0.25, -0.25), (0.8, -0.25), (0.8, 0.25), (0.25, 0.25), (0.25, 0.8)),
    mirrored((0.0, -0.85), (0.75, 0.0), (0.28, 0.0), (0.28, 0.8)),
    mirrored((0.0, -0.35), (0.35, -0.75), (0.8, -0.4), (0.7, 0.1), (0.0, 0.85)),
    mirrored((0.8, -0.7), (0.8, -0.25), (0.22, -0.25), (0.22, 0.8)),
    mirrored((0.0, -0.9), (0.3, -0.3), (0.55, 0.3), (0.4, 0.75)),
    _star(5, 0.42),
    _star(8, 0.6),
    _crescent(),
)


class Family:
    """A kind of thing, invented from its number."""

    def __init__(self, number):
        random = np.random.default_rng((77, number))
        levels = int(random.integers(4, 8))
        self.top, self.bottom = -random.uniform(0.35, 0.8), random.uniform(0.4, 0.9)
        self.heights = np.linspace(self.top, self.bottom, levels)
        self.widths = random.uniform(0.1, 0.62, levels)
        self.roundings = int(random.integers(3))
        self.skew = random.uniform(-0.25, 0.25) if random.random() < 0.25 else 0.0
        self.limbs = [self._limb(random) for _ in range(random.choice(4, p=[0.2, 0.4, 0.25, 0.15]))]
        self.head = random.uniform(0.1, 0.3, 2) if random.random() < 0.35 else None
        self.head_corners = int(random.choice([3, 4, 6, 16]))
        self.tail = random.uniform(-0.5, 0.5, (2, 2)) if random.random() < 0.25 else None
        self.notch = random.uniform(0.08, 0.25, 2) if random.random() < 0.4 else None
        self.split = random.uniform(0.3, 0.8) if random.random() < 0.3 else None
        self.hole = random.uniform(0.06, 0.16) if random.random() < 0.15 else None
        self.seams = random.uniform(-0.8, 0.8, (random.integers(5), 2))
        self.across = random.uniform(0.1, 0.9, random.integers(4))
        self.spots = random.uniform(-0.8, 0.8, (random.integers(5), 2))
        self.band = random.uniform(0, 0.9) if random.random() < 0.4 else None

    @staticmethod
    def _limb(random):
        return {
            "at": random.uniform(0.02, 0.95),
            "angles": np.radians(random.uniform(-70, 85) + np.array([0, random.normal(0, 35)])),
            "length": random.uniform(0.25, 1.1),
            "widths": random.uniform(0.08, 0.36, 2),
            "behind": random.random() < 0.7,
            "cuff": random.random() < 0.4,
        }

    def draw(self, sketch, random):
        """Draw one member of the family."""
        widths = self.widths * random.normal(1, 0.09, len(self.widths))
        stretch = random.normal(1, 0.06)
        heights = self.heights * stretch
        right = np.column_stack([widths, heights])
        for limb in self.limbs:
            if limb["behind"]:
                self._draw_limb(sketch, limb, right, random)
        if self.head is not None:
            head = ellipse(0, heights[0] - 0.08, *self.head, self.head_corners)
            sketch.patch(head, shade=0.15, trim=0.5)
        if self.tail is not None:
            ends = np.array([[0.0, heights[-1]], *np.add(self.tail, [0, heights[-1]])])
            sketch.limb(ends, 0.2, 0.08, shade=0.2)
        body = rounded(mirrored(*right), self.roundings)
        body[:, 0] += self.skew * body[:, 1]
        sketch.patch(body)
        self._details(sketch, right, random)
        for limb in self.limbs:
            if not limb["behind"]:
                self._draw_limb(sketch, limb, right, random)

    def _draw_limb(self, sketch, limb, right, random):
        y = np.interp(limb["at"], [0, 1], right[[0, -1], 1])
        x = np.interp(y, right[:, 1], right[:, 0]) * 0.8
        length = limb["length"] * random.normal(1, 0.1) / 2
        for side in (-1, 1):
            angles = limb["angles"] + random.normal(0, 0.12, 2)
            steps = length * np.column_stack([np.cos(angles), np.sin(angles)])
            line = np.cumsum([[x, y], *steps], axis=0) * [side, 1]
            sketch.limb(line, *limb["widths"], shade=0.1)
            if limb["cuff"]:
                end = np.array([0.25 * line[1] + 0.75 * line[2], line[2]])
                sketch.patch(band(end, *limb["widths"][[1, 1]]), shade=0.25, trim=0.7)

    def _details(self, sketch, right, random):
        top, bottom = right[0, 1], right[-1, 1]
        if self.split is not None:
            start = bottom - self.split * (bottom - top)
            gap = 0.35 * right[-1, 0]
            sketch.cut([(0, start), (gap, bottom + 0.15), (-gap, bottom + 0.15)])
        if self.notch is not None:
            sketch.cut(ellipse(0, top, *self.notch, 12))
        if self.hole is not None:
            sketch.cut(ellipse(0, (top + bottom) / 2, self.hole, self.hole, 12))
        if self.band is not None:
            y = top + self.band * (bottom - top)
            x = np.interp(y, right[:, 1], right[:, 0])
            sketch.patch(mirrored((x, y - 0.06), (x, y + 0.06)), shade=0.2, trim=0.9)
        for x, tilt in self.seams:
            ends = [(x * right[0, 0], top + 0.06), ((x + 0.3 * tilt) * right[-1, 0], bottom - 0.06)]
            sketch.line(ends, shade=random.uniform(0.35, 0.8))
        for share in self.across:
            y = top + share * (bottom - top)
            x = 0.9 * np.interp(y, right[:, 1], right[:, 0])
            sketch.line([(-x, y), (x, y)], shade=random.uniform(0.35, 0.8))
        for x, share in self.spots:
            y = (top + bottom) / 2 + 0.5 * share * (bottom - top)
            width = np.interp(y, right[:, 1], right[:, 0])
            sketch.patch(ellipse(x * width, y, 0.045, 0.045, 8), shade=0.85)


def draw_thing(kind, texture, seed, image_size=64):
    """Return a picture of one thing, uint8 of shape (image_size, image_size, 3).

    Parameters
    ----------
    kind : int
        Below `FAMILIES` an invented family, from there on a plain shape.
    texture : str
        One of the renderer's `TEXTURES`.
    seed : sequence of int
    image_size : int
    """
    random = np.random.default_rng(seed)
    noise = random.uniform(0, 0.06)
    difficulty = replace(LEVELS["standard"], noise=noise, contrast=0.12)
    sketch = Sketch(Pose(random), image_size)
    if kind < FAMILIES:
        Family(kind).draw(sketch, random)
    else:
        outline = PLAIN[kind - FAMILIES]
        sketch.patch(outline * random.normal(1, 0.08, 2) + random.normal(0, 0.02, outline.shape))
    return photograph(sketch, difficulty, random, texture)


def draw_things(kinds, examples_per_kind, seed):
    """Return pictures with the numbers of their kinds and of their textures."""
    names = list(TEXTURES)
    labels = np.repeat(np.asarray(kinds), examples_per_kind)
    random = np.random.default_rng((seed, *kinds))
    textures = random.integers(len(names), size=len(labels))
    images = [
        draw_thing(kind, names[texture], (seed, kind, number))
        for number, (kind, texture) in enumerate(zip(labels.tolist(), textures))
    ]
    return np.stack(images), labels, textures
