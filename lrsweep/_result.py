"""What a sweep measured, and what was chosen from it."""

import contextlib
import json
import os
import uuid
import zipfile
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import numpy as np

from lrsweep._validation import file_name, one_of, shorten

FORMAT = "lrsweep.SweepResult"
VERSION = 1  # of the file that `SweepResult.save` writes
_ARRAYS = ("learning_rates", "seeds", "diverged")
_TEXTS = ("engine", "reason", "interrupted", "chance", "directions")


def _of_shape(name, value, shape, kinds=None):
    """Return `value` as an array of a shape, in which None stands for any length."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array, got rows of unequal length") from None
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape)
    )
    if not fits:
        axes = {(None,): "one axis", 2: "(rates, seeds)", 3: "(rates, seeds, epochs)"}
        wanted = axes.get(shape) or f"the shape {axes[len(shape)]}"
        if shape != (None,):
            wanted += f", here ({', '.join('...' if n is None else str(n) for n in shape)})"
        raise ValueError(f"{name} must have {wanted}, got one of shape {array.shape}")
    if kinds and array.dtype.kind not in kinds:
        raise ValueError(f"{name} must hold numbers, got {shorten(value)}")
    return array


@dataclass(frozen=True)
class SweepResult:
    """What a sweep measured.

    Made by hand, it takes lists for arrays; a ValueError says what doesn't fit together.

    Attributes
    ----------
    learning_rates : array of shape (rates,)
    seeds : array of shape (seeds,)
    metrics : dict of float array of shape (rates, seeds, epochs)
        By Keras's names: "loss", "val_loss", and the compiled metrics with and without
        "val_". nan from the epoch on in which a training diverged, or was not reached.
    diverged : bool array of shape (rates, seeds)
        Whether the loss stopped being a finite number.
    engine, reason : str
        How it was trained, "vectorized" or "sequential", and why so.
    interrupted : bool
        Whether Ctrl-C ended it early.
    chance : dict of float
        Where it is known, what the best constant answer scores on the validation examples:
        as much as a model that has learned nothing from its inputs.
    directions : dict of str
        Where it is known, which way a metric is better: "min" or "max".
    last_epochs : int array of shape (rates, seeds), optional
        The place, from 0, of the epoch whose weights one would go on with: the last one trained,
        or the best where early stopping restores it; below 0 if there is none. None: the last of
        all.

    Examples
    --------
    The mean validation loss of each rate at the end of training:

    >>> import numpy as np
    >>> result = SweepResult(
    ...     learning_rates=np.array([0.01, 0.1]),
    ...     seeds=np.array([0, 1]),
    ...     metrics={"val_loss": np.array([[[0.9, 0.8], [0.9, 0.6]], [[0.5, 0.2], [0.5, 0.4]]])},
    ...     diverged=np.zeros((2, 2), bool),
    ... )
    >>> result.final("val_loss").mean(axis=1).round(3)
    array([0.7, 0.3])
    """

    learning_rates: np.ndarray
    seeds: np.ndarray
    metrics: dict
    diverged: np.ndarray
    engine: str = ""
    reason: str = ""
    interrupted: bool = False
    chance: dict = field(default_factory=dict)
    directions: dict = field(default_factory=dict)
    last_epochs: np.ndarray | None = None

    def __post_init__(self):
        if not isinstance(self.metrics, dict):
            raise ValueError(
                f"metrics must be a dict of arrays by name, got {shorten(self.metrics)}"
            )
        rates = _of_shape("learning_rates", self.learning_rates, (None,), "iuf")
        if not np.all((rates > 0) & np.isfinite(rates)):
            raise ValueError(f"learning_rates must be positive numbers, got {shorten(rates)}")
        seeds = _of_shape("seeds", self.seeds, (None,))
        shape = len(rates), len(seeds)
        if 0 in shape:
            raise ValueError(
                "learning_rates and seeds must hold one each, at least, got "
                f"{shape[0]} and {shape[1]} of them"
            )
        diverged = _of_shape("diverged", self.diverged, shape, "biuf")
        made = {
            "learning_rates": rates,
            "seeds": seeds,
            "metrics": {
                name: _of_shape(f"{name!r} of metrics", values, (*shape, None), "iuf")
                for name, values in self.metrics.items()
            },
            "diverged": diverged.astype(bool, copy=False),
        }
        if len({values.shape[2] for values in made["metrics"].values()} | {0}) != 2:
            epochs = {name: values.shape[2] for name, values in made["metrics"].items()}
            raise ValueError(
                f"metrics must hold the same epochs, one at least, for each name, got {epochs}"
            )
        if not isinstance(self.chance, dict) or not all(
            isinstance(score, Real) for score in self.chance.values()
        ):
            raise ValueError(
                f"chance must be a dict of numbers by metric, got {shorten(self.chance)}"
            )
        if not isinstance(self.directions, dict) or any(
            way not in ("min", "max") for way in self.directions.values()
        ):
            raise ValueError(
                "directions must be a dict of 'min' or 'max' by metric, got "
                f"{shorten(self.directions)}"
            )
        if self.last_epochs is not None:
            made["last_epochs"] = _of_shape("last_epochs", self.last_epochs, shape, "iu")
        for name, value in made.items():
            object.__setattr__(self, name, value)  # as a frozen dataclass does it

    def final(self, metric):
        """Return a metric at the end of each training, where it was stopped early too.

        Parameters
        ----------
        metric : str
            One of the result's.

        Returns
        -------
        float array of shape (rates, seeds)
            nan where the training diverged.

        Raises
        ------
        ValueError
            If the result has no such metric.

        Examples
        --------
        The second training was stopped after its first epoch:

        >>> import numpy as np
        >>> result = SweepResult(
        ...     learning_rates=np.array([0.1]),
        ...     seeds=np.array([0, 1]),
        ...     metrics={"loss": np.array([[[0.9, 0.8], [0.7, np.nan]]])},
        ...     diverged=np.zeros((1, 2), bool),
        ...     last_epochs=np.array([[1, 0]]),
        ... )
        >>> result.final("loss")
        array([[0.8, 0.7]])
        """
        values = self.metrics[one_of("metric", metric, self.metrics)]
        last = values.shape[2] - 1
        if self.last_epochs is not None:
            last = np.minimum(self.last_epochs, last)
        ends = np.take_along_axis(values, np.full(values.shape[:2], last)[:, :, np.newaxis], 2)
        return np.where(self.diverged | (last < 0), np.nan, ends[:, :, 0])

    def save(self, path):
        """Write everything to one file, which `load` reads back exactly.

        The file holds arrays and text, in NumPy's npz format: nothing in it is ever executed. It
        appears complete or not at all, and replaces one of the same name.

        Parameters
        ----------
        path : str or path
            Such as "sweep.npz"; its folder must be there.

        Raises
        ------
        ValueError
            If the folder is not there, or if an array holds anything but numbers.

        Examples
        --------
        >>> import numpy as np
        >>> losses = np.array([[[0.9, 0.8]], [[0.5, 0.2]]])  # 2 rates, 1 seed, 2 epochs
        >>> result = SweepResult(
        ...     np.array([0.01, 0.1]), np.array([7]), {"val_loss": losses}, np.zeros((2, 1), bool)
        ... )
        >>> result.save("sweep.npz")
        >>> SweepResult.load("sweep.npz").final("val_loss")
        array([[0.8],
               [0.2]])
        """
        path = Path(os.path.realpath(file_name("path", path)))
        if not path.parent.is_dir():
            raise ValueError(f"path must be in a folder that exists, {str(path.parent)!r} does not")
        arrays = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        if self.last_epochs is not None:
            arrays["last_epochs"] = np.asarray(self.last_epochs)
        arrays |= {f"metric {i}": np.asarray(v) for i, v in enumerate(self.metrics.values())}
        text = {name: getattr(self, name) for name in _TEXTS}
        text |= {"format": FORMAT, "version": VERSION, "metrics": list(self.metrics)}
        text = json.dumps(text, default=lambda number: number.item())  # one of NumPy's
        if any(array.dtype.hasobject for array in arrays.values()):
            raise ValueError("a result can be saved if its arrays hold numbers, some hold objects")
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with open(part, "xb") as file:
                np.savez(file, **arrays, text=np.array(text))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()

    @classmethod
    def load(cls, path):
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        SweepResult

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it was not written by `save`, not completely, or by a newer version of it.

        Examples
        --------
        >>> with open("other.txt", "w") as file:
        ...     _ = file.write("something else")
        >>> SweepResult.load("other.txt")
        Traceback (most recent call last):
        ...
        ValueError: path must be a file that SweepResult.save wrote, 'other.txt' is not one
        """
        if not file_name("path", path).exists():
            raise FileNotFoundError(f"there is no file {str(path)!r} to load a sweep from")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            text = json.loads(str(arrays["text"]))
            if text["format"] != FORMAT:
                raise KeyError("format")
            version = text["version"]
            if version <= VERSION:
                names = [*_ARRAYS, *(["last_epochs"] if "last_epochs" in arrays else [])]
                metrics = {n: arrays[f"metric {i}"] for i, n in enumerate(text["metrics"])}
                fields = {name: arrays[name] for name in names}
                return cls(metrics=metrics, **fields, **{name: text[name] for name in _TEXTS})
        except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"path must be a file that SweepResult.save wrote, {str(path)!r} is not one"
            ) from error
        raise ValueError(
            f"{str(path)!r} was written by a newer lrsweep: its format has the version {version}, "
            f"this lrsweep reads versions up to {VERSION}. Update lrsweep"
        )

    def to_frame(self):
        """Return a pandas frame with a row for each learning rate, seed and epoch (from 1).

        A metric that is called like another column, "seed", say, becomes "metric seed".

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> import numpy as np
        >>> losses = np.array([[[0.9, 0.8]], [[0.5, 0.2]]])  # 2 rates, 1 seed, 2 epochs
        >>> result = SweepResult(
        ...     np.array([0.01, 0.1]), np.array([7]), {"val_loss": losses}, np.zeros((2, 1), bool)
        ... )
        >>> result.to_frame()
           learning_rate  seed  epoch  diverged  val_loss
        0           0.01     7      1     False       0.9
        1           0.01     7      2     False       0.8
        2           0.10     7      1     False       0.5
        3           0.10     7      2     False       0.2
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                'to_frame needs pandas: pip install pandas, or "lrsweep[frame]"'
            ) from error
        shape = len(self.learning_rates), len(self.seeds), self._epochs()
        rate, seed, epoch = (index.ravel() for index in np.indices(shape))
        columns = {
            "learning_rate": self.learning_rates[rate],
            "seed": self.seeds[seed],
            "epoch": epoch + 1,
            "diverged": self.diverged[rate, seed],
        }
        own = {f"metric {n}" if n in columns else n: v.ravel() for n, v in self.metrics.items()}
        return pd.DataFrame(columns | own)

    def plot(self, metric="val_loss", axes=None, epoch=-1, label=None, show_seeds=True, **look):
        """Draw a metric against the learning rate.

        A line shows the mean over the seeds, a band around it one standard error to both
        sides (with one seed there is none), dots each seed, and crosses near the bottom the
        rates at which a seed has diverged by then; those have no mean.

        Parameters
        ----------
        metric : str
            One of the result's.
        axes : matplotlib.axes.Axes, optional
            Where to draw; their vertical axis stays as it is. Without, pyplot makes a new
            figure with a legend, and with a logarithmic vertical axis if values need it.
        epoch : int
            Counted from 0; from the last, -1, backwards if negative. -1 is the end of each
            training, where it was stopped early too.
        label : str, optional
            Of the line, for a legend. Dots and crosses have labels of their own, at the first
            sweep that is drawn on the axes.
        show_seeds : bool
            Whether to draw the dots.
        **look
            For the line, as in Matplotlib's `plot`; its colour is also that of the rest.

        Returns
        -------
        matplotlib.axes.Axes
            With an attribute `alt_text`, a sentence for those who can't see the figure; one
            for each sweep that was drawn on these axes.

        Raises
        ------
        ValueError
            If the result has no such metric or epoch.
        ImportError
            If there are no axes given and no Matplotlib.

        Examples
        --------
        >>> import numpy as np
        >>> losses = np.array([[[0.9], [0.7]], [[0.2], [0.4]], [[np.nan], [0.5]]])
        >>> result = SweepResult(
        ...     np.array([0.01, 0.1, 1.0]), np.arange(2), {"val_loss": losses},
        ...     np.isnan(losses[:, :, 0]),
        ... )
        >>> axes = result.plot()
        >>> print(axes.alt_text)
        Validation loss after epoch 1 against the learning rate, from 0.01 to 1 on a logarithmic \
axis: the mean of 2 seeds is lowest, 0.3, at 0.1, and highest, 0.8, at 0.01. At 1 of 3 learning \
rates, 1, a seed diverged.
        >>> axes.figure.savefig("sweep.png", metadata={"Description": axes.alt_text})
        """
        from lrsweep._plots import plot_sweep

        return plot_sweep(self, metric, axes, epoch, label, show_seeds, look)

    def _epochs(self):
        return next(iter(self.metrics.values())).shape[2]


@dataclass(frozen=True)
class Choice:
    """A learning rate and the reasons for it.

    Attributes
    ----------
    learning_rate : float
        The one nearest to the middle of the plateau that is better than a constant answer.
    best, mean, standard_error : float
        The rate with the best mean over the seeds, of those that aren't left out, that mean, and
        its standard error (nan with a single seed, or where all seeds gave identical numbers).
    plateau : tuple of two floats
        The smallest and the largest of the rates around the best that luck alone could have put
        behind it, see `choose_learning_rate`; the best rate twice if there are no others.
    explanation : str
        All this in words.
    """

    learning_rate: float
    best: float
    mean: float
    standard_error: float
    plateau: tuple
    explanation: str
