"""What a network answers to stimuli, batch by batch, and what every answer about it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard import networks
from dashboard.errors import ComputeError
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import PredictionsSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    import torch


def forward(network: Network, shown: Stimuli) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield the position of the first stimulus of a batch, and the network's answers to it, (batch, …).

    Raises
    ------
    InputError
        When a text network is shown pictures, or the other way round.
    ComputeError
        When the network answers with no tensor, or with what is no number.
    """
    import torch

    from dashboard.networks import capture
    from dashboard.networks.layers import first_tensor

    network.check([shown.item(0)])
    where = networks.device()
    module = capture.private(network.module, where)
    done = 0
    for batch in networks.batches(network, (shown.item(i) for i in range(len(shown)))):
        with torch.inference_mode():
            found = first_tensor(module(batch.to(where)))
        if found is None:
            message = f"{network.title} gives no tensor for a stimulus."
            raise ComputeError(message, "Choose another network.")
        finite = torch.isfinite(found.reshape(len(found), -1)).all(dim=1).cpu().numpy()
        if not finite.all():
            bad = shown.names[done + int(np.flatnonzero(~finite)[0])]
            message = f'{network.title} answers "{bad}" with what is no number.'
            raise ComputeError(message, "Check its weights and preprocessing.")
        yield done, found
        done += len(found)
        report(done / len(shown), f"Predictions: {done} of {len(shown)} stimuli")


def attributes(
    spec: PredictionsSpec, network: Network, shown: Stimuli, task: str, truth: str
) -> dict[str, Any]:
    """Return the attributes of an answer; ``truth`` is the column that the truth was taken from."""
    return {
        "title": f"Predictions of {network.title} for {shown.title}",
        "task": task,
        "network": spec.network,
        "network_title": network.title,
        "stimuli": spec.stimuli,
        "stimulus_kind": shown.kind,
        "truth": truth,
        "device": networks.device().type,
        "simulated": "no",
    }


def unexpected(network: Network, found: torch.Tensor, wanted: str) -> ComputeError:
    """Return the error for an answer of another shape than the network's card promises."""
    shape = " × ".join(map(str, found.shape[1:]))
    return ComputeError(
        f"{network.title} gives {shape or 'one number'} for a stimulus, not {wanted}.",
        "Choose another network.",
    )
