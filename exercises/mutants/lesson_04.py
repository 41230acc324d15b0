"""Wrong and right answers to the exercises of lesson 4; M-numbers as in the course's list."""

from exercises.mutants import Mutant, changed


def _decay(formula, before=""):
    return f"""
def inverse_time(initial, decay_rate):
    {before}
    def schedule(t):
        return {formula}

    return schedule
"""


DECAY = {
    "compounding": Mutant(
        "M9: decay compounds",
        _decay(
            "np.vectorize(lambda k: initial / np.prod(1 + decay_rate * np.arange(1, k + 1)))(t)[()]"
        ),
        "decay compounds",
    ),
    "per_epoch": Mutant(
        "M8: decay happens once per epoch",
        _decay("initial / (1 + decay_rate * (t // PER_EPOCH))"),
        "The unit is the update",
    ),
    "one_late": Mutant(
        "the first update is number 1 (K13)",
        _decay("initial / (1 + decay_rate * (t + 1))"),
        "one too high",
    ),
    "one_early": Mutant(
        "the rate of the update before (K13)",
        _decay("initial / (1 + decay_rate * np.maximum(t - 1, 0))"),
        "one too low",
    ),
    "exponential": Mutant(
        "M9: every decay multiplies", _decay("initial * (1 - decay_rate) ** t"), "exponential"
    ),
    "whole_numbers": Mutant(
        "`//` divides (K8)", _decay("initial // (1 + decay_rate * t)"), "whole numbers"
    ),
    "counts_calls": Mutant(
        "a schedule counts its calls",
        """
def inverse_time(initial, decay_rate):
    calls = []

    def schedule(t):
        calls.append(t)
        return initial / (1 + decay_rate * (len(calls) - 1))

    return schedule
""",
        "don't count calls",
    ),
    "lowers_its_rate": Mutant(
        "a schedule lowers the rate that it has (a textbook's FactorScheduler)",
        """
def inverse_time(initial, decay_rate):
    rate = initial

    def schedule(t):
        nonlocal rate
        rate = rate / (1 + decay_rate)
        return rate

    return schedule
""",
        "once per call",
    ),
    "remembers": Mutant(
        "a schedule may go forwards only",
        """
def inverse_time(initial, decay_rate):
    memory = {"t": 0, "rate": initial}

    def one(t):
        while memory["t"] < t:
            memory["rate"] *= 1 + decay_rate * memory["t"]
            memory["t"] += 1
            memory["rate"] /= 1 + decay_rate * memory["t"]
        return memory["rate"]

    def schedule(t):
        if np.ndim(t) == 0:
            return one(t)
        memory.update(t=0, rate=initial)
        return initial / (1 + decay_rate * t)

    return schedule
""",
        "It remembers",
    ),
    "one_number": Mutant(
        "one update at a time", _decay("initial / (1 + decay_rate * float(t))"), crashes=True
    ),
    "class_numbers": Mutant(
        "the class's numbers in place of the arguments", _decay("INITIAL / (1 + DECAY * t)")
    ),
}
DECAY_RIGHT = {
    "Keras's own": """
def inverse_time(initial, decay_rate):
    return keras.optimizers.schedules.InverseTimeDecay(initial, 1, decay_rate)
""",
    "lambda": """
inverse_time = lambda initial, decay_rate: lambda t: initial / (1 + decay_rate * np.asarray(t))
""",
    "loop over the updates": """
def inverse_time(initial, decay_rate):
    def schedule(t):
        rates = [initial / (1 + decay_rate * float(step)) for step in np.ravel(t)]
        return rates[0] if np.ndim(t) == 0 else np.array(rates)

    return schedule
""",
    "class": """
class inverse_time:
    def __init__(self, initial, decay_rate):
        self.half_life, self.initial = 1 / decay_rate, initial

    def __call__(self, t):
        return self.initial * self.half_life / np.add(self.half_life, t)
""",
}

RISE = "self.start + (self.peak - self.start) * step / self.warm_up"
SHARE = "ops.minimum((step - self.warm_up) / (self.updates - self.warm_up), 1.0)"
CHOICE = "ops.where(step < self.warm_up, rise, fall)"
FALL = "self.peak * (1 + ops.cos(np.pi * share)) / 2"
FOUR = """{
            "start": self.start,
            "peak": self.peak,
            "warm_up": self.warm_up,
            "updates": self.updates,
        }"""


def _warm(rise=RISE, share=SHARE, choice=CHOICE, config=FOUR):
    return f"""
ops = keras.ops


@keras.saving.register_keras_serializable(package="exercises_4")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start, peak, warm_up, updates):
        self.start, self.peak, self.warm_up, self.updates = start, peak, warm_up, updates

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = {rise}
        share = {share}
        fall = {FALL}
        return {choice}

    def get_config(self):
        return {config}
"""


WARM = {
    "from_zero": Mutant(
        "the rise begins at 0", _warm("self.peak * step / self.warm_up"), "begins at 0"
    ),
    "no_initial": Mutant(
        "the start is left out of the sum", _warm("(self.peak - self.start) * step / self.warm_up")
    ),
    "too_high": Mutant(
        "the whole peak is added to the start",
        _warm("self.start + self.peak * step / self.warm_up"),
        "above the peak",
    ),
    "late": Mutant(
        "total length taken for the decay's length (K9)",
        _warm(share="ops.minimum((step - self.warm_up) / self.updates, 1.0)"),
        "ends too late",
    ),
    "jump": Mutant(
        "one clock for both parts", _warm(share="ops.minimum(step / self.updates, 1.0)"), "it jumps"
    ),
    "again": Mutant(
        "nothing is asked after the end",
        _warm(share="(step - self.warm_up) / (self.updates - self.warm_up)"),
        "rises again",
    ),
    "python_if": Mutant(
        "an `if` on a tensor",
        _warm(choice="rise if step < self.warm_up else fall"),
        "a tensor without a value",
    ),
    "python_float": Mutant(
        "plain numbers inside fit",
        changed(_warm(), ('ops.cast(step, "float32")', "float(step)")),
        "a tensor without a value",
    ),
    "class_numbers": Mutant(
        "the class's numbers in place of the arguments",
        _warm(changed(RISE, ("self.start", "START"), ("self.peak", "PEAK"))),
    ),
    "config_mixed_up": Mutant(
        "peak saved as start",
        _warm(
            config=changed(FOUR, ("self.start", "self.peak"), ("self.updates", "self.warm_up + 4"))
        ),
    ),
    "no_config": Mutant(
        "a schedule saves itself", _warm(config="super().get_config()"), crashes=True
    ),
    "half_config": Mutant(
        "two of four arguments saved",
        _warm(config='{"start": self.start, "peak": self.peak}'),
        "get_config leaves out ['updates', 'warm_up']",
    ),
    "one_of_four": Mutant(
        "one argument saved stands for all",
        _warm(config='{"start": self.start}'),
        "get_config leaves out ['peak', 'updates', 'warm_up']",
    ),
}
WARM_RIGHT = {
    "minimum of two lines": _warm(
        rise="self.start + (self.peak - self.start) * ops.minimum(step / self.warm_up, 1.0)",
        share="ops.clip((step - self.warm_up) / (self.updates - self.warm_up), 0.0, 1.0)",
        choice="ops.minimum(rise, fall)",
    ),
    "conditional": _warm(choice="ops.cond(step <= self.warm_up, lambda: rise, lambda: fall)"),
    "Keras's own": """
@keras.saving.register_keras_serializable(package="exercises_4")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start, peak, warm_up, updates):
        self.config = dict(start=start, peak=peak, warm_up=warm_up, updates=updates)
        self.inner = keras.optimizers.schedules.CosineDecay(
            float(start), updates - warm_up, warmup_target=peak, warmup_steps=warm_up
        )

    def __call__(self, step):
        return self.inner(step)

    def get_config(self):
        return self.config
""",
}


def _floor(formula):
    return f"""
def noise_floor(learning_rate, curvature, noise):
    room = 2 - learning_rate * curvature
    return {formula} if room > 0 else np.inf
"""


FLOOR = {
    "tiny_rates": Mutant(
        "the form for small rates everywhere", _floor("learning_rate * noise**2 / 4"), "tiny rates"
    ),
    "no_room": Mutant(
        "the 2 - rate * curvature left out",
        _floor("learning_rate * noise**2 / 2"),
        "left out the 2",
    ),
    "no_half": Mutant(
        "the half of the loss forgotten",
        _floor("learning_rate * noise**2 / room"),
        "twice the floor",
    ),
    "square_of_x": Mutant(
        "the mean of x squared taken for the loss",
        _floor("learning_rate * noise**2 / (curvature * room)"),
        "mean of x squared",
    ),
    "noise_once": Mutant(
        "the noise not squared", _floor("learning_rate * noise / (2 * room)"), "enters squared"
    ),
    "curvature_one": Mutant(
        "M14: the curvature of the example everywhere",
        "def noise_floor(learning_rate, curvature, noise):\n"
        "    return learning_rate * noise**2 / (2 * (2 - learning_rate))\n",
        "curvature is missing",
    ),
    "beyond": Mutant(
        "M3: the formula holds at any rate",
        """
def noise_floor(learning_rate, curvature, noise):
    room = 2 - learning_rate * curvature
    return learning_rate * noise**2 / (2 * room) if room else np.inf
""",
        "nothing settles",
    ),
    "threshold_at_1": Mutant(
        "M3: overshooting is divergence",
        "def noise_floor(learning_rate, curvature, noise):\n"
        "    room = 2 - learning_rate * curvature\n"
        "    return learning_rate * noise**2 / (2 * room) if room > 1 else np.inf\n",
        "It still settles here",
    ),
    "few_updates": Mutant(
        "M4: a hundred updates are enough for any rate",
        """
def noise_floor(learning_rate, curvature, noise):
    if learning_rate * curvature >= 2:
        return np.inf
    square = 0.0
    for _ in range(100):
        square = (1 - learning_rate * curvature) ** 2 * square + (learning_rate * noise) ** 2
    return curvature * square / 2
""",
    ),
}
FLOOR_RIGHT = {
    "loop until it rests": """
def noise_floor(learning_rate, curvature, noise):
    if learning_rate * curvature >= 2:
        return float("inf")
    square, before = 0.0, -1.0
    while abs(square - before) > 1e-15 * square:
        before = square
        square = (1 - learning_rate * curvature) ** 2 * square + (learning_rate * noise) ** 2
    return curvature * square / 2
""",
    "fixed point": """
def noise_floor(learning_rate, curvature, noise):
    q = (1 - learning_rate * curvature) ** 2
    if q >= 1:
        return np.inf
    return curvature / 2 * (learning_rate * noise) ** 2 / (1 - q)
""",
    "halving until it rests": """
def noise_floor(learning_rate, curvature, noise):
    def mean_square(updates):
        if updates == 0:
            return 0.0, 1.0
        square, q = mean_square(updates // 2)
        square, q = q * square + square, q * q
        if updates % 2:
            factor = (1 - learning_rate * curvature) ** 2
            square, q = factor * square + (learning_rate * noise) ** 2, q * factor
        return square, q

    return curvature / 2 * mean_square(10**7)[0] if learning_rate * curvature < 2 else np.inf
""",
}


def _audit(body, numbers=""):
    return f"""
def audit(rates, initial, decay_rate, per_epoch):
    {numbers}
    t, rates = np.arange(len(rates)), np.array(rates)
    decay = initial / (1 + decay_rate * t)
    suspects = {{
        "per update": decay,
        "per epoch": initial / (1 + decay_rate * (t // per_epoch)),
        "compounding": initial / np.cumprod(1 + decay_rate * t),
        "constant": initial + 0 * t,
        "second fit": initial / (1 + decay_rate * (t + len(t))),
    }}
    {body}
"""


NEAREST = "return min(suspects, key=lambda name: np.abs(suspects[name] - rates).max())"


def _confuse(one, other):
    body = changed(NEAREST, ("return", "name ="))
    return _audit(f"""{body}
    return {{{one!r}: {other!r}}}.get(name, name)""")


AUDIT = {
    "fooled_by_second_fit": Mutant(
        "M16: a second fit starts anew", _confuse("second fit", "per update"), "an earlier fit"
    ),
    "low_is_compounding": Mutant(
        "M9: whatever is low has compounded",
        _confuse("second fit", "compounding"),
        "an earlier fit",
    ),
    "compounding_is_decay": Mutant(
        "M9: compounding is how decay works",
        _confuse("compounding", "per update"),
        "the drops grow",
    ),
    "decay_is_compounding": Mutant(
        "M9: and honest decay is the mistake", _confuse("per update", "compounding"), "Honest decay"
    ),
    "decay_is_second": Mutant(
        "M16: update 0 has the decayed rate",
        _confuse("per update", "second fit"),
        "A first fit begins",
    ),
    "epochs_are_updates": Mutant(
        "M8: per epoch and per update are the same",
        _confuse("per epoch", "per update"),
        "level within an epoch",
    ),
    "two_rates": Mutant(
        "M15: a look at the first two rates is enough",
        _audit('if rates[0] == rates[1]:\n        return "constant"\n    ' + NEAREST),
        "look beyond one epoch",
    ),
    "exact": Mutant(
        "a log has all digits",
        _audit("""for name in suspects:
        if np.array_equal(suspects[name], rates):
            return name
    return "none of them\""""),
    ),
    "loose": Mutant(
        "nearly equal is equal",
        _audit("""for name in suspects:
        if np.allclose(suspects[name], rates, atol=0.1):
            return name
    return "none of them\""""),
    ),
    "class_numbers": Mutant(
        "the class's numbers in place of the arguments",
        _audit(
            """close = [n for n in suspects if np.allclose(suspects[n], rates, atol=1e-5)]
    return close[0] if close else "none of them\"""",
            "initial, decay_rate = INITIAL, DECAY",
        ),
        "an honest log with other numbers",
    ),
    "class_epoch": Mutant(
        "M8: an epoch has the same number of updates everywhere",
        _audit(
            """close = [n for n in suspects if np.allclose(suspects[n], rates, atol=1e-5)]
    return close[0] if close else "constant\"""",
            "per_epoch = PER_EPOCH",
        ),
    ),
}
AUDIT_RIGHT = {
    "signs, one after the other": """
def audit(rates, initial, decay_rate, per_epoch):
    drops = [a - b for a, b in zip(rates, rates[1:])]
    if rates[0] < initial - 1e-5:
        return "second fit"
    if max(drops) == 0:
        return "constant"
    if drops[0] == 0:
        return "per epoch"
    last = initial / (1 + decay_rate * (len(rates) - 1))
    return "per update" if abs(rates[-1] - last) < 2e-5 else "compounding"
""",
    "loop over rules": """
def audit(rates, initial, decay_rate, per_epoch):
    n = len(rates)
    clocks = {
        "per update": lambda t: t,
        "per epoch": lambda t: t // per_epoch,
        "constant": lambda t: 0,
        "second fit": lambda t: t + n,
    }
    for name, clock in clocks.items():
        rule = [initial / (1 + decay_rate * clock(t)) for t in range(n)]
        if all(abs(a - b) < 1e-5 for a, b in zip(rule, rates)):
            return name
    return "compounding"
""",
    "all at once": _audit(
        "table = np.array(list(suspects.values()))\n"
        "    return list(suspects)[np.square(table - rates).sum(axis=1).argmin()]"
    ),
}


def _rates(expression):
    return f"""
def good_rates(updates):
    t, problem = np.arange(updates), {{"noise": RESTLESS, "start": FAR}}

    def best(family, updates=updates):
        rate, _ = noisy_quadratic.best_initial_rate(family, updates, **problem)
        return schedules.make_schedule(family, rate, updates)

    return {expression}
"""


RATES = {
    "constant": Mutant("the best constant rate", _rates('best("constant")(t)'), "never settles"),
    "common_rate": Mutant(
        "M14: one initial rate for all schedules",
        _rates("schedules.linear_to_zero(1.0, updates)(t)"),
        "the mark",
    ),
    "rate_of_constant": Mutant(
        "M14: the constant's best rate is linear's, too",
        _rates('schedules.linear_to_zero(best("constant")(0), updates)(t)'),
        "you settle too early",
    ),
    "compounding": Mutant(
        "M9: compounding", _rates('best("compounding (a mistake)")(t)'), "the mark"
    ),
    "inverse_time": Mutant("M10: any decay will do", _rates('best("inverse time")(t)'), "the mark"),
    "half": Mutant(
        "settled at half-time",
        _rates(
            'np.append(best("linear to zero", updates // 2)(t[: updates // 2]),'
            " np.zeros(updates - updates // 2))"
        ),
        "the mark",
    ),
    "unfinished": Mutant(
        "a schedule for twice the length, stopped half-way",
        _rates('best("linear to zero", 2 * updates)(t)'),
        "the mark",
    ),
    "one_length": Mutant(
        "M14: the best rate of 200 updates holds for all lengths",
        _rates('schedules.linear_to_zero(best("linear to zero", 200)(0), updates)(t)'),
        "belongs to the length",
    ),
    "long_runs": Mutant(
        "M14: short runs want the rate of long ones",
        _rates(
            'schedules.linear_to_zero(best("linear to zero", max(updates, 1000))(0), updates)(t)'
        ),
        "the mark",
    ),
    "two_lengths": Mutant(
        "M14: a best rate for the lengths that are tried, and no other",
        _rates(
            'schedules.linear_to_zero(best("linear to zero", 200 if updates < 300 else 1000)(0),'
            " updates)(t)"
        ),
        "belongs to the length",
    ),
    "too_low": Mutant(  # most of its loss is noise; of what it has too much, most is distance
        "M14: to be safe, a rate below the best",
        _rates(
            'schedules.linear_to_zero((1 if updates < 300 else 0.7) * best("linear to zero")(0),'
            " updates)(t)"
        ),
        "you settle too early",
    ),
    "one_too_many": Mutant(
        "steps + 1 rates, the end included",
        _rates('best("linear to zero")(np.arange(updates + 1))'),
        "the number of rates",
    ),
    "lesson's_problem": Mutant(
        "the lesson's noise and start are everybody's",
        """
def good_rates(updates):
    rate, _ = noisy_quadratic.best_initial_rate("linear to zero", updates)
    return schedules.linear_to_zero(rate, updates)(np.arange(updates))
""",
        "the mark",
    ),
    "lesson's": Mutant(
        "M14: the lesson's best rate for 1000",
        _rates("schedules.linear_to_zero(0.395, updates)(t)"),
        "the mark",
    ),
}
RATES_RIGHT = {
    "the lesson's tool": _rates('best("linear to zero")(t)'),
    "loop": """
def good_rates(updates):
    def loss(initial):
        rates = [initial * (1 - t / updates) for t in range(updates)]
        return noisy_quadratic.expected_loss(rates, noise=RESTLESS, start=FAR)[-1], rates

    return min((loss(0.05 * 1.06**k) for k in range(64)), key=lambda pair: pair[0])[1]
""",
    "powers, too": """
def good_rates(updates):
    left = 1 - np.arange(updates) / updates
    powers = np.array([0.8, 1.0, 1.2, 1.5])[:, None, None]
    trials = np.geomspace(0.05, 1.9, 60)[:, None] * left**powers
    ends = noisy_quadratic.expected_loss(trials, noise=RESTLESS, start=FAR)[..., -1]
    return trials[np.unravel_index(ends.argmin(), ends.shape)].tolist()
""",
}

MUTANTS = {
    "answer_1": DECAY,
    "answer_2": WARM,
    "answer_3": FLOOR,
    "answer_4": AUDIT,
    "answer_5": RATES,
}
ALTERNATIVES = {
    "answer_1": DECAY_RIGHT,
    "answer_2": WARM_RIGHT,
    "answer_3": FLOOR_RIGHT,
    "answer_4": AUDIT_RIGHT,
    "answer_5": RATES_RIGHT,
}
