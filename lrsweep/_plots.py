"""A sweep and a range test draw themselves, on axes in whatever Matplotlib style is active.

A figure is described by a sentence too, computed from what is drawn: `axes.alt_text`.
"""

import numpy as np

from lrsweep._validation import one_of, positive_number, shorten, true_or_false

MARK_LINES = ("--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))


def plot_sweep(result, metric, axes, epoch, label, show_seeds, look):
    """Draw a sweep, see `SweepResult.plot`."""
    one_of("metric", metric, result.metrics)
    show_seeds = true_or_false("show_seeds", show_seeds)
    values, when = _at(result, metric, epoch)
    diverged = (result.diverged & np.isnan(values)).any(axis=1)
    own = axes is None
    axes = _new_axes() if own else _checked(axes)
    axes.set(xscale="log", xlabel="learning rate", ylabel=_in_words(metric))

    line = _draw_mean(axes, result.learning_rates, values, label, look)
    if show_seeds:
        _draw_seeds(axes, line, values)
    if diverged.any():
        _draw_crosses(axes, line, result.learning_rates[diverged])
    if own:
        line.set_label(label or _mean_of(values.shape[1]))
        axes.legend()
        _fit_height(axes, values)
    said = f"{_in_words(metric)} {when} {_describe_sweep(line, values, diverged)}"
    line.sentence = f"{label}: {said}" if label else said[0].upper() + said[1:]
    _tell(axes)
    return axes


def plot_range_test(test, axes, marks, band, label, look):
    """Draw a range test, see `RangeTest.plot`."""
    own, marks, band = axes is None, _checked_marks(marks), _checked_band(band)
    axes = _new_axes() if own else _checked(axes)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    (line,) = axes.plot(test.learning_rates, test.smoothed, label=label, **look)
    axes.plot(
        test.learning_rates, test.losses, ".", color=line.get_color(), alpha=0.35,
        zorder=line.get_zorder() - 0.1, label="one mini-batch",
    )  # fmt: skip
    if band is not None:
        low, high = band
        text_colour = axes.xaxis.label.get_color()  # seen on a dark background too
        shade = {"color": text_colour, "alpha": 0.12, "linewidth": 0}
        axes.axvspan(low, high, label=f"{low:.2g} to {high:.2g}", **shade)
    for number, (name, rate) in enumerate(marks.items()):
        # The height is a share of the axes', and each line takes the cycle's next colour.
        axes.plot(
            [rate, rate], [0, 1], transform=axes.get_xaxis_transform(), label=f"{name}: {rate:.2g}",
            linestyle=MARK_LINES[number % len(MARK_LINES)],
        )  # fmt: skip
    _leave_out_explosion(axes, test)
    if own:
        axes.legend()
    line.sentence = _describe_range_test(test, marks)
    _tell(axes)
    return axes


def _checked(axes):
    if not hasattr(axes, "get_xaxis"):
        raise ValueError(f"axes must be Matplotlib's, or left out, got {axes!r}")
    return axes


def _checked_marks(marks):
    if not isinstance(marks, dict):
        raise ValueError(
            f"marks must be a dict of labels and learning rates, such as {{'chosen': 0.1}}, got "
            f"{shorten(marks)}"
        )
    return {name: positive_number(f"marks[{name!r}]", rate) for name, rate in marks.items()}


def _checked_band(band):
    if band is None:
        return None
    if np.shape(band) != (2,):
        raise ValueError(f"band must be two learning rates, such as (0.01, 0.1), got {band!r}")
    return [positive_number("each end of band", rate) for rate in band]


def _new_axes():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'a plot needs Matplotlib: pip install matplotlib, or "lrsweep[plot]"'
        ) from error
    return plt.subplots()[1]


def _at(result, metric, epoch):
    """Return a metric of shape (rates, seeds) after an epoch, and that epoch in words."""
    epochs = result.metrics[metric].shape[2]
    if not isinstance(epoch, (int, np.integer)) or not -epochs <= epoch < epochs:
        raise ValueError(f"epoch must be from {-epochs} to {epochs - 1}, got {epoch!r}")
    last = result.last_epochs
    if epoch == -1 and last is not None and np.any((last != epochs - 1) & ~result.diverged):
        return result.final(metric), "at the end of each training"
    epoch = int(epoch) % epochs
    return result.metrics[metric][:, :, epoch], f"after epoch {epoch + 1}"


def _draw_mean(axes, rates, values, label, look):
    """Draw the mean over the seeds, and shade one standard error to both sides of it."""
    mean, seeds = values.mean(axis=1), values.shape[1]
    (line,) = axes.plot(rates, mean, label=label, **look)
    if seeds > 1:
        error = values.std(axis=1, ddof=1) / np.sqrt(seeds)
        shade = {"color": line.get_color(), "alpha": 0.25, "linewidth": 0}
        axes.fill_between(rates, mean - error, mean + error, **shade)
    return line


def _draw_seeds(axes, line, values):
    rates = np.repeat(line.get_xdata(), values.shape[1])
    label = None if _drawn(axes, "seeds") else "a seed"
    look = {"color": line.get_color(), "alpha": 0.35, "zorder": line.get_zorder() - 0.1}
    axes.plot(rates, values.ravel(), ".", gid="seeds", label=label, **look)


def _draw_crosses(axes, line, rates):
    """Mark learning rates near the bottom, above the crosses of sweeps drawn before."""
    rows = _drawn(axes, "diverged")
    label = None if rows else "a seed diverged"
    heights = np.full(len(rates), 0.04 + 0.05 * rows)  # shares of the axes' height
    look = {"color": line.get_color(), "transform": axes.get_xaxis_transform()}
    axes.plot(rates, heights, "x", gid="diverged", label=label, **look)


def _drawn(axes, kind):
    """Return how many sweeps have drawn dots or crosses on these axes before."""
    return sum(line.get_gid() == kind for line in axes.lines)


def _mean_of(seeds):
    return f"mean of {seeds} seeds ± standard error" if seeds > 1 else "the one seed"


def _fit_height(axes, values):
    """Use a logarithmic axis for positive values of more than two orders of magnitude."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > 100 * finite.min():
        axes.set(yscale="log", ylim=(finite.min() / 1.5, finite.max() * 1.5))


def _leave_out_explosion(axes, test):
    """End the picture somewhat above what the smoothed loss was before its lowest point."""
    lowest = int(np.argmin(test.smoothed))
    highest = test.smoothed[: lowest + 1].max()
    fall = highest - test.smoothed[lowest]
    if fall > 0:
        axes.set_ylim(test.losses.min() - 0.1 * fall, highest + 0.6 * fall)


def _tell(axes):
    """Say in `axes.alt_text` what its lines show, those drawn by earlier calls too."""
    said = [line.sentence for line in axes.lines if hasattr(line, "sentence")]
    axes.alt_text = " ".join(said)


def _in_words(metric):
    """Return "validation accuracy" for "val_accuracy", and "training loss" for "loss"."""
    part, name = ("validation", metric[4:]) if metric.startswith("val_") else ("training", metric)
    return f"{part} {name.replace('_', ' ')}"


def _describe_sweep(line, values, diverged):
    rates, mean = np.asarray(line.get_xdata()), values.mean(axis=1)
    text = f"against the learning rate, {_span(rates)} on a logarithmic axis: "
    if np.isnan(mean).all():
        text += "no learning rate has a value for every seed."
    else:
        low, high = np.nanargmin(mean), np.nanargmax(mean)
        whose = f"the mean of {values.shape[1]} seeds" if values.shape[1] > 1 else "the one seed"
        text += (
            f"{whose} is lowest, {mean[low]:.3g}, at {rates[low]:.3g}, "
            f"and highest, {mean[high]:.3g}, at {rates[high]:.3g}."
        )
    if diverged.any():
        lost = f"{diverged.sum()} of {len(rates)} learning rates, {_span(rates[diverged])}"
        text += f" At {lost}, a seed diverged."
    return text


def _describe_range_test(test, marks):
    smoothed, rates = test.smoothed, test.learning_rates
    lowest = np.argmin(smoothed)
    text = (
        f"Training loss of {len(rates)} mini-batches while the learning rate rises {_span(rates)}, "
        f"on a logarithmic axis: the smoothed loss is {smoothed[0]:.3g} at first, lowest, "
        f"{smoothed[lowest]:.3g}, at {rates[lowest]:.3g}, and {smoothed[-1]:.3g} at the end."
    )
    if marks:
        text += f" Marked: {', '.join(f'{name} at {rate:.3g}' for name, rate in marks.items())}."
    return text


def _span(rates):
    """Return "from 0.1 to 10" for several numbers and "0.1" for one."""
    low, high = np.min(rates), np.max(rates)
    return f"{low:.3g}" if low == high else f"from {low:.3g} to {high:.3g}"
