"""Wrong and right answers to the exercises of lesson 5.

The numbers M4, M7, ... are the misconceptions that the lesson's myths and quiz are built on:
M4 smaller is always safer, M7 the smallest gap between training and validation is best,
M12 take the minimum of the finder's curve or the point just below the rise, M13 finder and
schedule are the same, M18 one run is enough.
"""

from exercises.mutants import Mutant, changed

GRID = "def log_grid(lo, hi, n):\n"
SUGGEST = "def suggest(rates, losses):\n"

RULE = """def choose_lr(results):
    rates = np.asarray(results["learning_rate"])
    accuracy = np.asarray(results["validation"])
    scores = accuracy.mean(axis=1)
    spreads = accuracy.std(axis=1)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    equal = np.flatnonzero(scores > scores.max() - 1e-9)
    winner = equal[np.argmin(spreads[equal])]
    if rates[winner] in (rates.min(), rates.max()):
        raise ValueError("extend the grid")
    return float(rates[winner])
"""

RANGE_TEST = "def lr_range_test(model, x, y, lowest, highest, updates, batch_size=8, memory=0.9):\n"
FINDER = f"""{RANGE_TEST}    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    saved = [(v, v.numpy()) for v in [*model.variables, *optimizer.variables]]
    rates, losses, smoothed, average = np.geomspace(lowest, highest, updates), [], [], 0.0
    for k, rate in enumerate(rates):
        rows = np.arange(k * batch_size, (k + 1) * batch_size) % len(x)
        optimizer.learning_rate = rate
        model.reset_metrics()
        loss = float(model.train_on_batch(x[rows], y[rows]))
        if not np.isfinite(loss):
            break
        average = memory * average + (1 - memory) * loss
        losses.append(loss)
        smoothed.append(average / (1 - memory ** (k + 1)))
        if smoothed[-1] > 4 * min(smoothed):
            break
    for variable, value in saved:
        variable.assign(value)
    return rates[: len(losses)], np.array(losses), np.array(smoothed)
"""


MUTANTS = {
    "answer_1": {
        "linspace": Mutant(
            "equal steps cover the rates evenly",
            GRID + "    return np.linspace(lo, hi, n)\n",
            says="Equal steps",
        ),
        "logspace": Mutant(
            "np.logspace takes the ends themselves",
            GRID + "    return np.logspace(lo, hi, n)\n",
            says="np.logspace wants exponents",
        ),
        "no_end": Mutant(
            "n points have n gaps, as with range",
            GRID + "    factor = (hi / lo) ** (1 / n)\n    return lo * factor ** np.arange(n)\n",
            says="The largest rate is missing",
        ),
        "one_more": Mutant(
            "n counts the gaps",
            GRID + "    return np.geomspace(lo, hi, n + 1)\n",
            says="One rate too many",
        ),
        "exponents": Mutant(
            "forgets to leave the logarithm",
            GRID + "    return np.linspace(np.log10(lo), np.log10(hi), n)\n",
            says="Those are exponents",
        ),
        "tenfold": Mutant(
            "logarithmic means powers of ten",
            GRID + "    return lo * 10.0 ** np.arange(n)\n",
            says="not always 10",
        ),
        "single": Mutant(
            "single precision is precise enough",
            GRID + '    return np.geomspace(lo, hi, n).astype("float32")\n',
            says="32-bit",
        ),
        "whole": Mutant(
            "an array of the type of its first number",
            GRID
            + """    grid = np.array([lo] * n)
    for k in range(n):
        grid[k] = lo * (hi / lo) ** (k / (n - 1))
    return grid
""",
            says="cut to whole numbers",
        ),
        "own_numbers": Mutant(
            "writes the class's numbers into the function",
            GRID + "    return np.geomspace(lowest, highest, points)\n",
            says="Use the arguments",
        ),
    },
    "answer_2": {
        "gap": Mutant(
            "M7: the smallest gap is best",
            changed(
                RULE,
                (
                    "scores = accuracy.mean(axis=1)",
                    'scores = -abs(np.mean(results["train"] - accuracy, axis=1))',
                ),
                ('raise ValueError("extend the grid")', "pass"),
            ),
            says="The smallest gap",
        ),
        "train": Mutant(
            "the best on the training data is the best",
            changed(RULE, ('results["validation"]', 'results["train"]')),
            says="Training accuracy",
        ),
        "test": Mutant(
            "chooses on the test data",
            changed(RULE, ('results["validation"]', 'results["test"]')),
            says="The test data is for the end",
        ),
        "luckiest": Mutant(
            "M18: the best run shows the best rate",
            changed(RULE, ("scores = accuracy.mean(axis=1)", "scores = accuracy.max(axis=1)")),
            says="luckiest single run",
        ),
        "first_seed": Mutant(
            "M18: one run is enough",
            changed(RULE, ("scores = accuracy.mean(axis=1)", "scores = accuracy[:, 0]")),
            says="the first seed only",
        ),
        "place": Mutant(
            "the row's number is the answer",
            changed(RULE, ("return float(rates[winner])", "return int(winner)")),
            says="a row's number",
        ),
        "always_refuses": Mutant(
            "whatever wins cannot be trusted",
            "def choose_lr(results):\n    raise ValueError('more seeds')\n",
            crashes=True,
        ),
        "no_edge": Mutant(
            "the best of the table is the best there is",
            changed(RULE, ('raise ValueError("extend the grid")', "pass")),
            says="Best at the edge (largest",
        ),
        "upper_edge": Mutant(
            "M4: below the smallest rate there is nothing to find",
            changed(RULE, ("in (rates.min(), rates.max())", "== rates.max()")),
            says="Best at the edge (smallest",
        ),
        "first_row": Mutant(
            "the edge is the first or the last row",
            changed(
                RULE,
                ("rates[winner] in (rates.min(), rates.max())", "winner in (0, len(rates) - 1)"),
            ),
            says="not the first row",
        ),
        "cliff_dropped": Mutant(
            "a diverged rate was never tried",
            changed(RULE, ("rates.max()", "rates[np.isfinite(scores)].max()")),
            says="where the cliff is",
        ),
        "survivors": Mutant(
            "a diverged run is a missing value",
            changed(RULE, ("accuracy.mean(axis=1)", "np.nanmean(accuracy, axis=1)")),
            says="not a missing value",
        ),
        "nan_wins": Mutant(
            "argmax knows what to do with nan",
            changed(
                RULE,
                ("scores = np.where(np.isnan(scores), -np.inf, scores)", ""),
                ("winner = equal[np.argmin(spreads[equal])]", "winner = np.argmax(scores)"),
            ),
            says="where the cliff is",
        ),
        "equal_at_the_edge": Mutant(
            "if one of several equals is at the edge, the winner is, too",
            changed(
                RULE,
                (
                    "if rates[winner] in (rates.min(), rates.max())",
                    "if {rates.min(), rates.max()} & set(rates[equal])",
                ),
            ),
            says="then ask if the winner is at the edge",
        ),
        "edge_of_the_first": Mutant(
            "the first of the best says whether the edge has won",
            changed(
                RULE,
                ("if rates[winner] in", "if rates[np.argmax(scores)] in"),
            ),
            says="then ask if the winner is at the edge",
        ),
        "first_of_equals": Mutant(
            "equal means are a matter of luck",
            changed(
                RULE, ("winner = equal[np.argmin(spreads[equal])]", "winner = np.argmax(scores)")
            ),
            says="Equal means",
        ),
        "nearly_equal": Mutant(
            "np.isclose knows what is equal",
            changed(RULE, ("scores > scores.max() - 1e-9", "np.isclose(scores, scores.max())")),
            says="to 1e-9",
        ),
        "exactly_equal": Mutant(
            "computers do not round",
            changed(RULE, ("scores > scores.max() - 1e-9", "scores == scores.max()")),
            says="Equal means",
        ),
        "range": Mutant(
            "the range says how sure a mean is",
            changed(RULE, ("accuracy.std(axis=1)", "np.ptp(accuracy, axis=1)")),
            says="Equal means",
        ),
        "lower_bound": Mutant(
            "there is always a standard error",
            changed(
                RULE,
                (
                    "scores = accuracy.mean(axis=1)\n",
                    "scores = accuracy.mean(axis=1)\n"
                    "    scores = scores - 1e-9 * accuracy.std(axis=1, ddof=1)\n",
                ),
            ),
            says="no standard error",
        ),
    },
    "answer_3": {
        "linear": Mutant(
            "a ramp is a straight line",
            changed(FINDER, ("geomspace", "linspace")),
            says="Equal steps",
        ),
        "tenfold": Mutant(
            "raises the rate tenfold each time, as the article says",
            changed(
                FINDER,
                ("np.geomspace(lowest, highest, updates)", "lowest * 10.0 ** np.arange(updates)"),
            ),
            says="not always ten",
        ),
        "per_epoch": Mutant(
            "M13: a finder is a sweep of epochs",
            changed(
                FINDER,
                (
                    "np.geomspace(lowest, highest, updates)",
                    "np.geomspace(lowest, highest, updates)[::3].repeat(3)[:updates]",
                ),
            ),
            says="not once an epoch",
        ),
        "running_mean": Mutant(
            "the mean that fit shows is the batch's loss",
            changed(
                FINDER,
                ("losses.append(loss)", "losses.append(np.mean(seen))"),
                ("        average =", "        seen.append(loss)\n        average ="),
                ("    for k, rate", "    seen = []\n    for k, rate"),
            ),
            says="A mean of all so far",
        ),
        "own_rate": Mutant(
            "M15: a rate that is recorded is a rate that is used",
            changed(FINDER, ("optimizer.learning_rate = rate", "pass")),
            says="at its own rate",
        ),
        "first_batch": Mutant(
            "one batch is as good as another",
            changed(FINDER, ("np.arange(k * batch_size, (k + 1) * batch_size)", "np.arange(8)")),
            says="the losses should be",
        ),
        "biased": Mutant(
            "a moving average may start from nought",
            changed(FINDER, ("average / (1 - memory ** (k + 1))", "average")),
            says="The first smoothed loss",
        ),
        "memory_swapped": Mutant(
            "memory is the weight of the newest loss",
            changed(
                FINDER,
                (
                    "memory * average + (1 - memory) * loss",
                    "(1 - memory) * average + memory * loss",
                ),
                ("(1 - memory ** (k + 1))", "(1 - (1 - memory) ** (k + 1))"),
            ),
            says="share of the past",
        ),
        "own_batch": Mutant(
            "writes the usual size of a batch into the function",
            changed(
                FINDER,
                ("np.arange(k * batch_size, (k + 1) * batch_size)", "np.arange(8 * k, 8 * k + 8)"),
            ),
            says="not always 8",
        ),
        "own_memory": Mutant(
            "writes the usual memory into the function",
            changed(
                FINDER,
                ("memory * average + (1 - memory) * loss", "0.9 * average + 0.1 * loss"),
                ("(1 - memory ** (k + 1))", "(1 - 0.9 ** (k + 1))"),
            ),
            says="not always 0.9",
        ),
        "trained": Mutant(
            "a finder is the first part of the training",
            changed(FINDER, ("[*model.variables, *optimizer.variables]", "optimizer.variables")),
            says="put its weights back",
        ),
        "weights_only": Mutant(
            "the weights are all there is to put back",
            changed(FINDER, ("[*model.variables, *optimizer.variables]", "model.variables")),
            says="The velocity is left",
        ),
        "rate_left": Mutant(
            "the rate is no state",
            changed(
                FINDER,
                ("*optimizer.variables]", "optimizer.iterations, *optimizer.variables[2:]]"),
            ),
            says="put its own back",
        ),
        "count_left": Mutant(
            "M16: the count of updates does not matter",
            changed(FINDER, ("*optimizer.variables]", "*optimizer.variables[1:]]")),
            says="The count of updates",
        ),
        "new_optimizer": Mutant(
            "M16: compiling again puts the optimizer back",
            changed(
                FINDER,
                ("    return", "    model.compile(type(optimizer)(0.01), 'mse')\n    return"),
            ),
            says="A new optimizer",
        ),
        "unbuilt": Mutant(
            "an optimizer has its variables from the start",
            changed(
                FINDER,
                (
                    "    if not optimizer.built:\n"
                    "        optimizer.build(model.trainable_variables)\n",
                    "",
                ),
            ),
            says="build it first",
        ),
        "through_nan": Mutant(
            "nan is a large number",
            changed(FINDER, ("        if not np.isfinite(loss):\n            break\n", "")),
            says="ends the test",
        ),
        "keeps_nan": Mutant(
            "records the nan",
            changed(
                FINDER,
                ("        if not np.isfinite(loss):\n            break\n", ""),
                ("if smoothed[-1]", "if not np.isfinite(loss) or smoothed[-1]"),
            ),
            says="is not recorded",
        ),
        "leaves_at_nan": Mutant(
            "where a test fails nothing needs to be put back",
            changed(
                FINDER,
                (
                    "            break\n        average",
                    "            return rates[:k], np.array(losses), np.array(smoothed)\n"
                    "        average",
                ),
            ),
            says="After a loss of inf, too",
        ),
        "inf_is_a_number": Mutant(
            "only a nan is not finite",
            changed(FINDER, ("not np.isfinite(loss)", "np.isnan(loss)")),
            says="is not recorded",
        ),
        "leaves_at_explosion": Mutant(
            "what exploded is thrown away, so nothing needs to be put back",
            changed(
                FINDER,
                (
                    "min(smoothed):\n            break",
                    "min(smoothed):\n            return rates[: k + 1], np.array(losses), "
                    "np.array(smoothed)",
                ),
            ),
            says="Where the loss explodes, too",
        ),
        "usual_rate": Mutant(
            "a model's rate is always 0.01",
            changed(
                FINDER,
                ("*optimizer.variables]", "optimizer.iterations, *optimizer.variables[2:]]"),
                ("    return", "    optimizer.learning_rate = 0.01\n    return"),
            ),
            says="put its own back",
        ),
        "all_the_rates": Mutant(
            "the rates are those of the ramp, used or not",
            changed(FINDER, ("rates[: len(losses)]", "rates")),
            says="of the same length",
        ),
        "what_gradients_train": Mutant(
            "only what gradients train is changed by training",
            changed(FINDER, ("*model.variables", "*model.trainable_variables")),
            says="means are weights",
        ),
        "never_stops": Mutant(
            "the ramp is run to its end",
            changed(
                FINDER, ("        if smoothed[-1] > 4 * min(smoothed):\n            break\n", "")
            ),
            says="your test went on",
        ),
        "explosion_lost": Mutant(
            "the loss that exploded is not recorded",
            changed(
                FINDER,
                (
                    "    for variable, value in saved",
                    "    if smoothed[-1] > 4 * min(smoothed):\n"
                    "        losses, smoothed = losses[:-1], smoothed[:-1]\n"
                    "    for variable, value in saved",
                ),
            ),
            says="is recorded, too",
        ),
    },
    "answer_4": {
        "minimum": Mutant(
            "M12: the lowest loss shows the best rate",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    best = rates[np.argmin(losses)]
    return best, rates[np.argmin(np.gradient(losses, np.log(rates)))]
""",
            says="At the minimum",
        ),
        "below_the_rise": Mutant(
            "M12: slightly below the point where the loss rises",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    best = 0.9 * rates[np.argmin(losses)]
    return best, rates[np.argmin(np.gradient(losses, np.log(rates)))]
""",
            says="Just below the rise",
        ),
        "place": Mutant(
            "the place in the array is the rate",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    return np.argmin(losses) / 10, np.argmin(np.gradient(losses, np.log(rates)))
""",
            says="a place in the array",
        ),
        "swapped": Mutant(
            "the order does not matter",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    steepest = rates[np.argmin(np.gradient(losses, np.log(rates)))]
    return steepest, rates[np.argmin(losses)] / 10
""",
            says="First a tenth",
        ),
        "slope_over_rate": Mutant(
            "a slope is a slope, whatever the axis",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    return rates[np.argmin(losses)] / 10, rates[np.argmin(np.gradient(losses, rates))]
""",
            says="over ln η",
        ),
        "any_slope": Mutant(
            "steepest is steepest, up or down",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    slopes = np.abs(np.gradient(losses, np.log(rates)))
    return rates[np.argmin(losses)] / 10, rates[np.argmax(slopes)]
""",
            says="find the fall",
        ),
        "tenth_of_both": Mutant(
            "each recipe needs a tenth",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    slopes = np.gradient(losses, np.log(rates))
    return rates[np.argmin(losses)] / 10, rates[np.argmin(slopes)] / 10
""",
            says="not a tenth of it",
        ),
        "own_curve": Mutant(
            "writes the class's curve into the function",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError
    slopes = np.gradient(curve, np.log(curve_rates))
    return curve_rates[np.argmin(curve)] / 10, curve_rates[np.argmin(slopes)]
""",
            says="Use the arguments",
        ),
        "known_place": Mutant(
            "the text says where it is steepest",
            SUGGEST
            + """    if np.argmin(losses) == 0:
        raise ValueError("it never fell")
    return rates[np.argmin(losses)] / 10, ln_q / (2 * curvature)
""",
            says="in the arguments",
        ),
        "always_suggests": Mutant(
            "M12: a finder always finds",
            SUGGEST
            + """    slopes = np.gradient(losses, np.log(rates))
    return rates[np.argmin(losses)] / 10, rates[np.argmin(slopes)]
""",
            says="nothing to suggest",
        ),
        "first_step": Mutant(
            "a loss that rises at first never falls",
            SUGGEST
            + """    if losses[1] > losses[0]:
        raise ValueError
    slopes = np.gradient(losses, np.log(rates))
    return rates[np.argmin(losses)] / 10, rates[np.argmin(slopes)]
""",
            says="It rose at first",
        ),
        "any_fall": Mutant(
            "M12: where the loss falls at all, there's something to suggest",
            SUGGEST
            + """    if np.all(np.diff(losses) > 0):
        raise ValueError
    slopes = np.gradient(losses, np.log(rates))
    return rates[np.argmin(losses)] / 10, rates[np.argmin(slopes)]
""",
            says="still the smallest",
        ),
    },
}

ALTERNATIVES = {
    "answer_1": {
        "loop": GRID
        + """    grid = [float(lo)]
    for _ in range(n - 1):
        grid.append(grid[-1] * (hi / lo) ** (1 / (n - 1)))
    return grid
""",
        "numpy": GRID + "    return np.geomspace(lo, hi, n)\n",
        "logarithms": GRID + "    return np.exp(np.linspace(np.log(lo), np.log(hi), n))\n",
        "recursive": GRID
        + """    if n == 2:
        return [lo, hi]
    return [lo] + log_grid(lo * (hi / lo) ** (1 / (n - 1)), hi, n - 1)
""",
    },
    "answer_2": {
        "loop": """def choose_lr(results):
    best = None
    for rate, row in zip(results["learning_rate"], results["validation"]):
        mean, spread = sum(row) / len(row), np.var(row)
        if mean != mean:
            continue
        if best is None or mean > best[0] + 1e-9 or (mean > best[0] - 1e-9 and spread < best[1]):
            best = mean, spread, rate
    if best[2] == min(results["learning_rate"]) or best[2] == max(results["learning_rate"]):
        raise ValueError("edge")
    return best[2]
""",
        "sorted": """def choose_lr(results):
    rows = list(zip(results["learning_rate"], results["validation"]))
    rows.sort(key=lambda row: row[0])
    key = lambda row: (round(np.mean(row[1]), 8), -np.std(row[1]))
    kept = [k for k, (_, row) in enumerate(rows) if not np.isnan(row).any()]
    best = max(kept, key=lambda k: key(rows[k]))
    if best == 0 or best == len(rows) - 1:
        raise ValueError("edge")
    return rows[best][0]
""",
        "pandas": """import pandas as pd


def choose_lr(results):
    frame = pd.DataFrame(np.array(results["validation"]), index=results["learning_rate"])
    table = pd.DataFrame({"mean": frame.mean(axis=1, skipna=False).round(9),
                          "error": frame.sem(axis=1).fillna(0)}).dropna()
    best = table.sort_values(["mean", "error"], ascending=[False, True]).index[0]
    if best in (frame.index.min(), frame.index.max()):
        raise ValueError("edge")
    return best
""",
    },
    "answer_3": {
        "rates_read_back": changed(
            FINDER,
            ("= rate\n", "= rate\n        rates[k] = float(optimizer.learning_rate)\n"),
        ),
        "by_parts": RANGE_TEST
        + """    optimizer, losses, smoothed = model.optimizer, [], []
    optimizer.build(model.trainable_variables)
    weights = model.get_weights()
    state = [variable.numpy() for variable in optimizer.variables]
    factor = (highest / lowest) ** (1 / (updates - 1))
    rates = [lowest * factor**k for k in range(updates)]
    for k in range(updates):
        rows = [row % len(x) for row in range(k * batch_size, (k + 1) * batch_size)]
        optimizer.learning_rate.assign(rates[k])
        model.reset_metrics()
        loss = model.train_on_batch(x[rows], y[rows])
        if np.isnan(loss) or np.isinf(loss):
            break
        losses.append(loss)
        powers = memory ** np.arange(len(losses))[::-1]
        smoothed.append(np.sum(powers * losses) / np.sum(powers))
        if smoothed[-1] > 4 * min(smoothed):
            break
    model.set_weights(weights)
    for variable, value in zip(optimizer.variables, state):
        variable.assign(value)
    return rates[: len(losses)], losses, smoothed
""",
        "finally": """import itertools


def lr_range_test(model, x, y, lowest, highest, updates, batch_size=8, memory=0.9):
    model.optimizer.build(model.trainable_variables)
    everything = model.variables + model.optimizer.variables
    values = [keras.ops.copy(variable.value) for variable in everything]
    try:
        rates = np.geomspace(lowest, highest, updates)
        record = list(_record(model, x, y, rates, batch_size, memory))
    finally:
        for variable, value in zip(everything, values):
            variable.assign(value)
    return tuple(np.array(column) for column in zip(*record))


def _record(model, x, y, rates, size, memory):
    rows, total, weight, best = itertools.cycle(range(len(x))), 0.0, 0.0, np.inf
    for rate in rates:
        batch = list(itertools.islice(rows, size))
        model.optimizer.learning_rate = float(rate)
        model.reset_metrics()
        loss = float(model.train_on_batch(x[batch], y[batch]))
        if loss - loss != 0:
            return
        total, weight = memory * total + loss, memory * weight + 1
        best = min(best, total / weight)
        yield rate, loss, total / weight
        if total / weight > 4 * best:
            return
""",
        "tape": """import tensorflow as tf

from lrsweep import RangeTest


def moving_average(losses, memory):
    return RangeTest(np.arange(1.0, len(losses) + 1), losses, memory=memory).smoothed


def lr_range_test(model, x, y, lowest, highest, updates, batch_size=8, memory=0.9):
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    kept = [v.numpy() for v in model.weights + model.optimizer.variables]
    rates, losses = np.geomspace(lowest, highest, updates), []
    for k, rate in enumerate(rates):
        rows = np.arange(k * batch_size, (k + 1) * batch_size) % len(x)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x[rows]) - y[rows]) ** 2)
        if not np.isfinite(loss):
            break
        model.optimizer.learning_rate = rate
        gradients = tape.gradient(loss, model.trainable_weights)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights))
        losses.append(float(loss))
        average = moving_average(losses, memory)
        if average[-1] > 4 * average.min():
            break
    for variable, value in zip(model.weights + model.optimizer.variables, kept):
        variable.assign(value)
    return rates[: len(losses)], losses, moving_average(losses, memory) if losses else []
""",
    },
    "answer_4": {
        "in_32_bits": SUGGEST
        + """    rates, losses = np.float32(rates), np.float32(losses)
    if losses.argmin() == 0:
        raise ValueError("the loss never falls")
    slopes = np.gradient(losses, np.log(rates))
    return rates[losses.argmin()] / 10, rates[slopes.argmin()]
""",
        "loop": SUGGEST
        + """    best, fall, steepest = 0, 0.0, None
    for k in range(1, len(rates)):
        if losses[k] < losses[best]:
            best = k
        slope = (losses[k] - losses[k - 1]) / np.log(rates[k] / rates[k - 1])
        if slope < fall:
            fall, steepest = slope, (rates[k] * rates[k - 1]) ** 0.5
    if best == 0:
        raise ValueError("the loss never falls")
    return rates[best] / 10, steepest
""",
        "chain_rule": SUGGEST
        + """    if min(losses) == losses[0]:
        raise ValueError("the loss never falls")
    slopes = rates * np.gradient(losses, rates)
    return [0.1 * rates[losses.argmin()], rates[slopes.argmin()]]
""",
        "sorting": SUGGEST
        + """    order = sorted(range(len(losses)), key=lambda k: losses[k])
    if order[0] == 0:
        raise ValueError("the loss never falls")
    drops = np.diff(losses) / np.diff(np.log10(rates))
    return np.array([rates[order[0]] / 10, rates[np.argsort(drops)[0]]])
""",
    },
}
