"""The ten garments: each a function that draws one of its kind, never the same twice.

Each takes a `Sketch` and a random generator. Widths are random within what still reads as
that garment; `uniform` is a number between two bounds.
"""

import numpy as np

from course.clothing.garments._scene import ellipse, mirrored, rounded


def dress(sketch, random):
    """A fitted top that widens from the waist to the hem."""
    top, waist, bottom = -0.85, random.uniform(-0.25, -0.02), random.uniform(0.55, 0.95)
    shoulder, narrow = random.uniform(0.26, 0.36), random.uniform(0.18, 0.26)
    hem = random.uniform(0.4, 0.75)
    if random.random() < 0.45:
        _sleeves(sketch, random, shoulder, top, long=random.random() < 0.3, width=0.2)
    body = (shoulder, top + 0.05), (shoulder - 0.02, top + 0.35), (narrow, waist)
    sketch.patch(rounded(mirrored((0.12, top), *body, (hem, bottom)), 1))
    for x in random.uniform(-0.8, 0.8, random.integers(2, 6)):
        sketch.line([(x * narrow, waist + 0.12), (x * hem, bottom - 0.08)], shade=0.35)
    if random.random() < 0.6:
        belt = mirrored((narrow + 0.01, waist - 0.04), (narrow + 0.02, waist + 0.05))
        sketch.patch(belt, trim=random.choice([0.0, 1.0]), shade=0.25)
    _neckline(sketch, random, top, width=random.uniform(0.14, 0.22), deep=1.5)


def hat(sketch, random):
    """A cap, a beanie, a hat with a brim, or a bucket hat."""
    kind = random.choice(["cap", "beanie", "brim", "bucket"])
    wide, high = random.uniform(0.5, 0.64), random.uniform(0.6, 0.85)
    base, side = random.uniform(0.22, 0.35), random.choice([-1, 1])
    crown = mirrored((0.2, base - high), (wide * 0.85, base - 0.75 * high), (wide, base))
    if kind == "cap":
        brim = [(-0.1, base - 0.08), (wide, base - 0.1), (1.0, base + 0.16), (0.55, base + 0.22)]
        sketch.patch(rounded(np.array(brim) * [side, 1], 2), trim=1, shade=0.2)
        sketch.patch(rounded(mirrored(*crown[:3], (wide, base + 0.08)), 2))
        for x in (-0.3, 0.25):
            sketch.line([(0, base - high * 0.9), (x, base - high / 2), (x * 1.3, base)], shade=0.4)
        sketch.patch(ellipse(0, base - 0.93 * high, 0.06, 0.04, 8), shade=0.4)
    elif kind == "beanie":
        sketch.patch(rounded(mirrored(*crown[:3], (wide, base + 0.3)), 2))
        for x in np.linspace(-0.8, 0.8, 7) * wide:
            sketch.line([(x * 0.6, base - 0.7 * high), (x, base + 0.2)], shade=0.3, width=0.02)
        fold = mirrored((wide + 0.03, base), (wide + 0.04, base + 0.32))
        sketch.patch(rounded(fold, 1), trim=random.choice([0.0, 1.0]), shade=0.25)
        if random.random() < 0.5:
            sketch.patch(ellipse(0, base - high, 0.17, 0.16), trim=1)
    elif kind == "brim":
        thick = random.uniform(0.12, 0.24)
        sketch.patch(ellipse(0, base + 0.06, 0.96, thick), shade=0.15)
        sketch.patch(rounded(mirrored(*(crown[:3] * [0.82, 1]), (wide * 0.82, base + 0.1)), 1))
        ribbon = mirrored((wide * 0.82, base - 0.14), (wide * 0.83, base + 0.06))
        sketch.patch(ribbon, trim=1, shade=0.45)
    else:
        flat = mirrored((wide * 0.7, base - high), (wide * 0.85, base - 0.05))
        sketch.patch(
            rounded(mirrored((wide * 0.8, base - 0.15), (0.92, base + 0.38)), 1), shade=0.3
        )
        sketch.patch(rounded(flat, 1))
        sketch.line([(-wide * 0.85, base - 0.1), (wide * 0.85, base - 0.1)], shade=0.6)
        sketch.line([(-0.8, base + 0.24), (0.8, base + 0.24)], shade=0.5, width=0.02)


def longsleeve(sketch, random):
    """A t-shirt's body with long sleeves; no collar, no buttons."""
    shoulder, top, bottom = random.uniform(0.38, 0.46), -0.75, random.uniform(0.6, 0.82)
    folded = _sleeves(sketch, random, shoulder, top, long=True, folded=0.25)
    _torso(sketch, shoulder, random.uniform(0.34, 0.46), top, bottom)
    folded()
    _neckline(sketch, random, top, width=random.uniform(0.14, 0.2))
    _print(sketch, random, 0.2)


def outwear(sketch, random):
    """A coat, a hooded jacket or a quilted one: wide, open in front, with thick sleeves."""
    kind = random.choice(["coat", "hood", "quilted"])
    shoulder, top = random.uniform(0.46, 0.56), -0.72
    bottom = random.uniform(0.75, 0.98) if kind == "coat" else random.uniform(0.5, 0.75)
    hem = random.uniform(0.48, 0.6)
    if kind == "hood":
        sketch.patch(ellipse(0, top - 0.02, 0.36, 0.24), shade=0.25)
    folded = _sleeves(sketch, random, shoulder, top, long=True, width=0.36, folded=0.2)
    _torso(sketch, shoulder, hem, top, bottom)
    if kind == "quilted":
        for y in np.arange(top + 0.25, bottom - 0.05, random.uniform(0.16, 0.24)):
            sketch.line([(-hem, y), (0, y + 0.04), (hem, y)], shade=0.55, width=0.04)
        sketch.patch(mirrored((0.2, top - 0.12), (0.24, top + 0.08)), shade=0.3)
    elif kind == "coat":
        open_at = random.uniform(0.1, 0.2)
        sketch.patch([(-0.17, top), (0.17, top), (open_at, bottom), (-0.04, bottom)], 0.5, trim=1)
        for side in (-1, 1):
            lapel = [(0.12, top - 0.05), (0.34, top + 0.3), (0.2, top + 0.4), (0.03, top + 0.8)]
            sketch.patch(np.array(lapel) * [side, 1], shade=0.3)
            sketch.line(np.array([(0.12, top), (0.03, top + 0.8)]) * [side, 1], shade=0.8)
        for y in np.linspace(top + 0.9, bottom - 0.25, 3):
            sketch.patch(ellipse(-0.1, y, 0.04, 0.04, 8), shade=0.8)
    else:
        sketch.patch(ellipse(0, top + 0.04, 0.2, 0.14), shade=0.85)
        for x in (-0.09, 0.09):
            sketch.line([(x, top + 0.15), (x * 1.2, top + 0.5)], trim=1, shade=0.1)
    if kind != "coat":
        sketch.line([(0, top + 0.15), (0, bottom - 0.03)], shade=0.85, width=0.05)
    for side in (-1, 1):
        x, y = 0.28 * side, bottom - 0.38
        sketch.line([(x, y), (x + 0.1 * side, y + 0.2)], shade=0.7, width=0.045)
    folded()


def pants(sketch, random):
    """Two long legs."""
    _legs(sketch, random, bottom=random.uniform(0.85, 0.97), wide=random.uniform(0.17, 0.3))


def shirt(sketch, random):
    """A collar, a row of buttons, and sleeves that are mostly long."""
    shoulder, top, bottom = random.uniform(0.4, 0.5), -0.75, random.uniform(0.65, 0.85)
    folded = _sleeves(sketch, random, shoulder, top, long=random.random() < 0.65, folded=0.25)
    _torso(sketch, shoulder, random.uniform(0.4, 0.48), top, bottom)
    folded()
    sketch.cut([(-0.1, top - 0.05), (0.1, top - 0.05), (0, top + 0.16)])
    for side in (-1, 1):
        collar = [(0.08, top - 0.1), (0.26, top + 0.04), (0.17, top + 0.26), (0.0, top + 0.14)]
        sketch.patch(np.array(collar) * [side, 1], shade=0.15, trim=0.6)
        sketch.line(np.array(collar[1:]) * [side, 1], shade=0.7)
    sketch.line([(0.06, top + 0.2), (0.06, bottom - 0.03)], shade=0.5)
    sketch.line([(-0.06, top + 0.2), (-0.06, bottom - 0.03)], shade=0.5)
    for y in np.linspace(top + 0.28, bottom - 0.12, 6):
        sketch.patch(ellipse(0, y, 0.035, 0.035, 6), shade=0.85)
    if random.random() < 0.5:
        pocket = [(0.14, top + 0.42), (0.34, top + 0.42), (0.34, top + 0.64), (0.14, top + 0.64)]
        sketch.line([*pocket, pocket[0]], shade=0.5)


def shoes(sketch, random):
    """A pair or one of sneakers, boots or heels from the side, or a pair from above."""
    kind = random.choice(["sneaker", "boot", "heel", "above"], p=[0.45, 0.2, 0.15, 0.2])
    side = random.choice([-1, 1])
    if kind == "above":
        for x in (-0.36, 0.36):
            _shoe_from_above(sketch, random, x)
        return
    draw = {"sneaker": _sneaker, "boot": _boot, "heel": _heel}[kind]
    pair = random.random() < 0.55
    places = [(-0.12, -0.32), (0.1, 0.3)] if pair else [(0.0, 0.0)]
    size = 0.78 if pair else 1.0
    for place in places:
        draw(sketch, lambda points, place=place: np.array(points) * [side * size, size] + place)


def shorts(sketch, random):
    """Two short, wide legs."""
    bottom, wide = random.uniform(0.25, 0.55), random.uniform(0.36, 0.46)
    _legs(sketch, random, bottom, wide, top=random.uniform(-0.62, -0.5), waist=0.5)


def skirt(sketch, random):
    """A waistband and one piece that widens downwards."""
    top, bottom = random.uniform(-0.75, -0.55), random.uniform(0.4, 0.85)
    waist, hem = random.uniform(0.26, 0.38), random.uniform(0.48, 0.88)
    curve = (waist + 0.35 * (hem - waist) + random.uniform(0, 0.1), top + 0.4 * (bottom - top))
    half = (waist, top), curve, (hem, bottom - 0.06)
    sketch.patch(rounded(mirrored(*half, (hem * 0.5, bottom)), 1))
    pleats = np.linspace(-0.9, 0.9, int(random.integers(4, 10)))
    for x in pleats + random.normal(0, 0.03, len(pleats)):
        sketch.line([(x * waist, top + 0.2), (x * hem, bottom - 0.07)], shade=0.45)
    sketch.patch(mirrored((waist, top - 0.03), (waist + 0.03, top + 0.13)), 0.3, trim=1)


def t_shirt(sketch, random):
    """Short sleeves and a neckline, often with a print."""
    shoulder, top, bottom = random.uniform(0.4, 0.5), -0.75, random.uniform(0.6, 0.85)
    _sleeves(sketch, random, shoulder, top, long=False)
    _torso(sketch, shoulder, random.uniform(0.38, 0.52), top, bottom)
    _neckline(sketch, random, top, width=random.uniform(0.14, 0.22))
    _print(sketch, random, 0.35)


def _torso(sketch, shoulder, hem, top, bottom):
    middle = (shoulder + hem) / 2 - 0.03
    half = (shoulder, top + 0.12), (middle, top + 0.6), (hem, bottom - 0.02)
    sketch.patch(rounded(mirrored((0.16, top), *half, (hem * 0.6, bottom)), 1))


def _sleeves(sketch, random, shoulder, top, long, width=0.27, folded=0.0):
    """Draw two sleeves; return a function that draws those that are folded over the body."""
    width = width * random.uniform(0.9, 1.15)
    spread = random.uniform(25, 55) if not long else random.uniform(52, 76)
    length = random.uniform(0.32, 0.46) if not long else random.uniform(1.15, 1.35)
    later = []
    for side in (-1, 1):
        start = np.array([(shoulder - 0.14), top + 0.17])
        down = np.radians(spread + random.normal(0, 4))
        elbow = start + length * 0.5 * np.array([np.cos(down), np.sin(down)])
        over = long and random.random() < folded
        bend = np.radians(random.uniform(150, 185)) if over else down + random.normal(0.08, 0.15)
        hand = elbow + length * 0.5 * np.array([np.cos(bend), np.sin(bend)])
        arm = np.array([start, elbow, hand]) * [side, 1]
        if over:
            later.append(arm)
        else:
            _sleeve(sketch, arm, width, long)

    def draw_folded():
        for arm in later:
            _sleeve(sketch, arm, width, long, shade=0.2)
            sketch.line(np.add(arm, [0, width / 2]), shade=0.6)

    return draw_folded


def _sleeve(sketch, arm, width, long, shade=0.0):
    _, elbow, hand = arm
    end = width * (0.62 if long else 0.95)
    sketch.limb(arm, width, end, shade=shade + 0.08)
    wrist = hand - (hand - elbow) * (0.16 if long else 0.3)
    sketch.limb([wrist, hand], end, end, shade=shade + 0.25, trim=0.5)


def _neckline(sketch, random, top, width, deep=1.0):
    depth = random.uniform(0.1, 0.18) * deep
    if random.random() < 0.25:
        edge = np.array([(-width, top - 0.06), (width, top - 0.06), (0, top + 1.6 * depth)])
    else:
        edge = ellipse(0, top - 0.06, width, depth + 0.06)[:9]  # the lower half
    sketch.patch((edge - [0, top - 0.06]) * 1.22 + [0, top - 0.06], trim=0.7, shade=0.3)
    sketch.cut(edge)


def _print(sketch, random, share):
    if random.random() < share:
        x, y = random.normal(0, 0.03), random.uniform(-0.25, 0.05)
        width, height = random.uniform(0.12, 0.26, 2)
        corners = int(random.integers(3, 12))
        sketch.patch(ellipse(x, y, width, height, corners), trim=1, shade=random.uniform(0, 0.3))


def _legs(sketch, random, bottom, wide, top=-0.9, waist=0.36):
    """Draw trousers: a waistband, two legs, a fly and pockets."""
    waist = waist * random.uniform(0.88, 1.05)
    hip, crotch = waist + random.uniform(0.04, 0.09), top + random.uniform(0.5, 0.62)
    spread = random.uniform(0.02, 0.14)
    for side in (-1, 1):
        foot = hip - wide + spread * 1.2
        inner, outer = (foot, bottom), (foot + wide, bottom)
        leg = [(0, top), (waist, top), (hip, crotch - 0.1), outer, inner, (0, crotch)]
        sketch.patch(np.array(leg) * [side, 1], shade=0.04 * (side + 1))
        cuff = np.array([inner, outer]) * [side, 1] - [0, 0.05]
        sketch.line(cuff, shade=0.4)
        middle = (foot + wide / 2) * side
        sketch.line([(0.6 * hip * side, crotch), (middle, bottom - 0.1)], shade=0.2)
        sketch.line([(side * waist * 0.55, top + 0.14), (side * hip, top + 0.34)], shade=0.6)
    sketch.line([(0, top + 0.1), (0, crotch)], shade=0.65)
    sketch.patch(mirrored((waist, top - 0.02), (waist + 0.01, top + 0.12)), 0.3, trim=0.6)
    sketch.patch(ellipse(0, top + 0.06, 0.04, 0.04, 8), shade=0.85)


def _sneaker(sketch, put):
    upper = [(-0.85, -0.3), (-0.35, -0.36), (-0.15, -0.22), (0.35, -0.02), (0.85, 0.1), (0.9, 0.32)]
    sketch.patch(rounded(put([*upper, (-0.88, 0.32)]), 1))
    sketch.patch(rounded(put([(-0.92, 0.2), (0.94, 0.2), (0.96, 0.42), (-0.9, 0.42)]), 1), trim=1)
    sketch.line(put([(-0.9, 0.24), (0.92, 0.24)]), shade=0.6)
    sketch.patch(put(ellipse(-0.58, -0.3, 0.26, 0.07)), shade=0.8)
    for x in (-0.2, -0.02, 0.16):
        sketch.line(put([(x, -0.12 + x * 0.4), (x + 0.16, -0.22 + x * 0.4)]), trim=1, shade=0.1)
    sketch.line(put([(-0.5, 0.18), (-0.1, -0.05), (0.1, 0.18)]), trim=1, shade=0.2, width=0.06)


def _boot(sketch, put):
    shaft = [(-0.6, -0.85), (0.05, -0.85), (0.1, -0.1), (0.7, 0.15), (0.78, 0.48), (-0.62, 0.48)]
    sketch.patch(rounded(put(shaft), 1))
    sketch.patch(put([(-0.66, 0.42), (0.82, 0.42), (0.82, 0.58), (-0.66, 0.58)]), 0.7, trim=1)
    sketch.patch(put([(-0.62, -0.88), (0.07, -0.88), (0.07, -0.72), (-0.62, -0.72)]), 0.35)
    for y in (-0.5, -0.3, -0.1):
        sketch.line(put([(-0.1, y), (0.1, y + 0.03)]), trim=1, shade=0.5)


def _heel(sketch, put):
    sole = [(-0.8, -0.25), (-0.5, -0.2), (0.1, 0.15), (0.8, 0.28), (0.85, 0.42), (0.2, 0.42)]
    sketch.patch(rounded(put([*sole, (-0.2, 0.2), (-0.7, 0.1)]), 1))
    sketch.patch(put([(-0.82, 0.0), (-0.58, 0.1), (-0.7, 0.52), (-0.8, 0.52)]), 0.4)
    sketch.line(put([(0.85, 0.42), (0.2, 0.42), (-0.3, 0.2)]), shade=0.8, trim=1)
    sketch.patch(put(ellipse(-0.25, -0.02, 0.28, 0.08, 12)), shade=0.75)


def _shoe_from_above(sketch, random, x):
    half = (0.12, -0.85), (0.28, -0.6), (0.25, 0.0), (0.29, 0.4), (0.22, 0.8)
    sketch.patch(np.add(rounded(mirrored(*half), 2), [x, 0]), trim=1)
    sketch.patch(rounded(mirrored(*half), 2) * [0.86, 0.94] + [x, 0])
    sketch.patch(ellipse(x, 0.4, 0.17, 0.32), shade=0.8)
    for y in np.linspace(-0.3, 0.02, 3):
        sketch.line([(x - 0.12, y), (x + 0.12, y)], trim=1, shade=0.15)
