"""The contact sheets: every stored figure is on them, and each view shows what it should."""

import io

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from tools import contact, rules

STORED = list(contact.figures(rules.lessons()))


def png(width, height, colour="white"):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "png")
    return buffer.getvalue()


def test_every_stored_figure_is_found():
    texts = [path.read_text(encoding="utf-8") for path in rules.lessons()]
    assert len(STORED) == sum(text.count('"image/png": "') for text in texts) > 30


@pytest.mark.parametrize("figure", STORED, ids=[name for name, *_ in STORED])
def test_stored_figures_are_legible_as_far_as_a_program_can_tell(figure):
    _, picture, alt = figure
    assert list(contact.complaints(picture, alt)) == []


@pytest.mark.parametrize(
    ("picture", "alt", "wanted"),
    [
        (png(900, 360), "a line that rises to one", "900×360"),
        (png(750, 100), "a line that rises to one", "750×100"),
        (png(750, 360) + bytes(100_000), "a line that rises to one", "kB"),
        (png(750, 360), "a plot", "alternative"),
    ],
)
def test_complaints_notice(picture, alt, wanted):
    (found,) = contact.complaints(picture, alt)
    assert wanted in found


@pytest.mark.parametrize("view", contact.VIEWS)
def test_grey_stays_grey(view):
    greys = np.array([[value] * 3 for value in (0, 60, 128, 255)])
    assert np.abs(contact.seen(greys, view).astype(int) - greys).max() <= 1


def test_colour_changes_nothing_and_greyscale_has_no_colour():
    colours = np.random.default_rng(0).integers(0, 256, (50, 3))
    assert np.array_equal(contact.seen(colours, "colour"), colours)
    assert np.ptp(contact.seen(colours, "greyscale"), axis=-1).max() == 0


def test_known_pairs_are_confused_by_those_who_confuse_them():
    red, green, blue, teal = "#A04000", "#607000", "#0070FF", "#008C80"
    assert contact.distance(red, green, "deuteranopia") < 0.5 * contact.distance(
        red, green, "colour"
    )
    assert contact.distance(red, green, "protanopia") < 0.5 * contact.distance(red, green, "colour")
    assert contact.distance(blue, teal, "tritanopia") < 0.5 * contact.distance(blue, teal, "colour")
    assert contact.distance(red, green, "tritanopia") > contact.distance(red, green, "deuteranopia")


def test_lab_of_white_and_black():
    assert contact.to_lab([255, 255, 255]) == pytest.approx([100, 0, 0], abs=0.05)
    assert contact.to_lab([0, 0, 0]) == pytest.approx([0, 0, 0], abs=0.05)


def test_colours_of_the_course_stay_apart_without_one_kind_of_cone():
    assert all(" in greyscale: " in found for found in contact.alike(STORED))


def test_a_sheet_holds_all_its_figures():
    named = [(name, picture, "") for name, picture, _ in STORED[:3]]
    canvas = np.asarray(contact.sheet(named, "colour"))
    for number, (_, picture, _) in enumerate(named[:2]):
        image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        height, width = image.shape[:2]
        left = number * (canvas.shape[1] // contact.COLUMNS)
        assert np.array_equal(canvas[22 : 22 + height, left : left + width], image)


def test_contributing_names_the_command():
    assert "`make contact`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
