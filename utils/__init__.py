"""What the lessons teach and share. A learner may open any file of it.

======================  ============  =============================================================
module                  lessons       what is in it
======================  ============  =============================================================
``checks``              all           checks of arguments, with messages that say what is allowed
``data``                1 to 5, 7, 8  the data sets, standardised and split
``losses``              1 to 3        losses of one and two weights: parabola, waves, wells, ravine
``descent``             1 to 3, 7     gradient descent and its exact theory on quadratic losses
``numpy_optimizers``    3 and 7       Keras's optimizers in a few lines each, and momentum's theory
``schedules``           4             learning-rate schedules as functions of the update
``keras_schedules``     4             the same schedules as Keras objects
``noisy_quadratic``     4             the mean loss under noisy gradients, without a random number
``models``              6             the pocket Xception, transfer models and heads, unfreezing
``discriminative_lr``   6             one learning rate for the base, another for the head
``first_sweep``         8             where to begin a sweep: a centre and a range, with reasons
``plotting``            all           every kind of still figure, in one style
======================  ============  =============================================================

A function is shown in a lesson before it is imported from here. In the module it also checks its
arguments; `SHOWN` lists these functions, and a test compares the two.

Importing this package is quick: TensorFlow and Matplotlib are imported by the modules that need
them, when a lesson imports those.
"""

SHOWN = {  # the function: the lesson that shows it in full
    "descent.gradient_descent": 1,
    "descent.largest_curvature": 2,
    "noisy_quadratic.expected_loss": 4,
    "models.build_transfer_model": 6,
}
