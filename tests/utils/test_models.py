"""The pocket Xception and its weights, transfer models, frozen layers, extracted features."""

import hashlib
import logging
import threading

import keras
import numpy as np
import pytest
from keras import layers
from keras.applications.xception import preprocess_input

from course.clothing import features as features_module
from course.clothing.features import extract_features
from course.clothing.garments import load_garments
from utils import models
from utils.models import (
    batch_normalizations,
    build_head,
    build_pocket_xception,
    build_transfer_model,
    unfreeze,
)


@pytest.fixture(scope="module")
def backbone():
    return build_pocket_xception()


@pytest.fixture(scope="module")
def garments():
    return load_garments(2, "easy", seed=9)


def tiny_backbone(side=8, filters=3, seed=0, activation="relu"):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((side, side, 3))
    x = layers.Conv2D(4, 3, activation=activation)(inputs)
    x = layers.BatchNormalization(momentum=0.5)(x)
    return keras.Model(inputs, layers.Conv2D(filters, 1)(x))


def tiny_images(count=10, side=8, seed=0):
    return np.random.default_rng(seed).integers(256, size=(count, side, side, 3), dtype=np.uint8)


def moving(model):
    return [v.numpy() for layer in batch_normalizations(model) for v in layer.non_trainable_weights]


# --- the architecture and its weights ---------------------------------------------------------


def test_size_and_shapes(backbone):
    assert backbone.input_shape == (None, 64, 64, 3)
    assert backbone.output_shape == (None, 4, 4, 256)
    assert backbone.count_params() == 318_128
    full_size = 20_861_480  # Xception without its top
    assert 60 < full_size / backbone.count_params() < 80


def test_the_parts_are_xceptions(backbone):
    kinds = [type(layer).__name__ for layer in backbone.layers]
    assert kinds.count("SeparableConv2D") == 16  # of 34
    assert kinds.count("Add") == 6  # of 12
    assert kinds.count("MaxPooling2D") == 3  # of 4
    convolutions = kinds.count("Conv2D") + kinds.count("SeparableConv2D")
    assert kinds.count("BatchNormalization") == len(batch_normalizations(backbone)) == convolutions


def test_shipped_weights_are_small_and_have_the_checksum():
    content = models.POCKET_WEIGHTS.read_bytes()
    assert len(content) < 1_500_000
    assert hashlib.sha256(content).hexdigest() == models.POCKET_SHA256
    table = (models.POCKET_WEIGHTS.parent / "README.md").read_text(encoding="utf-8")
    assert models.POCKET_SHA256 in table


def test_shipped_weights_know_garments_apart_and_random_ones_do_not(backbone):
    (x, y), (x_held_out, y_held_out) = (load_garments(8, "easy", seed=seed) for seed in (0, 1))
    keras.utils.set_random_seed(0)
    scores = []
    for eyes in (backbone, build_pocket_xception(weights=None)):
        seen, new = (extract_features(eyes, images, progress=False) for images in (x, x_held_out))
        centres = np.stack([seen[y == label].mean(axis=0) for label in range(10)])
        distances = np.linalg.norm(new[:, None] - centres, axis=-1)
        scores.append(np.mean(distances.argmin(axis=1) == y_held_out))
    assert scores[0] > 0.45
    assert scores[1] < 0.3


def test_weights_do_not_depend_on_the_size_of_the_picture(backbone):
    larger = build_pocket_xception(image_size=96)
    assert larger.output_shape == (None, 6, 6, 256)
    for one, other in zip(backbone.get_weights(), larger.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_saved_weights_come_back(tmp_path):
    first, second = tiny_backbone(seed=0), tiny_backbone(seed=1)
    first.set_weights([np.full(w.shape, 0.25 * i) for i, w in enumerate(first.weights)])
    checksum = models.save_weights(first, tmp_path / "weights.npz")
    models.load_weights(second, tmp_path / "weights.npz", checksum)
    for one, other in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_file_is_refused_and_changes_nothing(tmp_path, monkeypatch):
    content = bytearray(models.POCKET_WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "pocket_xception.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(models, "POCKET_WEIGHTS", damaged)
    with pytest.raises(ValueError, match=r"pocket_xception.npz is damaged .* fetch the course"):
        build_pocket_xception()


def test_weights_of_another_model_are_refused(tmp_path):
    models.save_weights(tiny_backbone(filters=5), tmp_path / "other.npz")
    model = tiny_backbone()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"other\.npz must hold the 8 weights"):
        models.load_weights(model, tmp_path / "other.npz")
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / "pickle.npz", np.array([{"an": "object"}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        models.load_weights(tiny_backbone(), tmp_path / "pickle.npz")


# --- transfer ---------------------------------------------------------------------------------


def test_a_transfer_model_trains_its_head_and_nothing_else(garments):
    images, labels = garments
    backbone = build_pocket_xception()
    model = build_transfer_model(backbone, classes=10, learning_rate=0.1)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 256 * 10 + 10
    before, head = backbone.get_weights(), model.layers[-1].get_weights()
    model.fit(preprocess_input(images.astype("float32")), labels, verbose=0)
    for one, other in zip(before, backbone.get_weights()):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(head[0], model.layers[-1].get_weights()[0])


def test_a_transfer_model_gives_logits():
    model = build_transfer_model(tiny_backbone(), classes=4, learning_rate=0.5)
    logits = model.predict(preprocess_input(tiny_images().astype("float32")), verbose=0)
    assert not np.allclose(logits.sum(axis=1), 1)
    assert model.layers[-1].activation is keras.activations.linear
    assert model.loss.get_config()["from_logits"] is True
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)
    assert isinstance(model.optimizer, keras.optimizers.Adam)


def test_each_transfer_model_has_its_own_optimizer_and_head():
    backbone = tiny_backbone()
    first, second = (build_transfer_model(backbone, 3) for _ in range(2))
    assert first.optimizer is not second.optimizer
    assert first.layers[-1] is not second.layers[-1]


def test_a_head_is_the_transfer_models_last_layer(garments):
    images, _ = garments
    backbone = build_pocket_xception()
    whole, head = build_transfer_model(backbone, 10), build_head(256, 10)
    whole.layers[-1].set_weights(head.get_weights())
    features = extract_features(backbone, images, progress=False)
    expected = whole.predict(preprocess_input(images.astype("float32")), verbose=0)
    np.testing.assert_allclose(head.predict(features, verbose=0), expected, atol=1e-4)
    assert expected.std() > 0.01
    assert head.loss.get_config() == whole.loss.get_config()


# --- BatchNormalization, frozen or not --------------------------------------------------------


def fitted(prepare):
    """Return how the moving means and variances changed in an epoch at a rate of zero."""
    backbone = tiny_backbone()
    model = build_transfer_model(backbone, 3)
    prepare(backbone)
    model.compile(keras.optimizers.SGD(0.0), model.loss)
    before = moving(backbone)
    model.fit(preprocess_input(tiny_images().astype("float32")), np.arange(10) % 3, verbose=0)
    return max(np.abs(a - b).max() for a, b in zip(before, moving(backbone)))


def test_unfreezing_leaves_batch_normalization_frozen():
    assert fitted(unfreeze) == 0


def test_the_trap_training_false_does_not_freeze_it():
    assert fitted(lambda backbone: setattr(backbone, "trainable", True)) > 0.01


def test_unfreezing_reaches_nested_models_and_everything_else():
    inner = tiny_backbone()
    inputs = keras.Input((8, 8, 3))
    outer = keras.Model(inputs, layers.BatchNormalization()(inner(inputs)))
    outer.trainable = False
    unfreeze(outer)
    assert len(batch_normalizations(outer)) == 2
    assert [v.path.split("/")[-1] for v in outer.trainable_weights] == ["kernel", "bias"] * 2


# --- extracted features -----------------------------------------------------------------------


def test_features_are_the_averages_of_the_maps(backbone, garments):
    images, _ = garments
    maps = backbone.predict(preprocess_input(images.astype("float32")), verbose=0)
    features = extract_features(backbone, images, batch_size=7, progress=False)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, maps.mean(axis=(1, 2)), atol=1e-4)
    assert images.dtype == np.uint8


def test_float_images_are_left_as_they_were():
    images = tiny_images().astype("float32")
    before = images.copy()
    extract_features(tiny_backbone(), images, progress=False)
    np.testing.assert_array_equal(images, before)


class ReadWhenNeeded:
    """Pictures that exist only a slice at a time."""

    def __init__(self, images):
        self.images, self.largest = images, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        part = self.images[rows]
        self.largest = max(self.largest, len(part))
        return part


def test_pictures_can_be_read_a_batch_at_a_time():
    images, backbone = tiny_images(), tiny_backbone()
    lazy = ReadWhenNeeded(images)
    features = extract_features(backbone, lazy, batch_size=4, progress=False)
    assert lazy.largest == 4
    np.testing.assert_allclose(
        features, extract_features(backbone, images, progress=False), atol=1e-5
    )


def test_two_batches_at_a_time_in_their_order_and_no_more_are_read():
    read, slow = [], threading.Event()

    def batches():
        for number in range(9):
            read.append(number)
            yield np.full((1, 2), number, "float32")

    def see(batch):
        if batch[0, 0] == 0:
            slow.wait(10)  # the first is done last
        return batch * 10

    seen = features_module.see_batches(see, batches())
    threading.Timer(0.3, slow.set).start()
    assert next(seen)[0, 0] == 0
    assert read == [0, 1, 2]
    assert [float(features[0, 0]) for features in seen] == [10 * k for k in range(1, 9)]


def test_cached_features_are_not_computed_again(tmp_path, monkeypatch):
    images, backbone = tiny_images(), tiny_backbone()
    first = extract_features(backbone, images, cache=tmp_path, progress=False)
    monkeypatch.setattr(features_module.keras, "Sequential", None)
    again = extract_features(backbone, images, cache=tmp_path, batch_size=3, progress=False)
    np.testing.assert_array_equal(first, again)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_the_same_backbone_built_again_finds_the_features(tmp_path):
    for _ in range(2):  # Keras gives the layers new names
        extract_features(tiny_backbone(), tiny_images(), cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 1


CHANGES = {
    "the weights": lambda: (tiny_backbone(seed=1), tiny_images(), preprocess_input),
    "a layer": lambda: (tiny_backbone(activation="tanh"), tiny_images(), preprocess_input),
    "a picture": lambda: (tiny_backbone(), tiny_images(seed=1), preprocess_input),
    "how many": lambda: (tiny_backbone(), tiny_images(9), preprocess_input),
    "preprocessing": lambda: (tiny_backbone(), tiny_images(), lambda x: x / 255),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_cache_notices_a_change_of(what, tmp_path):
    extract_features(tiny_backbone(), tiny_images(), cache=tmp_path, progress=False)
    backbone, images, preprocess = CHANGES[what]()
    fresh = extract_features(backbone, images, preprocess, progress=False)
    cached = extract_features(backbone, images, preprocess, cache=tmp_path, progress=False)
    np.testing.assert_allclose(cached, fresh, atol=1e-5)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_single_weight_or_pixel_is_enough(tmp_path):
    images, backbone = tiny_images(), tiny_backbone()
    extract_features(backbone, images, cache=tmp_path, progress=False)
    images[5, 3, 3, 1] ^= 1
    extract_features(backbone, images, cache=tmp_path, progress=False)
    weights = backbone.get_weights()
    weights[-1][0] += 1e-6
    backbone.set_weights(weights)
    extract_features(backbone, images, cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_cache_is_computed_anew(tmp_path):
    images, backbone = tiny_images(), tiny_backbone()
    first = extract_features(backbone, images, cache=tmp_path, progress=False)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    again = extract_features(backbone, images, cache=tmp_path, progress=False)
    np.testing.assert_allclose(again, first, atol=1e-6)
    np.testing.assert_array_equal(np.load(path), again)


def test_a_cache_that_cannot_be_written_is_said_and_survived(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        features = extract_features(
            tiny_backbone(), tiny_images(), cache=tmp_path / "file", progress=False
        )
    assert features.shape == (10, 3)
    assert "features are not kept" in caplog.text


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_pocket_xception(image_size=16), "image_size must be a whole number of at"),
        (lambda: build_transfer_model("xception", 10), "backbone must be a keras.Model"),
        (lambda: build_transfer_model(build_head(4, 2), 10), r"outputs of shape \(None, 2\)"),
        (lambda: build_transfer_model(tiny_backbone(), 1), "classes must be a whole number of at"),
        (lambda: build_transfer_model(tiny_backbone(), 3, -0.1), "learning_rate must be a positiv"),
        (lambda: build_head(0, 3), "features must be a whole number of at least 1, got 0"),
        (lambda: extract_features(None, tiny_images()), "backbone must be a keras.Model"),
        (
            lambda: extract_features(tiny_backbone(), tiny_images(side=9)),
            r"images must have the shape \(n, 8, 8, 3\) with n > 0, got \(10, 9, 9, 3\)",
        ),
        (lambda: extract_features(tiny_backbone(), tiny_images(0)), "with n > 0, got"),
        (
            lambda: extract_features(tiny_backbone(), tiny_images(), batch_size=0),
            "batch_size must be a whole number",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
