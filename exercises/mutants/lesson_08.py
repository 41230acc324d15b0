"""Wrong and right answers to the exercises of lesson 8; M-numbers as in the course's list."""

from exercises.mutants import Mutant, changed

RIGHT = """
DIAGNOSES = {
    letter: (
        next(name for name in CAUSES if patient.has(name)),
        next(name for name in CHECKS if patient.settled_by(name)),
    )
    for letter, patient in PATIENTS.items()
}
"""


def _diagnoses(change):
    """Return the right diagnoses after a change of (cause, check), for some letters."""
    return f"{RIGHT}\nfor letter, (cause, test) in DIAGNOSES.items():\n    {change}\n"


def _instead(cause, other, letters="ABCDEF"):
    """Return the diagnoses of somebody who takes one cause for another, or any for it."""
    wanted = f'cause == "{cause}"' if cause else "True"
    return _diagnoses(
        f'if {wanted} and letter in "{letters}":\n        DIAGNOSES[letter] = ("{other}", test)'
    )


PATIENTS = {
    "sorted_is_noise": Mutant(
        "the learning rate is to blame for everything",
        _instead("sorted", "noise floor"),
        "Don't blame the rate. It knows",
    ),
    "labels_need_a_larger_rate": Mutant(
        "the learning rate is to blame for everything",
        _instead("shuffled labels", "too small"),
        "Don't blame the rate. On held-out",
    ),
    "huge_is_noise": Mutant(
        "jumps are noise, however high", _instead("raw inputs", "noise floor"), "costs 2.3"
    ),
    "level_is_a_small_rate": Mutant(
        "what doesn't fall needs a larger rate",
        _instead("noise floor", "too small"),
        "What sets that level",
    ),
    "all_raw_inputs_first": Mutant(
        "the rate is always above its limit",
        _instead("", "raw inputs", "ABC"),
        "not 'raw inputs'",
    ),
    "all_raw_inputs_last": Mutant(
        "the rate is always above its limit",
        _instead("", "raw inputs", "DEF"),
        "not 'raw inputs'",
    ),
    "own_words_first": Mutant(
        "a cause in one's own words", _instead("", "overfitting", "ABC"), "list of causes"
    ),
    "own_words_last": Mutant(
        "a cause in one's own words", _instead("", "overfitting", "DEF"), "list of causes"
    ),
    "own_check": Mutant(
        "a check in one's own words",
        _diagnoses('DIAGNOSES[letter] = (cause, "look at it")'),
        "list of checks",
    ),
    "always_the_rates": Mutant(
        "whoever knows the rates knows the cause",
        _diagnoses('DIAGNOSES[letter] = (cause, "rate")'),
        "the same answer",
    ),
    "always_tenfold": Mutant(
        "try another rate and see",
        _diagnoses('DIAGNOSES[letter] = (cause, "tenfold")'),
        "the same answer",
    ),
}
PATIENTS_RIGHT = {
    "all at once": RIGHT,
    "as lists": _diagnoses("DIAGNOSES[letter] = [cause, test]"),
    "far below its limit": _diagnoses(
        'if cause == "too small":\n        DIAGNOSES[letter] = (cause, "limit")'
    ),
    "by causes": """
CHECK_OF = {
    cause: test
    for patient in PATIENTS.values()
    for cause in CAUSES
    for test in CHECKS
    if patient.has(cause) and patient.settled_by(test)
}
DIAGNOSES = {}
for cause, test in CHECK_OF.items():
    for letter in "ABCDEF":
        if PATIENTS[letter].has(cause):
            DIAGNOSES[letter] = cause, test
""",
}

GUESS = """
def guessing_loss(labels):
    counts = np.unique(labels, return_counts=True)[1]
    shares = counts / len(labels)
    return -np.sum(shares * np.log(shares))
"""
SIZES = """

def update_sizes(before, after):
    sizes = []
    for old, new in zip(before, after):
        size = np.linalg.norm(old)
        sizes.append(np.linalg.norm(new - old) / size if size > 0 else np.nan)
    return sizes
"""


def _guess(*changes):
    return changed(GUESS, *changes) + SIZES


def _sizes(*changes):
    return GUESS + changed(SIZES, *changes)


CHANGE = "np.linalg.norm(new - old) / size"
LINES = {
    "equal_classes": Mutant(
        "guessing costs ln K, whatever the classes",
        _guess(("-np.sum(shares * np.log(shares))", "np.log(len(counts))")),
        "equal classes",
    ),
    "mean_over_classes": Mutant(
        "all classes count the same",
        _guess(("-np.sum(shares * np.log(shares))", "-np.mean(np.log(shares))")),
        "more often",
    ),
    "largest_class": Mutant(
        "guessing names the largest class",
        _guess(("-np.sum(shares * np.log(shares))", "-np.log(shares.max())")),
        "largest class",
    ),
    "error_rate": Mutant(
        "a loss is an error rate",
        _guess(("-np.sum(shares * np.log(shares))", "1 - shares.max()")),
        "error rate",
    ),
    "no_minus": Mutant(
        "the logarithm of a share is positive", _guess(("-np.sum", "np.sum")), "minus is missing"
    ),
    "bits": Mutant("all logarithms are alike", _guess(("np.log(", "np.log2(")), "in bits"),
    "sum": Mutant(
        "a loss is a sum over the examples",
        _guess(("np.sum(shares *", "np.sum(counts *")),
        "take the mean",
    ),
    "empty_class": Mutant(
        "0 · ln 0 is a number",
        _guess(
            ("np.unique(labels, return_counts=True)[1]", "np.bincount(np.asarray(labels))"),
        ),
    ),
    "four_kinds": Mutant(
        "there are as many kinds as in the first test",
        """
def guessing_loss(labels):
    shares = np.array([np.mean(np.asarray(labels) == kind) for kind in range(4)])
    shares = shares[shares > 0]
    return -np.sum(shares * np.log(shares))
"""
        + SIZES,
    ),
    "warns": Mutant(
        "what is wrong can be mended after the division",
        _sizes(
            (
                "size = np.linalg.norm(old)",
                "share = np.linalg.norm(new - old) / np.linalg.norm(old)",
            ),
            (f"{CHANGE} if size > 0 else np.nan", "share if np.isfinite(share) else np.nan"),
        ),
        "before you divide",
    ),
    "not_divided": Mutant(
        "the size of the change is enough", _sizes((CHANGE, "np.linalg.norm(new - old)")), "Divide"
    ),
    "squares": Mutant(
        "squares are sizes",
        _sizes((CHANGE, "np.sum((new - old) ** 2) / np.sum(old ** 2)")),
        "take their roots",
    ),
    "largest_number": Mutant(
        "the largest number stands for all",
        _sizes((CHANGE, "np.abs(new - old).max() / np.abs(old).max()")),
        "whole array",
    ),
    "summed": Mutant(
        "the sum of the numbers is the size",
        _sizes((CHANGE, "np.abs(new - old).sum() / np.abs(old).sum()")),
        "not the array's size",
    ),
    "by_the_new": Mutant(
        "before or after, it is the same",
        _sizes((CHANGE, "np.linalg.norm(new - old) / np.linalg.norm(new)")),
        "before the update",
    ),
    "infinite": Mutant(
        "a change of nothing is infinite", _sizes(("else np.nan", "else np.inf")), "return nan"
    ),
    "zero": Mutant("what can't be known is 0", _sizes(("else np.nan", "else 0.0")), "does change"),
    "left_out": Mutant(
        "what can't be known is left out",
        _sizes(
            ("sizes.append(", "sizes += [] if not size else [1 * ("),
            ("else np.nan)", "else np.nan)]"),
        ),
        "One number for each array",
    ),
    "no_size_of_one": Mutant(
        "weights have a size of about 1, so no division is needed for large arrays",
        _sizes((CHANGE, "np.linalg.norm(new - old) / (size if size < 6 and old.size < 9 else 1)")),
    ),
}
LINES_RIGHT = {
    "entropy by hand": """
def guessing_loss(labels):
    labels, total = list(labels), 0.0
    for kind in set(labels):
        share = labels.count(kind) / len(labels)
        total -= share * np.log(share)
    return total


def update_sizes(before, after):
    def size(values):
        return float(np.sqrt(np.sum(np.square(values))))

    return [
        size(np.subtract(new, old)) / size(old) if np.any(old) else float("nan")
        for old, new in zip(before, after)
    ]
""",
    "the mean over examples": """
def guessing_loss(labels):
    labels = np.asarray(labels)
    shares = np.bincount(labels) / labels.size
    return np.mean(-np.log(shares[labels]))


def update_sizes(before, after):
    sizes = np.array([np.linalg.norm(np.ravel(old)) for old in before])
    moved = np.array([np.linalg.norm(np.ravel(b - a)) for a, b in zip(before, after)])
    return np.divide(moved, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
""",
    "root mean squares": """
def guessing_loss(labels):
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float((shares * np.log(1 / shares)).sum())


def update_sizes(before, after):
    rms = lambda values: np.sqrt(np.mean(values**2))  # noqa: E731
    return tuple(
        rms(new - old) / rms(old) if rms(old) else np.nan for old, new in zip(before, after)
    )
""",
}

PLAN = """
def epochs_each(budget, minutes, epochs, rates, seeds):
    left = budget - minutes
    each = int(left / (rates * seeds) / (minutes / epochs))
    if each < 1:
        raise ValueError("fewer rates or seeds, or a larger budget")
    return min(each, epochs)
"""
BUDGETS = {
    "forty": Mutant(
        "the epochs of the first test",
        changed(PLAN, ("minutes / epochs", "minutes / 40")),
        "epochs of half a minute",
    ),
    "at_most_forty": Mutant(
        "the most epochs of the first test", changed(PLAN, ("min(each, epochs)", "min(each, 40)"))
    ),
    "no_final": Mutant(
        "the sweep is the training",
        changed(PLAN, ("left = budget - minutes", "left = budget")),
        "full training at the end",
    ),
    "no_seeds": Mutant(
        "seeds cost nothing", changed(PLAN, ("(rates * seeds)", "rates")), "Each seed"
    ),
    "no_rates": Mutant(
        "rates cost nothing", changed(PLAN, ("(rates * seeds)", "seeds")), "Each rate"
    ),
    "rounded_up": Mutant(
        "a little over budget is fine",
        changed(PLAN, ("int(left", "int(np.ceil(left"), ("epochs))", "epochs)))")),
        "no longer fits",
    ),
    "rounded": Mutant(
        "a little over budget is fine",
        changed(PLAN, ("int(left", "round(left")),
        "no longer fits",
    ),
    "whole_minutes": Mutant(
        "each training has whole minutes",
        changed(PLAN, ("int(left / (rates * seeds) / (", "int(left // (rates * seeds) / (")),
        "not to whole minutes",
    ),
    "broken_epochs": Mutant(
        "epochs can be cut", changed(PLAN, ("= int(left", "= (left")), "Whole epochs"
    ),
    "minutes": Mutant(
        "minutes are epochs",
        changed(PLAN, (" / (minutes / epochs)", "")),
        "Those are minutes",
    ),
    "a_share": Mutant(
        "the share in place of the epochs",
        changed(PLAN, ("min(each, epochs)", "min(each, epochs) / epochs")),
        "share of all epochs",
    ),
    "none_left": Mutant(
        "no epochs are also an answer",
        changed(
            PLAN,
            (
                """    if each < 1:
        raise ValueError("fewer rates or seeds, or a larger budget")
""",
                "",
            ),
        ),
        "Nothing is left",
    ),
    "nothing_left_only": Mutant(
        "what is left is enough",
        changed(PLAN, ("if each < 1", "if left <= 0")),
        "not even one",
    ),
    "none_only": Mutant("a budget is never too small", changed(PLAN, ("each < 1", "each == 0"))),
    "no_most": Mutant(
        "more epochs are always better",
        changed(PLAN, ("min(each, epochs)", "each")),
        "a waste",
    ),
    "one_is_too_few": Mutant("one epoch says nothing", changed(PLAN, ("each < 1", "each <= 1"))),
}
BUDGETS_RIGHT = {
    "whole numbers": """
def epochs_each(budget, minutes, epochs, rates, seeds):
    each = (budget - minutes) * epochs // (rates * seeds * minutes)
    if not each >= 1:
        raise ValueError("too small a budget")
    return each if each < epochs else epochs
""",
    "by trying": """
def epochs_each(budget, minutes, epochs, rates, seeds):
    def cost(each):
        return minutes + rates * seeds * each * minutes / epochs

    fits = [each for each in range(1, epochs + 1) if cost(each) <= budget + 1e-9]
    if not fits:
        raise ValueError("not even one epoch each")
    return fits[-1]
""",
    "with NumPy": """
def epochs_each(budget, minutes, epochs, rates, seeds):
    per_epoch = minutes / epochs
    most = np.floor((budget - epochs * per_epoch) / per_epoch / rates / seeds)
    if most < 1:
        raise ValueError(f"{budget} minutes are too few")
    return np.minimum(most, epochs)
""",
}

COMPARE = """
def compare(chosen, fixed):
    differences = np.asarray(fixed) - np.asarray(chosen)
    n = len(differences)
    if n < 2:
        return "can't tell"
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(n)
    if abs(mean) <= 2 * error:
        return "can't tell"
    return "better" if mean > 0 else "worse"
"""
VERDICTS = {
    "sign": Mutant(
        "a higher loss is better", changed(COMPARE, ("mean > 0", "mean < 0")), "lower loss"
    ),
    "unpaired": Mutant(
        "the luck of a seed is not shared",
        changed(
            COMPARE,
            ("differences.std(ddof=1)", "np.sqrt(np.var(chosen, ddof=1) + np.var(fixed, ddof=1))"),
        ),
        "Seed by seed",
    ),
    "scatter_of_one": Mutant(
        "a mean scatters like a single number",
        changed(COMPARE, (" / np.sqrt(n)", "")),
        "Seed by seed",
    ),
    "means_only": Mutant(
        "the lower mean is better", changed(COMPARE, ("<= 2 * error", "<= 0 * error")), "Luck alone"
    ),
    "one_error": Mutant(
        "one standard error is enough",
        changed(COMPARE, ("<= 2 * error", "<= 1 * error")),
        "Luck alone",
    ),
    "t_test": Mutant(
        "any test at five per cent is the same",
        """
from scipy.stats import ttest_rel


def compare(chosen, fixed):
    if len(chosen) < 2:
        return "can't tell"
    t, p = ttest_rel(fixed, chosen)
    return "can't tell" if p > 0.05 else "better" if t > 0 else "worse"
""",
        "Two errors decide",
    ),
    "for_large_n": Mutant(
        "1.96 is what everybody takes",
        changed(COMPARE, ("<= 2 * error", "<= 1.96 * error")),
        "Two errors decide",
    ),
    "worse_at_once": Mutant(
        "only what is better needs a proof",
        changed(COMPARE, ("abs(mean) <= 2", "0 < mean <= 2")),
        "Two errors decide",
    ),
    "at_least_five": Mutant(
        "a few seeds are none",
        changed(COMPARE, ("if n < 2", "if n < 3")),
        "two seeds",
    ),
    "one_sided": Mutant(
        "what I chose can't be worse",
        changed(COMPARE, ("abs(mean) <= 2", "mean <= 2")),
        "say that it is worse",
    ),
    "one_seed": Mutant(
        "one seed is enough",
        changed(
            COMPARE,
            (
                '    if n < 2:\n        return "can\'t tell"\n',
                '    if n < 2:\n        return "better" if differences > 0 else "worse"\n',
            ),
        ),
        "one seed",
    ),
    "one_seed_nan": Mutant(
        "nothing special happens with one seed",
        changed(COMPARE, ('    if n < 2:\n        return "can\'t tell"\n', "")),
        "one seed",
    ),
    "divided_by_n": Mutant(
        "the standard deviation divides by n", changed(COMPARE, ("ddof=1", "ddof=0")), "n - 1"
    ),
}
VERDICTS_RIGHT = {
    "with a capital": changed(COMPARE, ('"better" if', '"Better" if')),
    "t value": """
def compare(chosen, fixed):
    gains = [f - c for c, f in zip(chosen, fixed)]
    if len(gains) == 1:
        return "can't tell"
    mean = sum(gains) / len(gains)
    variance = sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    t = mean / (variance / len(gains)) ** 0.5
    return "better" if t > 2 else "worse" if t < -2 else "can't tell"
""",
    "an interval": """
def compare(chosen, fixed):
    d = np.subtract(chosen, fixed)
    if d.size <= 1:
        return "can't tell"
    half = 2 * np.std(d, ddof=1) / d.size**0.5
    low, high = d.mean() - half, d.mean() + half
    if high < 0:
        return "better"
    return "worse" if low > 0 else "can't tell"
""",
    "from statistics": """
import statistics


def compare(chosen, fixed):
    d = [float(f - c) for c, f in zip(chosen, fixed)]
    if len(d) > 1:
        error = statistics.stdev(d) / len(d) ** 0.5
        for sign, word in ((1, "better"), (-1, "worse")):
            if sign * statistics.mean(d) > 2 * error:
                return word
    return "can't tell"
""",
}


def _tuned(rates, choose="rates[int(np.nanargmin(losses))]"):
    return f"""
def tune(train):
    rates = {rates}
    losses = [train(rate, 0) for rate in rates]
    return {choose}
"""


WIDE = "np.geomspace(0.001, 30, 10)"
TUNED = {
    "default": Mutant(
        "the default is good", "def tune(train):\n    return 0.01\n", "look further away"
    ),
    "popular": Mutant(
        "0.1 has always worked", "def tune(train):\n    return 0.1\n", "must look for it"
    ),
    "guessed": Mutant(
        "half of 1 is never wrong", "def tune(train):\n    return 0.5\n", "a hundred times as large"
    ),
    "smallest": Mutant(
        "the smallest rate is the safest", "def tune(train):\n    return 0.001\n", "is worse than"
    ),
    "small_steps": Mutant(
        "small steps are safe steps", _tuned("np.geomspace(1e-5, 0.02, 10)"), "look further away"
    ),
    "equal_steps": Mutant(
        "a grid has equal steps", _tuned("np.linspace(0.001, 0.02, 10)"), "look further away"
    ),
    "nan_wins": Mutant(
        "argmin passes over nan", _tuned(WIDE, "rates[int(np.argmin(losses))]"), "no small loss"
    ),
    "largest_that_trains": Mutant(
        "the largest rate that doesn't overflow is the best",
        _tuned(WIDE, "rates[np.flatnonzero(np.isfinite(losses))[-1]]"),
    ),
    "largest_loss": Mutant(
        "the largest number wins", _tuned(WIDE, "rates[int(np.nanargmax(losses))]")
    ),
    "the_loss": Mutant("the loss in place of the rate", _tuned(WIDE, "np.nanmin(losses)"), "loss"),
    "eleven": Mutant("one more won't hurt", _tuned("np.geomspace(0.001, 30, 11)"), "eleventh"),
    "five_seeds_two_rates": Mutant(
        "seeds matter more than rates",
        """
def tune(train):
    means = {rate: np.mean([train(rate, seed) for seed in range(5)]) for rate in (0.001, 0.01)}
    return min(means, key=means.get)
""",
        "look further away",
    ),
}
TUNED_RIGHT = {
    "five rates over all that was told": """
def tune(train):
    rates = np.geomspace(0.003, 10, 5)
    costs = np.array([[train(rate, seed) for seed in (0, 1)] for rate in rates])
    return rates[np.argmin(np.where(np.isfinite(costs), costs, np.inf).mean(axis=1))]
""",
    "ten rates, and a step back": _tuned(
        "np.geomspace(0.002, 8, 10)", "rates[max(int(np.nanargmin(losses)) - 1, 0)]"
    ),
    "steps of ten, one seed": _tuned("10.0 ** np.arange(-3, 2)"),
    "five rates, two seeds": """
def tune(train):
    rates = [0.01, 0.05, 0.3, 1.2, 5.0]
    costs = [np.mean([train(rate, seed) for seed in (0, 1)]) for rate in rates]
    costs = [cost if cost < np.inf else np.inf for cost in costs]
    return rates[costs.index(min(costs))]
""",
    "coarse, then fine": """
def tune(train):
    tried = {}

    def ask(rate):
        loss = train(rate, 5)
        tried[rate] = loss if np.isfinite(loss) else np.inf

    for power in range(-3, 2):
        ask(10.0**power)
    best = min(tried, key=tried.get)
    for factor in (0.2, 0.5, 2.0, 4.0):
        ask(best * factor)
    return min(tried, key=tried.get)
""",
    "upwards until it breaks, then halved": """
def tune(train):
    rate, best, lowest = 0.02, None, np.inf
    for _ in range(10):
        loss = train(rate, 3)
        if not loss < 10:
            break
        if loss < lowest:
            best, lowest = rate, loss
        rate = 2 * rate
    return best / 2
""",
}

MUTANTS = {
    "answer_1": PATIENTS,
    "answer_2": LINES,
    "answer_3": BUDGETS,
    "answer_4": VERDICTS,
    "answer_5": TUNED,
}
ALTERNATIVES = {
    "answer_1": PATIENTS_RIGHT,
    "answer_2": LINES_RIGHT,
    "answer_3": BUDGETS_RIGHT,
    "answer_4": VERDICTS_RIGHT,
    "answer_5": TUNED_RIGHT,
}
