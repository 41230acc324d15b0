"""Drawn garments of the same ten classes as the clothing photographs: no download.

The pictures are drawn by `_wardrobe` and given cloth, light, a background and clutter by `_scene`.
Every picture has a random generator of its own, made from the seed, its class and its number, so
that the first ten of a class are the same however many follow.
"""

import numpy as np

from course.clothing.garments import _wardrobe as wardrobe
from course.clothing.garments._scene import Difficulty, Pose, Sketch, photograph
from utils import checks

_DRAW = {
    "dress": wardrobe.dress,
    "hat": wardrobe.hat,
    "longsleeve": wardrobe.longsleeve,
    "outwear": wardrobe.outwear,
    "pants": wardrobe.pants,
    "shirt": wardrobe.shirt,
    "shoes": wardrobe.shoes,
    "shorts": wardrobe.shorts,
    "skirt": wardrobe.skirt,
    "t-shirt": wardrobe.t_shirt,
}
GARMENTS = tuple(_DRAW)
LEVELS = {
    "easy": Difficulty(disorder=0.3, clutter=0.2, occlusion=0.0, contrast=0.35, noise=0.02),
    "mid": Difficulty(disorder=0.5, clutter=0.5, occlusion=0.1, contrast=0.25, noise=0.03),
    "standard": Difficulty(disorder=1.0, clutter=1.0, occlusion=0.25, contrast=0.16, noise=0.05),
    "hard": Difficulty(disorder=1.3, clutter=1.6, occlusion=0.45, contrast=0.08, noise=0.08),
}


def load_garments(examples_per_class, level="standard", seed=0, image_size=64):
    """Draw garments, equally many of each class, in random order.

    Parameters
    ----------
    examples_per_class : int
    level : str
        How hard they are to tell apart: "easy", "mid", "standard" or "hard".
    seed : int
        Other seeds give other pictures: one for training, one for validation, one for test.
    image_size : int
        Pixels along each side, at least 16.

    Returns
    -------
    images : uint8 array of shape (examples, image_size, image_size, 3)
    labels : int array of shape (examples,)
        Positions in `GARMENTS`.
    """
    examples = checks.whole_number("examples_per_class", examples_per_class)
    difficulty = LEVELS[checks.one_of("level", level, LEVELS)]
    seed = checks.whole_number("seed", seed, minimum=0)
    size = checks.whole_number("image_size", image_size, minimum=16)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), examples))
    numbers = [np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)]
    images = [
        draw_garment(GARMENTS[label], difficulty, (seed, label, number), size)
        for label, number in zip(labels, numbers)
    ]
    return np.stack(images), labels


def draw_garment(garment, difficulty, seed, image_size=64):
    """Return one picture, uint8 of shape (image_size, image_size, 3).

    Parameters
    ----------
    garment : str
        One of `GARMENTS`.
    difficulty : Difficulty
        For example one of `LEVELS`.
    seed : int or sequence of int
    image_size : int
    """
    random = np.random.default_rng(seed)
    sketch = Sketch(Pose(random, difficulty.disorder), image_size)
    _DRAW[checks.one_of("garment", garment, _DRAW)](sketch, random)
    return photograph(sketch, difficulty, random)
