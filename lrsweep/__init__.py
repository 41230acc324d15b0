"""Learning rates of Keras models: swept, chosen with a reason, range-tested, compared with limits.

`sweep_learning_rates` trains one model at many learning rates with several seeds, all copies at
once where that gives the same numbers. `choose_learning_rate` picks a rate from the result and
says why. `range_test` finds in one short training where a sweep should look. `CurvatureMeter`
measures the largest curvature of a model's loss, which limits the rate. `check_up` looks at a
model from all sides, and names what its training suffers from.

Importing the package is quick: Keras and TensorFlow start with the first call.

A sweep goes through these modules, each of which names its neighbours:

===================  ==========================================================================
``_sweep``           the call: its arguments and what they mean
``_prepare``         what must be known of the model first, or refused (``_model_checks``,
                     ``_examples``, ``_probe``, ``_traces``, ``_validation``)
``_engines``         a sweep under way: vectorized if ``_gate`` finds that right, else sequential
``_gate``            decides, by comparing copies with Keras itself
``_vectorized``      all copies together (``_copies``, ``_one_copy``, ``_stateless``, and
                     ``_tensorflow``, the rules that TensorFlow lacks)
``_sequential``      one training after another, in other processes with ``_executors``
``_experiment``      one training: model, examples, order, rate; ``_stopping`` ends it early
``_grid``, ``_keep`` rates found on the way; what is done, kept in a folder
``_result``          what was measured; ``_choose`` picks a rate from it
``_range_test``      the range test; ``_curve`` reads its suggestions off, ``_restore`` puts the
                     model back
``_curvature``       the largest curvature, by Hessian products
``_check_up``        a check-up: ``_patient`` is the model under it; ``_measures``,
                     ``_measures_of_gradients`` and ``_measures_of_rate`` measure, ``_trials`` and
                     ``_activity`` train it for a while and look inside, ``_report`` says it
``_plots``           a result and a range test draw themselves
===================  ==========================================================================
"""

from lrsweep._check_up import check_up
from lrsweep._choose import choose_learning_rate
from lrsweep._curvature import CurvatureMeter, hessian_product
from lrsweep._curve import RangeTest
from lrsweep._range_test import range_test
from lrsweep._report import CheckUp
from lrsweep._result import SweepResult
from lrsweep._sweep import sweep_learning_rates
from lrsweep._version import __version__ as __version__

__all__ = [
    "CheckUp",
    "CurvatureMeter",
    "RangeTest",
    "SweepResult",
    "check_up",
    "choose_learning_rate",
    "hessian_product",
    "range_test",
    "sweep_learning_rates",
]
