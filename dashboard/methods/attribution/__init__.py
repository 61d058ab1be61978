"""Why a network answered as it did: one registry of attribution methods, readable without torch.

Each entry says what the method needs and promises; its function lives in a module that imports torch only
when it runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from dashboard.errors import unknown

if TYPE_CHECKING:
    from dashboard.methods.attribution.base import Attribution, Explained, Settings

Family = Literal["gradient", "rule", "activation", "perturbation", "shapley"]
Setting = Literal[
    "baseline", "background", "steps", "samples", "segments", "window", "layer", "noise", "seed"
]
Report = Callable[[float], None]


@dataclass(frozen=True)
class Method:
    """One way of attributing a score to the parts of a stimulus.

    Attributes
    ----------
    name : str
        What specs, links and the command line call it.
    label : str
        What pages call it.
    family : str
        gradient, rule (changed backward pass), activation (class activation maps), perturbation or shapley.
    sentence : str
        What one value of its map means.
    source : str
        Author, year.
    module, function : str
        Where ``(explained, settings, report) -> Attribution`` lives; the module's ``REFUSALS`` may hold a
        function ``(explained, settings) -> str`` of the same name that says why it cannot work.
    settings : tuple of str
        The settings that change its map.
    additive : bool
        Whether its values should sum to the score less the mean score of the baselines.
    signed : bool
        Whether values below zero mean evidence against.
    sampled : bool
        Whether another seed gives another map.
    """

    name: str
    label: str
    family: Family
    sentence: str
    source: str
    module: str
    function: str
    settings: tuple[Setting, ...] = ()
    additive: bool = False
    signed: bool = True
    sampled: bool = False

    def why_not(self, explained: Explained, settings: Settings) -> str:
        """Say in a sentence why the method cannot work here; ``""`` when it can."""
        refusals = getattr(self._module(), "REFUSALS", {})
        return str(refusals[self.function](explained, settings)) if self.function in refusals else ""

    def run(self, explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
        """Return the map."""
        run = getattr(self._module(), self.function)
        return cast("Attribution", run(explained, settings, report))

    def _module(self) -> object:
        return importlib.import_module(f"dashboard.methods.attribution.{self.module}")


_ENTRIES = (
    Method(
        "saliency",
        "Saliency",
        "gradient",
        "How fast the score changes with each input, whatever the direction.",
        "Simonyan, Vedaldi & Zisserman, 2014",
        "gradients",
        "saliency",
        signed=False,
    ),
    Method(
        "input-x-gradient",
        "Input × gradient",
        "gradient",
        "The score's slope times the distance of the input from the baseline.",
        "Shrikumar, Greenside & Kundaje, 2017",
        "gradients",
        "input_x_gradient",
        settings=("baseline",),
    ),
    Method(
        "smoothgrad",
        "SmoothGrad",
        "gradient",
        "The slope of the score, averaged over noisy copies of the stimulus.",
        "Smilkov et al., 2017",
        "gradients",
        "smoothgrad",
        settings=("samples", "noise", "seed"),
        sampled=True,
    ),
    Method(
        "integrated-gradients",
        "Integrated gradients",
        "gradient",
        "The part of the score's change, on the straight way from the baseline, that each input brings.",
        "Sundararajan, Taly & Yan, 2017",
        "gradients",
        "integrated_gradients",
        settings=("baseline", "steps"),
        additive=True,
    ),
    Method(
        "expected-gradients",
        "Expected gradients (GradientSHAP)",
        "gradient",
        "Integrated gradients, averaged over random baselines and points on the way; estimates SHAP values.",
        "Erion et al., 2021",
        "gradients",
        "expected_gradients",
        settings=("baseline", "background", "samples", "seed"),
        additive=True,
        sampled=True,
    ),
    Method(
        "deeplift",
        "DeepLIFT",
        "rule",
        "The difference from the baseline, handed back layer by layer with the rescale rule.",
        "Shrikumar, Greenside & Kundaje, 2017",
        "rules",
        "deeplift",
        settings=("baseline",),
        additive=True,
    ),
    Method(
        "deepshap",
        "DeepSHAP",
        "rule",
        "DeepLIFT averaged over background stimuli; approximates SHAP values.",
        "Lundberg & Lee, 2017",
        "rules",
        "deepshap",
        settings=("baseline", "background", "seed"),
        additive=True,
    ),
    Method(
        "guided-backprop",
        "Guided backpropagation",
        "rule",
        "The gradient with negative signals stopped at every ReLU; sharp, but hardly depends on the class.",
        "Springenberg et al., 2015",
        "rules",
        "guided_backprop",
    ),
    Method(
        "lrp",
        "Layer-wise relevance propagation",
        "rule",
        "The score, handed back layer by layer in proportion to what each input contributed (ε+ rule).",
        "Bach et al., 2015",
        "rules",
        "lrp",
    ),
    Method(
        "grad-cam",
        "Grad-CAM",
        "activation",
        "Where the channels that raise the score are active, at the resolution of one layer.",
        "Selvaraju et al., 2017",
        "cams",
        "grad_cam",
        settings=("layer",),
        signed=False,
    ),
    Method(
        "guided-grad-cam",
        "Guided Grad-CAM",
        "activation",
        "Guided backpropagation, kept where Grad-CAM is positive.",
        "Selvaraju et al., 2017",
        "cams",
        "guided_grad_cam",
        settings=("layer",),
    ),
    Method(
        "occlusion",
        "Occlusion",
        "perturbation",
        "How much the score falls when a window over the place is replaced by the baseline.",
        "Zeiler & Fergus, 2014",
        "perturbation",
        "occlusion",
        settings=("baseline", "window"),
    ),
    Method(
        "ablation",
        "Feature ablation",
        "perturbation",
        "How much the score falls when one segment is replaced by the baseline.",
        "Kokhlikyan et al., 2020",
        "perturbation",
        "ablation",
        settings=("baseline", "segments"),
    ),
    Method(
        "shapley",
        "Shapley sampling",
        "shapley",
        "The mean change of the score when a segment joins the others, over random orders.",
        "Štrumbelj & Kononenko, 2010",
        "shapley",
        "shapley_sampling",
        settings=("baseline", "segments", "samples", "seed"),
        additive=True,
        sampled=True,
    ),
    Method(
        "kernel-shap",
        "KernelSHAP",
        "shapley",
        "SHAP values of segments from a weighted regression over random subsets.",
        "Lundberg & Lee, 2017",
        "shapley",
        "kernel_shap",
        settings=("baseline", "segments", "samples", "seed"),
        additive=True,
        sampled=True,
    ),
    Method(
        "partition-shap",
        "PartitionSHAP",
        "shapley",
        "Owen values: SHAP values over a hierarchy of neighbouring segments.",
        "Lundberg & Lee, 2017; Owen, 1977",
        "shapley",
        "partition_shap",
        settings=("baseline", "segments", "samples"),
        additive=True,
    ),
    Method(
        "linear-shap",
        "Linear SHAP",
        "shapley",
        "Weight times distance from the mean of the baselines: the SHAP values of a linear network, exactly.",
        "Lundberg & Lee, 2017",
        "linear",
        "linear_shap",
        settings=("baseline", "background", "seed"),
        additive=True,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ENTRIES}
"""Every attribution method by name. Adding one is an entry here and a function in its module."""


def method(name: str) -> Method:
    """Return a method by name.

    Raises
    ------
    InputError
        When there is none; it tells the nearest names.
    """
    if name not in METHODS:
        raise unknown("attribution method", name, METHODS)
    return METHODS[name]
