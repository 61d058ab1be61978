"""Gates and states of recurrent networks, through the front door, against what torch's own layer gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from dashboard import compute, networks, specs, stimuli
from dashboard.analyses import recurrent
from dashboard.errors import InputError

torch = pytest.importorskip("torch")
SET = "objects?n=12&seed=5"


@pytest.mark.parametrize(("name", "kind"), [("digits_lstm", "lstm"), ("digits_gru", "gru")])
def test_states_of_the_bundled_networks_are_their_own(name, kind):
    answer = compute.compute(specs.RecurrentSpec(network=f"bundled:{name}", stimuli=SET))
    network, shown = networks.load(f"bundled:{name}"), stimuli.load(SET)
    rows = network.prepare([shown.picture(i) for i in range(12)]).squeeze(1)
    with torch.no_grad():
        output, _ = getattr(network.module, kind)(rows)
    hidden = answer.state.sel(trace="hidden state").isel(cell=0)
    assert hidden.dims == ("stimulus", "step", "unit")
    np.testing.assert_allclose(hidden, output.numpy(), atol=1e-6)
    assert answer.attrs["deviation"] < 1e-6
    gates = answer.state.sel(trace=[t for t in map(str, answer.trace.values) if t.endswith("gate")])
    assert gates.sizes["trace"] == {"lstm": 3, "gru": 2}[kind]
    assert float(gates.min()) >= 0
    assert float(gates.max()) <= 1
    wanted = pdist(output[:, 4].double().numpy(), "correlation")
    np.testing.assert_allclose(answer.rdm.isel(cell=0).sel(step=5), wanted, atol=1e-5)
    np.testing.assert_allclose(np.diag(answer.step_similarity.isel(cell=0)), 1, atol=1e-12)
    if kind == "lstm":
        one = answer.state.isel(cell=0).transpose("trace", ...)
        opened = one.sel(trace="output gate").values * np.tanh(one.sel(trace="cell state").values)
        np.testing.assert_allclose(opened, one.sel(trace="hidden state"), atol=1e-6)


class Reader(torch.nn.Module):
    """Reads the rows of a picture with any recurrent layer, steps or stimuli first."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        rows = x[:, 0]
        return self.layer(rows if self.layer.batch_first else rows.transpose(0, 1))[0]


def reader(monkeypatch, layer):
    """Put a network of our own behind the name of a bundled one."""
    known = networks.load("bundled:digits_lstm")
    made = dataclasses.replace(known, module=Reader(layer).eval().requires_grad_(False), layers=())
    monkeypatch.setattr(recurrent.networks, "load", lambda _reference: made)
    return made


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_stacked_and_bidirectional_layers_steps_or_stimuli_first(monkeypatch, kind, first):
    torch.manual_seed(1)
    layer = getattr(torch.nn, kind)(8, 5, num_layers=2, bidirectional=True, batch_first=first)
    network = reader(monkeypatch, layer)
    answer = recurrent.states(specs.RecurrentSpec(network="bundled:digits_lstm", stimuli=SET))
    assert list(answer.cell.values) == [f"layer {k}, {d}" for k in (1, 2) for d in ("forward", "backward")]
    shown = stimuli.load(SET)
    rows = network.prepare([shown.picture(i) for i in range(12)])[:, 0]
    output = layer(rows if first else rows.transpose(0, 1))[0].detach()
    output = output if first else output.transpose(0, 1)
    hidden = answer.state.sel(trace="hidden state").isel(cell=[2, 3])
    wanted = output.reshape(12, 8, 2, 5).permute(2, 0, 1, 3)
    np.testing.assert_allclose(hidden.transpose("cell", ...), wanted.numpy(), atol=1e-6)


def test_states_before_the_first_step_count(monkeypatch):
    class Primed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.LSTM(8, 4, batch_first=True)

        def forward(self, x):
            start = torch.full((1, len(x), 4), 0.5)
            return self.layer(x[:, 0], (start, -start))[0]

    torch.manual_seed(2)
    made = reader(monkeypatch, torch.nn.LSTM(8, 4))
    made.__dict__["module"] = Primed().eval().requires_grad_(False)
    answer = recurrent.states(specs.RecurrentSpec(network="bundled:digits_lstm", stimuli=SET))
    assert answer.attrs["deviation"] < 1e-6


@pytest.mark.parametrize(
    ("network", "changes", "words"),
    [
        ("bundled:objects_cnn", {}, "has no recurrent layer"),
        ("bundled:digits_lstm", {"layer": "lstn"}, "Did you mean lstm"),
        ("bundled:digits_lstm", {"stimuli": "objects?n=1"}, "has one stimulus"),
    ],
)
def test_what_cannot_be_shown_says_why(network, changes, words):
    with pytest.raises(InputError) as error:
        compute.compute(specs.RecurrentSpec(**{"network": network, "stimuli": SET, **changes}))
    assert words in str(error.value)


def test_of_a_large_set_a_part_is_shown_and_said():
    answer = compute.compute(specs.RecurrentSpec(network="bundled:digits_gru", stimuli="objects?n=230"))
    assert answer.sizes["stimulus"] == recurrent.MOST_STIMULI
    assert "spread evenly" in answer.attrs["cautions"]
