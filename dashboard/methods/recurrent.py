"""Recurrent layers step by step: gates and states of LSTM, GRU and plain recurrence from their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.errors import InputError, unknown

Floats = NDArray[np.float64]
Traces = dict[str, Floats]

BOUNDED = ("input gate", "forget gate", "output gate", "reset gate", "update gate")
"""What lies between 0 (shut) and 1 (open); all else is signed."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of one recurrent layer in one direction, as torch orders them.

    Attributes
    ----------
    inputs : (n_gates * n_units, n_inputs)
    hidden : (n_gates * n_units, n_units)
    bias_inputs, bias_hidden : (n_gates * n_units,)
        Gates in the order input, forget, candidate, output (LSTM) or reset, update, candidate (GRU).
    """

    inputs: Floats
    hidden: Floats
    bias_inputs: Floats
    bias_hidden: Floats

    @property
    def units(self) -> int:
        """Number of units."""
        return self.hidden.shape[1]


def sigmoid(x: Floats) -> Floats:
    """Return the logistic function, without overflow far from zero."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def _lstm_step(w: Weights, driven: Floats, hidden: Floats, cell: Floats) -> Traces:
    """Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000, eqs. 2 to 6)."""
    parts = np.split(driven + hidden @ w.hidden.T + w.bias_hidden, 4, axis=1)
    let_in, keep, out = sigmoid(parts[0]), sigmoid(parts[1]), sigmoid(parts[3])
    candidate = np.tanh(parts[2])
    state = keep * cell + let_in * candidate
    return {
        "input gate": let_in,
        "forget gate": keep,
        "output gate": out,
        "candidate": candidate,
        "cell state": state,
        "hidden state": out * np.tanh(state),
    }


def _gru_step(w: Weights, driven: Floats, hidden: Floats, cell: Floats) -> Traces:
    """Cho et al. (2014, eqs. 5 to 8), the reset gate after the recurrent product, as in torch."""
    a, b = np.split(driven, 3, axis=1), np.split(hidden @ w.hidden.T + w.bias_hidden, 3, axis=1)
    reset, update = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
    candidate = np.tanh(a[2] + reset * b[2])
    state = (1 - update) * candidate + update * hidden
    return {"reset gate": reset, "update gate": update, "candidate": candidate, "hidden state": state}


def _tanh_step(w: Weights, driven: Floats, hidden: Floats, cell: Floats) -> Traces:
    return {"hidden state": np.tanh(driven + hidden @ w.hidden.T + w.bias_hidden)}


def _relu_step(w: Weights, driven: Floats, hidden: Floats, cell: Floats) -> Traces:
    return {"hidden state": np.maximum(driven + hidden @ w.hidden.T + w.bias_hidden, 0)}


STEPS: dict[str, Callable[[Weights, Floats, Floats, Floats], Traces]] = {
    "LSTM": _lstm_step,
    "GRU": _gru_step,
    "RNN_TANH": _tanh_step,
    "RNN_RELU": _relu_step,
}
"""One step by kind of layer, in torch's names: weights, driven input, states before; traces after."""


def unroll(
    kind: str, weights: Weights, inputs: Floats, hidden: Floats, cell: Floats, *, backward: bool = False
) -> Traces:
    """Run one recurrent layer in one direction and keep everything it computes.

    Parameters
    ----------
    kind : str
        A key of `STEPS`.
    weights : Weights
    inputs : (n_stimuli, n_steps, n_inputs)
    hidden, cell : (n_stimuli, n_units)
        States before the first step; ``cell`` counts for LSTM only.
    backward : bool
        Read the steps from the last to the first; traces stay in the order of the inputs.

    Returns
    -------
    dict
        Gates, candidate and states by name, each (n_stimuli, n_steps, n_units) float64.

    Raises
    ------
    InputError
        When the kind is unknown, or the inputs do not fit the weights.
    """
    if kind not in STEPS:
        raise unknown("kind of recurrent layer", kind, STEPS)
    if inputs.ndim != 3 or inputs.shape[2] != weights.inputs.shape[1] or not inputs.shape[1]:
        message = (
            f"Inputs of shape {inputs.shape} do not fit a recurrent layer of "
            f"{weights.inputs.shape[1]} inputs."
        )
        raise InputError(message, "Give (stimuli, steps, inputs) with at least one step.")
    driven = inputs @ weights.inputs.T + weights.bias_inputs
    order = range(inputs.shape[1])
    found: dict[str, list[Floats]] = {}
    for t in reversed(order) if backward else order:
        step = STEPS[kind](weights, driven[:, t], hidden, cell)
        hidden, cell = step["hidden state"], step.get("cell state", cell)
        for name, values in step.items():
            found.setdefault(name, []).append(values)
    return {name: np.stack(rows[::-1] if backward else rows, axis=1) for name, rows in found.items()}


def unroll_stack(
    kind: str, layers: Sequence[Sequence[Weights]], inputs: Floats, hidden: Floats, cell: Floats
) -> list[list[Traces]]:
    """Run stacked recurrent layers, each in one or two directions.

    Parameters
    ----------
    kind : str
    layers : sequence (n_layers) of sequences (n_directions) of Weights
    inputs : (n_stimuli, n_steps, n_inputs)
    hidden, cell : (n_layers * n_directions, n_stimuli, n_units)
        States before the first step, in torch's order.

    Returns
    -------
    list (n_layers) of list (n_directions) of dict
        As `unroll` gives them.
    """
    found = []
    for k, directions in enumerate(layers):
        states = [
            unroll(kind, w, inputs, hidden[(place := k * len(directions) + d)], cell[place], backward=d == 1)
            for d, w in enumerate(directions)
        ]
        inputs = np.concatenate([s["hidden state"] for s in states], axis=2)
        found.append(states)
    return found


def principal_plane(states: Floats) -> tuple[Floats, Floats]:
    """Project states over time on the two directions in which they vary most.

    Parameters
    ----------
    states : (n_stimuli, n_steps, n_units)

    Returns
    -------
    position : (n_stimuli, n_steps, 2)
        Each axis points to where its largest weight is positive.
    explained : (2,)
        Share of the variance over stimuli and steps together; NaN when there is none.
    """
    rows = states.reshape(-1, states.shape[2])
    centred = rows - rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((2, rows.shape[1]))
    plane[: min(2, len(axes))] = axes[:2]
    signs = np.sign(plane[np.arange(2), np.abs(plane).argmax(axis=1)])
    position = centred @ (plane * np.where(signs == 0, 1, signs)[:, None]).T
    total = float((sizes**2).sum())
    explained = np.zeros(2)
    explained[: min(2, len(sizes))] = sizes[:2] ** 2
    return position.reshape(*states.shape[:2], 2), explained / total if total else np.full(2, np.nan)
