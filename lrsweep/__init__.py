"""Learning rates of Keras models: swept, chosen with a reason, and range-tested.

`sweep_learning_rates` trains one model at many learning rates with several seeds, all copies at
once where that gives the same numbers. `choose_learning_rate` picks a rate from the result and
says why. `range_test` finds in one short training where a sweep should look.

Importing the package is quick: Keras and TensorFlow start with the first call.
"""

from lrsweep._choose import choose_learning_rate
from lrsweep._curve import RangeTest
from lrsweep._range_test import range_test
from lrsweep._result import SweepResult
from lrsweep._sweep import sweep_learning_rates
from lrsweep._version import __version__ as __version__

__all__ = [
    "RangeTest",
    "SweepResult",
    "choose_learning_rate",
    "range_test",
    "sweep_learning_rates",
]
