"""Views, pictures and figures, without a browser."""

import inspect
import io

import numpy as np
import pytest
from PIL import Image

from course import quiz
from course.views import curvature, descent, optimizers, schedules, sweeps, transfer
from utils import losses, plotting
from utils.plotting import style

VIEWS = {
    descent.explore_parabola: (descent.parabola_figure, descent.parabola_numbers),
    descent.explore_ravine: (descent.ravine_figure, descent.ravine_numbers),
    descent.explore_wells: (descent.wells_figure, descent.wells_numbers),
    schedules.explore_mixer: (schedules.mixer_figure, schedules.mixer_numbers),
    sweeps.explore_range_test: (sweeps.range_test_figure, sweeps.range_test_numbers),
    sweeps.explore_sweep: (sweeps.sweep_figure, sweeps.sweep_numbers),
    transfer.explore_replay: (transfer.replay_figure, transfer.replay_numbers),
    optimizers.explore_race: (optimizers.race_figure, optimizers.race_numbers),
    curvature.explore_edge: (curvature.edge_figure, curvature.edge_numbers),
    curvature.explore_batch: (curvature.batch_figure, curvature.batch_numbers),
}
names = pytest.mark.parametrize("explore", VIEWS, ids=lambda explore: explore.__name__)


def pixels(view):
    return np.asarray(Image.open(io.BytesIO(view.image.value)).convert("RGB")).astype(int)


def extremes(control):
    """Return both ends of a slider, or all that a list of choices offers."""
    if hasattr(control, "options"):
        return control.options
    if isinstance(control.value, bool):
        return [True, False]
    base = getattr(control, "base", None)
    return [base**end if base else end for end in (control.min, control.max)]


def moved(control):
    """Return another value than the control has now."""
    if hasattr(control, "options"):
        return control.options[(control.index + 1) % len(control.options)]
    if isinstance(control.value, bool):
        return not control.value
    return type(control.value)(control.value * 0.8 or control.max / 2)


@names
def test_every_slider_changes_picture_and_words(explore):
    view = explore()
    for control in view.controls.values():
        before, words = pixels(view), view.sentence.value
        control.value = moved(control)
        assert np.abs(pixels(view) - before).max() > 50
        assert view.sentence.value != words
        assert 'role="status"' in view.sentence.value


@names
def test_sliders_survive_their_whole_range(explore):
    view = explore()
    for control in view.controls.values():
        for end in extremes(control):
            control.value = end
            assert pixels(view).shape[0] > 300


@names
def test_still_and_moving_pictures_are_the_same(explore):
    view = explore()
    still_figure, _ = VIEWS[explore]
    values = {name: control.value for name, control in view.controls.items()}
    buffer = io.BytesIO()
    still_figure(**values).savefig(buffer, format="png")
    still = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    assert still.shape == pixels(view).shape
    assert np.mean(np.abs(still - pixels(view)) > 40) < 0.002


@names
def test_controls_are_labelled_and_named_like_the_arguments(explore):
    view, numbers = explore(), VIEWS[explore][1]
    assert set(view.controls) <= set(inspect.signature(numbers).parameters)
    assert all(control.description for control in view.controls.values())


@names
def test_view_has_a_still_word_for_readers_without_widgets(explore):
    bundle = explore()._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["text/plain"].startswith("An interactive view")
    assert "application/vnd.jupyter.widget-view+json" in data


def test_parabola_numbers_are_the_theory():
    numbers = descent.parabola_numbers(0.9, 2.0)
    assert numbers["path"][10] == pytest.approx(1.0737418240)
    assert "overshoots and converges" in numbers["summary"]
    assert "in one step" in descent.parabola_numbers(50, 0.02)["words"]
    assert "<b>after 1 update</b>" in descent.parabola_numbers(50, 0.02)["summary"]
    assert "<b>after 9 updates</b>" in descent.parabola_numbers(0.211, 2.0)["summary"]
    assert "<b>never</b>" in descent.parabola_numbers(50, 2.0)["summary"]


def test_wells_numbers_obey_the_law():
    small, middle, large = (descent.wells_numbers(rate, -1.2) for rate in (0.04, 0.3, 1.5))
    assert "settles in the sharp minimum" in small["summary"]
    assert "settles in the flat minimum" in middle["summary"]
    assert "still bouncing after 300" in large["summary"]
    assert "still on its way after 300" in descent.wells_numbers(0.01, 4.0)["summary"]
    assert set(np.unique(middle["basins"])) == {1}
    assert set(np.unique(small["basins"])) == {0, 1}


def test_no_start_is_said_to_settle_where_none_can():
    sharp, flat = (2 / float(descent.WELLS.curvature(it)) for it in descent.WELLS.minima)
    for rate in np.geomspace(0.01, 3, 100):
        basins = descent.wells_numbers(rate, -1.2)["basins"]
        assert rate < sharp or 0 not in basins, rate
        assert rate < flat or 1 not in basins, rate


def test_ravine_numbers_name_the_balance():
    numbers = descent.ravine_numbers(2 / 4.2, 20, 60)
    assert numbers["multipliers"][0] == pytest.approx(-numbers["multipliers"][1])
    assert "falls to a tenth in 23.0 updates" in numbers["summary"]
    assert "diverges" in descent.ravine_numbers(0.51, 20, 60)["summary"]
    assert "bounces" in descent.ravine_numbers(0.5, 20, 60)["summary"]
    assert "in one step" in descent.ravine_numbers(0.25, 1, 60)["summary"]


def test_mixer_numbers_are_the_tournament():
    won = schedules.mixer_numbers("exponential to 1/100", 0.396, 0, 4000)
    assert won["losses"][-1] == pytest.approx(0.0001937, abs=5e-8)
    assert won["target"] == pytest.approx(0.0002027, abs=5e-8)
    assert "BETTER than" in won["summary"]
    level = schedules.mixer_numbers("linear to zero", 0.395, 0, 1000)
    assert "as good as" in level["summary"]
    assert "50 %" in level["words"]
    late = schedules.mixer_numbers("linear to zero", 0.395, 10, 1000)
    assert "worse than" in late["summary"]
    np.testing.assert_allclose(late["rates"][[0, 50, 100]], [0, 0.395 / 2, 0.395])
    for numbers in (won, level, late):
        assert np.all(numbers["left"] <= numbers["losses"] * (1 + 1e-12))


def test_replay_numbers_judge_the_pick():
    seen = transfer.replay_numbers("loss", 4, "0.001")
    assert "the lowest of the four" in seen["summary"]
    assert "would have picked 0.0001, with a loss of 0.71" in seen["summary"]
    assert np.all(np.isnan(seen["validation"][[0, 2]]))
    assert np.isfinite(seen["validation"][1]).sum() == 4 * 4
    assert "0.001 has the lowest" in transfer.replay_numbers("gap", 10, "0.1")["summary"]
    assert "Pick one" in transfer.replay_numbers("gap", 10, "not yet")["summary"]


def test_sweep_numbers_choose_or_refuse():
    good = sweeps.sweep_numbers("Adam", 32, 20, True)
    assert 0.005 < good["chosen"] < 0.5
    assert "200 models trained with Adam" in good["summary"]
    assert good["accuracies"].shape == (40, 5)
    hopeless = sweeps.sweep_numbers("SGD", 90, 1, False)
    assert np.isnan(hopeless["chosen"]) == ("No choice" in hopeless["summary"])


def test_fewer_epochs_are_what_a_shorter_sweep_gives(monkeypatch):
    from course.views import sweeps  # here, because it starts Keras

    settings = ("SGD, momentum 0.9", 64, 7, False)
    looked_back = sweeps.sweep_numbers(*settings)
    monkeypatch.setattr(sweeps, "EPOCHS", 7)
    monkeypatch.setattr(sweeps, "_sweep", sweeps._sweep.__wrapped__)
    short = sweeps.sweep_numbers(*settings)
    assert looked_back["summary"] == short["summary"]
    for name in ("losses", "accuracies", "chosen"):
        np.testing.assert_array_equal(looked_back[name], short[name])


def test_range_test_numbers_are_the_theory():
    numbers = sweeps.range_test_numbers(400, 0.0, 0.0)
    minimum, tenth = numbers["marks"][:2]
    assert minimum > 4  # several times the limit 2, as many curvatures and no noise make it
    assert tenth == pytest.approx(minimum / 10)
    longer, shorter = (sweeps.range_test_numbers(n, 0.0, 0.0)["marks"] for n in (400, 200))
    assert longer[2] < 0.7 * shorter[2]
    assert longer[3] == pytest.approx(shorter[3] / 2, rel=0.01)


def test_race_shows_who_minds_the_loss_scale():
    plain, scaled = (optimizers.race_numbers(0.05, scale)["losses"] for scale in (1.0, 100.0))
    sgd, momentum, rmsprop, adam = range(4)
    for indifferent in (rmsprop, adam):
        np.testing.assert_allclose(plain[indifferent], scaled[indifferent], rtol=1e-3)
    for scaling in (sgd, momentum):
        assert not scaled[scaling][-1] < 1
    assert "higher than at the start for SGD" in optimizers.race_numbers(0.6, 1.0)["summary"]


def test_show_carries_the_sentence(capsys, monkeypatch):
    shown = {}
    monkeypatch.setattr(style, "display", lambda data, **options: shown.update(data, **options))
    figure = plotting.plot_lines({"a": np.arange(1, 5)}, "update", "loss", yscale="log")
    plotting.show(figure, alt='a line that rises from "1" to 4 & stops')
    assert shown["metadata"]["image/png"]["alt"].startswith("a line that rises")
    assert 'alt="a line that rises from &quot;1&quot; to 4 &amp; stops"' in shown["text/html"]


def test_still_figures_label_their_axes():
    path = np.array([10.0, -8.0, 6.0])
    rates = np.geomspace(0.1, 1, 5)
    waves = losses.waves()
    for figure in (
        plotting.plot_descents(losses.parabola(), {"a": path, "b": path}),
        plotting.plot_limits({"x": 0.1, "y": 10.0}, {"band": (0.01, 1)}),
        plotting.plot_ravine({"a": np.ones((3, 2))}, losses.ravine_loss),
        plotting.plot_endings(rates, np.ones((3, 5)), waves, {"limit": 0.5}),
        plotting.plot_panels({"a": path, "b": path, "c": path}, "update", "rate", columns=2),
    ):
        axes = figure.axes
        assert any(axis.get_xlabel() for axis in axes)
        assert any(axis.get_ylabel() or axis.get_yticklabels() for axis in axes)


def test_labels_at_line_ends_keep_apart():
    heights = np.linspace(1, 2, 10)
    figure = plotting.plot_lines({"a": heights, "b": heights, "c": heights}, "x", "y")
    places = sorted(note.xy[1] for note in figure.axes[0].texts)
    assert np.all(np.diff(places) > 0.08)


def test_prediction_and_outcome(capsys):
    quiz.predict("x", None)
    quiz.compare("x", 1.0737)
    quiz.predict("x", 1.05)
    quiz.compare("x", 1.0737)
    quiz.predict("x", 12)
    quiz.compare("x", 1.0737)
    quiz.predict("which", " X1 ")
    quiz.compare("which", "x1")
    said = capsys.readouterr().out
    for words in ("No guess yet", "You made no guess", "Well predicted", "but it is 1.074"):
        assert words in said
    assert said.count("Well predicted") == 2


def test_quiz_names_what_there_is():
    with pytest.raises(ValueError, match="name must be one of 01_what_is_a_learning_rate, 02_"):
        quiz.ask("13_missing")


def test_quiz_has_a_printed_form():
    questions = quiz.load_questions("02_recall")
    printed = quiz.printed_form(questions)
    for number, question in enumerate(questions, start=1):
        assert f"{number}. {question['question']}" in printed
        assert all(answer["answer"] in printed for answer in question["answers"])
        assert all(answer["feedback"] not in printed for answer in question["answers"])
