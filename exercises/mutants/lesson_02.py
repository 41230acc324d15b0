"""Wrong and right answers to the exercises of lesson 2.

The numbers M1, M2, ... are the misconceptions that the lessons' myths and quizzes are built on:
M1 a learning rate lies in a fixed range, M2 the learning rate is the size of the step,
M3 overshooting is diverging, M5 a small learning rate gets stuck in a poor minimum.
"""

from exercises.mutants import Mutant, changed

UPDATE = "def sgd_update(weights, gradients, learning_rate):\n"
POWER = "def power_iteration(hessian_product, size, iterations, seed):\n"
LIMIT = "def predict_limit(x, intercept=True):\n"
SETTLES = "def settles_at(positions, losses, sharpness, learning_rate):\n"


def _update(value):
    """Return sgd_update with this as the new array of each name."""
    return f"{UPDATE}    slope = gradients(weights)\n    return {{it: {value} for it in weights}}\n"


def _power(
    start="np.random.default_rng(seed).normal(size=size)",
    times="iterations",
    divide="direction / np.linalg.norm(direction)",
    multiply="hessian_product(direction)",
    end="np.linalg.norm(direction)",
):
    """Return power_iteration with one of its parts changed."""
    return f"""{POWER}    direction = {start}
    for _ in range({times}):
        direction = {divide}
        direction = {multiply}
    return {end}
"""


def _limit(before="", hessian="2 / len(x) * x.T @ x", pick="[-1]", end="2 / largest"):
    """Return predict_limit with one of its parts changed."""
    return f"""{LIMIT}    {before or "x = np.array(x)"}
    if intercept:
        x = np.column_stack([x, np.ones(len(x))])
    largest = np.linalg.eigvalsh({hessian}){pick}
    return {end}
"""


def _settles(condition):
    """Return settles_at with this condition for a position p, loss f and sharpness s."""
    return f"""{SETTLES}    points = zip(positions, losses, sharpness)
    return [p for p, f, s in points if {condition}]
"""


MUTANTS = {
    "answer_1": {
        "uphill": Mutant(
            "adds the gradient", _update("weights[it] + learning_rate * slope[it]"), says="uphill"
        ),
        "step_alone": Mutant(
            "the step is the new weight",
            _update("-learning_rate * slope[it]"),
            says="the step alone",
        ),
        "step_is_the_rate": Mutant(
            "M2: the learning rate is the size of the step",
            _update("weights[it] - learning_rate * np.sign(slope[it])"),
            says="η is not the step",
        ),
        "backpropagation_did_it": Mutant(
            "backpropagation has updated the weights already",
            UPDATE
            + "    gradients(weights)\n    return {it: weights[it].copy() for it in weights}\n",
            says="It stayed where it was",
        ),
        "one_after_the_other": Mutant(
            "the bias's slope is taken after the kernel has moved",
            UPDATE
            + """    new = dict(weights)
    for it in weights:
        new[it] = new[it] - learning_rate * gradients(new)[it]
    return new
""",
            says="not to half-updated ones",
        ),
        "broadcast_bias": Mutant(
            "one gradient serves all arrays",
            _update("weights[it] - learning_rate * next(iter(slope.values()))"),
            says="The bias has a gradient of its own",
        ),
        "in_place": Mutant(
            "-= makes a new array",
            UPDATE
            + """    slope = gradients(weights)
    new = {it: weights[it] + 0 for it in weights}
    for it in weights:
        step = learning_rate * slope[it]
        weights[it] -= step
        new[it] = weights[it].copy()
    return new
""",
            says="changed its caller's weights",
        ),
        "shallow_copy": Mutant(
            "copying the dictionary copies its arrays",
            UPDATE
            + """    slope, new = gradients(weights), weights.copy()
    steps = {it: learning_rate * slope[it] for it in weights}
    for it in new:
        new[it] -= steps[it]
    return new
""",
            says="changed its caller's weights",
        ),
        "fixed_names": Mutant(
            "a model has a kernel and a bias",
            UPDATE
            + """    slope = gradients(weights)
    names = [it for it in ("kernel", "bias") if it in weights]
    return {it: weights[it] - learning_rate * slope[it] for it in names}
""",
            says="whatever its name",
        ),
        "flattened": Mutant(
            "weights are one long row",
            _update("np.ravel(weights[it]) - learning_rate * np.ravel(slope[it])"),
            says="Every array keeps its shape",
        ),
        "class_rate": Mutant(
            "uses the notebook's learning rate instead of the argument",
            _update("weights[it] - rate * slope[it]"),
            says="not the class's η",
        ),
        "averaged": Mutant(
            "one number says how steep it is",
            _update("weights[it] - learning_rate * np.mean(slope[it])"),
            says="Each weight has a slope of its own",
        ),
    },
    "answer_2": {
        "smallest": Mutant(
            "the slowest direction is meant",
            POWER
            + """    hessian = np.array([hessian_product(row) for row in np.eye(size)])
    return np.linalg.eigvalsh(hessian)[0]
""",
            says="That is μ",
        ),
        "never_divided": Mutant(
            "‖Hv‖ without normalising", _power(divide="direction"), says="yours grew all the way"
        ),
        "one_product": Mutant(
            "the length of one product is the curvature",
            _power(times="1"),
            says="One product is not enough",
        ),
        "average_growth": Mutant(
            "the average growth is the curvature",
            POWER
            + """    direction = first = np.random.default_rng(seed).normal(size=size)
    for _ in range(iterations):
        direction = hessian_product(direction)
    growth = np.linalg.norm(direction) / np.linalg.norm(first)
    return growth ** (1 / iterations)
""",
            says="Only the last growth counts",
        ),
        "length_after_dividing": Mutant(
            "the direction's length is the curvature, divided or not",
            _power(end="np.linalg.norm(direction / np.linalg.norm(direction))"),
            says="a length after dividing",
        ),
        "average_curvature": Mutant(
            "the average curvature decides",
            POWER
            + """    rows = np.eye(size)
    return sum(row @ hessian_product(row) for row in rows) / size
""",
            says="the average of the curvatures",
        ),
        "starts_at_ones": Mutant(
            "any start will do: ones", _power(start="np.ones(size)"), says="start at random"
        ),
        "starts_on_an_axis": Mutant(
            "any start will do: the first axis",
            _power(start="np.eye(size)[0]"),
            says="start at random",
        ),
        "builds_the_hessian": Mutant(
            "without the whole Hessian one cannot know",
            POWER
            + """    hessian = np.array([hessian_product(row) for row in np.eye(size)])
    return np.linalg.eigvalsh(hessian)[-1]
""",
            says="Too many products",
        ),
        "few_iterations": Mutant(
            "30 products are always enough",
            _power(times="min(iterations, 30)"),
            says="the larger of two close curvatures",
        ),
        "rounded": Mutant(
            "rounding makes up for too few products",
            _power(times="min(iterations, 30)", end="round(np.linalg.norm(direction), 2)"),
            says="the larger of two close curvatures",
        ),
    },
    "answer_3": {
        "half_mse": Mutant(
            "½-mse: the factor 2 is missing",
            _limit(hessian="x.T @ x / len(x)"),
            says="Keras's mse has no ½",
        ),
        "sum_of_squares": Mutant(
            "the loss is a sum: 1/n is missing",
            _limit(hessian="2 * x.T @ x"),
            says="442 times too small",
        ),
        "one_over": Mutant(
            "M3: the limit is where overshooting starts",
            _limit(end="1 / largest"),
            says="the limit is 2/L",
        ),
        "flattest": Mutant(
            "the direction that makes us wait decides", _limit(pick="[0]"), says="not the flattest"
        ),
        "first": Mutant(
            "eigenvalues come largest first",
            changed(_limit(pick="[0]"), ("eigvalsh", "eigvals")),
            says="need not be the first",
        ),
        "average": Mutant(
            "the average curvature decides", _limit(pick=".mean()"), says="not the average one"
        ),
        "standardises": Mutant(
            "inputs are always standardised",
            _limit(before="x = (x - x.mean(axis=0)) / x.std(axis=0)"),
            says="x is taken as it is",
        ),
        "always_a_bias": Mutant(
            "every model has a bias",
            _limit(before="intercept = True"),
            says="1 is right only with a bias",
        ),
        "capped_at_one": Mutant(
            "M1: a learning rate is at most 1",
            _limit(end="min(1, 2 / largest)"),
            says="Nothing else stops a learning rate there",
        ),
        "no_column_of_ones": Mutant(
            "the bias has no curvature",
            _limit(before="intercept = False"),
            says="The bias is missing",
        ),
        "bias_apart": Mutant(
            "the bias is a problem of its own, with curvature 2",
            LIMIT
            + """    largest = np.linalg.eigvalsh(2 / len(x) * x.T @ x)[-1]
    return 2 / (max(2, largest) if intercept else largest)
""",
            says="The bias mixes with the other columns",
        ),
        "centres": Mutant(
            "the mean of a column does not matter",
            _limit(before="x = x - x.mean(axis=0)"),
            says="Do not centre the columns",
        ),
        "at_least_a_habit": Mutant(
            "M1: nobody uses less than 0.0001",
            _limit(end="max(1e-4, 2 / largest)"),
            says="no smallest sensible learning rate",
        ),
        "memorised": Mutant(
            "the limits are known numbers",
            LIMIT
            + """    known = {442: 1.0 if intercept else 109.8352, 178: 1.50186e-6}
    return known.get(len(x), 0.0160384)
""",
            says="the limit of your 60 flowers",
        ),
    },
    "answer_4": {
        "lowest": Mutant(
            "M5: a good learning rate finds the lowest minimum",
            _settles("f == min(losses)"),
            says="How low a minimum lies does not matter",
        ),
        "one_over": Mutant(
            "M3: the limit is 1/sharpness",
            _settles("0 < s < 1 / learning_rate"),
            says="2/η, not 1/η",
        ),
        "upside_down": Mutant(
            "a large learning rate needs a sharp minimum",
            _settles("s > 2 / learning_rate"),
            says="Upside down",
        ),
        "flattest": Mutant(
            "gradient descent looks for the flattest minimum",
            _settles("s == min(t for t in sharpness if t > 0)"),
            says="not only the flattest",
        ),
        "all": Mutant(
            "M5: gradient descent stays in any minimum",
            _settles("s > 0"),
            says="some are too sharp",
        ),
        "rate_does_not_matter": Mutant(
            "flat means a curvature below a fixed number",
            _settles("0 < s < 2"),
            says="depends on η",
        ),
        "hilltops": Mutant(
            "a slope of zero is a minimum",
            _settles("s < 2 / learning_rate"),
            says="that is a hilltop",
        ),
        "size_of_the_curvature": Mutant(
            "only the size of the curvature counts",
            _settles("abs(s) < 2 / learning_rate"),
            says="that is a hilltop",
        ),
        "always_somewhere": Mutant(
            "every run ends somewhere",
            SETTLES
            + """    points = sorted(zip(sharpness, positions))
    valleys = [(s, p) for s, p in points if s > 0]
    found = [p for s, p in valleys if s < 2 / learning_rate]
    return sorted(found) or [valleys[0][1]]
""",
            says="There need not be any place",
        ),
    },
}

ALTERNATIVES = {
    "answer_1": {
        "loop": UPDATE
        + """    slope, new = gradients(weights), {}
    for name, array in weights.items():
        new[name] = array - learning_rate * slope[name]
    return new
""",
        "copy_then_change": "from copy import deepcopy\n\n\n"
        + UPDATE
        + """    slope, new = gradients(weights), deepcopy(weights)
    for name in new:
        new[name] -= learning_rate * slope[name]
    return new
""",
        "functional": UPDATE
        + """    slope = gradients(weights)
    arrays = map(lambda it: np.subtract(weights[it], learning_rate * slope[it]), weights)
    return dict(zip(weights, arrays))
""",
    },
    "answer_2": {
        "rayleigh": POWER
        + """    direction = np.random.default_rng(seed).normal(size=size)
    for _ in range(iterations):
        direction = hessian_product(direction)
        direction = direction / np.sqrt(direction @ direction)
    return float(direction @ hessian_product(direction))
""",
        "recursive": POWER
        + """    def turn(direction, left):
        product = hessian_product(direction / np.linalg.norm(direction))
        return np.linalg.norm(product) if left == 1 else turn(product, left - 1)

    return turn(np.random.default_rng(seed).normal(size=size), iterations)
""",
        "ratio_of_lengths": POWER
        + """    direction, growth = np.random.default_rng(seed).uniform(0.1, 1, size), 0
    for _ in range(iterations):
        product = hessian_product(direction)
        growth = np.linalg.norm(product) / np.linalg.norm(direction)
        direction = product / max(abs(product))
    return growth
""",
        "library": "from utils import descent\n\n\n"
        + POWER
        + """    return descent.largest_curvature(
        hessian_product, size, iterations=iterations, seed=seed, tolerance=1e-15
    )
""",
    },
    "answer_3": {
        "singular_value": LIMIT
        + """    inputs = np.hstack([x, np.ones((len(x), 1))]) if intercept else x
    return len(x) / np.linalg.norm(inputs, 2) ** 2
""",
        "power_iteration": LIMIT
        + """    inputs = np.c_[x, np.ones(len(x))] if intercept else x
    largest = power_iteration(
        lambda v: 2 / len(x) * inputs.T @ (inputs @ v), inputs.shape[1], 5000, 0
    )
    return 2 / largest
""",
        "loop": LIMIT
        + """    rows = [np.append(row, 1.0) if intercept else row for row in x]
    hessian = sum(2 / len(rows) * np.outer(row, row) for row in rows)
    return 2 / max(np.linalg.eigvals(hessian).real)
""",
        "library": "from utils import descent\n\n\n"
        + LIMIT
        + """    hessian = descent.mse_hessian(x, intercept)
    return descent.stability_limit(np.linalg.eigvalsh(hessian).max())
""",
    },
    "answer_4": {
        "loop": SETTLES
        + """    found = []
    for position, curvature in zip(positions, sharpness):
        if curvature > 0 and abs(1 - learning_rate * curvature) < 1:
            found.append(position)
    return found
""",
        "vectorised": SETTLES
        + """    sharpness = np.asarray(sharpness)
    return np.asarray(positions)[(sharpness > 0) & (sharpness * learning_rate < 2)]
""",
        "recursive": SETTLES
        + """    if len(positions) == 0:
        return []
    here = [positions[0]] if 0 < sharpness[0] < 2 / learning_rate else []
    return here + settles_at(positions[1:], losses[1:], sharpness[1:], learning_rate)
""",
    },
}
