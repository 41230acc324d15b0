"""Models, optimizers, losses, metrics, weights and data of all kinds, drawn and put together.

Everything is written as users write it. Each table goes from a name to what makes the thing;
`configurations` goes through all tables at once, each in an order of its own.
"""

import random
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, losses, metrics, ops, optimizers

TRAIN, HELD_OUT, CLASSES = 28, 11, 3
BATCH, EPOCHS = 8, 3


# Layers, losses and metrics of one's own


class Counter(layers.Layer):
    """Scales by how often it was called, in evaluations too."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs * (1 + 0.01 * self.calls)


class RunningPeak(layers.Layer):
    """Divides by the largest value seen in training."""

    def build(self, shape):
        self.peak = self.add_weight(shape=(), initializer="ones", trainable=False, name="peak")

    def call(self, inputs, training=False):
        if training:
            self.peak.assign(ops.maximum(self.peak, ops.max(ops.abs(inputs))))
        return inputs / self.peak


class Noise(layers.Layer):
    """Adds noise; also in evaluations if `always`."""

    def __init__(self, always=False):
        super().__init__()
        self.always, self.seeds = always, keras.random.SeedGenerator(7)

    def call(self, inputs, training=False):
        if not (training or self.always):
            return inputs
        return inputs + 0.1 * keras.random.normal(ops.shape(inputs), seed=self.seeds)


class Penalty(layers.Layer):
    """Adds the mean square of what passes to the loss."""

    def call(self, inputs):
        self.add_loss(0.01 * ops.mean(ops.square(inputs)))
        return inputs


def cubic_error(y_true, y_pred):
    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred) ** 3, axis=-1)


class Quartic(losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean((ops.cast(y_true, y_pred.dtype) - y_pred) ** 4, axis=-1)


class Lowest(metrics.Metric):
    """The smallest output so far: starts again from infinity, and may return its variable."""

    def __init__(self, name="lowest", itself=True):
        super().__init__(name=name)
        self.itself = itself
        self.low = self.add_variable((), "zeros", name="low")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.low.assign(ops.minimum(self.low, ops.cast(ops.min(y_pred), self.dtype)))

    def result(self):
        return self.low if self.itself else self.low + 0.0

    def reset_state(self):
        self.low.assign(np.inf)


class Moments(metrics.Metric):
    """Mean and mean square of the outputs: one metric, two entries."""

    def __init__(self, name="moments"):
        super().__init__(name=name)
        self.sums = self.add_variable((3,), "zeros", name="sums")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = ops.cast(ops.reshape(y_pred, (-1,)), self.dtype)
        own = [ops.sum(values), ops.sum(values**2), ops.sum(ops.ones_like(values))]
        self.sums.assign_add(ops.stack(own))

    def result(self):
        return {
            "output_mean": self.sums[0] / self.sums[2],
            "output_square": self.sums[1] / self.sums[2],
        }


def bias(y_true, y_pred):
    """A metric that is a function."""
    return ops.mean(y_pred) - ops.mean(ops.cast(y_true, y_pred.dtype))


# Bodies of models: from inputs of some kind to features of shape (examples, features)


def chain(*makers):
    """Return a body that calls new layers one after another."""

    def body(inputs):
        for make in makers:
            inputs = make()(inputs)
        return inputs

    return body


def dense(units=6, activation="tanh", **arguments):
    return lambda: layers.Dense(units, activation, **arguments)


def shared(inputs):
    layer = layers.Dense(4, "tanh")
    return layer(layer(layers.Dense(4)(inputs)))


def frozen(inputs):
    layer = layers.Dense(6, "tanh")
    layer.trainable = False
    return layers.Dense(5, "relu")(layer(inputs))


def nested(inputs):
    inner = keras.Sequential([layers.Dense(6, "tanh"), layers.Dropout(0.2)])
    return layers.Dense(4, "relu")(inner(inputs))


def frozen_backbone(inputs):
    stem = keras.Sequential(
        [layers.Conv2D(3, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    )
    stem.trainable = False
    return layers.GlobalAveragePooling2D()(stem(inputs))


def residual(inputs):
    inner = layers.Conv2D(2, 3, padding="same", use_bias=False)(inputs)
    inner = layers.ReLU()(layers.BatchNormalization()(inner))
    return layers.Flatten()(layers.add([inputs, inner]))


def adapted(inputs):
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(3).normal(2, 3, size=(40, 4)))
    return layers.Dense(6, "tanh")(layer(inputs))


def attention(dropout=0.0):
    def body(inputs):
        layer = layers.MultiHeadAttention(2, 3, dropout=dropout)
        inner = layers.LayerNormalization()(inputs + layer(inputs, inputs))
        wide = layers.Dense(inputs.shape[-1], "gelu")(inner)
        return layers.GlobalAveragePooling1D()(inner + wide)

    return body


def tokens(*makers, size=9, **arguments):
    return chain(lambda: layers.Embedding(size, 4, **arguments), *makers)


def images(*makers):
    return chain(lambda: layers.Rescaling(1 / 255), *makers, layers.Flatten)


VECTOR = {
    "mlp": chain(dense(8), dense(5, "relu")),
    "deep": chain(*[dense(5, "relu", kernel_initializer="he_normal")] * 4),
    "linear": chain(),
    "shared layer": shared,
    "frozen layer": frozen,
    "nested": nested,
    "L1L2": chain(
        dense(kernel_regularizer=keras.regularizers.L1L2(0.01, 0.01), bias_regularizer="l2")
    ),
    "activity regulariser": chain(dense(activity_regularizer="l2")),
    "ActivityRegularization": chain(dense(), lambda: layers.ActivityRegularization(l1=0.01)),
    "add_loss": chain(dense(), Penalty),
    "max norm": chain(dense(kernel_constraint=keras.constraints.MaxNorm(0.7))),
    "unit norm": chain(dense(kernel_constraint="unit_norm", bias_constraint="non_neg")),
    "Dropout": chain(dense(16), lambda: layers.Dropout(0.4)),
    "Dropouts": chain(
        dense(9), lambda: layers.Dropout(0.4), dense(8), lambda: layers.Dropout(0.2, seed=3)
    ),
    "GaussianNoise": chain(lambda: layers.GaussianNoise(0.2), dense()),
    "GaussianDropout": chain(dense(), lambda: layers.GaussianDropout(0.3)),
    "AlphaDropout": chain(dense(6, "selu"), lambda: layers.AlphaDropout(0.2)),
    "BatchNormalization": chain(dense(6, None), layers.BatchNormalization, layers.ReLU),
    "renorm": chain(dense(6, "tanh"), lambda: layers.BatchNormalization(renorm=True)),
    "Dropout and BatchNormalization": chain(
        dense(8, use_bias=False), layers.BatchNormalization, lambda: layers.Dropout(0.3)
    ),
    "LayerNormalization": chain(dense(8), layers.LayerNormalization),
    "GroupNormalization": chain(dense(8), lambda: layers.GroupNormalization(2)),
    "RMSNormalization": chain(dense(8), layers.RMSNormalization),
    "UnitNormalization": chain(dense(8), layers.UnitNormalization),
    "Normalization": adapted,
    "SpectralNormalization": chain(lambda: layers.SpectralNormalization(layers.Dense(6, "tanh"))),
    "PReLU": chain(dense(6, None), layers.PReLU),
    "softmax": chain(dense(6, None), layers.Softmax),
    "EinsumDense": chain(lambda: layers.EinsumDense("ab,bc->ac", 5, bias_axes="c")),
    "Lambda": chain(lambda: layers.Lambda(lambda x: ops.sin(x)), dense()),
    "counter": chain(dense(), Counter),
    "running peak": chain(dense(), RunningPeak),
    "own noise": chain(dense(), Noise),
    "Monte Carlo": chain(dense(), lambda: Noise(always=True)),
    "float64 layer": chain(dense(6, dtype="float64"), dense(5, dtype="float32")),
    "bfloat16": chain(dense(8, dtype="mixed_bfloat16"), dense(5, dtype="float32")),
    "lora": chain(dense(6), lambda: _with_lora(layers.Dense(6))),
}


class _WithLora(layers.Layer):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def build(self, shape):
        self.layer.build(shape)
        self.layer.enable_lora(2)

    def call(self, inputs):
        return self.layer(inputs)


def _with_lora(layer):
    return _WithLora(layer)


IMAGE = {
    "Conv2D same": images(lambda: layers.Conv2D(3, 3, padding="same", activation="relu")),
    "Conv2D valid": images(lambda: layers.Conv2D(3, 2, activation="tanh")),
    "Conv2D strides": images(lambda: layers.Conv2D(3, 3, strides=2, activation="relu")),
    "Conv2D dilated": images(lambda: layers.Conv2D(3, 2, dilation_rate=2)),
    "Conv2D groups": images(lambda: layers.Conv2D(4, 3, groups=2)),
    "Conv2D 1x1": images(lambda: layers.Conv2D(4, 1), lambda: layers.Conv2D(2, (1, 3))),
    "DepthwiseConv2D": images(lambda: layers.DepthwiseConv2D(3, depth_multiplier=2)),
    "SeparableConv2D": images(lambda: layers.SeparableConv2D(3, 3, padding="same")),
    "Conv2DTranspose": images(lambda: layers.Conv2DTranspose(2, 3, strides=2)),
    "MaxPooling2D": images(lambda: layers.Conv2D(3, 3), layers.MaxPooling2D),
    "AveragePooling2D": images(lambda: layers.AveragePooling2D(2), lambda: layers.Conv2D(3, 2)),
    "UpSampling2D": images(
        lambda: layers.ZeroPadding2D(1), lambda: layers.Cropping2D(2), layers.UpSampling2D
    ),
    "SpatialDropout2D": images(
        lambda: layers.Conv2D(4, 3), lambda: layers.SpatialDropout2D(0.3), layers.BatchNormalization
    ),
    "spectral convolution": images(
        lambda: layers.SpectralNormalization(layers.Conv2D(3, 3, padding="same"))
    ),
    "residual": chain(lambda: layers.Rescaling(1 / 255), lambda: residual),
    "frozen backbone": chain(lambda: layers.Rescaling(1 / 255), lambda: frozen_backbone),
    "RandomFlip": images(lambda: layers.RandomFlip(), lambda: layers.Conv2D(3, 3)),
    "RandomRotation": images(lambda: layers.RandomRotation(0.2)),
    "RandomTranslation": images(lambda: layers.RandomTranslation(0.2, 0.2)),
    "RandomZoom": images(lambda: layers.RandomZoom(0.2)),
    "RandomContrast": images(lambda: layers.RandomContrast(0.5)),
    "RandomBrightness": images(lambda: layers.RandomBrightness(0.2, value_range=(0, 1))),
    "CenterCrop": images(lambda: layers.CenterCrop(4, 4)),
    "Resizing": images(lambda: layers.Resizing(4, 4)),
}
SEQUENCE = {
    "Conv1D": chain(lambda: layers.Conv1D(4, 3, activation="relu"), layers.GlobalMaxPooling1D),
    "Conv1D causal": chain(lambda: layers.Conv1D(4, 2, padding="causal"), layers.Flatten),
    "SeparableConv1D": chain(lambda: layers.SeparableConv1D(4, 3), layers.Flatten),
    "DepthwiseConv1D": chain(lambda: layers.DepthwiseConv1D(3), layers.Flatten),
    "Conv1DTranspose": chain(lambda: layers.Conv1DTranspose(2, 3, strides=2), layers.Flatten),
    "MaxPooling1D": chain(layers.MaxPooling1D, layers.Flatten, dense()),
    "SpatialDropout1D": chain(lambda: layers.SpatialDropout1D(0.3), layers.Flatten, dense()),
    "LSTM": chain(lambda: layers.LSTM(4)),
    "LSTM dropout": chain(lambda: layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2)),
    "GRU": chain(lambda: layers.GRU(4)),
    "GRU dropout": chain(lambda: layers.GRU(4, dropout=0.3)),
    "SimpleRNN": chain(lambda: layers.SimpleRNN(4, return_sequences=True), layers.Flatten),
    "Bidirectional": chain(lambda: layers.Bidirectional(layers.LSTM(3))),
    "TimeDistributed": chain(
        lambda: layers.TimeDistributed(layers.Dense(2, "tanh")), layers.Flatten
    ),
    "masked LSTM": chain(lambda: layers.Masking(0.0), lambda: layers.LSTM(3)),
    "attention": attention(),
    "attention with dropout": attention(0.2),
}
TOKENS = {
    "Embedding": tokens(layers.Flatten),
    "Embedding mean": tokens(layers.GlobalAveragePooling1D, dense()),
    "masked Embedding": tokens(lambda: layers.LSTM(3), mask_zero=True),
    "large Embedding": tokens(layers.Flatten, size=400),
    "Embedding with a penalty": tokens(layers.Flatten, embeddings_regularizer="l2"),
    "Embedding and attention": tokens(lambda: attention()),
}
MODELS = {
    name: (kind, body)
    for kind, table in (("vector", VECTOR), ("image", IMAGE), ("sequence", SEQUENCE))
    for name, body in table.items()
} | {name: ("tokens", body) for name, body in TOKENS.items()}


# What a model is, beyond its layers


class WithoutTraining(keras.Model):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.inner = keras.Model(inputs, outputs)

    def call(self, inputs):
        return self.inner(inputs)


class WithTraining(WithoutTraining):
    def call(self, inputs, training=False):
        return self.inner(inputs, training=training)


class OwnLoss(keras.Model):
    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return 2 * loss if training else loss


class OwnLossOldStyle(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return super().compute_loss(x, y, y_pred, sample_weight) + 0.5


class OwnTracker(keras.Model):
    """The example in the documentation of Keras's `compute_loss`: a mean over batches."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = metrics.Mean(name="loss")

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        self.loss_tracker.update_state(loss)
        return loss

    def reset_metrics(self):
        self.loss_tracker.reset_state()

    @property
    def metrics(self):
        return [self.loss_tracker]


class OwnReport(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        report = super().compute_metrics(x, y, y_pred, sample_weight)
        return report | {"twice_the_loss": 2 * report["loss"], "size": ops.shape(y_pred)[0]}


class OwnResult(keras.Model):
    def get_metrics_result(self):
        report = super().get_metrics_result()
        return report | {"root": ops.sqrt(ops.abs(report["loss"]))}


class OwnMetric(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.spread = metrics.Mean(name="spread")

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        one = keras.tree.flatten(y_pred)[0]
        self.spread.update_state(ops.max(one) - ops.min(one))
        return super().compute_metrics(x, y, y_pred, sample_weight)


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


KINDS = {
    "functional": keras.Model,
    "without a training argument": WithoutTraining,
    "with a training argument": WithTraining,
    "compute_loss": OwnLoss,
    "compute_loss of old": OwnLossOldStyle,
    "own tracker": OwnTracker,
    "compute_metrics": OwnReport,
    "get_metrics_result": OwnResult,
    "own metric": OwnMetric,
    "train_step": OwnStep,
}


# Optimizers and their options

OPTIMIZERS = {
    "SGD": (0.1, optimizers.SGD, {}),
    "momentum": (0.05, optimizers.SGD, {"momentum": 0.9}),
    "Nesterov": (0.05, optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adam": (0.01, optimizers.Adam, {}),
    "AMSGrad": (0.01, optimizers.Adam, {"amsgrad": True}),
    "AdamW": (0.01, optimizers.AdamW, {}),
    "Adamax": (0.01, optimizers.Adamax, {}),
    "Nadam": (0.01, optimizers.Nadam, {}),
    "RMSprop": (0.01, optimizers.RMSprop, {}),
    "centred RMSprop": (0.01, optimizers.RMSprop, {"momentum": 0.5, "centered": True}),
    "Adagrad": (0.05, optimizers.Adagrad, {}),
    "Adadelta": (0.5, optimizers.Adadelta, {}),
    "Lion": (0.003, optimizers.Lion, {}),
    "Ftrl": (0.05, optimizers.Ftrl, {}),
    "Adafactor": (0.01, optimizers.Adafactor, {}),
    "Lamb": (0.01, optimizers.Lamb, {}),
    "Muon": (0.01, getattr(optimizers, "Muon", optimizers.Lamb), {}),
    "ScheduleFreeAdamW": (0.01, getattr(optimizers, "ScheduleFreeAdamW", optimizers.AdamW), {}),
    "loss scale": (0.1, lambda **named: optimizers.LossScaleOptimizer(optimizers.SGD(**named)), {}),
}
OPTIONS = {
    "none": {},
    "clipnorm": {"clipnorm": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.3},
    "clipvalue": {"clipvalue": 0.05},
    "weight decay": {"weight_decay": 0.1},
    "decay without biases": {"weight_decay": 0.3},
    "EMA": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 5},
    "EMA kept aside": {"use_ema": True},
    "accumulation": {"gradient_accumulation_steps": 3},
    "accumulation and EMA": {
        "gradient_accumulation_steps": 2,
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 3,
    },
    "loss scale": {"loss_scale_factor": 8.0},
    "cosine": {"learning_rate": lambda: optimizers.schedules.CosineDecay(0.3, 9)},
    "warm-up": {
        "learning_rate": lambda: optimizers.schedules.CosineDecay(
            0.0, 9, warmup_target=0.5, warmup_steps=4
        )
    },
    "piecewise": {
        "learning_rate": lambda: optimizers.schedules.PiecewiseConstantDecay(
            [4, 8], [1.0, 0.3, 0.7]
        )
    },
    "restarts": {"learning_rate": lambda: optimizers.schedules.CosineDecayRestarts(0.2, 3)},
}


def make_optimizer(name, option):
    rate, kind, own = OPTIMIZERS[name]
    more = dict(OPTIONS[option])
    schedule = more.pop("learning_rate", None)
    optimizer = kind(learning_rate=schedule() if schedule else rate, **{**own, **more})
    if option == "decay without biases":
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


# Targets: the kind of the labels, the last activation, the loss

sparse = losses.SparseCategoricalCrossentropy
TARGETS = {
    "classes": ("class", "softmax", lambda: "sparse_categorical_crossentropy"),
    "logits": ("class", None, lambda: sparse(from_logits=True)),
    "summed": ("class", "softmax", lambda: sparse(reduction="sum")),
    "mean by weights": ("class", "softmax", lambda: sparse(reduction="mean_with_sample_weight")),
    "ignored class": ("class", "softmax", lambda: sparse(ignore_class=1)),
    "one-hot": ("one-hot", "softmax", lambda: "categorical_crossentropy"),
    "smoothed": ("one-hot", "softmax", lambda: losses.CategoricalCrossentropy(label_smoothing=0.1)),
    "focal": ("one-hot", "softmax", lambda: losses.CategoricalFocalCrossentropy()),
    "KL": ("one-hot", "softmax", lambda: "kl_divergence"),
    "own loss": ("one-hot", "softmax", lambda: cubic_error),
    "one-hot with sigmoid": ("one-hot", "sigmoid", lambda: "binary_crossentropy"),
    "binary": ("binary", "sigmoid", lambda: "binary_crossentropy"),
    "binary focal": ("binary", "sigmoid", lambda: losses.BinaryFocalCrossentropy()),
    "dice": ("binary", "sigmoid", lambda: losses.Dice()),
    "hinge": ("binary", "tanh", lambda: "hinge"),
    "mse": ("number", None, lambda: "mse"),
    "mae": ("number", None, lambda: "mae"),
    "huber": ("number", None, lambda: losses.Huber(0.5)),
    "log-cosh": ("number", None, lambda: losses.LogCosh()),
    "own class": ("number", None, lambda: Quartic(name="binary_crossentropy")),
    "poisson": ("count", "softplus", lambda: "poisson"),
    "multi-label": ("labels", "sigmoid", lambda: "binary_crossentropy"),
    "cosine": ("labels", "tanh", lambda: losses.CosineSimilarity()),
    "two outputs": ("list", None, lambda: ["mse", sparse(from_logits=True)]),
    "two weighted outputs": ("list", None, lambda: ["mae", sparse(from_logits=True)]),
    "dict of outputs": ("dict", None, lambda: {"a": "mse", "b": sparse(from_logits=True)}),
}
UNITS = {"class": 3, "one-hot": 3, "binary": 1, "number": 1, "count": 1, "labels": 4}

# Metrics, and the kinds of labels that they are for
ANY = ("class", "one-hot", "binary", "number", "count", "labels")
METRICS = {
    "none": ((*ANY, "list", "dict"), list),
    "accuracy": (("class", "one-hot", "binary", "labels"), lambda: ["accuracy"]),
    "top k": (("class",), lambda: [metrics.SparseTopKCategoricalAccuracy(2)]),
    "AUC": (("binary", "labels"), lambda: [metrics.AUC(num_thresholds=20)]),
    "F1": (("one-hot", "labels"), lambda: [metrics.F1Score(average="macro")]),
    "precision": (("binary", "labels"), lambda: [metrics.Precision(), metrics.Recall()]),
    "MeanIoU": (
        ("class",),
        lambda: [metrics.MeanIoU(CLASSES, sparse_y_pred=False)],
    ),
    "binary IoU": (("binary",), lambda: [metrics.BinaryIoU([1])]),
    "regression": (
        ("number", "count"),
        lambda: ["mae", metrics.RootMeanSquaredError(), metrics.R2Score()],
    ),
    "correlation": (("number",), lambda: [metrics.PearsonCorrelation(axis=0)]),
    "function": (ANY, lambda: [bias]),
    "own": (ANY, lambda: [Lowest()]),
    "own, copied": (ANY, lambda: [Lowest(itself=False)]),
    "entries": (ANY, lambda: [Moments()]),
    "several": (("class",), lambda: ["accuracy", Lowest(), bias, Moments()]),
    "for each output": (("list",), lambda: [["mae"], ["accuracy"]]),
    "by output": (("dict",), lambda: {"b": ["accuracy", Lowest()], "a": "mse"}),
}
WEIGHTS = ("none", "sample", "class")
DATA = {
    "vector": ("float32", "float64", "integers", "booleans", "bytes", "dict", "list", "sums"),
    "image": ("bytes", "float32"),
    "sequence": ("float32", "float64"),
    "tokens": ("integers", "float32"),
}
SHAPES = {"vector": (4,), "image": (6, 6, 2), "sequence": (5, 3), "tokens": (6,)}
BUILDERS = ("plain", "seeds itself", "fixed start", "draws weights", "draws a constant", "shares")

backbone = keras.Sequential([keras.Input((4,)), layers.Dense(4, "tanh")], name="backbone")
backbone.trainable = False


class Configuration(NamedTuple):
    """The names of what a sweep is made of."""

    model: str
    data: str
    kind: str
    optimizer: str
    option: str
    target: str
    metrics: str
    weights: str
    builder: str
    seed: int

    @property
    def rates(self):
        """Two learning rates, far apart."""
        rate = OPTIMIZERS[self.optimizer][0]
        return [rate, rate / 10]

    def examples(self, count, seed):
        """Return (x, y) or (x, y, weights)."""
        random = np.random.default_rng((self.seed, seed))
        shape = SHAPES[MODELS[self.model][0]]
        numbers = random.normal(size=(count, *shape))
        x = {
            "float64": lambda: numbers,
            "float32": lambda: numbers.astype("float32"),
            "integers": lambda: random.integers(9, size=(count, *shape)),
            "booleans": lambda: numbers > 0,
            "bytes": lambda: random.integers(256, size=(count, *shape)).astype("uint8"),
            "dict": lambda: {"right": numbers[:, 2:], "left": numbers[:, :2]},
            "list": lambda: [numbers[:, :2], numbers[:, 2:].astype("float32")],
            "sums": lambda: numbers * np.array([1, 100, 0.01, 1]),
        }[self.data]()
        if MODELS[self.model][0] == "tokens":
            x = random.integers(9, size=(count, *shape)).astype(
                "int64" if self.data == "integers" else "float32"
            )
        y = self._labels(TARGETS[self.target][0], count, random)
        if self.metrics in ("regression", "correlation"):
            y = y.reshape(count, 1)
        if self.weights != "sample":
            return x, y
        return x, y, random.uniform(0.1, 2, size=count)

    def _labels(self, kind, count, random):
        classes = random.integers(CLASSES, size=count)
        return {
            "class": lambda: classes,
            "one-hot": lambda: np.eye(CLASSES)[classes],
            "binary": lambda: (classes > 0).astype(int),
            "number": lambda: random.normal(size=count),
            "count": lambda: random.poisson(2.0, size=(count, 1)),
            "labels": lambda: random.integers(2, size=(count, 4)),
            "list": lambda: [random.normal(size=(count, 1)), classes],
            "dict": lambda: {"b": classes, "a": random.normal(size=(count, 1))},
        }[kind]()

    @property
    def class_weight(self):
        """The class weights, or None."""
        return {0: 2.0, 1: 0.5, 2: 1.5} if self.weights == "class" else None

    def build(self):
        """Return a new compiled model."""
        if self.builder == "seeds itself":
            keras.utils.set_random_seed(5)
        shape, body = MODELS[self.model]
        inputs = [keras.Input(SHAPES[shape], dtype=self._input_type())]
        joined = inputs[0]
        if self.data in ("dict", "list"):
            inputs = [keras.Input((2,), name=name) for name in ("left", "right")]
            joined = layers.concatenate(inputs)
        features = body(self._special(joined))
        outputs = self._outputs(features)
        named = inputs[0] if len(inputs) == 1 else inputs
        if self.data == "dict":
            named = {"left": inputs[0], "right": inputs[1]}
        model = KINDS[self.kind](named, outputs)
        self._compile(model)
        if self.builder == "draws weights":
            for variable in model.trainable_variables:
                value = np.random.normal(size=variable.shape) * 0.3
                variable.assign(value.astype(variable.dtype))
        return model

    def _input_type(self):
        return {"integers": "int64", "booleans": "bool", "bytes": "uint8"}.get(self.data, "float32")

    def _special(self, tensor):
        """Let the builder do something that a model may depend on."""
        if self.model in TOKENS:
            return tensor
        if "int" in tensor.dtype or tensor.dtype == "bool":
            return ops.cast(tensor, "float32")
        if self.builder == "draws a constant":
            factor = float(np.random.uniform(0.5, 2))
            return layers.Lambda(lambda x: x * factor)(tensor)
        if self.builder == "shares" and tensor.shape[1:] == (4,):
            return backbone(tensor)
        return tensor

    def _outputs(self, features):
        kind, activation, _ = TARGETS[self.target]
        start = {"kernel_initializer": keras.initializers.GlorotUniform(seed=4)}
        arguments = start if self.builder == "fixed start" else {}
        if kind not in ("list", "dict"):
            return layers.Dense(UNITS[kind], activation, **arguments)(features)
        one = layers.Dense(1, name="a", **arguments)(features)
        two = layers.Dense(CLASSES, name="b", **arguments)(features)
        return [one, two] if kind == "list" else {"a": one, "b": two}

    def _compile(self, model):
        weighted = {"loss_weights": [0.3, 2.0]} if self.target == "two weighted outputs" else {}
        measured = METRICS[self.metrics][1]()
        weighs = (
            self.weights != "none"
            and self.metrics not in ("function", "several", "correlation")
            and self.seed % 2
        )
        where = "weighted_metrics" if weighs else "metrics"
        model.compile(
            make_optimizer(self.optimizer, self.option),
            TARGETS[self.target][2](),
            **{where: measured},
            **weighted,
        )


PLAIN = ("loss scale",)  # optimizers that take no options
NESTED = ("list", "dict")  # labels for two outputs
ONE_OUTPUT = ("without a training argument", "with a training argument", "compute_metrics")


def configurations(seed, count):
    """Return some configurations: each table is gone through in an order of its own.

    With at least as many configurations as there are models, every entry of every table is there.
    """
    chance = random.Random(seed)
    tables = {
        "model": list(MODELS),
        "kind": list(KINDS),
        "optimizer": list(OPTIMIZERS),
        "option": list(OPTIONS),
        "target": list(TARGETS),
        "metrics": list(METRICS),
        "weights": list(WEIGHTS),
        "builder": list(BUILDERS),
        "data": list(range(8)),
    }
    waiting = {name: [] for name in tables}

    def draw(name, fits=lambda _: True):
        """Take the first that fits from a shuffled table, which is refilled when it is empty."""
        for _ in range(2):
            for place, value in enumerate(waiting[name]):
                if fits(value):
                    return waiting[name].pop(place)
            rest = chance.sample(tables[name], len(tables[name]))
            waiting[name] += rest
        raise LookupError(f"nothing fits among {name}")

    def make(number):
        target = draw("target")
        labels = TARGETS[target][0]
        model = draw("model")
        optimizer = draw("optimizer")
        data = DATA[MODELS[model][0]]
        return Configuration(
            model=model,
            data=data[draw("data") % len(data)],
            kind=draw("kind", lambda it: labels not in NESTED or it not in ONE_OUTPUT),
            optimizer=optimizer,
            option=draw("option", lambda it: optimizer not in PLAIN or it == "none"),
            target=target,
            metrics=draw("metrics", lambda it: labels in METRICS[it][0]),
            weights=draw("weights", lambda it: it != "class" or labels in ("class", "one-hot")),
            builder=draw("builder"),
            seed=number,
        )

    return [make(number) for number in range(count)]
