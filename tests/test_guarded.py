"""What strangers bring is walked through in a process with limits before a worker reads it."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from dashboard import guarded, kept, networks, stimuli
from dashboard.errors import InputError
from dashboard.networks import uploaded
from dashboard.stimuli import uploads

RECIPE = {"kind": "network", "version": 1, "architecture": "torchvision:squeezenet1_1"}


def picture(seed: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def slow_checkpoint() -> bytes:
    """A PyTorch file whose table of contents takes half a minute: five million empty steps."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("w/data.pkl", b"\x80\x02" + b"N0" * 4_900_000 + pickle.dumps({}, 2)[2:])
    return file.getvalue()


@pytest.fixture
def one_second(monkeypatch):
    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "1")


def stuck(made: kept.Kept) -> None:
    """Put a pipe that nobody writes to in the place of the first file: whoever reads it waits for ever."""
    path = made.files[0].path
    path.unlink()
    os.mkfifo(path)


def test_a_table_of_contents_without_end_costs_its_time_limit(one_second):
    made = kept.keep([("slow.pt", slow_checkpoint())], "s", RECIPE)
    with pytest.raises(InputError, match=r'"slow.pt" took more than 1 seconds to read'):
        uploaded.look(made.reference)
    with pytest.raises(InputError, match=r'"slow.pt" took more than 1 seconds to read'):
        networks.load(made.reference)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("w.safetensors", lambda made: networks.load(made.reference)),
        ("a.png", lambda made: stimuli.load(made.reference)),
        ("a.zip", lambda made: uploads.look(made.reference)),
    ],
)
def test_a_file_that_hangs_its_reader_costs_its_time_limit(one_second, name, read):
    made = kept.keep([(name, name.encode())], "s", RECIPE)
    stuck(made)
    with pytest.raises(InputError, match=f'"{name}" took more than 1 seconds to read'):
        read(made)


def test_pictures_are_tried_once_and_some_at_a_time(homolog_home, monkeypatch):
    asked = []
    real = guarded.Child.ask

    def ask(self, function, *arguments, name):
        asked.append(arguments[-1])
        return real(self, function, *arguments, name=name)

    monkeypatch.setattr(guarded.Child, "ask", ask)
    made = kept.keep([(f"{k}.png", picture(k)) for k in range(2 * uploads.TRIED_TOGETHER + 1)], "s")
    assert len(stimuli.load(made.reference)) == 2 * uploads.TRIED_TOGETHER + 1
    assert asked == [0, uploads.TRIED_TOGETHER, 2 * uploads.TRIED_TOGETHER]
    uploads.look(made.reference)
    guarded._ended.clear()  # as in another worker
    uploads.look(made.reference)
    assert len(asked) == 3
    assert len(list((homolog_home / "tried").iterdir())) == 1


def test_what_is_refused_is_told_by_its_reader():
    """The trial ends, and the sentence is that of the reader, with its table or conversion."""
    made = kept.keep([("w.pt", pickle.dumps({"a": 1}))], "s", RECIPE)
    with pytest.raises(InputError, match="can run code when opened") as caught:
        uploaded.look(made.reference)
    assert type(caught.value).__name__ == "WeightsRefused"


def test_bytes_that_changed_are_not_taken_for_tried(tmp_path, homolog_home):
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    guarded.tried("dashboard.stimuli.uploads:read_through", [(path, "a.png", "0" * 64)], name="a.png")
    assert not (homolog_home / "tried").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_a_listed_folder_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="Check that it is a file"):
        kept.keep([("w.safetensors", tmp_path / "w.safetensors")], "s")
