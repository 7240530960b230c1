"""The table of presets: what other tools mean by a method's name, as settings of eyeline's own methods.

A preset gives the tool's numbers before it scales them for display. A setting that the caller gives counts before the
preset's. Where a tool draws random numbers, eyeline draws its own, so single values agree only in expectation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eyeline.baseline import Constant
from eyeline.mask import MonaiMask
from eyeline.methods.gradient import Gradient

BLACK, PER_CHANNEL = Constant(0), {"channels": None}


@dataclass(frozen=True)
class Row:
    """One method as another tool has it.

    Args:
        peer: what it is called there.
        settings: in which eyeline's own defaults differ.
        note: what a reader must know to compare the numbers; a sentence, or nothing.
        follows: settings that are equal to another one, unless they are given: {"stride": "window"}.
        needs: settings for which the tool has no default either.
    """

    peer: str
    settings: Mapping[str, Any]
    note: str = ""
    follows: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


SIDE_BY_SIDE = {"stride": "window"}
CORNERS = (
    "As with `normalize_cam=False`; tf-keras-vis stretches the layer's map from corner to corner, eyeline from edge to "
    "edge."
)
SCALED = "Before each map is scaled to 0..1 and stretched by OpenCV; give `layer=`."

PRESETS: dict[str, dict[str, Row]] = {
    "lecture": {
        "occlusion": Row(
            "occlusion_map",
            {"window": 8, "stride": 8, "baseline": Constant(0.5), "measure": "score", "edge": "inside"},
            "The score itself, so low where the evidence is; the strip that no whole square covers is 0.",
            follows=SIDE_BY_SIDE,
        ),
        "gradient": Row(
            "saliency_map",
            {"channels": "max_abs"},
            "Before the lecture scales the whole array to 0..1: `saliency_map(..., rescale='none')`.",
        ),
    },
    "captum": {
        "occlusion": Row(
            "Occlusion",
            {"stride": 1, "baseline": BLACK},
            "Captum repeats the map for every channel.",
            needs=("window",),
        ),
        "gradient": Row("Saliency", {"channels": "abs"}, "`visualize_image_attr` draws `channels='sum_abs'`."),
        "gradientinput": Row("InputXGradient", PER_CHANNEL),
        "integratedgradients": Row("IntegratedGradients", PER_CHANNEL),
        "expectedgradients": Row(
            "GradientShap", {"samples": 5, **PER_CHANNEL}, "Captum's draws are not balanced.", needs=("references",)
        ),
        "smoothgrad": Row(
            "NoiseTunnel of Saliency",
            {"inner": Gradient(None), "samples": 5, "noise": 1.0, "relative": False, "magnitude": True},
            "Around another method, pass it as `inner=` with `magnitude=False`.",
        ),
        "smoothgradsquared": Row(
            "NoiseTunnel of Saliency, smoothgrad_sq",
            {"inner": Gradient(None), "samples": 5, "noise": 1.0, "relative": False},
        ),
        "vargrad": Row(
            "NoiseTunnel of Saliency, vargrad",
            {"inner": Gradient(None), "samples": 5, "noise": 1.0, "relative": False, "magnitude": True},
            "Around another method, pass it as `inner=` with `magnitude=False`.",
        ),
        "guidedbackpropagation": Row("GuidedBackprop", PER_CHANNEL, "Captum passes ReLU6 over; eyeline does not."),
        "deconvnet": Row("Deconvolution", PER_CHANNEL, "Captum passes ReLU6 over; eyeline does not."),
        "gradcam": Row(
            "LayerGradCam",
            {"relu": False},
            "Stretched by `interpolate(..., interpolate_mode='bilinear')`; give `layer=`.",
        ),
        "guidedgradcam": Row("GuidedGradCam", PER_CHANNEL, "With `interpolate_mode='bilinear'`; give `layer=`."),
    },
    "xplique": {
        "occlusion": Row(
            "Occlusion",
            {"window": 3, "stride": 3, "baseline": BLACK, "overlap": "sum", "edge": "inside"},
            "Sums grow with the number of windows on a pixel; the strip that no whole window covers is 0.",
        ),
        "gradient": Row("Saliency", {"channels": "max_abs"}, "The same as eyeline's own."),
        "gradientinput": Row("GradientInput", {"channels": "mean"}),
        "integratedgradients": Row("IntegratedGradients", {"rule": "trapezoid", "channels": "mean"}),
        "smoothgrad": Row("SmoothGrad", {"inner": Gradient("mean"), "samples": 50, "noise": 0.2, "relative": False}),
        "smoothgradsquared": Row(
            "SquareGrad", {"inner": Gradient("mean"), "samples": 50, "noise": 0.2, "relative": False}
        ),
        "vargrad": Row(
            "VarGrad",
            {"inner": Gradient("mean"), "samples": 50, "noise": 0.2, "relative": False, "unbiased": True},
        ),
        "guidedbackpropagation": Row(
            "GuidedBackprop",
            {"channels": "mean"},
            "Xplique's clipped ReLU stays open above its end; eyeline's does not.",
        ),
        "deconvnet": Row("DeconvNet", {"channels": "mean"}),
        "rise": Row(
            "Rise",
            {"measure": "score", "baseline": BLACK},
            "Xplique cuts its masks from a grid that is enlarged a little otherwise.",
        ),
        "gradcam": Row("GradCAM", {}, "Xplique stretches the layer's map by cubic interpolation; eyeline by linear."),
    },
    "tf-explain": {
        "occlusion": Row(
            "OcclusionSensitivity",
            {"baseline": Constant(127.5), "measure": "complement"},
            "Grey of images in 0..255. tf-explain then stretches the grid of windows to the image by OpenCV's linear "
            "interpolation, and swaps the axes of images that are not square.",
            follows=SIDE_BY_SIDE,
            needs=("window",),
        ),
        "gradient": Row(
            "VanillaGradients",
            {"channels": "sum_abs"},
            "Before tf-explain standardises each map and casts it to 8 bits; it also takes a last softmax off.",
        ),
        "gradientinput": Row("GradientsInputs", {"channels": "sum_abs"}, "As its VanillaGradients."),
        "integratedgradients": Row(
            "IntegratedGradients",
            {"steps": 10, "rule": "even", "multiply": False, "channels": "sum_abs"},
            "The mean derivative on the line, not multiplied with the image; before scaling to 8 bits.",
        ),
        "smoothgrad": Row(
            "SmoothGrad",
            {"inner": Gradient("sum_abs"), "samples": 5, "noise": 1.0, "relative": False},
            "tf-explain differentiates the cross-entropy: load the model with `head=` the logarithm of its "
            "probabilities. Before scaling to 8 bits.",
        ),
        "gradcam": Row(
            "GradCAM, use_guided_grads=False",
            {"relu": False},
            "By default tf-explain first drops derivatives below 0, and those where the layer gives 0.",
        ),
    },
    "tf-keras-vis": {
        "gradient": Row(
            "Saliency",
            {"channels": "max_abs"},
            "As with `normalize_map=False`; otherwise each map is scaled to 0..1, which eyeline leaves to the picture.",
        ),
        "smoothgrad": Row(
            "Saliency, smooth_samples=20",
            {"inner": Gradient("max_abs"), "samples": 20, "noise": 0.2, "magnitude": True},
            "As with `normalize_map=False`; 20 samples are those of its documentation.",
        ),
        "gradcam": Row("Gradcam", {}, CORNERS),
        "layercam": Row("Layercam", {}, CORNERS),
    },
    "pair": {
        "occlusion": Row(
            "Occlusion",
            {"window": 15, "stride": 1, "baseline": BLACK, "overlap": "sum", "edge": "inside"},
            "Sums are lower near the border, where fewer windows lie. PAIR repeats the map for every channel.",
        ),
        "gradient": Row("GradientSaliency", PER_CHANNEL, "`VisualizeImageGrayscale` draws `channels='sum_abs'`."),
        "integratedgradients": Row("IntegratedGradients", {"steps": 25, "rule": "even", **PER_CHANNEL}),
        "blurig": Row("BlurIG", {"rule": "tangent", "border": "black", **PER_CHANNEL}),
        "guidedig": Row("GuidedIG", PER_CHANNEL),
        "smoothgrad": Row(
            "GetSmoothedMask, magnitude=False",
            {"inner": Gradient(None)},
            "PAIR's default is the mean of squares: `smoothgradsquared`.",
        ),
        "smoothgradsquared": Row("GetSmoothedMask", {"inner": Gradient(None)}),
        "gradcam": Row(
            "GradCam", {}, "As with `should_resize=False`; otherwise PAIR divides by the largest number first."
        ),
    },
    "monai": {
        "occlusion": Row(
            "OcclusionSensitivity",
            {"window": 16, "stride": 6, "baseline": BLACK, "mask": MonaiMask(), "measure": "score", "edge": "shift"},
            "For another window the stride is 0.4 of it, rounded down. MONAI covers with its softmax on: `scores="
            "'probability'`, or its `activate=False`.",
        ),
        "gradient": Row("VanillaGrad", PER_CHANNEL),
        "smoothgrad": Row(
            "SmoothGrad, magnitude=False",
            {"inner": Gradient(None)},
            "MONAI's default is the root of squares: `smoothgradsquared`.",
        ),
        "smoothgradsquared": Row(
            "SmoothGrad",
            {"inner": Gradient(None), "root": "sum"},
            "The root of the sum over the number of samples: four times the samples, half the numbers.",
        ),
        "guidedbackpropagation": Row(
            "GuidedBackpropGrad", PER_CHANNEL, "MONAI finds the layers that are named `relu`."
        ),
        "gradcam": Row("GradCAM", {}, "Before its `postprocessing`, which gives the largest number 0, the smallest 1."),
    },
    "zennit": {
        "occlusion": Row(
            "Occlusion",
            {"window": 8, "stride": 8, "baseline": BLACK, "measure": "score", "overlap": "sum", "keep": True},
            "Sizes that the stride divides; else zennit's last windows go on at the other border. It repeats the map "
            "for every channel.",
        ),
        "gradient": Row("Gradient", PER_CHANNEL, "With `attr_output` 1 for the target, 0 for the others."),
        "integratedgradients": Row("IntegratedGradients", {"steps": 20, "rule": "right", **PER_CHANNEL}),
    },
    "grad-cam": {
        "gradcam": Row("GradCAM", {}, SCALED),
        "hirescam": Row("HiResCAM", {"relu": True}, SCALED),
        "layercam": Row("LayerCAM", {}, SCALED),
        "guidedbackpropagation": Row("GuidedBackpropReLUModel", PER_CHANNEL),
    },
}
"""Preset -> method -> what the tool means by it."""
