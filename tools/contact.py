"""Contact sheets of the stored figures, in colour and as others see them.

python -m tools.contact [--out browser-output/contact] [notebooks/01_....ipynb ...]

Writes a few PNG sheets for each way of seeing, and prints what a program can tell: figures that
are small, heavy or without alternative text, and course colours that a view makes hard to tell
apart. The rest needs eyes: open the sheets.
"""

import argparse
import base64
import io
import itertools
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.plotting.style import COLOURS

ROOT = Path(__file__).resolve().parents[1]
WIDEST, SHORTEST, HEAVIEST = 760, 150, 100_000  # pixels, pixels, bytes
CLOSE = 15  # CIELAB units between two colours of thin lines
COLUMNS, PER_SHEET = 2, 8

# What a person without one kind of cone sees, in linear RGB: Machado, Oliveira and Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE Transactions on
# Visualization and Computer Graphics 15 (2009), the tables for severity 1.
MACHADO = {
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
LUMINANCE = ((0.2126, 0.7152, 0.0722),) * 3
VIEWS = {"colour": np.eye(3), "greyscale": LUMINANCE, **MACHADO}
TO_XYZ = ((0.4124, 0.3576, 0.1805), LUMINANCE[0], (0.0193, 0.1192, 0.9505))  # sRGB, D65


def figures(paths):
    """Yield (name, PNG bytes, alternative text) of every stored figure, in reading order."""
    for path in paths:
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    picture = base64.b64decode(output.data["image/png"])
                    alt = output.metadata.get("image/png", {}).get("alt", "")
                    yield f"{path.stem[:2]}/{cell.id}", picture, alt


def to_linear(rgb):
    """Return linear light, 0 to 1, of sRGB values from 0 to 255."""
    share = np.asarray(rgb, dtype=float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def from_linear(light):
    """Return sRGB values from 0 to 255 of linear light."""
    light = np.clip(light, 0, 1)
    share = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * share).astype(np.uint8)


def seen(rgb, view):
    """Return sRGB values as they look in one of `VIEWS`."""
    return from_linear(to_linear(rgb) @ np.asarray(VIEWS[view]).T)


def to_lab(rgb):
    """Return CIELAB coordinates, in which equal distances look about equally large."""
    white = np.sum(TO_XYZ, axis=1)
    share = to_linear(rgb) @ np.asarray(TO_XYZ).T / white
    f = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def complaints(picture, alt):
    """Yield what is wrong with a figure as far as a program can tell."""
    image = Image.open(io.BytesIO(picture))
    if image.width > WIDEST or image.height < SHORTEST:
        yield f"{image.width}×{image.height} pixels"
    if len(picture) > HEAVIEST:
        yield f"{len(picture) / 1000:.0f} kB"
    if len(alt.split()) < 5:
        yield "no alternative text that says something"


def course_colours(picture, least=60):
    """Return the course's colours that a figure shows in at least some pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=int)
    found, counts = np.unique(pixels @ (1 << 16, 1 << 8, 1), return_counts=True)
    common = {f"#{colour:06X}" for colour in found[counts >= least]}
    return [colour for colour in COLOURS if colour in common]


def distance(one, other, view):
    """Return how far apart two colours such as "#0072B2" look in a view, in CIELAB units."""
    pair = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (one, other)]
    return float(np.linalg.norm(np.subtract(*to_lab(seen(pair, view)))))


def alike(stored):
    """Yield what a view makes of two colours of one figure if it brings them close together."""
    together = {}
    for name, picture, _ in stored:
        for pair in itertools.combinations(course_colours(picture), 2):
            together.setdefault(pair, []).append(name)
    for (one, other), names in together.items():
        for view in VIEWS:
            if (apart := distance(one, other, view)) < CLOSE:
                yield f"{one} and {other}, {apart:.0f} apart in {view}: {' '.join(names)}"


def sheet(named, view):
    """Return one picture of up to `PER_SHEET` figures, each under its name."""
    pictures = [Image.open(io.BytesIO(picture)).convert("RGB") for _, picture, _ in named]
    wide = max(picture.width for picture in pictures) + 10
    rows = [named[i : i + COLUMNS] for i in range(0, len(named), COLUMNS)]
    sizes = [pictures[i : i + COLUMNS] for i in range(0, len(pictures), COLUMNS)]
    heights = [max(picture.height for picture in row) + 26 for row in sizes]
    canvas = Image.new("RGB", (wide * COLUMNS, sum(heights)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(16)
    for number, (names, row) in enumerate(zip(rows, sizes)):
        for column, ((name, *_), picture) in enumerate(zip(names, row)):
            corner = (column * wide, sum(heights[:number]))
            pen.text(corner, name, fill="black", font=font)
            shown = Image.fromarray(seen(np.asarray(picture), view))
            canvas.paste(shown, (corner[0], corner[1] + 22))
    return canvas


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "browser-output" / "contact")
    parser.add_argument("notebooks", nargs="*", type=Path)
    options = parser.parse_args()
    lessons = options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    stored = list(figures(lessons))
    for name, picture, alt in stored:
        for complaint in complaints(picture, alt):
            print(f"{name}: {complaint}")
    print(*alike(stored), sep="\n")
    options.out.mkdir(parents=True, exist_ok=True)
    for view in VIEWS:
        for number in range(0, len(stored), PER_SHEET):
            part = sheet(stored[number : number + PER_SHEET], view)
            part.save(options.out / f"{view}_{number // PER_SHEET + 1}.png")
    print(f"{len(stored)} figures, {len(VIEWS)} views: {options.out}")


if __name__ == "__main__":
    main()
