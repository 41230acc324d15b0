"""How a drawn picture comes about: a flat sketch, then cloth, light, a background and clutter.

A `Sketch` is drawn with Pillow at twice the size, as flat patches in painter's order, the
later over the earlier. Its three colour channels are not colours yet; they say where the
object is, how dark its seams and folds are, and where it has its second colour. `photograph`
turns the sketch into a picture with NumPy. Positions are (x, y) from −1 to 1, y downwards,
whatever the size of the picture.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

OVERSAMPLING = 2  # a sketch is drawn this much larger, so that its edges become soft


@dataclass(frozen=True)
class Difficulty:
    """How hard the pictures are to tell apart.

    Attributes
    ----------
    disorder : float
        How far poses stray: 0 is straight and centred.
    clutter : float
        How much lies around the object.
    occlusion : float
        The share of pictures in which something lies on the object.
    contrast : float
        The least distance between the object's colour and the background's, from 0 to 1.
    noise : float
        The standard deviation of the camera's noise, from 0 to 1.
    """

    disorder: float
    clutter: float
    occlusion: float
    contrast: float
    noise: float


class Pose:
    """Where the object lies: turned, scaled, sheared, shifted, and a little wavy."""

    def __init__(self, random, disorder=1.0):
        angle = np.radians(disorder * random.normal(0, 9))
        if random.random() < 0.15 * disorder:
            angle = np.radians(random.uniform(-45, 45))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear = np.array([[1, disorder * random.normal(0, 0.06)], [0, 1]])
        stretch = 1 + disorder * random.uniform(-0.1, 0.1)
        scale = random.uniform(0.98 - 0.28 * min(disorder, 1.2), 0.98)
        self.matrix = turn @ shear @ np.diag([stretch * scale, scale / stretch])
        self.shift = disorder * random.uniform(-0.14, 0.14, 2) * (1.15 - scale) / 0.3
        self.wave = disorder * random.uniform(0, 0.035)
        self.phase = random.uniform(0, 2 * np.pi, 2)

    def place(self, points):
        """Return where points of the object, of shape (n, 2), lie in the picture."""
        points = points + self.wave * np.sin(4 * points[:, ::-1] + self.phase)
        return points @ self.matrix.T + self.shift

    def undo(self, points):
        """Return which points of the object lie there, but for the waves."""
        return (points - self.shift) @ np.linalg.inv(self.matrix).T


class Sketch:
    """A flat drawing of one object."""

    def __init__(self, pose, image_size):
        self.pose, self.size = pose, image_size * OVERSAMPLING
        self.image = Image.new("RGB", (self.size, self.size))
        self.pen = ImageDraw.Draw(self.image)

    def patch(self, points, shade=0.0, trim=0.0):
        """Fill an outline; `shade` darkens it, `trim` mixes in the second colour."""
        self.pen.polygon(self._pixels(points), fill=_code(1, shade, trim))

    def cut(self, points):
        """Remove what lies within an outline."""
        self.pen.polygon(self._pixels(points), fill=_code(0, 0, 0))

    def line(self, points, shade=0.6, width=0.03, trim=0.0):
        """Draw a seam, a fold or a lace."""
        pixels = max(1, round(width * self.size / 2))
        self.pen.line(self._pixels(points), fill=_code(1, shade, trim), width=pixels)

    def limb(self, points, start, end, shade=0.0, trim=0.0):
        """Fill a bent band, `start` wide at its first point and `end` wide at its last."""
        self.patch(band(points, start, end), shade, trim)

    def _pixels(self, points):
        placed = self.pose.place(np.asarray(points, dtype=float))
        return np.rint((placed + 1) * (self.size / 2)).astype(int).ravel().tolist()


def mirrored(*right):
    """Return a closed outline from its right half, given from top to bottom."""
    right = np.array(right, dtype=float)
    return np.concatenate([right, (right * [-1, 1])[::-1]])


def rounded(points, rounds=2):
    """Cut the corners of a closed outline (Chaikin), again and again."""
    points = np.asarray(points, dtype=float)
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        pairs = 0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following
        points = np.stack(pairs, axis=1).reshape(-1, 2)
    return points


def ellipse(x, y, width, height, corners=16):
    """Return the outline of an ellipse around (x, y); few corners make it a polygon."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.column_stack([x + width * np.cos(angles), y + height * np.sin(angles)])


def band(points, start, end):
    """Return the outline of a band along a bent line."""
    points = np.asarray(points, dtype=float)
    along = np.gradient(points, axis=0)
    across = along[:, ::-1] * [-1, 1] / np.linalg.norm(along, axis=1, keepdims=True)
    half = np.linspace(start, end, len(points))[:, None] / 2 * across
    return np.concatenate([points + half, (points - half)[::-1]])


def photograph(sketch, difficulty, random, texture=None):
    """Return the picture of a sketch, uint8 of shape (image_size, image_size, 3).

    Parameters
    ----------
    sketch : Sketch
    difficulty : Difficulty
    random : numpy.random.Generator
    texture : str, optional
        One of `TEXTURES`; by chance, and often plain, if none is given.
    """
    size = sketch.size // OVERSAMPLING
    where = np.linspace(-1, 1, size)
    grid = np.stack(np.meshgrid(where, where), axis=-1)
    backdrop, average = background(grid, random)
    backdrop = _strew(backdrop, random.poisson(2.2 * difficulty.clutter), random)

    code = np.asarray(sketch.image.reduce(OVERSAMPLING), dtype=np.float32) / 255
    inside, shade, trim = (code[..., i : i + 1] for i in range(3))
    cloth = _cloth(sketch, grid, difficulty.contrast, average, trim, texture, random)
    cloth = cloth * (1 - 0.75 * shade) * _folds(grid, random)
    picture = backdrop * (1 - _shadow(inside, random)) * (1 - inside) + cloth * inside

    if random.random() < difficulty.occlusion:
        picture = _lay_over(picture, random)
    picture = picture * (1 + random.uniform(0, 0.25) * _slope(grid, random)[..., None])
    picture = picture * random.normal(1, 0.04, 3) + random.normal(0, 0.04)
    picture += random.normal(0, difficulty.noise, picture.shape)
    return (255 * np.clip(picture, 0, 1)).astype(np.uint8)


def colour(random):
    """Return a random colour: black, grey or white one time in three."""
    if random.random() < 0.33:
        return np.clip(random.uniform(0.03, 0.97) + random.normal(0, 0.02, 3), 0, 1)
    hue, saturation, value = random.random(), random.uniform(0.15, 0.95), random.uniform(0.15, 1)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def background(grid, random):
    """Return a floor, wall, sheet or lawn to lie on, and its average colour."""
    first = colour(random) * 0.5 + random.uniform(0.1, 0.5)
    second = np.clip(first + random.normal(0, 0.12, 3), 0, 1)
    along = _slope(grid, random)
    kind = random.integers(5)
    if kind == 0:  # one colour, lit from one side
        mix = 0.5 + 0.5 * along
    elif kind == 1:  # a wall and a floor
        mix = (grid[..., 1] > random.uniform(-0.6, 0.8)).astype(float)
    elif kind == 2:  # planks
        mix = (along * random.uniform(2, 6) % 1 < 0.12).astype(float)
    elif kind == 3:  # a crumpled sheet
        mix = blotches(grid, random, random.integers(3, 8))
    else:  # tiles
        tiles = (grid * random.uniform(1.5, 5) + random.random(2)) % 1
        mix = (tiles.min(axis=-1) < 0.1).astype(float)
    picture = first + (second - first) * mix[..., None]
    return picture, (first + second) / 2


def blotches(grid, random, cells):
    """Return smooth noise between 0 and 1 with so many cells along each side."""
    coarse = Image.fromarray(random.integers(256, size=(cells, cells), dtype=np.uint8))
    return np.asarray(coarse.resize(grid.shape[:2], Image.Resampling.BICUBIC)) / 255


def _waves(grid, random, direction):
    return np.sin(random.uniform(10, 28) * (grid @ direction) + random.uniform(0, 2 * np.pi))


def _check(grid, random):
    across = _waves(grid, random, [1, 0]) > 0.3
    return 0.5 * across + 0.5 * (_waves(grid, random, [0, 1]) > 0.3)


def _dots(grid, random):
    return (_waves(grid, random, [1, 0]) * _waves(grid, random, [0, 1]) > 0.45).astype(float)


def _zigzag(grid, random):
    bent = grid[..., 1] + 0.12 * np.abs(grid[..., 0] * random.uniform(3, 6) % 2 - 1)
    return np.sin(random.uniform(12, 26) * bent) > 0


def _blocks(grid, random):
    return grid[..., 1] > random.uniform(-0.3, 0.3)


TEXTURES = {  # each gives the share of the second colour at every point of the cloth
    "plain": lambda grid, random: np.zeros(grid.shape[:2]),
    "stripes across": lambda grid, random: _waves(grid, random, [0, 1]) > 0,
    "stripes down": lambda grid, random: _waves(grid, random, [1, 0]) > 0,
    "diagonal": lambda grid, random: _waves(grid, random, [0.7, 0.7]) > 0,
    "check": _check,
    "dots": _dots,
    "zigzag": _zigzag,
    "camouflage": lambda grid, random: blotches(grid, random, random.integers(5, 10)) > 0.5,
    "denim": lambda grid, random: 0.5 * random.random(grid.shape[:2]),
    "two blocks": _blocks,
}


def _cloth(sketch, grid, contrast, against, trim, texture, random):
    """Colour the sketch: a first colour, a second one for texture, a third for trims."""
    first = colour(random)
    for _ in range(12):
        if np.abs(first - against).max() >= contrast:
            break
        first = colour(random)
    second = first + random.uniform(0.35, 1) * (colour(random) - first)
    if texture is None:
        texture = "plain" if random.random() < 0.36 else random.choice(list(TEXTURES))
    own = sketch.pose.undo(grid.reshape(-1, 2)).reshape(grid.shape)
    pattern = np.asarray(TEXTURES[texture](own, random), dtype=float)[..., None]
    cloth = first + (second - first) * pattern
    third = second if random.random() < 0.5 else np.clip(first + random.choice([-0.3, 0.3]), 0, 1)
    return cloth + (third - cloth) * trim


def _folds(grid, random):
    """Return how bright each point of the cloth is: creases and a rounded body."""
    crumpled = random.uniform(0.1, 0.5) * (blotches(grid, random, random.integers(4, 9)) - 0.5)
    return (1 + crumpled + random.uniform(0, 0.2) * _slope(grid, random))[..., None]


def _shadow(inside, random):
    down, right = random.integers(1, 4, 2) * random.choice([1, -1], 2)
    return random.uniform(0.1, 0.5) * np.roll(inside, (down, right), axis=(0, 1))


def _slope(grid, random):
    angle = random.uniform(0, 2 * np.pi)
    return grid @ [np.cos(angle), np.sin(angle)]


def _strew(picture, count, random):
    """Lay things around the border of a picture."""
    for _ in range(count):
        angle, distance = random.uniform(0, 2 * np.pi), random.uniform(0.85, 1.3)
        centre = distance * np.array([np.cos(angle), np.sin(angle)])
        picture = _blob(picture, centre, random.uniform(0.12, 0.4, 2), random)
    return picture


def _lay_over(picture, random):
    """Let something narrow, a strap or an arm, reach in over the object."""
    angle = random.uniform(0, 2 * np.pi)
    centre = random.uniform(0.3, 0.8) * np.array([np.cos(angle), np.sin(angle)])
    return _blob(picture, centre, (random.uniform(0.4, 0.8), random.uniform(0.06, 0.16)), random)


def _blob(picture, centre, widths, random):
    """Draw a polygon of any form and colour over a picture."""
    corners = int(random.integers(3, 9))
    outline = ellipse(0, 0, *widths, corners) * random.uniform(0.7, 1.2, (corners, 1))
    angle = random.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    size = len(picture)
    image = Image.new("L", (size, size))
    points = np.rint((outline @ turn + centre + 1) * (size / 2)).astype(int)
    ImageDraw.Draw(image).polygon(points.ravel().tolist(), fill=1)
    return np.where(np.asarray(image)[..., None], colour(random), picture)


def _code(inside, shade, trim):
    return tuple(round(255 * value) for value in (inside, shade, trim))
