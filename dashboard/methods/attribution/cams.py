"""Class activation maps: where the channels that raise the score are active, at one layer. Imports torch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dashboard.errors import InputError
from dashboard.methods.attribution import Report, guided
from dashboard.methods.attribution.base import Attribution, Explained, Settings
from dashboard.methods.attribution.gradients import Shared, shared_pass

UNIFORM = 1e-4
"""How much a channel's gradient may differ between places, as a share of the largest, to count as equal."""

TOKENS = "The output of this layer is not an image, and no patch grid folds its tokens back into one."
NO_PLACES = "No layer of this network keeps the places of a picture."
ELSEWHERE = "Use integrated gradients or occlusion."
PAST_MIXING = "After this layer only the class token reaches the scores, so every patch would be zero."
EARLIER = "Choose the first norm of the last block, or an earlier layer."
NOT_PICTURE = "Class activation maps need a network that sees pictures."
NOTHING = "At this layer nothing raises this score: the map is zero everywhere."


def laid_out(shared: Shared, tensor: torch.Tensor) -> torch.Tensor:
    """Return a layer's output or gradient, (1, ...), as (channels, rows, columns) float64.

    Tokens before the patches (class, distillation, register) are left out; the others go back to the grid.

    Raises
    ------
    InputError
        When the layer does not keep the places of the picture.
    """
    if shared.grid is None:
        raise InputError(*((TOKENS, "Choose another layer.") if shared.layer else (NO_PLACES, ELSEWHERE)))
    if tensor.ndim == 3:
        return tensor[0, shared.prefix :].double().T.unflatten(1, shared.grid)
    return tensor[0].double().movedim(shared.channel_axis - 1, 0)


def grad_cam(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return Grad-CAM (Selvaraju et al. 2017, equations 1 and 2), or HiResCAM where Grad-CAM would mislead.

    Grad-CAM gives every channel one weight, its mean gradient. That is right when the layers above are a
    global mean, because then the gradient is the same everywhere. Where it is not, gradient and activation
    are multiplied place by place (HiResCAM: Draelos & Carin 2020, equation 3): the mean can mark places that
    the score does not use. Of transformers the patch tokens are folded back into their grid.

    Returns
    -------
    Attribution
        ``values`` (height, width) of the stimulus, bilinear from ``extra["raw"]`` (rows, columns) of the
        layer ``extra["layer"]``; ``extra["variant"]`` says which of the two, ``extra["grad_cam"]`` holds the
        raw classic one. All are cut at zero.
    """
    raw, classic, shared, uniform = _maps(explained, settings)
    notes = [] if uniform else [_hires(shared)]
    if not bool(raw.any()):
        notes.append(NOTHING)
    extra: dict[str, object] = {
        "layer": shared.layer,
        "raw": raw,
        "grad_cam": classic,
        "variant": "Grad-CAM" if uniform else "HiResCAM",
    }
    return Attribution(_stretched(raw, explained), notes=tuple(notes), extra=extra)


def guided_grad_cam(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return guided backpropagation times the stretched Grad-CAM (Selvaraju et al. 2017, section 3.2)."""
    found = guided.guided_gradient(explained)
    cam = grad_cam(explained, settings)
    return Attribution(
        found.gradient[0] * cam.values, notes=(*guided.notes(found), *cam.notes), extra=cam.extra
    )


def _maps(explained: Explained, settings: Settings) -> tuple[torch.Tensor, torch.Tensor, Shared, bool]:
    """Return the map to show, the classic one, the pass, and whether every channel's gradient is uniform."""
    if explained.kind != "image" or explained.inputs.ndim != 4:
        raise InputError(NOT_PICTURE, "Use integrated gradients.")
    shared = shared_pass(explained, settings.layer)
    if shared.activation is None or shared.layer_gradient is None:
        raise InputError(NO_PLACES, ELSEWHERE)
    activation, gradient = laid_out(shared, shared.activation), laid_out(shared, shared.layer_gradient)
    if shared.activation.ndim == 3 and shared.prefix and not bool(gradient.any()):
        raise InputError(PAST_MIXING, EARLIER)
    weights = gradient.mean((1, 2), keepdim=True)
    uniform = bool((gradient - weights).abs().max() <= UNIFORM * gradient.abs().max())
    classic = (weights * activation).sum(0).clamp_min(0)
    return (classic if uniform else (gradient * activation).sum(0).clamp_min(0)), classic, shared, uniform


def _stretched(raw: torch.Tensor, explained: Explained) -> torch.Tensor:
    size = tuple(explained.inputs.shape[-2:])
    return F.interpolate(raw[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def _hires(shared: Shared) -> str:
    return (
        f"What follows {shared.layer} is not a global mean, so gradient and activation are multiplied place "
        "by place (HiResCAM, Draelos & Carin 2020): plain Grad-CAM can mark places the score does not use."
    )


def no_map(explained: Explained, settings: Settings) -> str:
    """Say why there is no class activation map; ``""`` when there is one."""
    try:
        _maps(explained, settings)
    except InputError as error:
        return str(error)
    return ""


def no_guided_map(explained: Explained, settings: Settings) -> str:
    """Say why there is no guided class activation map; ``""`` when there is one."""
    return no_map(explained, settings) or guided.no_guided(explained, settings)


REFUSALS = {"grad_cam": no_map, "guided_grad_cam": no_guided_map}
