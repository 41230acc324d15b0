"""Wrong and right answers to the exercises of lesson 7; M-numbers as in the course's list."""

from exercises.mutants import Mutant, changed

DIFFERENCES = """
def product_by_differences(gradient, weights, direction, step=1e-3):
    length = np.linalg.norm(direction)
    move = step * direction / length
    change = gradient(weights + move) - gradient(weights - move)
    return length * change / (2 * step)
"""
TAPES = """
def product_by_tapes(model, x, y, direction):
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x))
        gradients = inner.gradient(loss, model.trainable_variables)
        slope_along = sum(tf.reduce_sum(g * d) for g, d in zip(gradients, direction))
    return outer.gradient(slope_along, model.trainable_variables)
"""


def _differences(*changes):
    return changed(DIFFERENCES, *changes) + TAPES


def _tapes(*changes):
    return DIFFERENCES + changed(TAPES, *changes)


PRODUCTS = {
    "one_sided": Mutant(
        "one side is as good as two",
        _differences(("gradient(weights - move)", "gradient(weights)"), ("(2 * step)", "step")),
        "ahead only",
    ),
    "distance_halved": Mutant(
        "the two places are one step apart", _differences(("(2 * step)", "step")), "2 * step apart"
    ),
    "not_divided": Mutant(
        "a difference of gradients is a curvature",
        _differences(("length * change / (2 * step)", "change")),
        "divide by the distance",
    ),
    "backwards": Mutant(
        "behind minus ahead",
        _differences(
            (
                "gradient(weights + move) - gradient(weights - move)",
                "gradient(weights - move) - gradient(weights + move)",
            ),
        ),
        "Ahead minus behind",
    ),
    "not_normalised": Mutant(
        "the step is a share of the direction, however long it is",
        _differences(
            ("length = np.linalg.norm(direction)", "length = 1.0"),
        ),
        "moved a thousand steps",
    ),
    "unit_product": Mutant(
        "only the course of a direction counts",
        _differences(("length * change", "change")),
        "multiply by its length",
    ),
    "one_number": Mutant(
        "a Hessian product is a curvature",
        _differences(
            ("length * change / (2 * step)", "change @ direction / length / (2 * step)"),
        ),
        "one number",
    ),
    "own_step": Mutant(
        "a step of one's own in place of the argument",
        _differences(("move = step * direction", "move = 1e-3 * direction")),
    ),
    "always_a_thousandth": Mutant(
        "the step is always a thousandth",
        _differences(
            ("move = step * direction", "move = 1e-3 * direction"), ("(2 * step)", "2e-3")
        ),
    ),
    "known_hessian": Mutant(
        "the Hessian is known, so no gradient is needed",
        """
def product_by_differences(gradient, weights, direction, step=1e-3):
    return (MATRIX + 3 * np.diag(weights**2)) @ direction
"""
        + TAPES,
        "gradient that was passed",
    ),
    "gradient_itself": Mutant(
        "the outer tape is for show",
        _tapes(
            ("return outer.gradient(slope_along, model.trainable_variables)", "return gradients")
        ),
        "That is the gradient",
    ),
    "no_direction": Mutant(
        "the sum of the gradient, whatever the direction",
        _tapes(("tf.reduce_sum(g * d)", "tf.reduce_sum(g)")),
    ),
    "no_penalty": Mutant(
        "the loss is what was given to compile",
        _tapes(
            ("model.compute_loss(x=x, y=y, y_pred=model(x))", "tf.reduce_mean((model(x) - y) ** 2)")
        ),
        "penalty of the layer is missing",
    ),
    "half_squares": Mutant(
        "a squared error has a half in front",
        _tapes(
            (
                "loss = model.compute_loss(x=x, y=y, y_pred=model(x))",
                "loss = model.compute_loss(x=x, y=y, y_pred=model(x)) / 2",
            )
        ),
        "Half the product",
    ),
    "given_model": Mutant(
        "the model at hand in place of the argument",
        _tapes(
            (
                """    with tf.GradientTape() as outer:
""",
                """    model, x, y = MODEL, X, Y
    with tf.GradientTape() as outer:
""",
            )
        ),
        crashes=True,
    ),
    "last_array": Mutant(
        "the last array stands for all",
        _tapes(
            (
                "return outer.gradient(slope_along, model.trainable_variables)",
                "return outer.gradient(slope_along, model.trainable_variables)[-1:]",
            )
        ),
        "list of arrays like the weights",
    ),
    "unit_tapes": Mutant(
        "only the course of a direction counts, for tapes too",
        _tapes(
            ("zip(gradients, direction))", "zip(gradients, of_length_one(direction)))"),
        )
        + """

def of_length_one(direction):
    length = np.sqrt(sum(np.sum(np.square(d)) for d in direction))
    return [tf.cast(d / length, "float32") for d in direction]
""",
    ),
}

PRODUCTS_RIGHT = {
    "matrix and vector": """
def product_by_differences(gradient, weights, direction, step=1e-3):
    size = np.sqrt(np.sum(np.square(direction)))
    unit = np.asarray(direction) / size
    ahead, behind = (gradient(weights + sign * step * unit) for sign in (1, -1))
    return (ahead - behind) / (2 * step / size)


def product_by_tapes(model, x, y, direction):
    weights = model.trainable_weights
    with tf.GradientTape() as second:
        with tf.GradientTape() as first:
            loss = model.compute_loss(x, y, model(x, training=False))
        slopes = first.gradient(loss, weights)
    directions = [tf.cast(d, "float32") for d in direction]
    return second.gradient(slopes, weights, output_gradients=directions)
""",
    "four points": """
def product_by_differences(gradient, weights, direction, step=1e-3):
    length = np.linalg.norm(direction)
    unit = direction / length
    far = gradient(weights + 2 * step * unit) - gradient(weights - 2 * step * unit)
    near = gradient(weights + step * unit) - gradient(weights - step * unit)
    return length * (8 * near - far) / (12 * step)


def product_by_tapes(model, x, y, direction):
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            loss = model.loss_fn(x, y) if hasattr(model, "loss_fn") else model.compute_loss(
                y=y, y_pred=model(x)
            )
        row = tf.concat(
            [tf.reshape(g, [-1]) for g in inner.gradient(loss, model.trainable_variables)], 0
        )
        along = tf.concat([tf.reshape(tf.cast(d, "float32"), [-1]) for d in direction], 0)
        number = tf.tensordot(row, along, 1)
    return [product.numpy() for product in tape.gradient(number, model.trainable_variables)]
""",
    "forward over backward": """
def product_by_differences(gradient, weights, direction, step=1e-3):
    scale = step / np.linalg.norm(direction)
    change = gradient(weights + scale * direction) - gradient(weights - scale * direction)
    return change / scale / 2


def product_by_tapes(model, x, y, direction):
    weights = [v.value for v in model.trainable_variables]
    tangents = [tf.constant(d, "float32") for d in direction]
    with tf.autodiff.ForwardAccumulator(weights, tangents) as outer:
        with tf.GradientTape() as inner:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x))
        gradients = inner.gradient(loss, weights)
    return outer.jvp(gradients)
""",
}


def _settles(formula):
    return f"def settles_at(rate, beta_1=0.0):\n    return {formula}\n"


SETTLES = {
    "gradient_descent": Mutant("2/η for every optimizer", _settles("2 / rate"), "Momentum moves"),
    "one_over_rate": Mutant("M3: overshooting is divergence", _settles("1 / rate"), "2 / rate"),
    "whole_slope": Mutant(
        "Adam's momentum takes the whole slope", _settles("2 * (1 + beta_1) / rate"), "whole slope"
    ),
    "effective_rate": Mutant(
        "M17: momentum is nothing but a larger rate",
        _settles("2 / ((1 - beta_1) * rate)"),
        "momentum's own 1 + beta",
    ),
    "thirty_eight": Mutant(
        "38 is a constant of nature",
        _settles("38 / rate if beta_1 else 2 / rate"),
        "beta_1 = 0.9 only",
    ),
    "swapped": Mutant(
        "plus and minus have changed places",
        _settles("2 * (1 - beta_1) / ((1 + beta_1) * rate)"),
        "changed places",
    ),
    "upside_down": Mutant(
        "rate and curvature have changed places",
        _settles("(2 + 2 * beta_1) / (1 - beta_1) * rate if beta_1 else 2 / rate"),
        "You multiplied by the rate",
    ),
    "class_numbers": Mutant(
        "the class's beta in place of the argument",
        _settles("(2 + 2 * BETA_1) / ((1 - BETA_1) * rate) if beta_1 else 2 / rate"),
    ),
    "class_rate": Mutant(
        "the class's rate in place of the argument",
        _settles("(2 + 2 * beta_1) / ((1 - beta_1) * RATE)"),
    ),
}
SETTLES_RIGHT = {
    "in 32 bits": """
def settles_at(rate, beta_1=0.0):
    return float(2 * tf.constant(1 + beta_1) / (tf.constant(1 - beta_1) * rate))
""",
    "step by step": """
def settles_at(rate, beta_1=0.0):
    momentum_rate = (1 - beta_1) * rate
    return 2 * (1 + beta_1) / momentum_rate
""",
    "from the roots": """
def settles_at(rate, beta_1=0.0):
    # x+ = x - a (1 - b) L x + b (x - x-): the root -1 means 1 + (1 + b - c) + b = 0
    c = 2 * (1 + beta_1)
    return float(np.divide(c, (1 - beta_1) * rate))
""",
    "from the course": """
from utils.numpy_optimizers import momentum_stability_limit


def settles_at(rate, beta_1=0.0):
    return momentum_stability_limit(1.0, beta_1) / (1 - beta_1) / rate
""",
}

SCALE = """
def scale_rate(rate, batch, new_batch, optimizer, cap=np.inf):
    powers = {"SGD": 1, "Adam": 0.5}
    if optimizer not in powers:
        raise ValueError(f"no rule for {optimizer}")
    return min(rate * (new_batch / batch) ** powers[optimizer], cap)
"""
SCALING = {
    "linear_for_adam": Mutant(
        "M14: the linear rule holds for every optimizer",
        changed(SCALE, ('"Adam": 0.5', '"Adam": 1')),
        "SGD's rule",
    ),
    "root_for_sgd": Mutant(
        "M14: the root holds for every optimizer",
        changed(SCALE, ('"SGD": 1', '"SGD": 0.5')),
        "root is",
    ),
    "divided": Mutant(
        "larger batches take smaller rates",
        changed(SCALE, ("(new_batch / batch)", "(batch / new_batch)")),
        "you divided",
    ),
    "adam_divided": Mutant(
        "larger batches take smaller rates with Adam",
        changed(SCALE, ('"Adam": 0.5', '"Adam": -0.5')),
        "you divided",
    ),
    "adam_unchanged": Mutant(
        "M14: Adam's rate needs no change",
        changed(SCALE, ('"Adam": 0.5', '"Adam": 0')),
        "does change",
    ),
    "unchanged": Mutant(
        "M14: a rate transfers between batch sizes",
        changed(SCALE, ('"SGD": 1', '"SGD": 0')),
        "fewer updates",
    ),
    "added": Mutant(
        "the factor is added",
        changed(
            SCALE,
            (
                "rate * (new_batch / batch) ** powers[optimizer]",
                "rate + (new_batch / batch) ** powers[optimizer]",
            ),
        ),
        "do not add",
    ),
    "no_cap": Mutant(
        "the rule goes on for ever",
        changed(
            SCALE,
            (
                "min(rate * (new_batch / batch) ** powers[optimizer], cap)",
                "rate * (new_batch / batch) ** powers[optimizer]",
            ),
        ),
        "above the cap",
    ),
    "cap_at_least": Mutant(
        "the cap is the least",
        changed(SCALE, ("return min(", "if cap == np.inf:\n        cap = 0\n    return max(")),
        "above the cap",
    ),
    "cap_instead": Mutant(
        "where there is a cap, it is the rate",
        changed(SCALE, ("return min(", "if cap < np.inf:\n        return cap\n    return min(")),
        "not the least",
    ),
    "whole_factors": Mutant(
        "batches only grow",
        changed(SCALE, ("new_batch / batch", "new_batch // batch")),
        "cut it off",
    ),
    "never_smaller": Mutant(
        "a smaller batch keeps the rate",
        changed(SCALE, ("(new_batch / batch)", "max(new_batch / batch, 1)")),
        "takes a smaller rate",
    ),
    "capped_above_only": Mutant(
        "only larger batches need a cap",
        changed(
            SCALE,
            ("    return min(", "    if new_batch < batch:\n        cap = 1\n    return min("),
        ),
        "a low cap",
    ),
    "adam_uncapped": Mutant(
        "the cap is SGD's only",
        changed(SCALE, ("], cap)", "], cap if optimizer == 'SGD' else np.inf)")),
    ),
    "anything_else_is_sgd": Mutant(
        "every other optimizer is a kind of SGD",
        changed(
            SCALE,
            (
                """    if optimizer not in powers:
        raise ValueError(f"no rule for {optimizer}")
""",
                "",
            ),
            ("powers[optimizer]", "powers.get(optimizer, 1)"),
        ),
        "nobody has tried",
    ),
    "nameless_error": Mutant(
        "an error without a reason",
        changed(SCALE, ('f"no rule for {optimizer}"', '"no rule"')),
        "does not name",
    ),
    "class_batch": Mutant(
        "the class's batch in place of the argument",
        changed(SCALE, ("(new_batch / batch)", "(new_batch / BATCH)")),
    ),
}
SCALING_RIGHT = {
    "in 32 bits": """
def scale_rate(rate, batch, new_batch, optimizer, cap=np.inf):
    factor = keras.ops.convert_to_tensor(new_batch / batch)
    if optimizer == "Adam":
        factor = keras.ops.sqrt(factor)
    elif optimizer != "SGD":
        raise ValueError(f"no rule for {optimizer}")
    return keras.ops.minimum(rate * factor, cap)
""",
    "two branches": """
def scale_rate(rate, batch, new_batch, optimizer, cap=np.inf):
    factor = new_batch / batch
    if optimizer == "SGD":
        scaled = rate * factor
    elif optimizer == "Adam":
        scaled = rate * np.sqrt(factor)
    else:
        raise ValueError("SGD or Adam, not " + optimizer)
    return cap if scaled > cap else scaled
""",
    "logarithms": """
def scale_rate(rate, batch, new_batch, optimizer, cap=np.inf):
    slope = {"SGD": 1.0, "Adam": 1 / 2}.get(optimizer)
    if slope is None:
        raise ValueError(f"{optimizer}: unknown")
    log_rate = np.log(rate) + slope * (np.log(new_batch) - np.log(batch))
    return float(np.minimum(np.exp(log_rate), cap))
""",
    "match": """
def scale_rate(rate, batch, new_batch, optimizer, cap=np.inf):
    match optimizer:
        case "SGD":
            power = 1
        case "Adam":
            power = 0.5
        case other:
            raise ValueError(f"{other!r} has no rule")
    return np.clip(rate * np.power(new_batch / batch, power), 0, cap)
""",
}


def _warmed(formula):
    return f"def warmed_up(t, rate, warm_up):\n    t = np.asarray(t)\n    return {formula}\n"


WARMED = {
    "from_zero": Mutant(
        "the first update has the rate 0",
        _warmed("rate * np.minimum(t / max(warm_up, 1), 1)"),
        "nothing would move",
    ),
    "no_end": Mutant(
        "a warm-up never ends", _warmed("rate * (t + 1) / max(warm_up, 1)"), "does not stop rising"
    ),
    "one_late": Mutant(
        "a fence of n sections has n posts",
        _warmed("rate * np.minimum((t + 1) / (warm_up + 1), 1)"),
        "Too late by one",
    ),
    "at_once": Mutant(
        "a warm-up is something for Transformers",
        _warmed("rate * np.ones_like(t, float)"),
        "No warm-up",
    ),
    "bent": Mutant(
        "slowly at first",
        _warmed("rate * np.minimum((t + 1) / max(warm_up, 1), 1) ** 2"),
        "no square",
    ),
    "falls_off": Mutant(
        "after the warm-up there is nothing",
        _warmed("np.where(t < warm_up, rate * (t + 1) / max(warm_up, 1), 0.0)"),
        "falls to 0",
    ),
    "a_share": Mutant(
        "the share in place of the rate",
        _warmed("np.minimum((t + 1) / max(warm_up, 1), 1)"),
        "multiply by the rate",
    ),
    "numbers_only": Mutant(
        "t is always a number",
        """
def warmed_up(t, rate, warm_up):
    return rate * min((t + 1) / max(warm_up, 1), 1)
""",
        crashes=True,
    ),
    "divides_by_zero": Mutant(
        "there is always a warm-up",
        """
def warmed_up(t, rate, warm_up):
    if np.ndim(t):
        return np.array([warmed_up(each, rate, warm_up) for each in t])
    return rate * min((t + 1) / warm_up, 1)
""",
        crashes=True,
    ),
    "none_is_a_number": Mutant(
        "without a warm-up it does not matter what t is",
        """
def warmed_up(t, rate, warm_up):
    if warm_up == 0:
        return rate
    return rate * np.minimum((np.asarray(t) + 1) / warm_up, 1)
""",
        "An array gives an array",
    ),
    "none_is_an_array": Mutant(
        "without a warm-up t is always an array",
        """
def warmed_up(t, rate, warm_up):
    if warm_up == 0:
        return np.full(np.size(t), rate)
    return rate * np.minimum((np.asarray(t) + 1) / warm_up, 1)
""",
    ),
    "none_is_zero": Mutant(
        "no warm-up, no rate",
        _warmed("rate * np.minimum((t + 1) / max(warm_up, 1), 1) * (warm_up > 0)"),
    ),
    "class_rate": Mutant(
        "the class's rate in place of the argument",
        _warmed("RATE * np.minimum((t + 1) / max(warm_up, 1), 1)"),
    ),
    "class_length": Mutant(
        "the class's warm-up in place of the argument",
        _warmed("rate * (np.minimum((t + 1) / WARM_UP, 1) if warm_up else 1.0)"),
    ),
}
WARMED_RIGHT = {
    "in 32 bits": """
def warmed_up(t, rate, warm_up):
    done = keras.ops.cast(t, "float32") + 1
    return rate * keras.ops.minimum(done / max(warm_up, 1), 1.0)
""",
    "where": """
def warmed_up(t, rate, warm_up):
    t = np.asarray(t, dtype=float)
    return np.where(t + 1 < warm_up, rate * (t + 1) / (warm_up or 1), rate)
""",
    "interpolated": """
def warmed_up(t, rate, warm_up):
    if warm_up == 0:
        return rate + 0.0 * np.asarray(t)
    return np.interp(np.asarray(t) + 1, [0, warm_up], [0, rate])
""",
    "one by one": """
def warmed_up(t, rate, warm_up):
    def one(update):
        return rate if update >= warm_up - 1 else rate * (update + 1) / warm_up

    return [one(update) for update in t] if np.ndim(t) else one(t)
""",
}

LEFT = """
def left_over(schedule, updates, weight_decay):
    left = 1.0
    for t in range(updates):
        left = left * (1 - schedule(t) * weight_decay)
    return left
"""
LEFT_OVER = {
    "no_rate": Mutant(
        "M21: the decay does not depend on the rate",
        changed(LEFT, ("schedule(t) * weight_decay", "weight_decay")),
        "rate is missing",
    ),
    "first_rate": Mutant(
        "M21: the decay takes the first rate",
        changed(LEFT, ("schedule(t)", "schedule(0)")),
        "schedule falls",
    ),
    "lost": Mutant(
        "what is lost", changed(LEFT, ("return left", "return 1 - left")), "What is left?"
    ),
    "added_up": Mutant(
        "shares add up",
        changed(
            LEFT, ("left * (1 - schedule(t) * weight_decay)", "left - schedule(t) * weight_decay")
        ),
        "do not add up",
    ),
    "exponential": Mutant(
        "the exponential is exact",
        """
def left_over(schedule, updates, weight_decay):
    return np.exp(-weight_decay * sum(schedule(t) for t in range(updates)))
""",
        "tiny updates",
    ),
    "from_one": Mutant(
        "the first update is number 1",
        changed(LEFT, ("schedule(t)", "schedule(t + 1)")),
        "began at 1",
    ),
    "one_short": Mutant(
        "n updates end at n - 2",
        changed(LEFT, ("range(updates)", "range(updates - 1)")),
        "last update",
    ),
    "mean_rate": Mutant(
        "the mean rate does the same",
        """
def left_over(schedule, updates, weight_decay):
    mean = sum(schedule(t) for t in range(updates)) / max(updates, 1)
    return (1 - mean * weight_decay) ** updates
""",
        "one by one",
    ),
    "all_at_once": Mutant(
        "every schedule takes an array",
        """
def left_over(schedule, updates, weight_decay):
    return np.prod(1 - schedule(np.arange(updates)) * weight_decay)
""",
        "call it for each update",
    ),
    "class_decay": Mutant(
        "the class's decay in place of the argument", changed(LEFT, ("* weight_decay", "* DECAY"))
    ),
    "at_least_one": Mutant(
        "a training has an update", changed(LEFT, ("range(updates)", "range(max(updates, 1))"))
    ),
    "fifty": Mutant(
        "the number of updates of the first test", changed(LEFT, ("range(updates)", "range(50)"))
    ),
}
LEFT_RIGHT = {
    "by AdamW itself": """
def left_over(schedule, updates, weight_decay):
    weight = keras.Variable(1.0)
    adamw = keras.optimizers.AdamW(0.1, weight_decay=weight_decay)
    adamw.build([weight])
    for t in range(updates):
        adamw.learning_rate = schedule(t)
        adamw.apply([keras.ops.zeros(())])
    return float(weight)
""",
    "a product": """
def left_over(schedule, updates, weight_decay):
    return np.prod([1 - weight_decay * schedule(t) for t in range(updates)])
""",
    "logarithms": """
def left_over(schedule, updates, weight_decay):
    return float(np.exp(np.sum([np.log1p(-schedule(t) * weight_decay) for t in range(updates)])))
""",
    "recursion": """
import functools


def left_over(schedule, updates, weight_decay):
    def shrink(weight, t):
        return weight - schedule(t) * weight_decay * weight

    return functools.reduce(shrink, range(updates), 1.0)
""",
}

MUTANTS = {
    "answer_1": PRODUCTS,
    "answer_2": SETTLES,
    "answer_3": SCALING,
    "answer_4": WARMED,
    "answer_5": LEFT_OVER,
}
ALTERNATIVES = {
    "answer_1": PRODUCTS_RIGHT,
    "answer_2": SETTLES_RIGHT,
    "answer_3": SCALING_RIGHT,
    "answer_4": WARMED_RIGHT,
    "answer_5": LEFT_RIGHT,
}
