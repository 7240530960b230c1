"""A preset gives the numbers of the tool whose name it has: Xplique, tf-explain and tf-keras-vis, on TensorFlow.

The small network is smooth, so that no activation falls on another side of zero. Where a tool draws noise, it is handed
eyeline's. Every comparison must fail with eyeline's own defaults, wherever the preset changes any.
"""

import cv2
import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
import torch
import xplique.attributions as xplique
from PIL import Image
from tf_explain.core.grad_cam import GradCAM
from tf_explain.core.gradients_inputs import GradientsInputs
from tf_explain.core.integrated_gradients import IntegratedGradients
from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity
from tf_explain.core.smoothgrad import SmoothGrad
from tf_explain.core.vanilla_gradients import VanillaGradients
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.layercam import Layercam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.scores import CategoricalScore
from xplique.attributions.gradient_statistics.gradient_statistic import GradientStatistic

import agreement
import eyeline
import lite0_keras
from agreement import assert_same
from eyeline.methods import derivatives
from eyeline.methods.layermaps import enlarged
from eyeline.methods.noise import field
from eyeline.models import bundled, lite0
from networks import pictures
from small_networks import DECONVNET, GUIDED, HEAD, PLAIN, A

pytestmark = [
    # Keras' own: variables lack the copy keyword of NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # tf-keras-vis hands a list to a model with one input.
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
]

TARGET, OTHER, SIDE, SEED = 2, 1, 24, 7
layers = keras.layers


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    convolved = [layers.Conv2D(6, 5, strides=2, activation="tanh"), layers.Conv2D(8, 3, activation="tanh")]
    values = image
    for layer in (*convolved, layers.Flatten(), layers.Dense(5), layers.Softmax()):
        values = layer(values)
    return keras.Model(image, values)


@pytest.fixture(scope="module")
def model(network):
    return eyeline.load(network)


@pytest.fixture(scope="module")
def image():
    return pictures(1, SIDE)


@pytest.fixture(scope="module")
def wanted():
    return np.eye(5, dtype=np.float32)[[TARGET]]


def agree(preset, method, model, images, theirs, target=TARGET, **given):
    agreement.agree(preset, method, model, images, theirs, target, **given)


def noise(samples, deviation=1.0):
    """Return eyeline's noise of each sample."""
    return np.stack([deviation * field(SEED, sample, (SIDE, SIDE, 3)) for sample in range(samples)])


# Xplique


def test_xplique_occlusion(network, model, image, wanted):
    theirs = xplique.Occlusion(network).explain(image, wanted)
    agree("xplique", "occlusion", model, image, theirs.numpy()[..., 0])
    theirs = xplique.Occlusion(network, patch_size=(9, 7), patch_stride=(4, 6)).explain(image, wanted)
    agree("xplique", "occlusion", model, image, theirs.numpy()[..., 0], window=(9, 7), stride=(4, 6))


@pytest.mark.parametrize(
    ("method", "name"),
    [("gradient", "Saliency"), ("gradientinput", "GradientInput"), ("integratedgradients", "IntegratedGradients")],
)
def test_xplique_gradients(network, model, image, wanted, method, name):
    theirs = getattr(xplique, name)(network).explain(image, wanted)
    agree("xplique", method, model, image, theirs.numpy()[..., 0])


@pytest.mark.parametrize(
    ("method", "name"), [("smoothgrad", "SmoothGrad"), ("smoothgradsquared", "SquareGrad"), ("vargrad", "VarGrad")]
)
def test_xplique_smoothing(network, model, image, wanted, method, name, monkeypatch):
    def perturbed(inputs, samples, deviation):
        return tf.repeat(inputs, samples, axis=0) + noise(50, deviation).astype(np.float32)

    monkeypatch.setattr(GradientStatistic, "_perturb_samples", staticmethod(perturbed))
    theirs = getattr(xplique, name)(network, batch_size=50).explain(image, wanted)
    agree("xplique", method, model, image, theirs.numpy()[..., 0], seed=SEED)


def test_xplique_rise(network, model, image, wanted, monkeypatch):
    """Handed eyeline's masks; it adds 0.0001 to their sum, which matters the less the more they are."""
    given = {"masks": 200, "seed": SEED}
    found = eyeline.explain(model, image, "rise", TARGET, preset="xplique", **given)
    masks = found.sweep.regions.masks(np.arange(200))[..., None]
    monkeypatch.setattr(xplique.Rise, "_apply_masks", staticmethod(lambda image, cells, value: (masks * image, masks)))
    theirs = xplique.Rise(network, batch_size=200, nb_samples=200).explain(image, wanted)
    agree("xplique", "rise", model, image, theirs.numpy()[..., 0], **given)


# tf-explain


def test_tf_explain_occlusion(network, model, image, monkeypatch):
    """Its grid of windows, which it would then stretch to the image."""
    monkeypatch.setattr(cv2, "resize", lambda grid, size: grid)
    bright = 255 * image
    for window in (6, 7):  # 24 is three windows of 7 and a cut one
        theirs = OcclusionSensitivity(batch_size=8).get_sensitivity_map(network, bright[0], TARGET, window)
        spread = np.repeat(np.repeat(theirs, window, 0), window, 1)[None, :SIDE, :SIDE]
        agree("tf-explain", "occlusion", model, bright, spread, window=window)


def test_tf_explain_gradients(network, model, image):
    for method, theirs in (("gradient", VanillaGradients), ("gradientinput", GradientsInputs)):
        found = theirs.compute_gradients(image, network, TARGET).numpy()
        agree("tf-explain", method, model, image, np.abs(found).sum(axis=-1))


def test_tf_explain_integrated_gradients(network, model, image):
    path = IntegratedGradients.generate_interpolations(image, 10)
    found = IntegratedGradients.get_integrated_gradients(path, network, TARGET, 10).numpy()
    agree("tf-explain", "integratedgradients", model, image, np.abs(found).sum(axis=-1))


def test_tf_explain_smoothgrad(network, image, monkeypatch):
    """Of the cross-entropy, so of the logarithm of the probability."""
    monkeypatch.setattr(np.random, "normal", lambda mean, deviation, shape: noise(shape[0], deviation))
    found = SmoothGrad.get_averaged_gradients(SmoothGrad.generate_noisy_images(image, 5, 1.0), network, TARGET, 5)
    model = eyeline.load(network, head=keras.ops.log)
    agree("tf-explain", "smoothgrad", model, image, np.abs(found.numpy()).sum(axis=-1), seed=SEED)


# tf-keras-vis


def scaled(maps):
    low, high = (edge(maps, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    return (maps - low) / (high - low + 1e-7)


def test_tf_keras_vis_saliency(network, model, image):
    settings = {"score": CategoricalScore([TARGET]), "seed_input": image}
    agree("tf-keras-vis", "gradient", model, image, Saliency(network)(**settings, normalize_map=False))
    ours = eyeline.explain(model, image, "gradient", TARGET, preset="tf-keras-vis").maps
    assert_same(scaled(ours), Saliency(network)(**settings))


def test_tf_keras_vis_smoothgrad(network, model, image, monkeypatch):
    monkeypatch.setattr(
        np.random, "normal", lambda mean, deviation, shape: noise(shape[0])[:, None] * deviation.numpy()
    )
    settings = {"score": CategoricalScore([TARGET]), "seed_input": image, "smooth_samples": 20}
    theirs = Saliency(network)(**settings, normalize_map=False)
    agree("tf-keras-vis", "smoothgrad", model, image, theirs, seed=SEED)


# What looks at ReLUs and layers


@pytest.fixture(scope="module")
def rectified():
    keras.utils.set_random_seed(2)
    image = keras.Input((SIDE, SIDE, 3))
    values = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(image)
    positive = keras.initializers.RandomUniform(0, 1)
    values = layers.Conv2D(8, 5, strides=3, activation="relu", name="second", kernel_initializer=positive)(values)
    last = layers.Dense(5)
    network = keras.Model(image, last(layers.Flatten()(values)))
    # Everything speaks for the class and against the other one, so that no map is 0 all over by setting numbers to 0.
    kernel = np.random.default_rng(0).random((7 * 7 * 8, 5))
    kernel[:, OTHER] *= -1
    last.set_weights([kernel, np.zeros(5)])
    return network


@pytest.mark.parametrize(("method", "name"), [("guidedbackpropagation", "GuidedBackprop"), ("deconvnet", "DeconvNet")])
def test_xplique_relus(rectified, image, wanted, method, name):
    theirs = getattr(xplique, name)(rectified).explain(image, wanted).numpy()[..., 0]
    agree("xplique", method, eyeline.load(rectified), image, theirs)


def test_maps_of_a_layer(rectified, image, wanted, monkeypatch):
    """Of a layer at the image's size, where nothing is stretched; of a smaller one, stretched alike."""
    model, score = eyeline.load(rectified), CategoricalScore([TARGET])
    monkeypatch.setattr(tf.image.ResizeMethod, "BICUBIC", tf.image.ResizeMethod.BILINEAR)
    for layer in ("first", "second"):
        theirs = xplique.GradCAM(rectified, conv_layer=layer).explain(image, wanted).numpy()[..., 0]
        agree("xplique", "gradcam", model, image, theirs, layer=layer)
        given, gradients = GradCAM.get_gradients_and_filters(rectified, image, layer, OTHER, False)
        small = np.stack(GradCAM.generate_ponderated_output(given, gradients))
        agree("tf-explain", "gradcam", model, image, enlarged(small, (SIDE, SIDE)), OTHER, layer=layer)
        for method, kind in (("gradcam", Gradcam), ("layercam", Layercam)):
            small = kind(rectified)(score, image, layer, False, expand_cam=False, normalize_cam=False)
            agree("tf-keras-vis", method, model, image, enlarged(np.asarray(small), (SIDE, SIDE)), layer=layer)


# CN1 of Captum's tests, whose answers are known


@pytest.fixture(scope="module")
def cn1():
    image = keras.Input((4, 4, 1))
    conv, last = layers.Conv2D(2, 3, activation="relu", name="conv"), layers.Dense(4, use_bias=False, activation="relu")
    features = layers.Flatten()(layers.Permute((3, 1, 2))(conv(image)))
    network = keras.Model(image, last(features))
    conv.set_weights([np.ones((3, 3, 1, 2)), np.array([-50, -75])])
    last.set_weights([HEAD.T])
    return network


KNOWN = {
    ("gradient", "Saliency"): PLAIN,
    ("guidedbackpropagation", "GuidedBackprop"): GUIDED,
    ("deconvnet", "DeconvNet"): DECONVNET,
}


def test_known_answers_by_all_three(cn1):
    """Published, by the tool, and by its preset."""
    first, score = np.eye(4, dtype=np.float32)[[0]], CategoricalScore([0])
    model = eyeline.load(cn1, output="raw")

    def same(preset, method, theirs, known=None, **given):
        assert_same(eyeline.explain(model, A, method, 0, preset=preset, **given).maps, theirs)
        if known is not None:
            np.testing.assert_allclose(theirs[0], known, atol=1e-6)

    for (method, name), known in KNOWN.items():
        same("xplique", method, getattr(xplique, name)(cn1).explain(A, first).numpy()[..., 0], known)
    for method, name in (("gradientinput", "GradientInput"), ("integratedgradients", "IntegratedGradients")):
        same("xplique", method, getattr(xplique, name)(cn1).explain(A, first).numpy()[..., 0])
    theirs = xplique.Occlusion(cn1, patch_size=(2, 3), patch_stride=(2, 1)).explain(A, first).numpy()[..., 0]
    same("xplique", "occlusion", theirs, window=(2, 3), stride=(2, 1))
    for method, tool in (("gradient", VanillaGradients), ("gradientinput", GradientsInputs)):
        found = np.abs(tool.compute_gradients(A, cn1, 0).numpy()).sum(axis=-1)
        same("tf-explain", method, found, PLAIN if method == "gradient" else PLAIN * A[0, ..., 0])
    same("tf-keras-vis", "gradient", Saliency(cn1)(score, A, normalize_map=False), PLAIN)


def test_the_comparison_notices_a_ten_thousandth(cn1, monkeypatch):
    """Sabotage twin."""
    reduce = derivatives.reduce
    monkeypatch.setattr(derivatives, "reduce", lambda maps, channels: reduce(1.0001 * maps, channels))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_known_answers_by_all_three(cn1)


# EfficientNet-Lite0 in Keras, with the bundled ImageNet weights


@pytest.fixture(scope="module")
def real():
    found = torch.load(bundled._file(*bundled.WEIGHTS), map_location="cpu", weights_only=True)
    return lite0_keras.build({name: values.numpy() for name, values in lite0.rename(found).items()})


def test_presets_on_the_bundled_weights(real):
    """The tools know no preprocessing: the image is given as the network takes it."""
    picture = Image.fromarray(skimage.data.chelsea()).resize((lite0.SIZE, lite0.SIZE))
    image = (np.asarray(picture, dtype=np.float32)[None] - 127) / 128
    model = eyeline.load(real, output="logit", scores="raw")
    scores = model.scores(image)
    target, wanted = int(scores[0].argmax()), np.eye(lite0.CLASSES, dtype=np.float32)[[scores[0].argmax()]]
    theirs = xplique.Occlusion(real, patch_size=100, patch_stride=60).explain(image, wanted).numpy()[..., 0]
    agree("xplique", "occlusion", model, image, theirs, target, window=100, stride=60)
    theirs = xplique.Saliency(real).explain(image, wanted).numpy()[..., 0]
    agree("xplique", "gradient", model, image, theirs, target)
    theirs = np.abs(GradientsInputs.compute_gradients(image, real, target).numpy()).sum(axis=-1)
    agree("tf-explain", "gradientinput", model, image, theirs, target)
    theirs = Saliency(real)(CategoricalScore([target]), image, normalize_map=False)
    agree("tf-keras-vis", "gradient", model, image, theirs, target)
