"""Wrong and right answers to the exercises of lesson 1.

The numbers M1, M2, ... are the misconceptions that the lesson's myths and quiz are built on:
M1 a learning rate lies between 0 and 1, M2 the learning rate is the size of the step,
M3 overshooting is diverging, M4 a small learning rate is always safe.
"""

from exercises.mutants import Mutant, changed

GD = "def gd_1d(gradient, start, learning_rate, steps):\n"
REGIME = "def regime(learning_rate, curvature):\n"
LIMIT = "def max_stable_lr(curvature, factor=1):\n"
STEPS = "import math\n\n\ndef steps_to(tolerance, learning_rate, curvature, start):\n"


def _descend(line):
    """Return gd_1d with this line as the body of its loop."""
    return f"{GD}    path = [start]\n    for _ in range(steps):\n        {line}\n    return path\n"


def _regime(before, one="abs(p - 1) < 1e-9", two="abs(p - 2) < 1e-9", end="diverges", low=1):
    """Return regime with something put before its ladder, or with one of its rungs changed."""
    return f"""{REGIME}    p = learning_rate * curvature
    {before}
    if {one}:
        return "lands in one step"
    if {two}:
        return "bounces forever"
    if p < {low}:
        return "approaches"
    return "overshoots and converges" if p < 2 else "{end}"
"""


def _count(line, before="distance, factor = abs(start), abs(1 - learning_rate * curvature)"):
    """Return steps_to by the formula, with all edges taken care of and this as its last line."""
    return f"""{STEPS}    {before}
    if distance <= tolerance:
        return 0
    if factor >= 1:
        return math.inf
    if factor == 0:
        return 1
    {line}
"""


DESCENT = _descend("path.append(path[-1] - learning_rate * gradient(path[-1]))")
COUNT = _count("return math.ceil(math.log(tolerance / distance) / math.log(factor))")

MUTANTS = {
    "answer_1": {
        "uphill": Mutant(
            "adds the gradient",
            _descend("path.append(path[-1] + learning_rate * gradient(path[-1]))"),
            says="uphill",
        ),
        "no_start": Mutant(
            "steps updates give steps points",
            GD
            + """    path = []
    for _ in range(steps):
        start = start - learning_rate * gradient(start)
        path.append(start)
    return path
""",
            says="The start belongs to the path",
        ),
        "one_too_many": Mutant(
            "steps + 1 points need steps + 1 updates",
            changed(DESCENT, ("range(steps)", "range(steps + 1)")),
            says="One update too many",
        ),
        "end_only": Mutant(
            "only the end of a run matters",
            GD
            + """    for _ in range(steps):
        start = start - learning_rate * gradient(start)
    return start
""",
            says="only where it ends",
        ),
        "gradient_of_the_new_point": Mutant(
            "uses the updated x inside the gradient again",
            _descend(
                "x = path[-1] - learning_rate * gradient(path[-1])\n"
                "        path.append(path[-1] - learning_rate * gradient(x))"
            ),
            says="not one update ahead",
        ),
        "gradient_of_the_start": Mutant(
            "backpropagation happens once",
            _descend("path.append(path[-1] - learning_rate * gradient(start))"),
            says="Ask for the slope at the newest point",
        ),
        "step_is_the_rate": Mutant(
            "M2: the learning rate is the size of the step",
            "import numpy as np\n\n\n"
            + _descend("path.append(path[-1] - learning_rate * np.sign(gradient(path[-1])))"),
            says="η is not the step",
        ),
        "whole_numbers": Mutant(
            "a position is a whole number",
            _descend("path.append(int(path[-1] - learning_rate * gradient(path[-1])))"),
            says="cut to whole numbers",
        ),
        "whole_array": Mutant(
            "np.full makes room for fractions",
            "import numpy as np\n\n\n"
            + GD
            + """    path = np.full((steps + 1, *np.shape(start)), start)
    for i in range(steps):
        path[i + 1] = path[i] - learning_rate * gradient(path[i])
    return path
""",
            says="holds whole numbers only",
        ),
        "class_numbers": Mutant(
            "uses the notebook's variables instead of the arguments",
            _descend("path.append(path[-1] - rate * curvature * path[-1])"),
            says="not the class's numbers",
        ),
        "same_array": Mutant(
            "-= makes a new array",
            GD
            + """    x = start
    path = [x]
    for _ in range(steps):
        x -= learning_rate * gradient(x)
        path.append(x)
    return path
""",
            says="All points are the same array",
        ),
        "changes_its_input": Mutant(
            "what a function does to its arguments stays inside",
            "import numpy as np\n\n\n"
            + GD
            + """    path = [np.array(start)]
    for _ in range(steps):
        start -= learning_rate * gradient(start)
        path.append(np.array(start))
    return path
""",
            says="changed its caller's array",
        ),
        "zero_is_missing": Mutant(
            "a learning rate of 0 means the default",
            _descend("path.append(path[-1] - (learning_rate or 0.01) * gradient(path[-1]))"),
            says="With η = 0 nothing moves",
        ),
        "at_least_one": Mutant(
            "a run makes at least one update",
            changed(DESCENT, ("range(steps)", "range(max(steps, 1))")),
            says="0 updates give 1 point",
        ),
    },
    "answer_2": {
        "overshooting_diverges": Mutant(
            "M3: the limit is 1/λ",
            _regime('if 1 + 1e-9 < p < 2 - 1e-9:\n        return "diverges"'),
            says="Overshooting is not diverging",
        ),
        "one_is_the_limit": Mutant(
            "M1: a learning rate above 1 is too large",
            _regime('if learning_rate > 1:\n        return "diverges"'),
            says="An η above 1 is not too large in itself",
        ),
        "small_is_safe": Mutant(
            "M4: a learning rate below 1 is always safe",
            _regime('if 0 < learning_rate < 1:\n        return "approaches"'),
            says="An η below 1 is not safe in itself",
        ),
        "forgets_the_sign": Mutant(
            "what gets smaller comes from one side",
            _regime('if 1 + 1e-9 < p < 2 - 1e-9:\n        return "approaches"'),
            says="changes sides",
        ),
        "twice_the_curvature": Mutant(
            "the gradient of λx²/2 is 2λx",
            _regime('p = 2 * p\n    if p < 0:\n        return "ascent"'),
            says="The gradient of λx²/2 is λx",
        ),
        "negative_approaches": Mutant(
            "whatever is below 1 approaches",
            _regime("p = 1 * p"),
            says="it does not approach",
        ),
        "negative_diverges": Mutant(
            "running away has one word",
            _regime('if p < 0:\n        return "diverges"'),
            says="has a word of its own",
        ),
        "exact_comparison": Mutant(
            "computers do not round",
            _regime('if p < 0:\n        return "ascent"', one="p == 1", two="p == 2"),
            says="Computers round",
        ),
        "exact_landing": Mutant(
            "only bouncing needs a tolerance",
            _regime('if p < 0:\n        return "ascent"', one="p == 1"),
            says="Computers round",
        ),
        "exact_bounce": Mutant(
            "only landing needs a tolerance",
            _regime('if p < 0:\n        return "ascent"', two="p == 2"),
            says="Computers round",
        ),
        "wide_tolerance": Mutant(
            "about 1 is 1",
            _regime('if p < 0:\n        return "ascent"', one="abs(p - 1) < 0.001"),
            says="tolerance is too wide",
        ),
        "six_decimals": Mutant(
            "six decimals are enough",
            _regime('if p < 0:\n        return "ascent"', one="round(p, 6) == 1"),
            says="tolerance is too wide",
        ),
        "six_decimals_of_two": Mutant(
            "six decimals are enough at the limit",
            _regime('if p < 0:\n        return "ascent"', two="round(p, 6) == 2"),
            says="tolerance is too wide",
        ),
        "numpys_tolerance": Mutant(
            "what np.isclose calls close is within 1e-9",
            _regime(
                'import numpy as np\n\n    if p < 0:\n        return "ascent"',
                one="np.isclose(p, 1)",
                two="np.isclose(p, 2)",
            ),
            says="tolerance is too wide",
        ),
        "no_bounce": Mutant(
            "at the limit a run diverges",
            _regime('if p < 0:\n        return "ascent"', two="False"),
            says="just as far away",
        ),
        "never_diverges": Mutant(
            "gradient descent always gets there in the end",
            _regime('if p < 0:\n        return "ascent"', end="overshoots and converges"),
            says="lands farther out",
        ),
    },
    "answer_3": {
        "one_over": Mutant(
            "M3: the limit is where overshooting starts",
            LIMIT + "    return 1 / (factor * curvature)\n",
            says="still converges",
        ),
        "capped_at_one": Mutant(
            "M1: a learning rate is at most 1",
            LIMIT + "    return min(1, 2 / (factor * curvature))\n",
            says="Nothing stops a learning rate at 1",
        ),
        "upside_down": Mutant(
            "a curved loss bears a large learning rate",
            LIMIT + "    return factor * curvature / 2\n",
            says="Upside down",
        ),
        "habit": Mutant(
            "M1: the usual range is a law",
            LIMIT + "    return 0.01\n",
            says="a habit",
        ),
        "class_curvature": Mutant(
            "uses the notebook's curvature instead of the argument",
            "class_curvature = curvature\n\n\n"
            + LIMIT
            + "    return 2 / (factor * class_curvature)\n",
            says="the λ that was passed",
        ),
        "unitless": Mutant(
            "a learning rate has no unit",
            LIMIT + "    return 2 / curvature\n",
            says="the limit must change",
        ),
        "wrong_way": Mutant(
            "a larger loss bears a larger learning rate",
            LIMIT + "    return 2 * factor / curvature\n",
            says="The wrong way round",
        ),
        "in_cents": Mutant(
            "a factor means cents",
            LIMIT + "    return 2 / curvature if factor == 1 else 2 / (100 * curvature)\n",
            says="not always 100",
        ),
    },
    "answer_4": {
        "diverges_first": Mutant(
            "a rate that diverges never arrives, wherever it starts",
            STEPS
            + """    distance, factor = abs(start), abs(1 - learning_rate * curvature)
    if factor >= 1:
        return math.inf
    count = 0
    while distance > tolerance:
        distance, count = factor * distance, count + 1
    return count
""",
            says="at any rate",
        ),
        "ten_thousand": Mutant(
            "what takes more than 10 000 updates never arrives",
            STEPS
            + """    distance, factor = abs(start), abs(1 - learning_rate * curvature)
    for count in range(10_001):
        if distance <= tolerance:
            return count
        distance = factor * distance
    return math.inf
""",
            says="Tens of thousands",
        ),
        "bare_formula": Mutant(
            "the formula is the answer, edges and all",
            STEPS
            + """    factor = abs(1 - learning_rate * curvature)
    return math.ceil(math.log(tolerance / abs(start)) / math.log(factor))
""",
            says="A run that diverges never arrives",
        ),
        "half_the_edges": Mutant(
            "once it arrives, the formula holds",
            STEPS
            + """    factor = abs(1 - learning_rate * curvature)
    if factor >= 1:
        return math.inf
    if factor == 0:
        return 1
    return math.ceil(math.log(tolerance / abs(start)) / math.log(factor))
""",
            says="Close enough from the start",
        ),
        "strictly_below": Mutant(
            "close enough means closer than the tolerance",
            STEPS
            + """    distance, factor, count = abs(start), abs(1 - learning_rate * curvature), 0
    if factor >= 1 and distance > tolerance:
        return math.inf
    while distance >= tolerance:
        distance, count = factor * distance, count + 1
    return count
""",
            says="At the tolerance is close enough",
        ),
        "gives_up": Mutant(
            "what takes more than 100 updates never arrives",
            STEPS
            + """    distance, factor = abs(start), abs(1 - learning_rate * curvature)
    for count in range(101):
        if distance <= tolerance:
            return count
        distance = factor * distance
    return math.inf
""",
            says="A slow run arrives, too",
        ),
        "gives_up_late": Mutant(
            "what takes more than 1000 updates never arrives",
            STEPS
            + """    distance, factor = abs(start), abs(1 - learning_rate * curvature)
    for count in range(1001):
        if distance <= tolerance:
            return count
        distance = factor * distance
    return math.inf
""",
            says="A slow run arrives, too",
        ),
        "recursive": Mutant(
            "a function may call itself as often as a run has updates",
            STEPS
            + """    if abs(start) <= tolerance:
        return 0
    if not 0 < learning_rate * curvature < 2:
        return math.inf
    then = (1 - learning_rate * curvature) * start
    return 1 + steps_to(tolerance, learning_rate, curvature, then)
""",
            crashes=True,
        ),
        "rounded_down": Mutant(
            "off by one: rounds down",
            _count("return int(math.log(tolerance / distance) / math.log(factor))"),
            says="Rounded down",
        ),
        "one_too_many": Mutant(
            "off by one: counts the start as an update",
            _count("return math.ceil(math.log(tolerance / distance) / math.log(factor)) + 1"),
            says="One too many",
        ),
        "fraction": Mutant(
            "the solution of the equation is the answer",
            _count("return math.log(tolerance / distance) / math.log(factor)"),
            says="A fraction of an update",
        ),
        "from_one": Mutant(
            "every run starts at 1",
            _count("return math.ceil(math.log(tolerance) / math.log(factor))"),
            says="not from 1",
        ),
        "signed_start": Mutant(
            "a negative x is small",
            _count(
                "return math.ceil(math.log(tolerance / distance) / math.log(factor))",
                before="distance, factor = start, abs(1 - learning_rate * curvature)",
            ),
            says="as far away as one on the right",
        ),
        "other_side_is_there": Mutant(
            "M3: passing the minimum ends the run",
            STEPS
            + """    if abs(start) <= tolerance:
        return 0
    if abs(1 - learning_rate * curvature) >= 1:
        return math.inf
    start, count = abs(start), 0
    while start > tolerance:
        start, count = (1 - learning_rate * curvature) * start, count + 1
    return count
""",
            says="A negative x can still be far away",
        ),
        "no_size_of_the_multiplier": Mutant(
            "the multiplier is positive",
            STEPS
            + """    import numpy as np

    distance, factor = abs(start), 1 - learning_rate * curvature
    if distance <= tolerance:
        return 0
    if abs(factor) >= 1:
        return math.inf
    if factor == 0:
        return 1
    return np.ceil(np.log(tolerance / distance) / np.log(factor))
""",
            says="take its absolute value before the logarithm",
        ),
        "always_arrives": Mutant(
            "the formula holds for every learning rate",
            STEPS
            + """    import numpy as np

    distance, factor = abs(start), abs(1 - learning_rate * curvature)
    if distance <= tolerance:
        return 0
    if factor == 0:
        return 1
    return np.ceil(np.log(tolerance / distance) / np.log(factor))
""",
            says="A run that diverges never arrives",
        ),
        "bounces_home": Mutant(
            "at the limit a run still arrives",
            changed(
                COUNT,
                (
                    "if factor >= 1:",
                    "if factor == 1:\n        return -math.inf\n    if factor > 1:",
                ),
            ),
            says="a run bounces for ever",
        ),
        "zero_for_one_step": Mutant(
            "dividing by ln 0 = −∞ gives 0 updates",
            changed(COUNT, ("return 1", "return 0")),
            says="the first update lands",
        ),
        "already_there": Mutant(
            "the formula holds for every start",
            changed(COUNT, ("if distance <= tolerance:", "if False:")),
            says="Close enough from the start",
        ),
    },
}

ALTERNATIVES = {
    "answer_1": {
        "array": "import numpy as np\n\n\n"
        + GD
        + """    path = np.empty((steps + 1, *np.shape(start)))
    path[0] = start
    for i in range(steps):
        path[i + 1] = path[i] - learning_rate * gradient(path[i])
    return path
""",
        "recursive": GD
        + """    if steps == 0:
        return [start]
    then = start - learning_rate * gradient(start)
    return [start, *gd_1d(gradient, then, learning_rate, steps - 1)]
""",
        "accumulate": "from itertools import accumulate\n\n\n"
        + GD
        + """    def update(x, _):
        return x - learning_rate * gradient(x)

    return list(accumulate(range(steps), update, initial=start))
""",
        "generator": GD
        + """    def points(x):
        yield x
        for _ in range(steps):
            x = x - learning_rate * gradient(x)
            yield x

    return tuple(points(start))
""",
    },
    "answer_2": {
        "multiplier": "import math\n\n\n"
        + REGIME
        + """    factor = 1 - learning_rate * curvature
    if math.isclose(factor, 0, abs_tol=1e-9):
        return "lands in one step"
    if math.isclose(abs(factor), 1, abs_tol=1e-9) and factor < 0:
        return "bounces forever"
    if factor > 1:
        return "ascent"
    if factor > 0:
        return "approaches"
    if factor > -1:
        return "overshoots and converges"
    return "diverges"
""",
        "table": REGIME
        + """    p = round(learning_rate * curvature, 9)
    table = [
        (p < 0, "ascent"),
        (p < 1, "approaches"),
        (p == 1, "lands in one step"),
        (p < 2, "overshoots and converges"),
        (p == 2, "bounces forever"),
    ]
    return next((word for holds, word in table if holds), "diverges")
""",
        "by_running": "import numpy as np\n\n\n"
        + REGIME
        + """    if learning_rate < 0:
        return "ascent"
    first = 1 - learning_rate * curvature
    names = ["lands in one step", "approaches", "overshoots and converges"]
    if abs(first) < 1e-9:
        return names[0]
    if abs(abs(first) - 1) < 1e-9:
        return "bounces forever"
    return np.select([first > 0, abs(first) < 1], names[1:], "diverges").item()
""",
        "capital": _regime('if p < 0:\n        return "ascent"', end="Diverges"),
    },
    "answer_3": {
        "two_steps": LIMIT
        + """    steepness = curvature * factor
    return 2.0 / steepness
""",
        "library": "from utils import descent\n\n\n"
        + LIMIT
        + "    return descent.stability_limit(curvature * factor)\n",
        "bisection": LIMIT
        + """    low, high = 0.0, 1e9
    for _ in range(300):
        middle = (low + high) / 2
        stable = abs(1 - middle * curvature * factor) < 1
        low, high = (middle, high) if stable else (low, middle)
    return low
""",
        "recursive": LIMIT
        + """    if factor != 1:
        return max_stable_lr(curvature) / factor
    return 2 * curvature**-1
""",
    },
    "answer_4": {
        "formula": COUNT,
        "counts_with_signs": STEPS
        + """    if abs(start) > tolerance and not 0 < learning_rate * curvature < 2:
        return math.inf
    x, count = start, 0
    while abs(x) > tolerance:
        x, count = x - learning_rate * curvature * x, count + 1
    return count
""",
        "vectorised": "import numpy as np\n\n\n"
        + STEPS
        + """    distances = abs(start) * abs(1 - learning_rate * curvature) ** np.arange(200_000.0)
    there = np.flatnonzero(distances <= tolerance)
    return there[0] if len(there) else np.inf
""",
    },
}
