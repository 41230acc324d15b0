"""Wrong and right answers to the exercises of lesson 6.

The numbers are those of the misconceptions that the lesson's myths and quiz are built on:
M7 the smallest gap between training and validation is best, M18 one run is enough, M19 accuracy
is enough to judge a learning rate, M22 fine-tuning can reuse the head's rate.
"""

from exercises.mutants import Mutant, changed

MODEL = """def make_model(learning_rate, base):
    base.trainable = False
    inputs = keras.Input(base.input_shape[1:])
    vectors = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(10)(vectors))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss, metrics=["accuracy"])
    return model
"""
FEATURES = """def extract_features(base, images):
    pixels = images / 127.5 - 1
    maps = np.array(base(pixels, training=False))
    return maps.mean(axis=(1, 2))
"""
PICK = """def pick_lr(histories):
    last = {eta: h["val_loss"][-1] for eta, h in histories.items()}
    last = {eta: loss for eta, loss in last.items() if not np.isnan(loss)}
    return min(last, key=last.get)
"""
TWO_RATES = """def discriminative(base, base_rate, head_rate):
    slow, fast = keras.optimizers.SGD(base_rate), keras.optimizers.SGD(head_rate)
    keys = [variable.path for variable in base.trainable_variables]
    return MultiOptimizer(OptimizerMap(fast, {key: slow for key in keys}))
"""
PREPARE = """def prepare_fine_tuning(model, base):
    base.trainable = True
    for layer in batch_normalizations(base):
        layer.trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss=loss, metrics=["accuracy"])
    return model
"""
KEYS = "keys = [variable.path for variable in base.trainable_variables]"


MUTANTS = {
    "answer_1": {
        "trains_all": Mutant(
            "training=False freezes a base",
            changed(MODEL, ("base.trainable = False", "base.trainable = True")),
            says="The whole backbone trains",
        ),
        "flattened": Mutant(
            "a head needs every place of the maps",
            changed(MODEL, ("GlobalAveragePooling2D", "Flatten")),
            says="do not keep them all",
        ),
        "one_output": Mutant(
            "a class is one number",
            changed(MODEL, ("Dense(10)", "Dense(1)")),
            says="ten garments",
        ),
        "default_rate": Mutant(
            "Adam needs no learning rate",
            changed(MODEL, ("Adam(learning_rate)", "Adam()")),
            says="pass the learning rate on",
        ),
        "plain_sgd": Mutant(
            "one optimizer is as good as another",
            changed(MODEL, ("optimizers.Adam", "optimizers.SGD")),
            says="yours is SGD",
        ),
        "adamw": Mutant(
            "AdamW is Adam",
            changed(MODEL, ("optimizers.Adam", "optimizers.AdamW")),
            says="yours is AdamW",
        ),
        "one_optimizer": Mutant(
            "an optimizer is a setting, not something with a memory",
            "_one = keras.optimizers.Adam(rate)\n\n\n"
            + changed(MODEL, ("keras.optimizers.Adam(learning_rate)", "_one")),
            says="share one optimizer",
        ),
        "softmax": Mutant(
            "from_logits=True makes the softmax fit",
            changed(MODEL, ("Dense(10)", 'Dense(10, activation="softmax")')),
            says="no softmax here",
        ),
        "sigmoid": Mutant(
            "a classifier ends in a sigmoid",
            changed(MODEL, ("Dense(10)", 'Dense(10, activation="sigmoid")')),
            says="A sigmoid squeezes",
        ),
        "relu": Mutant(
            "every layer wants a ReLU",
            changed(MODEL, ("Dense(10)", 'Dense(10, activation="relu")')),
            says="ReLU cuts",
        ),
        "maximum": Mutant(
            "one pooling is as good as another",
            changed(MODEL, ("GlobalAveragePooling2D", "GlobalMaxPooling2D")),
            says="the largest value",
        ),
        "not_from_logits": Mutant(
            "the loss sees by itself what it is given",
            changed(MODEL, ("from_logits=True", "")),
            says="takes your logits for probabilities",
        ),
        "frozen_weights": Mutant(
            "BatchNormalization only has weights that gradients change",
            changed(
                MODEL,
                (
                    "base.trainable = False",
                    "for variable in base.trainable_variables:\n        variable.trainable = False",
                ),
            ),
            says="BatchNormalization counted on",
        ),
    },
    "answer_2": {
        "raw": Mutant(
            "a network takes pixels as they are",
            changed(FEATURES, ("images / 127.5 - 1", "images / 1.0")),
            says="from 0 to 255",
        ),
        "to_one": Mutant(
            "pixels always go from 0 to 1",
            changed(FEATURES, ("images / 127.5 - 1", "images / 255")),
            says="from 0 to 1",
        ),
        "wrapped": Mutant(
            "uint8 can be negative",
            changed(FEATURES, ("images / 127.5 - 1", "(images - np.uint8(128)) / 128")),
            says="uint8 has no negative numbers",
        ),
        "training_mode": Mutant(
            "features are computed in training mode",
            changed(FEATURES, ("training=False", "training=True")),
            says="The other pictures had a say",
        ),
        "maximum": Mutant(
            "one pooling is as good as another",
            changed(FEATURES, ("mean(", "max(")),
            says="the largest value",
        ),
        "one_number": Mutant(
            "an average leaves one number a picture",
            changed(FEATURES, ("axis=(1, 2)", "axis=(1, 2, 3)")),
            says="keep the features",
        ),
        "whole_batches": Mutant(
            "the pictures fill whole batches",
            """def extract_features(base, images):
    rows = []
    for k in range(max(len(images) // 8, 1)):
        pixels = images[8 * k : 8 * k + 8] / 127.5 - 1
        rows.append(np.array(base(pixels)).mean(axis=(1, 2)))
    return np.concatenate(rows)
""",
            says="the last batch is smaller",
        ),
        "flattened": Mutant(
            "features are all numbers of the maps",
            changed(FEATURES, ("maps.mean(axis=(1, 2))", "maps.reshape(len(maps), -1)")),
            says="One number for each feature",
        ),
        "own_base": Mutant(
            "writes the notebook's base into the function",
            changed(FEATURES, ("base(pixels", "small_base()(pixels[:, ::4, ::4]")),
            says="Use the base",
        ),
        "squeezed": Mutant(
            "an axis of length one can go",
            changed(FEATURES, ("maps.mean(axis=(1, 2))", "maps.mean(axis=(1, 2)).squeeze()")),
            says="keep the first axis",
        ),
        "by_the_largest_pixel": Mutant(
            "pixels are divided by the largest",
            changed(FEATURES, ("images / 127.5 - 1", "2 * (images / images.max()) - 1")),
            says="White is 255",
        ),
    },
    "answer_3": {
        "gap": Mutant(
            "M7: the smallest gap is best",
            """def pick_lr(histories):
    gaps = {eta: abs(h["accuracy"][-1] - h["val_accuracy"][-1]) for eta, h in histories.items()}
    return min(gaps, key=gaps.get)
""",
            says="The smallest gap",
        ),
        "train_loss": Mutant(
            "the training loss chooses",
            changed(PICK, ('"val_loss"', '"loss"')),
            says="Training data cannot choose",
        ),
        "train_accuracy": Mutant(
            "the training accuracy chooses",
            changed(PICK, ('"val_loss"', '"accuracy"'), ("min(", "max(")),
            says="Training data cannot choose",
        ),
        "largest": Mutant(
            "the more the better",
            changed(PICK, ("min(", "max(")),
            says="the largest loss",
        ),
        "loss_itself": Mutant(
            "min gives the rate",
            changed(PICK, ("min(last, key=last.get)", "min(last.values())")),
            says="return its learning rate",
        ),
        "accuracy": Mutant(
            "M19: accuracy is enough",
            changed(PICK, ('"val_loss"', '"val_accuracy"'), ("min(", "max(")),
            says="Three accuracies are equal",
        ),
        "nan_first": Mutant(
            "min knows what to do with nan",
            changed(PICK, (" if not np.isnan(loss)", "")),
            says="nan is not a number",
        ),
        "best_epoch": Mutant(
            "the best epoch counts, wherever it was",
            changed(PICK, ('h["val_loss"][-1]', 'min(h["val_loss"])')),
            says="low once",
        ),
        "rounded": Mutant(
            "two decimals of a loss are enough",
            changed(PICK, ('h["val_loss"][-1]', 'round(h["val_loss"][-1], 2)')),
            says="don't round",
        ),
        "first_epoch": Mutant(
            "a good start decides",
            changed(PICK, ('h["val_loss"][-1]', 'h["val_loss"][0]')),
            says="Good at the start",
        ),
    },
    "answer_4": {
        "name_of_base": Mutant(
            "the base's name is in the paths of its weights",
            changed(TWO_RATES, (KEYS, 'keys = [f".*{base.name}.*"]')),
            says="fits no weight of the base",
        ),
        "layer_names": Mutant(
            "a pattern need only fit the beginning of a path",
            changed(TWO_RATES, (KEYS, "keys = [layer.name for layer in base.layers]")),
            says="must fit the whole path",
        ),
        "everything": Mutant(
            "the more a pattern fits the better",
            changed(TWO_RATES, (KEYS, 'keys = [".*"]')),
            says="fits the head as well",
        ),
        "swapped": Mutant(
            "the base has more to learn",
            changed(TWO_RATES, ("OptimizerMap(fast, {key: slow", "OptimizerMap(slow, {key: fast")),
            says="The wrong way round",
        ),
        "kernels": Mutant(
            "weights are kernels",
            changed(TWO_RATES, (KEYS, KEYS[:-1] + ' if "kernel" in variable.path]')),
            says="Biases belong to the base",
        ),
        "first_layer": Mutant(
            "only the first layer is general",
            changed(TWO_RATES, (KEYS, 'keys = ["first/.*"]')),
            says="Only the first layer",
        ),
        "factor": Mutant(
            "the base's rate is a share of the head's",
            changed(TWO_RATES, ("SGD(base_rate)", "SGD(base_rate * head_rate)")),
            says="not a factor",
        ),
        "written_down": Mutant(
            "the names that were printed hold everywhere",
            changed(TWO_RATES, (KEYS, 'keys = ["first/.*|conv2d.*"]')),
            says="other names",
        ),
        "head_by_name": Mutant(
            "a head is called head",
            """def discriminative(base, base_rate, head_rate):
    heads = {"head/.*": keras.optimizers.SGD(head_rate)}
    return MultiOptimizer(OptimizerMap(keras.optimizers.SGD(base_rate), heads))
""",
            says="A head may have any name",
        ),
        "names_that_begin_alike": Mutant(
            "a pattern ends where the layer's name ends",
            changed(TWO_RATES, (KEYS, 'keys = [f"{layer.name}.*" for layer in base.layers]')),
            says="no others",
        ),
        "heads_by_guess": Mutant(
            "a head is called head, top or dense",
            """def discriminative(base, base_rate, head_rate):
    heads = {"(head|top|dense.*)/.*": keras.optimizers.SGD(head_rate)}
    return MultiOptimizer(OptimizerMap(keras.optimizers.SGD(base_rate), heads))
""",
            says="A head may have any name",
        ),
        "momentum": Mutant(
            "momentum is a part of SGD",
            changed(TWO_RATES, ("SGD(base_rate)", "SGD(base_rate, momentum=0.9)")),
            says="three times as much off",
        ),
        "adam_for_head": Mutant(
            "a new head wants Adam",
            changed(TWO_RATES, ("SGD(head_rate)", "Adam(head_rate)")),
            says="three times as much off",
        ),
    },
    "answer_5": {
        "still_frozen": Mutant(
            "compiling again thaws a base",
            changed(PREPARE, ("base.trainable = True", "base.trainable = False")),
            says="still frozen",
        ),
        "norms_too": Mutant(
            "training=False is enough for BatchNormalization",
            changed(PREPARE, ("layer.trainable = False", "pass")),
            says="trains and counts on",
        ),
        "head_frozen": Mutant(
            "first the base alone",
            changed(PREPARE, ("    loss =", "    model.layers[-1].trainable = False\n    loss =")),
            says="The head is frozen",
        ),
        "not_compiled": Mutant(
            "trainable takes effect by itself",
            PREPARE.split("    loss =")[0] + "    return model\n",
            says="Compile again",
        ),
        "not_from_logits": Mutant(
            "the loss sees by itself what it is given",
            changed(PREPARE, ("from_logits=True", "")),
            says="Compiled without from_logits",
        ),
        "heads_rate": Mutant(
            "M22: fine-tuning can reuse the head's rate",
            changed(PREPARE, ("1e-4", "0.03")),
            says="More than five points",
        ),
        "steep_sgd": Mutant(
            "SGD at its rate for a head is gentle",
            changed(PREPARE, ("Adam(1e-4)", "SGD(1.0)")),
            says="More than five points",
        ),
        "hardly": Mutant(
            "M4: the smaller the safer",
            changed(PREPARE, ("1e-4", "1e-9")),
            says="hardly moved",
        ),
    },
}

ALTERNATIVES = {
    "answer_1": {
        "own_class": """class Classifier(keras.Model):
    def __init__(self, base):
        super().__init__()
        self.base, self.average = base, keras.layers.GlobalAveragePooling2D()
        self.head = keras.layers.Dense(10)

    def call(self, pictures):
        return self.head(self.average(self.base(pictures, training=False)))


def make_model(learning_rate, base):
    base.trainable = False
    model = Classifier(base)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss, metrics=["accuracy"])
    return model
""",
        "sequential": """def make_model(learning_rate, base):
    for layer in base.layers:
        layer.trainable = False
    base.trainable = False
    model = keras.Sequential([keras.Input(base.input_shape[1:]), base])
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(10))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model
""",
        "helper": """from utils.models import build_transfer_model as _build


def make_model(learning_rate, base):
    return _build(base, 10, learning_rate)
""",
        "by_hand": """def make_model(learning_rate, base):
    base.trainable = False
    x = base.output
    x = keras.ops.mean(x, axis=(1, 2))
    model = keras.Model(base.inputs, keras.layers.Dense(10, activation="linear")(x))
    adam = keras.optimizers.Adam()
    adam.learning_rate = learning_rate

    def loss(y, logits):
        return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)

    model.compile(adam, loss, metrics=["accuracy"])
    return model
""",
    },
    "answer_2": {
        "loop": """def extract_features(base, images):
    rows = []
    for start in range(0, len(images), 8):
        pixels = images[start : start + 8].astype("float32") / 127.5 - 1
        rows += [m.mean(axis=0).mean(axis=0) for m in np.array(base(pixels, training=False))]
    return np.array(rows)
""",
        "keras_all_the_way": """def extract_features(base, images):
    pixels = keras.applications.xception.preprocess_input(images.astype("float32"))
    return keras.layers.GlobalAveragePooling2D()(base(pixels))
""",
        "helper": """from course.clothing import features as _features


def extract_features(base, images):
    return _features.extract_features(base, images, progress=False)
""",
    },
    "answer_3": {
        "loop": """def pick_lr(histories):
    best, smallest = None, float("inf")
    for eta in histories:
        loss = histories[eta]["val_loss"][-1]
        if loss < smallest:
            best, smallest = eta, loss
    return best
""",
        "numpy": """def pick_lr(histories):
    etas = list(histories)
    return etas[np.nanargmin([histories[eta]["val_loss"][-1] for eta in etas])]
""",
        "pandas": """def pick_lr(histories):
    return pd.Series({eta: list(h["val_loss"])[-1] for eta, h in histories.items()}).idxmin()
""",
    },
    "answer_4": {
        "one_pattern": """import re


def discriminative(base, base_rate, head_rate):
    pattern = "|".join(re.escape(variable.path) for variable in base.trainable_variables)
    optimizers = OptimizerMap(keras.optimizers.SGD(head_rate))
    optimizers[pattern] = keras.optimizers.SGD(base_rate)
    return MultiOptimizer(optimizers)
""",
        "layers": """def discriminative(base, base_rate, head_rate):
    slow = keras.optimizers.SGD(base_rate)
    patterns = {f"{layer.name}/.*": slow for layer in base.layers if layer.weights}
    return MultiOptimizer(OptimizerMap(keras.optimizers.SGD(head_rate), patterns))
""",
        "helper": """from utils.discriminative_lr import discriminative_optimizer


def discriminative(base, base_rate, head_rate):
    return discriminative_optimizer(base, base_rate, head_rate, keras.optimizers.SGD)
""",
    },
    "answer_5": {
        "helper": """def prepare_fine_tuning(model, base):
    unfreeze(base)
    model.compile(keras.optimizers.Adam(3e-5), model.loss, metrics=["accuracy"])
    return model
""",
        "two_rates": """def prepare_fine_tuning(model, base):
    base.trainable = True
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    slow = keras.optimizers.Adam(5e-5)
    keys = {variable.path: slow for variable in base.trainable_variables}
    optimizer = MultiOptimizer(OptimizerMap(keras.optimizers.Adam(3e-4), keys))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
""",
        "sgd": """def prepare_fine_tuning(model, base):
    base.trainable = True
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-4), loss=loss, metrics=["accuracy"])
    return model
""",
    },
}
