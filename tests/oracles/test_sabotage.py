"""The oracles can fail: the code under test is broken on purpose, and each oracle that should notice does."""

from dataclasses import replace

import numpy as np
import pytest
import test_brute_force
import test_known_answers
import test_mathematics
import test_traps

from eyeline import baseline, region, target
from eyeline.methods import derivatives, occlusion
from eyeline.models.function import FunctionModel
from eyeline.sweep import Sweep

grid, lay, gaussian, reduce = occlusion.grid, region.lay, baseline.gaussian, derivatives.reduce
values, constant, mean = Sweep.values, baseline.Constant.__call__, baseline.Mean.__call__
scores = FunctionModel.scores


def window_too_small(*given):
    boxes = grid(*given).copy()
    boxes[..., 1] = np.maximum(boxes[..., 1] - 1, boxes[..., 0] + 1)
    return boxes


def last_window_dropped(*given):
    boxes = grid(*given)
    return boxes[:-1] if len(boxes) > 1 else boxes


def shifted_by_one(*given):
    boxes = grid(*given)
    return boxes + (boxes[..., :1] > 0)


def last_window_not_cut(size, window, stride, edge="cut"):
    return grid(size, window, stride, "inside")


def rows_and_columns_swapped(size, window, stride, edge="cut"):
    boxes = grid(size[::-1], window[::-1], stride[::-1], edge)
    return np.minimum(boxes, np.array(size)[None, :, None])


def neighbours_reference(sweep, weights):
    return values(replace(sweep, reference=np.roll(sweep.reference, 1, 0)), weights)


def first_axis_shifted(*given):
    boxes = grid(*given).copy()
    boxes[:, 0] += boxes[:, 0, :1] > 0
    return np.minimum(boxes, np.array(given[0])[None, :, None])


def ties_to_the_highest(self, found, classes=None):
    order = np.argsort(-found[:, ::-1], axis=1, kind="stable")
    return target.one_hot((found.shape[1] - 1 - order[:, self.rank - 1]).tolist(), found.shape[1])


def company_is_felt(self, images):
    return scores(self, images) + np.float32(1e-3 * len(images))


def sum_for_mean(numbers, boxes, size, overlap):
    return lay(numbers, boxes, size, "sum")


def ends_cut_off(sigma):
    kernel = gaussian(sigma)
    return kernel * (np.arange(len(kernel)) % (len(kernel) - 1) > 0) if len(kernel) > 1 else kernel


def cn1_windows_of_two_sizes():
    test_known_answers.TestOcclusion().test_cn1_windows_of_two_sizes("function")


def bm3_sign():
    test_known_answers.TestOcclusion().test_bm3_sign("function", 3, 1, 1, -1)


def ml_last_window_cut():
    test_known_answers.TestOcclusion().test_ml("function", {"window": 2, "stride": 2}, (280, 280, 120))


def ml_mean():
    settings = {"window": 2, "stride": 1, "baseline": baseline.Constant(10)}
    test_known_answers.TestOcclusion().test_ml("function", settings, (200, 220, 240))


def last_window():
    test_traps.test_the_last_window_is_neither_left_out_nor_wraps_round((5, 7))


def half_of_0_to_1():
    test_traps.TestGreyIsInTheScaleOfTheImage().test_half_of_0_to_1()


def not_finite():
    test_traps.TestScoresThatAreNotFinite().test_of_the_clean_image_are_an_error(np.nan)


def defaults():
    test_brute_force.test_defaults((40, 33))


cn1_gradient = test_known_answers.TestGradient().test_cn1
mean_rule = test_known_answers.TestSumOfPixels().test_mean_over_windows
preset_pair = test_known_answers.TestSumOfPixels().test_preset_pair
one_minus_relu = test_known_answers.TestGradient().test_one_minus_relu
swapped_axes_trap = test_traps.test_rows_and_columns_are_not_swapped
ties = test_traps.test_ties_of_the_best_class_go_to_the_lowest_index
every_target = test_brute_force.test_every_target
keeping = test_mathematics.test_linear_keeping_a_window_brings_what_covering_it_takes
complement = test_mathematics.test_linear_a_window_and_its_complement_take_everything
brings = test_mathematics.test_what_a_window_brings_is_measured_from_the_fully_covered_image
whole_image = test_mathematics.test_the_whole_image_as_a_window_is_the_difference_to_the_baseline
swapped = test_mathematics.test_swapping_the_axes_of_image_and_network_swaps_those_of_the_map
permuted = test_mathematics.test_permuting_the_batch_permutes_the_maps
batch_size = test_mathematics.test_the_batch_size_does_not_matter
every_setting = test_brute_force.test_every_setting
raster_order = test_brute_force.test_the_sweep_holds_every_window_in_raster_order
linear_windows = test_mathematics.test_linear_occlusion_is_the_mean_over_windows_of_w_times_x_minus_c
linear_pixels = test_mathematics.test_linear_single_pixels_are_the_gradient_times_x_minus_c
linear_gradient = test_mathematics.test_linear_gradient_is_w
flip = test_mathematics.test_flipping_image_and_network_flips_the_map
alone = test_mathematics.test_an_image_alone_has_the_map_that_it_has_in_company
finite_differences = test_mathematics.test_gradient_is_that_of_finite_differences

BREAKS = {
    "window one too small": (
        (occlusion, "grid", window_too_small),
        (every_setting, mean_rule, cn1_windows_of_two_sizes, linear_windows),
    ),
    "last window dropped": (
        (occlusion, "grid", last_window_dropped),
        (every_setting, mean_rule, ml_last_window_cut, raster_order, flip, last_window, preset_pair),
    ),
    "windows beyond the border left out": (
        (occlusion, "grid", last_window_not_cut),
        (every_setting, ml_last_window_cut, linear_windows, last_window),
    ),
    "windows shifted along one axis": ((occlusion, "grid", first_axis_shifted), (swapped, every_target)),
    "windows shifted by one": ((occlusion, "grid", shifted_by_one), (every_setting, mean_rule, flip)),
    "rows and columns swapped": (
        (occlusion, "grid", rows_and_columns_swapped),
        (every_setting, cn1_windows_of_two_sizes, swapped_axes_trap),
    ),
    "sum for mean": ((region, "lay", sum_for_mean), (every_setting, mean_rule, linear_windows, ml_mean, complement)),
    "sign flipped": (
        (Sweep, "values", lambda *given: -values(*given)),
        (every_setting, every_target, bm3_sign, linear_pixels, whole_image, preset_pair),
    ),
    "a neighbour's clean score": (
        (Sweep, "values", neighbours_reference),
        (every_setting, alone, permuted, whole_image),
    ),
    "what is kept taken for what is covered": (
        (Sweep, "values", lambda sweep, weights: values(replace(sweep, keep=False), weights)),
        (every_setting, keeping, brings),
    ),
    "an image's scores feel the batch": ((FunctionModel, "scores", company_is_felt), (batch_size, alone)),
    "ties to the highest index": ((target.Top, "__call__", ties_to_the_highest), (ties,)),
    "NaN let through": ((np, "isfinite", lambda numbers: np.ones(np.shape(numbers), bool)), (not_finite,)),
    "baseline in 0..255": (
        (baseline.Constant, "__call__", lambda *given: 255 * constant(*given)),
        (every_setting, half_of_0_to_1),
    ),
    "mean over the batch": (
        (baseline.Mean, "__call__", lambda self, images: mean(self, images).mean(0, keepdims=True) + 0 * images),
        (every_setting, alone),
    ),
    "blur too wide": ((baseline, "gaussian", lambda sigma: gaussian(1.05 * sigma)), (every_setting, defaults)),
    "blur cut too early": ((baseline, "gaussian", ends_cut_off), (every_setting, defaults)),
    "gradient's sign flipped": (
        (derivatives, "reduce", lambda pixels, channels: reduce(-pixels, channels)),
        (cn1_gradient, linear_gradient, linear_pixels, one_minus_relu),
    ),
    "gradient shifted by a row": (
        (derivatives, "reduce", lambda pixels, channels: reduce(np.roll(pixels, 1, axis=1), channels)),
        (cn1_gradient, linear_gradient, finite_differences),
    ),
    "gradient a thousandth too large": (
        (derivatives, "reduce", lambda pixels, channels: reduce(np.float32(1.001) * pixels, channels)),
        (finite_differences, linear_gradient),
    ),
    "mean for maximum": (
        (derivatives, "reduce", lambda pixels, channels: reduce(pixels, channels and "mean_abs")),
        (linear_gradient,),
    ),
}


@pytest.mark.parametrize(
    ("place", "name", "broken", "oracle"),
    [
        pytest.param(*broken, oracle, id=f"{what}: {oracle.__name__.removeprefix('test_')}")
        for what, (broken, oracles) in BREAKS.items()
        for oracle in oracles
    ],
)
def test_the_oracle_notices(monkeypatch, place, name, broken, oracle):
    monkeypatch.setattr(place, name, broken)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        oracle()
