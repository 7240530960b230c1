"""Weights drawn anew: on a copy, layer by layer, repeatable; what the metric makes of it; maps made again."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch
from measured_networks import IMAGES, SIZE, convolutional, convolutions
from torch import nn

import eyeline
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods import METHODS
from eyeline.methods.base import settings
from eyeline.methods.inner import having, replaced
from eyeline.methods.stored import rebuilt
from eyeline.metrics import BaselineAgreement, Randomisation, SeedAgreement, again, randomisation
from eyeline.metrics.randomisation import grouped
from eyeline.models import torch_random
from eyeline.models.randomised import randomised, weighted

LAYERS = ("0", "1", "3", "7")


def values(network):
    return {name: each.detach().clone() for name, each in network.state_dict().items()}


def same(one, other):
    return {name for name in one if torch.equal(one[name], other[name])}


def test_layers_are_named_in_the_order_in_which_they_run():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.middle, self.first = nn.Linear(4, 3), nn.BatchNorm2d(4), nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return self.last(self.middle(self.first(images)).mean(dim=(2, 3)))

    assert weighted(convolutional(), IMAGES[:1]) == LAYERS
    assert weighted(eyeline.load(Backwards().eval(), input_size=SIZE), IMAGES[:1]) == ("first", "middle", "last")


def test_a_layer_whose_weights_are_read_by_its_holder_stands_with_it():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.attend, self.classify = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2), nn.Linear(8, 3)

        def forward(self, images):
            tokens = self.embed(images).flatten(2).movedim(2, 0)
            return self.classify(self.attend(tokens, tokens, tokens)[0].mean(dim=0))

    names = weighted(eyeline.load(Attention().eval(), input_size=SIZE), IMAGES[:1])
    assert names == ("embed", "attend", "attend.out_proj", "classify")


def test_only_the_named_layers_are_drawn_and_the_model_stays_as_it_was():
    network = convolutions()
    model, before = eyeline.load(network, input_size=SIZE), values(network)
    copy = randomised(model, ["1", "7"], seed=3)
    drawn = values(copy._module)
    assert same(before, values(network)) == set(before)
    assert not any(each._forward_pre_hooks for each in network.modules())
    assert {name.partition(".")[0] for name in set(before) - same(before, drawn)} == {"1", "7"}
    for name, each in before.items():
        assert sorted(each.ravel().tolist()) == sorted(drawn[name].ravel().tolist()), name


def test_a_draw_depends_on_the_seed_and_not_on_the_other_layers():
    model = convolutional()
    one, other = (values(randomised(model, names, seed=3)._module) for names in (LAYERS, ["3"]))
    assert torch.equal(one["3.weight"], other["3.weight"])
    assert not torch.equal(one["3.weight"], values(randomised(model, ["3"], seed=4)._module)["3.weight"])


def test_the_initial_draw_is_the_layers_own_and_leaves_the_generator_alone():
    model = convolutional()
    state = torch.get_rng_state()
    drawn = randomised(model, ["7"], seed=5, draw="initial")._module[7].weight
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    np.testing.assert_array_equal(drawn.detach(), nn.Linear(32, 4).weight.detach())


@pytest.mark.parametrize("method", [eyeline.IntegratedGradients(steps=300), eyeline.SmoothGrad(samples=100)], ids=repr)
def test_what_a_model_keeps_for_long_runs_is_not_the_copys(method):
    """A model may keep another form of its network for many passes; the copy must make its own."""
    model = convolutional()
    kept = method(model, IMAGES, 0).maps
    copy = randomised(model, LAYERS, 0)
    drawn = method(copy, IMAGES, 0).maps
    np.testing.assert_allclose(drawn, method(eyeline.load(copy._module, input_size=SIZE), IMAGES, 0).maps, rtol=1e-4,
                               atol=1e-6)  # fmt: skip
    assert np.abs(drawn - kept).max() > 1e-3
    np.testing.assert_allclose(method(model, IMAGES, 0).maps, kept, rtol=1e-4, atol=1e-6)


def test_the_copys_scores_have_the_units_that_were_decided():
    """Scores of a network with random weights may look like probabilities by chance."""
    model = eyeline.load(nn.Sequential(convolutions(), nn.Softmax(dim=1)).eval(), input_size=SIZE)
    model.scores(IMAGES)
    assert randomised(model, ["0.7"], 0).unit == "probability"


def test_what_cannot_be_copied():
    function = eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=SIZE)
    with pytest.raises(UnsupportedError, match=r"PyTorch, Keras or ONNX network .* is function \(scores only\)"):
        randomised(function, [], 0)
    with pytest.raises(InputError, match="a layer must be one that holds weights, but got '2'"):
        randomised(convolutional(), ["2"], 0)
    bare = eyeline.load(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), input_size=SIZE)
    with pytest.raises(UnsupportedError, match="must have weights to be randomised"):
        weighted(bare, IMAGES)


def test_groups_of_layers():
    assert grouped(("a", "b", "c", "d", "e"), None) == [["e"], ["d"], ["c"], ["b"], ["a"]]
    assert grouped(("a", "b", "c", "d", "e"), 3) == [["e"], ["d", "c"], ["b", "a"]]
    assert grouped(("a", "b"), 1) == [["b", "a"]]
    assert grouped(("a", "b"), 8) == [["b"], ["a"]]


@pytest.mark.parametrize("order", ["cascading", "independent"])
@pytest.mark.parametrize("magnitude", [False, True])
def test_the_value_is_the_mean_rank_correlation_of_a_plain_loop(order, magnitude):
    model = convolutional()
    method = eyeline.Gradient("signed")
    attribution = method(model, IMAGES, [1, 2])
    found = Randomisation(order, stages=None, magnitude=magnitude, seed=6)(model, attribution)
    assert found.stages == LAYERS[::-1]
    for stage in range(4):
        drawn = LAYERS[::-1][: stage + 1] if order == "cascading" else LAYERS[::-1][stage]
        maps = method(randomised(model, drawn, 6), IMAGES, [1, 2]).maps
        for i in range(2):
            pair = attribution.maps[i].ravel(), maps[i].ravel()
            wanted = scipy.stats.spearmanr(*(np.abs(each) if magnitude else each for each in pair))[0]
            np.testing.assert_allclose(found.parts["rank"][i, stage], wanted, atol=1e-9)
    np.testing.assert_allclose(found.values, found.parts["rank"].mean(axis=1))


def test_the_plain_loop_notices_a_network_that_keeps_its_weights(monkeypatch):
    monkeypatch.setattr(randomisation, "randomised", lambda model, *rest: model)
    with pytest.raises(AssertionError):
        test_the_value_is_the_mean_rank_correlation_of_a_plain_loop("cascading", False)


def test_a_map_of_the_picture_alone_fails_and_one_of_the_weights_alone_does_not():
    @dataclasses.dataclass(frozen=True)
    class Edges:
        def __call__(self, model, images, target=None):
            found = eyeline.Gradient()(model, images, target)
            return dataclasses.replace(found, maps=np.abs(np.gradient(images.images.mean(axis=-1), axis=2)))

    model = convolutional()
    base = eyeline.Gradient("sum")(model, IMAGES, 0)
    maps = np.abs(np.gradient(IMAGES.mean(axis=-1), axis=2))
    edges = dataclasses.replace(base, maps=maps)
    metric = Randomisation(stages=2, method=Edges())
    np.testing.assert_allclose(metric(model, edges).values, 1)
    assert (Randomisation(stages=2)(model, base).values < 0.5).all()


def test_a_constant_map_of_the_randomised_network_is_said():
    @dataclasses.dataclass(frozen=True)
    class Even:
        def __call__(self, model, images, target=None):
            found = eyeline.Gradient()(model, images, target)
            return dataclasses.replace(found, maps=np.float32([1, 0])[:, None, None] * found.maps)

    model = convolutional()
    found = Randomisation(stages=2, method=Even())(model, eyeline.Gradient()(model, IMAGES, 0))
    assert found.notes == ("'image 1' has a constant map at 7, 0",)
    assert (found.parts["rank"][1] == 0).all()


@pytest.mark.parametrize(
    "method",
    [
        eyeline.Occlusion((4, 3), (2, 3), eyeline.Constant((0.1, 0.2, 0.3)), keep=True),
        eyeline.Gradient(channels=None),
        eyeline.SmoothGrad(eyeline.IntegratedGradients(4, baseline=eyeline.Blur(2)), samples=2),
        eyeline.ExpectedGradients((eyeline.Mean(), eyeline.Noise(3)), samples=3),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_method_is_read_from_its_result(method):
    attribution = method(convolutional(), IMAGES, 0)
    read = rebuilt(attribution)
    assert settings(read) == attribution.method
    np.testing.assert_allclose(read(convolutional(), IMAGES, 0).maps, attribution.maps, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", METHODS)
def test_every_methods_defaults_are_read(name):
    attribution = eyeline.Gradient()(convolutional(), IMAGES, 0)
    stored = settings(METHODS[name]())
    assert settings(rebuilt(dataclasses.replace(attribution, method=stored))) == stored


def test_what_cannot_be_read_asks_for_the_method():
    picture = eyeline.Image(np.zeros((*SIZE, 3), np.float32))
    attribution = eyeline.GradientInput(baseline=picture)(convolutional(), IMAGES)
    with pytest.raises(InputError, match=r"words and numbers .* 'gradientinput' hold more .*Pass method="):
        rebuilt(attribution)
    with pytest.raises(InputError, match=r"by 'lime'\. Pass method="):
        rebuilt(dataclasses.replace(attribution, method={"name": "lime"}))
    code = "__import__('os').abort()"
    with pytest.raises(InputError, match="Pass method="):
        rebuilt(dataclasses.replace(attribution, method={**settings(eyeline.GradientInput()), "baseline": code}))


def test_a_wrapped_methods_setting_is_found_and_replaced():
    method = eyeline.SmoothGrad(eyeline.Occlusion(4))
    assert having(method, "baseline") == eyeline.Occlusion(4)
    assert having(method, "steps") is None
    assert replaced(method, "baseline", eyeline.Mean()).inner.baseline == eyeline.Mean()
    assert replaced(method, "seed", 4).seed == 4


def test_agreement_is_the_mean_correlation_over_other_settings():
    model = convolutional()
    method = eyeline.SmoothGrad(eyeline.GradientInput(), samples=2, seed=1)
    attribution = method(model, IMAGES, 0)
    found = SeedAgreement((1, 5, 9))(model, attribution)
    others = [dataclasses.replace(method, seed=seed)(model, IMAGES, 0).maps for seed in (5, 9)]
    wanted = [np.mean([scipy.stats.spearmanr(attribution.maps[i].ravel(), each[i].ravel())[0] for each in others])
              for i in range(2)]  # fmt: skip
    np.testing.assert_allclose(found.values, wanted, rtol=1e-6)
    assert found.stages == ("5", "9")
    baselines = BaselineAgreement((eyeline.Constant(0), eyeline.Constant(0.9)))(model, attribution)
    assert baselines.stages == ("Constant(value=0.9)",)


def test_agreement_without_a_setting_to_change():
    model = convolutional()
    attribution = eyeline.Gradient()(model, IMAGES)
    with pytest.raises(UnsupportedError, match="must have a seed to be made again"):
        SeedAgreement()(model, attribution)
    with pytest.raises(InputError, match="seeds must hold another than the map's own"):
        SeedAgreement((0,))(model, eyeline.SmoothGrad(samples=2)(model, IMAGES))


def test_another_method_than_the_maps_is_refused():
    model = convolutional()
    with pytest.raises(InputError, match="must give maps of the shape that is measured"):
        again.again(eyeline.Gradient(channels=None), model, eyeline.Gradient()(model, IMAGES))
    with pytest.raises(InputError, match="method must be a method or None, but got 'gradient'"):
        Randomisation(method="gradient")


def test_a_buffer_without_parameters_is_drawn_too():
    found = torch_random._own(nn.BatchNorm2d(4, affine=False))
    assert len(found) == 2
