"""What users get wrong with methods, targets, baselines and label images: a sentence each, that says what and where."""

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline._numbers import shown
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.picture import draw

SIZE = (12, 10)
IMAGES = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
LABELS = np.arange(120).reshape(SIZE) // 30
ROWS = np.random.default_rng(1).random((2, 5), dtype=np.float32)


def network(activation=None):
    torch.manual_seed(0)
    body = nn.Conv2d(3, 4, 3, padding=1), activation or nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU()
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


def load(**settings):
    return eyeline.load(network(), input_size=SIZE, **settings)


class TestBaselines:
    METHODS = ("occlusion", "integratedgradients", "gradientinput", "rise", "scorecam")

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        ("baseline", "sentence"),
        [
            (
                IMAGES[0],
                r"must be a baseline, but got ndarray of float32, shape \(12, 10, 3\)\. Pass .*Image\(pixels\)",
            ),
            (lambda images: None, r"gave no array of real numbers \(NoneType\)\. Return one value per pixel"),
            (lambda images: images * 1j, r"gave no array of real numbers \(ndarray\)"),
            (lambda images: images * np.nan, "gave NaN or infinite numbers"),
            (lambda images: images[:, :5], r"of shape \(2, 12, 10, 3\), but .* gave \(2, 5, 10, 3\)"),
            (eyeline.Constant(np.inf), r"but Constant\(value=inf\) gave NaN or infinite numbers"),
        ],
        ids=["an array", "nothing", "complex", "NaN", "another shape", "infinite"],
    )
    def test_what_is_none(self, method, baseline, sentence):
        with pytest.raises(InputError, match=sentence):
            eyeline.explain(load(), IMAGES, method, 1, baseline=baseline)

    def test_lists_of_numbers_are_one(self):
        found = [
            eyeline.explain(load(), IMAGES, target=1, baseline=each, engine="full").maps
            for each in (lambda images: (0 * images).tolist(), eyeline.Constant(0))
        ]
        np.testing.assert_array_equal(*found)

    @pytest.mark.parametrize("pixels", [np.zeros((*SIZE, 3), np.uint8), [[0.5]], np.full((2, 2, 1), "a")])
    def test_a_picture_in_whole_numbers_is_refused_as_images_are(self, pixels):
        """200 of 255 would be taken for 200 times white."""
        with pytest.raises(InputError, match=r"must be an array of floats .* but got .*\. Read a file first: .* / 255"):
            eyeline.Image(pixels)


def test_a_value_is_shown_on_one_short_line():
    assert shown(np.zeros((2, 3))) == "ndarray of float64, shape (2, 3)"
    assert shown({"a": [0.5] * 200}).endswith("0.5...")
    assert "\n" not in shown([np.eye(3)])


class TestTargets:
    @pytest.mark.parametrize("method", ["occlusion", "gradient", "gradcam"])
    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            (
                lambda scores, classes: scores * np.nan,
                r"of the scores' shape \(2, 4\), .* returned NaN or infinite num",
            ),
            (lambda scores, classes: scores[:, :2], r"scores' shape \(2, 4\), but function returned \(2, 2\)"),
            (lambda scores, classes: [[1], [1, 2]], r"returned no array of real numbers \(list\)"),
            (lambda scores, classes: scores.astype(str), "returned no array of real numbers"),
            (lambda scores, classes: scores * 1j, "returned no array of real numbers"),
            (lambda scores, classes: None, r"returned no array of real numbers \(NoneType\)"),
            (lambda scores: scores, r"must take the scores, .* and the class names, but got .*too many positional"),
        ],
        ids=["NaN", "another shape", "ragged", "text", "complex", "nothing", "one argument"],
    )
    def test_functions_that_give_no_weights(self, method, given, sentence):
        with pytest.raises(InputError, match=sentence):
            eyeline.explain(load(), IMAGES, method, given)

    def test_the_scores_that_a_function_gets_are_its_own(self):
        def spoils(scores, classes):
            weights = np.eye(4)[[1, 2]]
            scores[:] = 0
            return weights

        for method in ("occlusion", "gradient"):
            found, right = (eyeline.explain(load(), IMAGES, method, each) for each in (spoils, [1, 2]))
            np.testing.assert_array_equal(found.maps, right.maps)
            np.testing.assert_array_equal(found.scores, right.scores)


class TestHeads:
    @pytest.mark.parametrize("method", ["occlusion", "gradient", "gradcam"])
    @pytest.mark.parametrize(
        ("head", "sentence"),
        [
            (lambda output: output.detach().numpy(), r"must return a tensor of PyTorch, but got ndarray.*\.numpy\(\)"),
            (lambda output: output * 1j, "must be real numbers, but got complex64. Pass head="),
            (lambda output: output[:, :0], r"one row of scores per image, \(\d, classes\), but got shape \(\d, 0\)"),
        ],
        ids=["NumPy", "complex", "no column"],
    )
    def test_what_is_no_row_of_scores(self, head, method, sentence):
        with pytest.raises(UnsupportedError, match=sentence):
            eyeline.explain(load(head=head), IMAGES, method, 0)

    @pytest.mark.parametrize("opened", [eyeline.load, eyeline.several])
    def test_what_is_no_function(self, opened):
        with pytest.raises(InputError, match="head must be a function of the network's raw output, but got 5"):
            opened(network(), head=5)

    def test_what_raises_names_the_head_first(self):
        with pytest.raises(ModelError, match=r"Sequential with head= .* raised AttributeError: .*Check head="):
            eyeline.explain(load(head=lambda output: output.nothing), IMAGES, "gradient", 0)


class TestLabelImages:
    @pytest.mark.parametrize(
        ("labels", "sentence"),
        [
            (np.zeros((0, 0), int), r"must have at least one pixel, but got shape \(0, 0\)\. Pass a label image of"),
            ([[0, 1], [0]], "must be rows of one length, but got a list that is no array"),
            (LABELS > 1, "must hold whole numbers, but got bool"),
            (LABELS.astype(float), "must hold whole numbers, but got float64"),
            (LABELS[..., None], r"must have the images' size \(12, 10\), .* but got \(12, 10, 1\)"),
            (LABELS.T, r"must have the images' size \(12, 10\), .* but got \(10, 12\)"),
            (LABELS * 0 + 1, "without a hole, but got no pixel of 0 and one of 1"),
            (np.stack([LABELS, np.where(LABELS == 2, 9, LABELS)]), r"no pixel of 2 and one of 9 \(image 1\)"),
            (np.where(LABELS == 3, 2**40, LABELS), "without a hole, but got no pixel of 3"),
        ],
        ids=["empty", "ragged", "bool", "floats", "channel", "turned", "from 1", "hole in the second", "huge"],
    )
    def test_what_is_none(self, labels, sentence):
        with pytest.raises(InputError, match=sentence):
            eyeline.explain(load(), IMAGES, "superpixels", 1, labels=labels)

    def test_a_single_label_is_the_whole_image(self):
        model = load()
        grey = eyeline.Constant(0.3)
        found = eyeline.explain(model, IMAGES, "superpixels", 1, labels=LABELS * 0, baseline=grey)
        drop = model.scores(IMAGES)[:, 1] - model.scores(grey(IMAGES))[:, 1]
        np.testing.assert_allclose(found.maps, np.broadcast_to(drop[:, None, None], found.maps.shape), atol=1e-6)

    @pytest.mark.parametrize("value", [0.5, 5.0, -3.0])
    def test_superpixels_of_an_image_of_one_value(self, value):
        found = eyeline.explain(load(), np.full_like(IMAGES, value), "superpixels", 1, segments=4)
        assert len(found.sweep.regions) >= 1


class TestLayers:
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("input", r"one of the model's, but got 'input' \(Sequential\)\. Known: '0', .*eyeline layers MODEL"),
            ("2x", "but got '2x' .* Did you mean '2'"),
            ("", "but got ''"),
            ("6", r"have the image's spatial axes, but '6' gives \(4,\) .*last that has them is '4'"),
            (2, "layer must be a name, but got 2"),
        ],
    )
    @pytest.mark.parametrize("method", ["gradcam", "scorecam", "guidedgradcam", "eigencam"])
    def test_what_is_none(self, method, name, sentence):
        with pytest.raises(InputError, match=sentence):
            eyeline.explain(load(), IMAGES, method, 1, layer=name)


class Written(nn.Module):
    """An activation that is written out."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


def tanh_gelu(values):
    return 0.5 * values * (1 + torch.tanh(0.7978845608 * (values + 0.044715 * values**3)))


WRITTEN = {
    "x sigmoid(x)": (lambda values: values * torch.sigmoid(values), "SiLU"),
    "sigmoid(x) x": (lambda values: torch.sigmoid(values) * values, "SiLU"),
    "x sigmoid(1.702 x)": (lambda values: values * torch.sigmoid(1.702 * values), "SiLU"),
    "GELU by erf": (lambda values: 0.5 * values * (1 + torch.erf(values / 2**0.5)), "GELU"),
    "GELU by tanh": (tanh_gelu, "GELU"),
    "GELU by tanh and products": (lambda x: x * (1 + torch.tanh(0.8 * (x + 0.04 * x * x * x))) / 2, "GELU"),
    "x / (1 + exp(-x))": (lambda values: values / (1 + torch.exp(-values)), "SiLU"),
    "x relu6(x + 3) / 6": (lambda values: values * nn.functional.relu6(values + 3) / 6, "hard swish"),
    "x clamp(x + 3, 0, 6)": (lambda values: (values + 3).clamp(0, 6) * values, "hard swish"),
}


class TestGuided:
    """The rule at ReLUs must not be taken for a map of a network that has other activations."""

    @pytest.mark.parametrize("method", ["guidedbackpropagation", "deconvnet", "guidedgradcam"])
    @pytest.mark.parametrize("name", WRITTEN)
    def test_activations_that_are_written_out(self, name, method):
        function, word = WRITTEN[name]
        model = eyeline.load(network(Written(function)), input_size=SIZE)
        with pytest.raises(UnsupportedError, match=rf"must be ReLUs .* has {word}: .*Use method='gradient'"):
            eyeline.explain(model, IMAGES, method, 1)

    @pytest.mark.parametrize(
        "gate",
        [
            lambda values: values * torch.sigmoid(values.mean((2, 3), keepdim=True)),
            lambda values: torch.cat([values[:, :2] * torch.sigmoid(values[:, 2:])] * 2, 1),
            lambda values: nn.functional.glu(torch.cat([values, values], 1), 1),
            lambda values: torch.cat(torch.chunk(values, 2, 1)[:1] * 2, 1) * torch.sigmoid(values.mean()),
            lambda values: values.clamp(min=1e-3) ** 3,
            torch.tanh,
            lambda values: values * torch.sigmoid(values + values.flip(2)),
            lambda values: values * values.softmax(1),
            lambda values: values.exp() / values.exp().sum(1, keepdim=True),
        ],
        ids=["squeeze and excitation", "other half", "GLU", "scalar", "cube", "tanh", "others too", "softmax", "exp"],
    )
    def test_gates_are_none(self, gate):
        assert eyeline.explain(network(Written(gate)), IMAGES, "guidedbackpropagation", 1).maps.any()

    @pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
    @pytest.mark.parametrize(
        ("activation", "word"), [(nn.SiLU(), "SiLU"), (nn.GELU(), "GELU"), (nn.Mish(), "softplus")]
    )
    def test_in_onnx_files(self, activation, word, tmp_path):
        """ONNX writes a SiLU as x * sigmoid(x)."""
        pytest.importorskip("onnxruntime")
        torch.onnx.export(network(activation), (torch.zeros(1, 3, *SIZE),), tmp_path / "net.onnx", dynamo=False)
        for method in ("guidedbackpropagation", "deconvnet"):
            with pytest.raises(UnsupportedError, match=rf"must be ReLUs .* has {word}: "):
                eyeline.explain(tmp_path / "net.onnx", IMAGES[:1], method, 1)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.boxes, self.scores = nn.Conv2d(3, 5, 3), nn.Linear(5, 8), nn.Linear(5, 6)

    def forward(self, images):
        found = torch.relu(self.conv(images)).mean((2, 3))
        return {"boxes": self.boxes(found).unflatten(1, (2, 4)), "scores": self.scores(found).unflatten(1, (2, 3))}


@pytest.fixture
def detector(tmp_path):
    """As an ONNX file of two outputs."""
    pytest.importorskip("onnxruntime")
    settings = {"input_names": ["images"], "output_names": ["boxes", "scores"], "dynamic_axes": {"images": {0: "n"}}}
    torch.onnx.export(Detector().eval(), (torch.zeros(1, 3, *SIZE),), tmp_path / "net.onnx", dynamo=False, **settings)
    return tmp_path / "net.onnx"


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
class TestSeveralOutputs:
    def test_a_head_picks_one_by_its_name(self, detector):
        for method in ("occlusion", "gradient", "gradcam"):
            model = eyeline.load(detector, head=lambda output: output["scores"][:, 1])
            assert eyeline.explain(model, IMAGES, method, 2).maps.any()

    @pytest.mark.parametrize("method", ["occlusion", "gradient", "gradcam"])
    def test_a_name_that_is_not_there(self, detector, method):
        for asked, sentence in (
            ("score", "got 'score'. Did you mean 'scores'"),
            (1, "got 1. Known: 'boxes', 'scores'"),
        ):
            model = eyeline.load(detector, head=lambda output, asked=asked: output[asked])
            with pytest.raises(InputError, match=rf"ask for an output that the network has, but {sentence}"):
                eyeline.explain(model, IMAGES, method, 2)

    def test_none_picked(self, detector):
        sentence = r"but got \w+ of 'boxes', 'scores' with shapes .* head=lambda output: output\['boxes'\]"
        for source in (detector, Detector().eval()):
            with pytest.raises(UnsupportedError, match=sentence):
                eyeline.explain(source, IMAGES, "occlusion", 2)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.dense, self.last = nn.Conv2d(3, 4, 3), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, picture, row):
        return self.last(torch.tanh(self.conv(picture)).mean((2, 3)) * torch.tanh(self.dense(row)))


class Bag(nn.Module):
    def forward(self, given):
        return (given["a"] + given["b"]).mean((2, 3))


class Any(nn.Module):
    def forward(self, *given):
        return sum(given).mean((2, 3))


def in_keras():
    keras = pytest.importorskip("keras")
    one, two = keras.Input((*SIZE, 3), name="picture"), keras.Input((5,), name="row")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(one))
    return keras.Model([one, two], keras.layers.Dense(3)(pooled * keras.layers.Dense(4)(two)))


class TestSeveralInputs:
    @pytest.mark.parametrize("build", [Two, in_keras])
    @pytest.mark.parametrize(
        ("given", "shapes"),
        [
            ((ROWS, IMAGES), r"picture \(n, 5\), row \(n, 12, 10, 3\)"),
            ((IMAGES, ROWS[:, :4]), r"picture \(n, 12, 10, 3\), row \(n, 4\)"),
            ((IMAGES[..., :2], ROWS), r"picture \(n, 12, 10, 2\), row \(n, 5\)"),
        ],
        ids=["exchanged", "features", "channels"],
    )
    def test_shapes_that_the_network_refuses(self, build, given, shapes):
        for method in ("gradient", "occlusion"):
            with pytest.raises(
                ModelError, match=rf"must accept inputs of the shapes {shapes}, .*Check that the inputs"
            ):
                eyeline.explain(eyeline.several(build()), given, method, 1)

    @pytest.mark.parametrize("method", ["integratedgradients", "gradientinput", "occlusion"])
    @pytest.mark.parametrize(
        ("baseline", "sentence"),
        [
            (
                (eyeline.Constant(0),) * 2,
                r"baseline must be one, .* but got \(Constant.*Pass a function of one input's",
            ),
            ({"row": eyeline.Mean()}, r"baseline must be one, .* but got \{'row'"),
            (0.0, r"input 'picture': baseline must be a baseline, but got 0\.0"),
            (
                eyeline.Image(IMAGES[0]),
                r"input 'row': the baseline picture must have .* \(5, 1\), but got \(12, 10, 3\)",
            ),
            (eyeline.Constant((0, 1, 2)), r"input 'row': baseline value must be one number or one per channel \(1\)"),
            (lambda images: images[:, :3], r"input 'picture': the baseline must give finite images"),
        ],
        ids=["two", "dict", "number", "picture", "channels", "shape"],
    )
    def test_baselines(self, method, baseline, sentence):
        with pytest.raises(InputError, match=sentence):
            eyeline.explain(eyeline.several(Two()), (IMAGES, ROWS), method, 1, baseline=baseline)

    def test_a_function_tells_inputs_by_their_shape(self):
        """The way out that the sentence names: black for the picture, the row as it is."""

        def black_picture(images):
            return images * 0 if images.shape[1:] == (*SIZE, 3) else images

        first, second = eyeline.explain(
            eyeline.several(Two()), (IMAGES, ROWS), "integratedgradients", 1, steps=3, baseline=black_picture
        )
        assert first.maps.any()
        assert not second.maps.any()

    @pytest.mark.parametrize(
        ("window", "sentence"),
        [
            ((2, 2), r"input 'row': window must be .* per spatial axis \(1\)"),
            (7, "input 'row': window must be at most"),
        ],
    )
    def test_windows_that_fit_one_input_only(self, window, sentence):
        with pytest.raises(InputError, match=sentence):
            eyeline.explain(eyeline.several(Two()), (IMAGES, ROWS), "occlusion", 1, window=window)

    def test_a_method_that_is_called_with_them(self):
        with pytest.raises(UnsupportedError, match=r"got one of several \('picture', 'row'\)\. Use eyeline\.explain"):
            eyeline.Gradient()(eyeline.several(Two()), (IMAGES, ROWS), 1)

    def test_networks_and_files_that_are_none(self):
        with pytest.raises(UnsupportedError, match=r"Bag has only 'given'\. Use eyeline.load, or wrap"):
            eyeline.several(Bag())
        with pytest.raises(UnsupportedError, match=r"Any has none that it names"):
            eyeline.several(Any())
        with pytest.raises(InputError, match=r"must exist, but got 'nothing\.onnx' \(no such file\)"):
            eyeline.several("nothing.onnx")


class TestSettingsOfTheMethodInside:
    @pytest.mark.parametrize(
        ("method", "setting", "way"),
        [
            (
                "multiscale",
                {"stride": 3},
                r"inner=Occlusion\(stride=\.\.\.\), in the command --inner occlusion:stride=",
            ),
            ("smoothgrad", {"channels": "l2"}, r"inner=Gradient\(channels=\.\.\.\), .* --inner gradient:channels="),
            ("smoothgrad", {"nois": 3}, r"Did you mean 'noise'"),
            ("gradient", {"stride": 3}, r"got 'stride'\. Known: "),
        ],
    )
    def test_are_passed_to_it(self, method, setting, way):
        with pytest.raises(InputError, match=way):
            eyeline.explain(load(), IMAGES, method, 1, **setting)


@pytest.mark.parametrize("head", [lambda output: float(output.detach()[0, 0]), lambda output: output[0, 0].item()])
def test_a_head_that_returns_a_number_is_told_what_to_return(head):
    with pytest.raises(UnsupportedError, match=r"got float .* or head=, return a tensor \(n, k\), without float\(\)"):
        eyeline.explain(load(head=head), IMAGES, "gradient")


def test_what_another_library_says_ends_in_one_full_stop():
    def refuse(images):
        raise ValueError("Two are too many.")

    with pytest.raises(ModelError) as caught:
        eyeline.explain(eyeline.load(refuse, input_size=SIZE), IMAGES)
    assert "Two are too many. " in str(caught.value)
    assert ".." not in str(caught.value)


def test_a_map_for_each_channel_says_how_the_command_draws_it():
    found = eyeline.explain(load(), IMAGES, "gradient", 1, channels=None)
    with pytest.raises(InputError, match=r"--channels max_abs.*--format npz"):
        draw(found)
