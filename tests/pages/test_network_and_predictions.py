"""What the pages Network and Predictions say of networks and stimuli that fit, and of those that do not."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import opened, words

OBJECTS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=24&seed=7"}


def test_predictions_page_names_pictures_and_tells_how_good_it_is():
    app = opened("predictions.py", **OBJECTS, picture="heart-00006", twin="true")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "of 24 pictures right: accuracy" in said
    assert "untrained twin" in said
    assert "heart-00006" in said
    assert app.query_params["picture"] == "heart-00006"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"stimuli": "gratings?orientations=2&phases=1"}, "how good it is cannot be told"),
        ({"network": "bundled:objects_vae"}, "its output is reconstruction"),
        ({"network": "bundled:objects_unet"}, "overlap with a mean IoU of"),
        ({"network": "bundled:v1_decoder"}, "have no column of true orientations"),
        ({"network": "bundled:v1_decoder", "stimuli": "gratings?phases=1"}, "is off by"),
        ({"stimuli": "objects?n=1"}, "All labelled stimuli are of one class, disc"),
    ],
)
def test_predictions_page_says_what_it_cannot_tell(query, sentence):
    app = opened("predictions.py", **{**OBJECTS, **query})
    assert not app.exception
    assert sentence in words(app)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ("Flow", "From top to bottom"),
        ("Layers", "One stimulus takes 33.9 M floating-point operations"),
        ("Card", "MIT, as the rest of Homolog"),
        ("Training", "Best at epoch 10 of 10"),
        ("Health", "neither vanishes nor explodes"),
    ],
)
def test_network_page_opens_at_the_part_of_the_link(about, sentence):
    app = opened("network.py", **OBJECTS, about=about)
    assert not app.exception
    assert not app.error
    assert "has 7 blocks and 309,852 parameters" in words(app)
    assert sentence in words(app)


def test_network_page_says_where_no_history_comes_with_the_weights():
    app = opened("network.py", network="bundled:tilt_cnn?untrained&seed=0", about="Training")
    assert not app.exception
    assert "No training history comes with these weights" in words(app)


def test_network_page_shows_states_of_recurrent_networks_only():
    app = opened("network.py", network="bundled:digits_gru", stimuli="objects?n=6", about="States")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "takes 8 steps" in said
    assert "reset gate" in said
    assert "of the variance of the hidden state" in said
    assert "States" not in [tab.label for tab in opened("network.py", **OBJECTS).tabs]


@pytest.fixture
def sentences(homolog_home):
    """Beginnings of sentences in the server's stimuli folder, with the number that their verb must have."""
    from models.tiny_text import sentence

    found = [sentence(i, seed=77) for i in range(24)]
    folder = homolog_home / "stimuli"
    folder.mkdir(exist_ok=True)
    rows = [f'"{s.text}",{"plural" if s.plural else "singular"} verb' for s in found]
    (folder / "sentences.csv").write_text("text,category\n" + "\n".join(rows) + "\n")
    return {"network": "bundled:tiny_text", "stimuli": "text:sentences.csv"}


def test_texts_are_listed_named_and_judged(sentences):
    app = opened("predictions.py", **sentences)
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "of 24 texts right: accuracy" in said
    assert "24 texts · 2 categories" in said
    listed = app.dataframe[0].value
    assert list(listed.columns) == ["Prediction", "Verdict", "Text"]
    assert len(listed) == 24


def test_rdms_of_a_text_network_open_with_its_defaults(sentences):
    app = opened("rdms.py", **sentences)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="reducer").value == "spatial-mean"
    assert app.selectbox(key="beside").value == "nothing"
    app.selectbox(key="network").set_value("bundled:objects_cnn").run()
    assert app.selectbox(key="reducer").value == "all"
    assert app.selectbox(key="beside").value == "recording"


def test_brain_page_says_that_a_text_network_cannot_see_pictures():
    app = opened("brain.py", network="bundled:tiny_text", bootstrap="10")
    assert not app.exception
    assert app.selectbox(key="reducer").value == "spatial-mean"
    assert "reads texts" in words(app)


def test_an_upload_is_predicted_and_a_bad_file_in_it_is_named(homolog_home):
    import io

    from PIL import Image

    from dashboard.stimuli import load, uploads

    def png(pixels):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    shown = load("objects?n=2&seed=3")
    given = [
        (f"{name.partition('-')[0]} {k}.png", png(shown.picture(k))) for k, name in enumerate(shown.names)
    ]
    app = opened("predictions.py", network="bundled:objects_cnn", stimuli=uploads.keep(given, "s"))
    assert not app.error
    assert "of 2 pictures right" in words(app)
    app = opened("predictions.py", stimuli=uploads.keep([*given, ("bad.png", b"<svg/>")], "s"))
    assert '"bad.png" is not a PNG' in "\n".join(e.value for e in app.error).replace("\\", "")
