"""Wrong and right answers to the exercises of lesson 3; M-numbers as in the course's list."""

from exercises.mutants import Mutant, changed


def _compile(rate="schedule", loss="SparseCategoricalCrossentropy(from_logits=True)"):
    decay = "keras.optimizers.schedules.InverseTimeDecay(initial, 1, decay)"
    return f"""
def compile_model(model, initial, decay):
    schedule = {decay}
    model.compile(keras.optimizers.SGD({rate}), loss=keras.losses.{loss})
    return model
"""


COMPOUNDING = """
class Compounding(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, initial, decay):
        self.initial, self.decay = initial, decay

    def __call__(self, step):
        factors = 1 + self.decay * keras.ops.arange(1, int(step) + 1, dtype="float32")
        return self.initial / keras.ops.prod(factors)


def compile_model(model, initial, decay):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(Compounding(initial, decay)), loss=loss)
    return model
"""

OWN_CLASS = """
class Decay(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, initial, decay):
        self.initial, self.decay = initial, decay

    def __call__(self, step):
        return self.initial / (1 + self.decay * keras.ops.cast(step, "float32"))


def scores_loss(truth, scores):
    return keras.losses.sparse_categorical_crossentropy(truth, scores, from_logits=True)


def compile_model(model, initial, decay):
    model.compile(keras.optimizers.SGD(Decay(initial, decay)), loss=scores_loss)
    return model
"""


def _schedule(code):
    return _compile(f"keras.optimizers.schedules.{code}")


COMPILE = {
    "old_decay": Mutant(
        "M15: `decay=` is accepted, so it is used (K2)",
        _compile("learning_rate=initial, decay=decay"),
        "Keras did not use all that you wrote",
    ),
    "old_name": Mutant(
        "the old name `lr` still works (K1)", _compile("lr=initial, decay=decay"), crashes=True
    ),
    "constant": Mutant("M15: the schedule is made but not used", _compile("initial"), "never fell"),
    "compounding": Mutant("M9: decay compounds", COMPOUNDING, "compounds"),
    "per_epoch": Mutant(
        "M8: decay happens once per epoch",
        _schedule("InverseTimeDecay(initial, 4, decay, staircase=True)"),
        "once per epoch",
    ),
    "exponential": Mutant(
        "M9: every decay multiplies", _schedule("ExponentialDecay(initial, 1, 1 - decay)"), "expon"
    ),
    "class_numbers": Mutant(
        "the class's numbers in place of the arguments",
        _schedule("InverseTimeDecay(INITIAL, 1, DECAY)"),
    ),
    "adam": Mutant(
        "M14: the same rates in another optimizer are the same recipe",
        changed(_compile(), ("optimizers.SGD", "optimizers.Adam")),
        "the recipe said SGD",
    ),
    "with_momentum": Mutant(
        "M17: momentum does no harm", _compile("schedule, momentum=0.9"), "no momentum"
    ),
    "with_weight_decay": Mutant(
        "decay of the rate and decay of the weights are one thing",
        _compile("schedule, weight_decay=decay"),
        "no momentum or weight decay",
    ),
    "stairs": Mutant(
        "M8: a staircase that meets the formula at update 10 only",
        _schedule("InverseTimeDecay(initial, 10, 10 * decay, staircase=True)"),
    ),
    "probabilities": Mutant(
        "scores taken for probabilities", _compile(loss="SparseCategoricalCrossentropy()"), "logits"
    ),
    "summed": Mutant(
        "M14: the sum over a batch, which multiplies the learning rate by the batch's size",
        _compile(loss="SparseCategoricalCrossentropy(from_logits=True, reduction='sum')"),
        "adds up the examples",
    ),
}

COMPILE_RIGHT = {
    "own schedule and loss": OWN_CLASS,
    "one line": """
def compile_model(model, initial, decay):
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.SGD(
            learning_rate=keras.optimizers.schedules.InverseTimeDecay(
                initial_learning_rate=initial, decay_steps=1 / decay, decay_rate=1.0
            )
        ),
        metrics=["accuracy"],
    )
    return model
""",
    "from a configuration": """
def compile_model(model, initial, decay):
    config = {"initial_learning_rate": initial, "decay_steps": 1, "decay_rate": decay}
    schedule = {"module": "keras.optimizers.schedules", "class_name": "InverseTimeDecay",
                "config": config, "registered_name": None}
    sgd = keras.optimizers.SGD.from_config({"learning_rate": schedule})
    model.compile(sgd, keras.losses.SparseCategoricalCrossentropy(True))
    return model
""",
}


def _momentum(velocity, change="velocity"):
    return f"""
def momentum_step(velocity, slope, learning_rate, beta):
    old = velocity
    velocity = {velocity}
    return velocity, {change}
"""


KERAS_FORM = "beta * velocity - learning_rate * slope"
MOMENTUM = {
    "pytorch": Mutant(
        "K16: eta outside the velocity",
        _momentum("beta * velocity + slope", "-learning_rate * velocity"),
        "as in PyTorch",
    ),
    "dampened": Mutant(
        "M17: momentum is a mean and does not change the step",
        _momentum("beta * velocity - (1 - beta) * learning_rate * slope"),
        "a share 1 - beta",
    ),
    "uphill": Mutant("sign error", _momentum(changed(KERAS_FORM, ("-", "+"))), "uphill"),
    "shrinks_all": Mutant(
        "beta on the new step too",
        _momentum("beta * (velocity - learning_rate * slope)"),
        "shrank the new step",
    ),
    "nesterov": Mutant(
        "another method: looks ahead",
        _momentum(KERAS_FORM, "beta * velocity - learning_rate * slope"),
        "Nesterov",
    ),
    "lagging": Mutant("moves by the old velocity", _momentum(KERAS_FORM, "old"), "old velocity"),
    "forgetful": Mutant(
        "M17: no velocity at all", _momentum("-learning_rate * slope"), "Nothing is left"
    ),
    "swapped": Mutant(
        "1 - beta stays instead of beta",
        _momentum("(1 - beta) * velocity - learning_rate * slope"),
        "not 1 - beta",
    ),
    "one_number": Mutant(
        "one slope for all weights",
        _momentum("beta * velocity - learning_rate * np.mean(slope)"),
        "Each weight has its own",
    ),
    "in_place": Mutant(
        "changes the caller's array",
        """
def momentum_step(velocity, slope, learning_rate, beta):
    velocity *= beta
    velocity -= learning_rate * slope
    return velocity, velocity
""",
        "changed the caller's array",
    ),
    "class_numbers": Mutant(
        "the class's beta in place of the argument",
        _momentum(changed(KERAS_FORM, ("beta", "BETA"))),
    ),
}
MOMENTUM_RIGHT = {
    "in 32 bits": """
def momentum_step(velocity, slope, learning_rate, beta):
    velocity, slope = (keras.ops.cast(it, "float32") for it in (velocity, slope))
    velocity = beta * velocity - learning_rate * slope
    return velocity, velocity
""",
    "as the formula": """
def momentum_step(velocity, slope, learning_rate, beta):
    velocity = beta * velocity - learning_rate * slope
    return velocity, velocity
""",
    "loop over the weights": """
def momentum_step(velocity, slope, learning_rate, beta):
    velocities, slopes = np.broadcast_arrays(velocity, slope)
    new = np.empty(slopes.shape)
    for i in np.ndindex(slopes.shape):
        new[i] = beta * velocities[i] - learning_rate * slopes[i]
    return new, new.copy()
""",
    "change first": """
def momentum_step(velocity, slope, learning_rate, beta):
    change = np.add(np.multiply(velocity, beta), np.multiply(slope, -learning_rate))
    return change, change
""",
}


def _adam(rate=None, m=None, v=None, change=None, start="(0, 0.0, 0.0)", count="t + 1"):
    return f"""
def adam_step(state, slope, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    t, m, v = {start} if state is None else state
    t = {count}
    m = {m or "beta_1 * m + (1 - beta_1) * slope"}
    v = {v or "beta_2 * v + (1 - beta_2) * slope**2"}
    rate = learning_rate * {rate or "np.sqrt(1 - beta_2**t) / (1 - beta_1**t)"}
    return (t, m, v), {change or "-rate * m / (np.sqrt(v) + epsilon)"}
"""


ADAM = {
    "no_correction": Mutant("no bias correction", _adam("1"), "having just started"),
    "epsilon_inside": Mutant(
        "epsilon under the root",
        _adam(change="-rate * m / np.sqrt(v + epsilon)"),
        "inside the square root",
    ),
    "epsilon_unhatted": Mutant(
        "v corrected before epsilon is added",
        _adam("1 / (1 - beta_1**t)", change="-rate * m / (np.sqrt(v / (1 - beta_2**t)) + epsilon)"),
        "before epsilon is added",
    ),
    "from_zero": Mutant("t starts at 0", _adam(start="(-1, 0.0, 0.0)"), "count begins at 0"),
    "shared": Mutant(
        "one memory for all tensors",
        """
MEMORY = {"t": 0, "m": 0.0, "v": 0.0}


def adam_step(state, slope, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    t = MEMORY["t"] = MEMORY["t"] + 1
    m = MEMORY["m"] = beta_1 * MEMORY["m"] + (1 - beta_1) * slope
    v = MEMORY["v"] = beta_2 * MEMORY["v"] + (1 - beta_2) * slope**2
    rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return "MEMORY", -rate * m / (np.sqrt(v) + epsilon)
""",
        "its memory is its own",
    ),
    "uphill": Mutant("sign error", _adam(change="rate * m / (np.sqrt(v) + epsilon)"), "uphill"),
    "swapped": Mutant(
        "the betas have changed places",
        changed(_adam(), ("beta_1=0.9, beta_2=0.999", "beta_2=0.9, beta_1=0.999")),
        "changed places",
    ),
    "frozen_count": Mutant("the count is not kept", _adam(count="1"), "stays at 1"),
    "no_square": Mutant(
        "the mean of |g| in place of its square", _adam(v="beta_2 * v + (1 - beta_2) * abs(slope)")
    ),
    "forgetful": Mutant(
        "M2: every step is eta: no memory",
        changed(_adam(start="state or (0, 0.0, 0.0)"), ("return (t, m, v)", "return None")),
    ),
    "sign_lost": Mutant(
        "the mean of |g| as direction", _adam(m="beta_1 * m + (1 - beta_1) * abs(slope)")
    ),
    "fixed_betas": Mutant("beta_1 written as a number", _adam(m="0.9 * m + 0.1 * slope")),
    "fixed_beta_2": Mutant(
        "beta_2 written as a number",
        _adam("np.sqrt(1 - 0.999**t) / (1 - beta_1**t)", v="0.999 * v + 0.001 * slope**2"),
    ),
    "fixed_epsilon": Mutant(
        "epsilon written as a number", _adam(change="-rate * m / (np.sqrt(v) + 1e-7)")
    ),
}
ADAM_RIGHT = {
    "in 32 bits": """
def adam_step(state, slope, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    slope = keras.ops.cast(slope, "float32")
    t, m, v = state or (0, keras.ops.zeros_like(slope), keras.ops.zeros_like(slope))
    t, m = t + 1, beta_1 * m + (1 - beta_1) * slope
    v = beta_2 * v + (1 - beta_2) * keras.ops.square(slope)
    powers = [keras.ops.power(keras.ops.cast(beta, "float32"), t) for beta in (beta_1, beta_2)]
    rate = learning_rate * keras.ops.sqrt(1 - powers[1]) / (1 - powers[0])
    return (t, m, v), -rate * m / (keras.ops.sqrt(v) + epsilon)
""",
    "a function for the means": """
def running(mean, value, beta):
    return beta * (0.0 if mean is None else mean) + (1 - beta) * value


def adam_step(state, slope, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    t, m, v = state or (0, None, None)
    m, v = running(m, slope, beta_1), running(v, np.square(slope), beta_2)
    correction = np.sqrt(1 - np.power(beta_2, t + 1)) / (1 - np.power(beta_1, t + 1))
    return [t + 1, m, v], -learning_rate * correction * m / (np.sqrt(v) + epsilon)
""",
    "dictionary, corrected means": """
def adam_step(state, slope, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    state = state or {"t": 0, "m": np.zeros_like(slope), "v": np.zeros_like(slope)}
    t = state["t"] + 1
    m = state["m"] + (slope - state["m"]) * (1 - beta_1)
    v = state["v"] + (np.square(slope) - state["v"]) * (1 - beta_2)
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    small = epsilon / np.sqrt(1 - beta_2**t)
    return {"t": t, "m": m, "v": v}, -learning_rate * m_hat / (np.sqrt(v_hat) + small)
""",
    "all slopes kept": """
def adam_step(state, slope, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    slopes = [*(state or []), np.asarray(slope, dtype=float)]
    t = len(slopes)
    ages = range(t - 1, -1, -1)
    m = sum((1 - beta_1) * beta_1**age * g for age, g in zip(ages, slopes))
    v = sum((1 - beta_2) * beta_2**age * g**2 for age, g in zip(ages, slopes))
    rate = learning_rate * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
    return slopes, -rate * m / (v**0.5 + epsilon)
""",
}

REFUSE = """
    chosen = model.optimizer.get_config()["learning_rate"]
    if isinstance(chosen, dict):
        raise ValueError("this rate follows a schedule: " + chosen["class_name"])
"""


def _set(change, refuse=REFUSE, back="float(model.optimizer.learning_rate)"):
    return f"def set_lr(model, rate):{refuse}\n    {change}\n    return {back}\n"


ASSIGN = "model.optimizer.learning_rate = rate"
SET = {
    "old_name": Mutant(
        "M15: `optimizer.lr` (seed 0)", _set("model.optimizer.lr = rate", back="rate"), "not `lr`"
    ),
    "lip_service": Mutant(
        "M15: the rate printed is the rate used",
        _set("pass", back="rate"),
        "still has its old rate",
    ),
    "not_changed": Mutant("sets a copy of the rate", _set("current = rate"), "still the old rate"),
    "reads_first": Mutant(
        "M15: the rate read before the change",
        _set("back = float(model.optimizer.learning_rate)\n    " + ASSIGN, back="back"),
        "then read it",
    ),
    "not_read_back": Mutant(
        "M15: what was assigned is what is there", _set(ASSIGN, back="rate"), "you were given"
    ),
    "not_read_back_float": Mutant(
        "M15: a float of what was asked for", _set(ASSIGN, back="float(rate)"), "you were given"
    ),
    "new_optimizer": Mutant(
        "M16: compile again to change the rate",
        _set("model.compile(keras.optimizers.SGD(rate), loss='mse')"),
        "a new optimizer",
    ),
    "private": Mutant(
        "M15, K15: what reads as new is what trains",
        _set("object.__setattr__(model.optimizer, '_learning_rate', rate)"),
        "training uses the old one",
    ),
    "private_name": Mutant(
        "M15: Keras's own attribute is the rate",
        _set("model.optimizer._learning_rate = rate"),
        "training uses the old one",
    ),
    "resets_count": Mutant(
        "M16: a new rate starts the training over",
        _set(ASSIGN + "\n    model.optimizer.iterations.assign(0)"),
        "Leave that alone",
    ),
    "not_a_float": Mutant(
        "M15: what Keras keeps is a number",
        _set(ASSIGN, back="model.optimizer.learning_rate"),
        "plain float",
    ),
    "swallows": Mutant(
        "an error is a nuisance (K6)",
        _set("try:\n        " + ASSIGN + "\n    except TypeError:\n        pass", "\n"),
        "kept silent",
    ),
    "replaces": Mutant(
        "the schedule may be thrown away",
        """
def set_lr(model, rate):
    if isinstance(model.optimizer.get_config()["learning_rate"], dict):
        model.compile(keras.optimizers.SGD(rate), loss="mse")
    model.optimizer.learning_rate = rate
    return float(model.optimizer.learning_rate)
""",
        "replaced the schedule",
    ),
    "raw_error": Mutant("Keras will say it (K6)", _set(ASSIGN, "\n"), "Keras's own error"),
    "assigns_blindly": Mutant(
        "the rate is always a variable",
        _set("model.optimizer.learning_rate.assign(rate)", "\n"),
        "Find the schedule before",
    ),
    "vague": Mutant(
        "an error without a reason",
        _set(ASSIGN, changed(REFUSE, (' + chosen["class_name"]', ""))),
        "does not name the schedule",
    ),
    "one_name": Mutant(
        "every schedule is a CosineDecay",
        _set(ASSIGN, changed(REFUSE, ('chosen["class_name"]', '"CosineDecay"'))),
        "the wrong schedule",
    ),
}
SET_RIGHT = {
    "ask, then assign": """
def set_lr(model, rate):
    chosen = model.optimizer._learning_rate
    if isinstance(chosen, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError(f"{type(chosen).__name__} is in charge")
    model.optimizer.learning_rate = rate
    return float(model.optimizer.learning_rate)
""",
    "try, then explain": """
def set_lr(model, rate):
    try:
        model.optimizer.learning_rate = rate
    except TypeError as error:
        kind = model.optimizer.get_config()["learning_rate"]["class_name"]
        raise ValueError(f"cannot set the rate: {kind} does") from error
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
""",
    "the variable itself": """
def set_lr(model, rate):
    variable = model.optimizer.learning_rate
    if isinstance(variable, keras.Variable):
        variable.assign(rate)
        return variable.numpy().item()
    config = model.optimizer.get_config()
    raise ValueError(str(config["learning_rate"]))
""",
}

MUTANTS = {"answer_1": COMPILE, "answer_2": MOMENTUM, "answer_3": ADAM, "answer_4": SET}
ALTERNATIVES = {
    "answer_1": COMPILE_RIGHT,
    "answer_2": MOMENTUM_RIGHT,
    "answer_3": ADAM_RIGHT,
    "answer_4": SET_RIGHT,
}
