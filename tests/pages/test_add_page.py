"""The Add page: from files to the pickers, what it asks, and that another session sees nothing of it."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_pages import ROOT, answered, words

CANARY = "canary-7319"


@pytest.fixture(scope="module", autouse=True)
def homolog_home(tmp_path_factory):
    """One store for the module, as on a server that several sessions share."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("HOMOLOG_HOME", str(folder))
        yield folder


def settled(app: AppTest) -> AppTest:
    """Run until everything that the page asked for is there."""
    return answered(app.run())


def session(kind: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "pages" / "app.py"), default_timeout=120)
    app.run()
    app.switch_page("add.py").run()
    app.segmented_control(key="bring").set_value(kind)
    return app.run()


def bring(app: AppTest, kind: str, *given: tuple[str, bytes]) -> AppTest:
    """Take files as the page does when they are dropped (the harness has no file picker)."""
    from dashboard import kept

    app.session_state[f"bring_{kind}"] = kept.keep(list(given), "secret").reference
    return settled(app)


def responses(**more: object) -> bytes:
    import io

    stream = io.BytesIO()
    names = np.array([f"{CANARY} {i:02d}" for i in range(12)])
    values = np.random.default_rng(0).normal(size=(3, 12, 20)) + np.arange(12)[None, :, None]
    np.savez(stream, V4=more.get("values", values), names=names)
    return stream.getvalue()


@pytest.fixture(scope="module")
def looked_at() -> tuple[AppTest, str]:
    """The session that brings a recording, and what it was told of it before it was added."""
    app = session("recording")
    bring(app, "recording", (f"{CANARY}.npz", responses()))
    return app, words(app)


@pytest.fixture(scope="module")
def owner(looked_at) -> AppTest:
    """The session after it has added the recording."""
    app, _ = looked_at
    button = next(b for b in app.button if b.label == "Add this recording")
    button.click()
    return settled(app)


def test_a_recording_is_looked_at_asked_about_and_added(looked_at, owner):
    _, said = looked_at
    assert not owner.exception
    assert not owner.error
    assert "NumPy archive with 2 arrays." in said
    assert "12 stimuli in all units (20 units, 1 subject)." in said
    assert "over 3 repeats" in said
    assert any(b.label == "Added" for b in owner.button)
    picker = next(s for s in owner.sidebar.selectbox if s.label == "Recording")
    assert picker.value.startswith("upload:")
    assert f"**{CANARY}.npz** · " in words(owner)
    assert owner.query_params["recording"] == picker.value


def test_another_session_sees_no_trace_of_it(owner):
    """Pickers, pages with lists, and the jobs that everybody sees hold neither name nor whole reference."""
    reference = owner.session_state["recording"]
    other = AppTest.from_file(str(ROOT / "pages" / "app.py"), default_timeout=120).run()
    for page in ("home.py", "add.py", "jobs.py"):
        other.switch_page(page).run()
        options = [str(o) for s in (*other.selectbox, *other.sidebar.selectbox) for o in s.options]
        tables = [str(frame.value.to_dict()) for frame in other.dataframe]
        everything = "\n".join([words(other), *options, *tables])
        assert CANARY not in everything
        assert reference not in everything
        assert reference[7:] not in everything


def test_who_has_the_link_opens_it(owner):
    other = AppTest.from_file(str(ROOT / "pages" / "app.py"), default_timeout=120)
    other.query_params["recording"] = owner.session_state["recording"]
    settled(other)
    picker = next(s for s in other.sidebar.selectbox if s.label == "Recording")
    assert picker.value == owner.session_state["recording"]
    assert f"**{CANARY}.npz** · " in words(other)
    assert "12 stimuli" in words(other)


def test_missing_values_are_named_and_decided_by_the_person():
    values = np.random.default_rng(0).normal(size=(12, 20))
    values[3, 7] = np.nan
    app = session("recording")
    bring(app, "recording", ("gaps.npz", responses(values=values)))
    assert "1 responses in all units of subject 1 are missing, in 1 of 20 units" in words(app)
    choice = next(s for s in app.selectbox if s.label == "Missing values")
    choice.select("drop-units")
    settled(app)
    assert "12 stimuli in all units (19 units, 1 subject)." in words(app)
    assert "these units are left out" in words(app)


def test_a_file_that_can_run_code_is_refused_in_words():
    import pickle

    app = session("recording")
    bring(app, "recording", ("mine.pkl", pickle.dumps({"a": 1})))
    said = words(app)
    assert '"mine.pkl" can run code when opened.' in said
    assert "numpy.savez" in said
    assert not any(b.label.startswith("Add this") for b in app.button)


def test_a_network_is_recognised_and_added():
    import io

    import torch
    from torchvision.models import shufflenet_v2_x0_5

    stream = io.BytesIO()
    torch.manual_seed(0)
    state = {f"module.{n}": t for n, t in shufflenet_v2_x0_5(num_classes=3).state_dict().items()}
    torch.save({"state_dict": state}, stream)
    app = session("network")
    bring(app, "network", ("mine.ckpt", stream.getvalue()), ("names.json", b'["a", "b", "c"]'))
    said = words(app)
    assert not app.exception
    assert "These are the weights of torchvision:shufflenet_v2_x0_5" in said
    assert "with a head of 3 classes" in said
    next(b for b in app.button if b.label == "Add this network").click()
    settled(app)
    assert app.session_state["network"].startswith("upload:")


def test_a_hugging_face_folder_is_added_and_its_attention_opened(tmp_path):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        id2label={0: "disc", 1: "square", 2: "ring"},
        label2id={},
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    app = session("network")
    bring(app, "network", *((path.name, path.read_bytes()) for path in sorted(tmp_path.iterdir())))
    assert "A Hugging Face folder of the type vit with safetensors weights." in words(app)
    assert "no preprocessor_config.json" in words(app)
    next(t for t in app.text_input if t.label == "Title").set_value("Our tiny ViT")
    settled(app)
    next(b for b in app.button if b.label == "Add this network").click()
    settled(app)
    assert not app.exception
    assert not app.error
    app.session_state["stimuli"] = "objects"
    app.switch_page("attention.py")
    said = words(settled(app))
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Where does Our tiny ViT look?"
    assert "looks most narrowly" in said


def test_pictures_are_shown_before_they_are_added():
    import io

    from PIL import Image

    def png(shade: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), shade, dtype=np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    app = session("stimuli")
    table = b"file,category\na,light\nb,dark\n"
    bring(app, "stimuli", ("a.png", png(200)), ("b.png", png(20)), ("t.csv", table))
    said = words(app)
    assert not app.exception
    assert "2 pictures, and a table with the columns file, category." in said
    assert "2 pictures in 2 categories" in said
    next(b for b in app.button if b.label == "Add these stimuli").click()
    settled(app)
    assert app.session_state["stimuli"].startswith("upload:")


def test_a_brain_image_is_looked_at_with_its_areas_and_added():
    from tests.recordings.test_brain_images import BETAS, DSEG, EVENTS, LABELS, image

    app = session("recording")
    given = {
        "betas.nii.gz": image(BETAS, packed=True),
        "dseg.nii": image(LABELS),
        "task_events.tsv": EVENTS.encode(),
        "dseg.tsv": DSEG.encode(),
    }
    bring(app, "recording", *given.items())
    said = words(app)
    assert not app.exception
    assert not app.error
    assert f"12 stimuli in V1 ({(LABELS == 1).sum()} units, 1 subject)" in said
    assert f"IT ({(LABELS == 7).sum()} units, 1 subject)" in said
    assert "no voxels of hV4" in said
    next(b for b in app.button if b.label == "Add this recording").click()
    settled(app)
    assert not app.exception
    picker = next(s for s in app.sidebar.selectbox if s.label == "Recording")
    assert picker.value.startswith("upload:")
    assert "12 stimuli" in words(app)
