"""What a page shows of a network whose weights take long to read: the header first, and says so."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from dashboard import compute, networks
from dashboard.networks import files
from dashboard.specs import NetworkSpec, OutlineSpec
from dashboard.ui import answers, opening

REFERENCE = "torchvision:squeezenet1_1?weights=w.safetensors&classes=3"
SPEC = NetworkSpec(network=REFERENCE)


def page():
    import streamlit as st

    from dashboard.ui import answers, opening
    from tests.ui.test_opening import SPEC

    answer = opening.ask(SPEC, height=100)
    if answer is not None:
        st.markdown(f"{answer.attrs['n_parameters']} with digest <{answer.attrs['digest'][:8]}>")
        answers.cautions(answer)


def said():
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    return "\n".join(
        str(e.value) for kind in (app.markdown, app.caption, app.warning, app.error) for e in kind
    )


@pytest.fixture
def own_file(homolog_home, monkeypatch):
    """A file that has one NaN, whose answers are computed here and not by workers."""
    from torchvision.models import squeezenet1_1

    monkeypatch.setattr(networks, "_LARGE_BYTES", 1)
    asked = []
    monkeypatch.setattr(answers, "peek", lambda spec: asked.append(spec) or compute.stored(spec))
    with torch.random.fork_rng():
        state = squeezenet1_1(num_classes=3).state_dict()
    state["classifier.1.bias"][0] = float("nan")
    (homolog_home / "weights").mkdir()
    save_file(state, homolog_home / "weights" / "w.safetensors")
    return asked


def test_the_header_comes_first_and_the_weights_take_its_place(own_file, monkeypatch):
    compute.compute(OutlineSpec(network=REFERENCE))
    with monkeypatch.context() as unknown:
        learnt = []
        unknown.setattr(networks, "digest_known", lambda _: False)
        unknown.setattr(networks, "learn_digest", learnt.append)
        unknown.setattr(files, "sha256", lambda _: pytest.fail("the file was hashed"))
        first = said()
        assert opening.peek(REFERENCE).attrs["n_parameters"] == 724_035
    assert learnt == [REFERENCE]
    assert own_file == [OutlineSpec(network=REFERENCE)]
    assert "724035 with digest <>" in first
    assert opening.UNREAD in first
    assert "NaN" not in first
    monkeypatch.setattr(networks, "digest_known", lambda _: True)
    assert opening.UNREAD in said()
    assert own_file[-1] == SPEC  # asked for, and not there yet
    compute.compute(SPEC)
    then = said()
    assert opening.UNREAD not in then
    assert f"724035 with digest <{networks.identity(REFERENCE)[:8]}>" in then
    assert "1 of 724,035 weights" in then
    assert opening.peek(REFERENCE).attrs["digest"] == networks.identity(REFERENCE)


def test_weights_that_are_refused_take_the_first_numbers_away(own_file, monkeypatch):
    compute.compute(OutlineSpec(network=REFERENCE))
    monkeypatch.setattr(networks, "digest_known", lambda _: True)
    monkeypatch.setattr(opening, "_refused", lambda spec: spec == SPEC)
    monkeypatch.setattr(answers, "ask", lambda spec, height: pytest.fail("unread") if spec != SPEC else None)
    assert said() == ""


def test_other_networks_are_asked_for_at_once(own_file):
    assert opening.peek("bundled:digits_mlp") is None
    assert own_file == [NetworkSpec(network="bundled:digits_mlp")]
