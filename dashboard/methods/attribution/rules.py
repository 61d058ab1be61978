"""Attributions by changed rules of going backward, each on a private copy. Imports torch."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import fx, nn

from dashboard.errors import ComputeError, InputError
from dashboard.methods.attribution import Report, guided, relevance
from dashboard.methods.attribution.base import Attribution, Explained, Memory, Settings, chunks, refused_by
from dashboard.methods.attribution.gradients import refuse_kinds
from dashboard.methods.attribution.safe_copy import safe_copy

INCOMPLETE = 1e-3
"""Share of the change of the score that the values may miss without a word."""

TRANSFORMER = (
    "DeepLIFT has no rule for LayerNorm and attention: on trained transformers its values missed the score "
    "change by 54 to 104 %."
)


def guided_backprop(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return guided backpropagation (Springenberg et al. 2015); of a token the sum over features."""
    found = guided.guided_gradient(explained)
    values = found.gradient.sum(-1) if explained.kind == "text" else found.gradient
    return Attribution(values[0], notes=guided.notes(found))


def lrp(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return layer-wise relevance propagation (Bach et al. 2015), ε+ rules; see `relevance`."""
    return relevance.propagated(explained)


# --- DeepLIFT and DeepSHAP -------------------------------------------------------------------------

_COPIES: Memory[fx.GraphModule] = Memory()


def deeplift(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return DeepLIFT with the rescale rule (Shrikumar, Greenside & Kundaje 2017, section 3.5.1).

    Computed by captum on `safe_copy`; of several baselines the mean, which is DeepSHAP.
    """
    return _rescaled(explained, settings, report)


def deepshap(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return DeepSHAP (Lundberg & Lee 2017, section 4.2): DeepLIFT averaged over the baselines.

    Complete under the rescale rule, which makes it an approximation of SHAP values, not those themselves.
    """
    return _rescaled(explained, settings, report)


def _rescaled(explained: Explained, settings: Settings, report: Report | None) -> Attribution:
    from captum.attr import DeepLift

    safe = _safe(explained)
    own, mean = explained.levels(settings.batch)
    total = torch.zeros_like(explained.inputs[0], dtype=torch.float64)
    weighted = _Weighted(safe)
    done = 0
    for part in chunks(explained.baselines, max(1, settings.batch // 2)):
        rows = explained.inputs.expand(len(part), *part.shape[1:]).clone()
        with torch.no_grad():
            weights = output_weights(explained, safe(rows), safe(part))
        with torch.inference_mode(False), torch.enable_grad(), _quiet():
            found = DeepLift(weighted).attribute(rows, part.clone(), additional_forward_args=(weights,))
        total += found.detach().double().sum(0)
        done += len(part)
        if report is not None:
            report(done / len(explained.baselines))
    values = total / len(explained.baselines)
    missed = abs(float(values.sum()) - (own - mean))
    notes: tuple[str, ...] = ()
    if missed > INCOMPLETE * max(abs(own - mean), 1e-3 * abs(own)):
        notes = (f"The values miss the change of the score by {missed:.2g}: do not rely on them.",)
    return Attribution(values, total=own - mean, notes=notes, extra={"completeness_error": missed})


class _Weighted(nn.Module):
    """The outputs of a network, summed with weights of their own for every row."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return (self.network(x).flatten(1) * weights).sum(1)


def output_weights(explained: Explained, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Return how much of the change of the score goes to each output, (batch, n_outputs), per unit of change.

    Of a score that is linear in the outputs (a logit, a difference of two) they are its coefficients. Of any
    other (a probability) the mean gradient on the straight way between the two outputs, so that the shares
    add up to the change (integrated gradients; the rescale rule knows no function of several outputs).
    """
    ours, theirs = ours.double(), theirs.double()
    with torch.inference_mode(False), torch.enable_grad():
        change = explained.score(ours) - explained.score(theirs)
        for n in (1, 16, 64, 256, 1024):
            nodes, shares = np.polynomial.legendre.leggauss(n)
            weights = torch.zeros_like(ours)
            for node, share in zip(nodes.tolist(), shares.tolist(), strict=True):
                point = (theirs + (node + 1) / 2 * (ours - theirs)).detach().clone().requires_grad_()
                (slope,) = torch.autograd.grad(explained.score(point).sum(), point)
                weights += share / 2 * slope
            gap = (weights * (ours - theirs)).flatten(1).sum(1) - change
            if bool((gap.abs() <= 1e-9 * change.abs().clamp_min(1e-12)).all()):
                break
    return weights.flatten(1).to(explained.inputs.dtype).detach()


def _safe(explained: Explained) -> fx.GraphModule:
    """Return the repaired copy; remembered.

    Raises
    ------
    InputError
        For texts and transformers; for every other operation without a rule.
    ComputeError
        When the copy gives other numbers than the network.
    """
    return _COPIES.get(explained, "", lambda: _checked_copy(explained))


def _checked_copy(explained: Explained) -> fx.GraphModule:
    refuse_kinds(explained)
    attends = any("Attention" in type(part).__name__ for part in explained.module.modules())
    if explained.kind == "text" or explained.grid is not None or attends:
        raise InputError(TRANSFORMER, "Use integrated gradients or patch Shapley values.")
    safe = safe_copy(explained.module)
    with torch.no_grad():
        theirs, ours = explained.module(explained.inputs), safe(explained.inputs)
    if not torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max())):
        message = "The copy of this network for DeepLIFT gives other numbers than the network."
        raise ComputeError(message, "Use integrated gradients.")
    return safe


no_rescale = refused_by(_safe)
"""Say why DeepLIFT would not be exact; ``""`` when it is."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep captum's remark about hooks off the terminal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(forward, backward hooks|Setting).*")
        yield


REFUSALS = {
    "guided_backprop": guided.no_guided,
    "deeplift": no_rescale,
    "deepshap": no_rescale,
    "lrp": relevance.no_relevance,
}
