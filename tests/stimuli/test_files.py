"""Folders and zips: names, categories, order and digests, and the containers that are refused."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest

from dashboard import stimuli
from dashboard.errors import InputError, collect_cautions
from dashboard.stimuli import files


@pytest.fixture
def folder(tmp_path, pixels, encode):
    """Return a folder with face1, face2, face10 and an animals subfolder."""
    for i, name in enumerate(["face10.png", "face2.PNG", "face1.jpg", "animals/cat.png", "animals/bär.gif"]):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {"jpg": "JPEG", "gif": "GIF"}.get(path.suffix[1:], "PNG")
        path.write_bytes(encode(np.roll(pixels, i, axis=1), kind))
    return tmp_path / "set"


def make_zip(path, members) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return f"zip:{path}"


def refusal(ref: str) -> str:
    with pytest.raises(InputError) as caught:
        stimuli.load(ref)
    return str(caught.value)


class TestFolder:
    def test_names_categories_order(self, folder):
        found = stimuli.load(f"folder:{folder}")
        assert found.names == ("animals/bär", "animals/cat", "face1", "face2", "face10")
        assert found.categories == ("animals", "animals", "face", "face", "face")
        assert not found.generated

    def test_pictures_belong_to_their_names(self, folder, pixels):
        found = stimuli.load(f"folder:{folder}")
        assert np.array_equal(found.picture(4), pixels)
        assert np.array_equal(found.picture(3), np.roll(pixels, 1, axis=1))
        assert found.thumbnail(4, 48).shape == (48, 48, 3)

    def test_identity_follows_bytes_and_names(self, folder, pixels, encode):
        ref = f"folder:{folder}"
        first = stimuli.identity(ref)
        assert first == stimuli.load(ref).digest
        os.utime(folder / "face2.PNG", ns=(1, 1))
        assert stimuli.identity(ref) == first
        (folder / "face2.PNG").write_bytes(encode(255 - pixels))
        second = stimuli.identity(ref)
        assert second != first
        (folder / "face2.PNG").rename(folder / "face3.png")
        assert stimuli.identity(ref) not in (first, second)

    def test_a_file_changed_in_use_is_refused(self, folder, pixels, encode):
        found = stimuli.load(f"folder:{folder}")
        (folder / "face10.png").write_bytes(encode(255 - pixels))
        with pytest.raises(InputError, match=r'"face10.png" changed while it was being used\.'):
            found.picture(4)

    def test_a_bad_picture_is_named(self, folder):
        (folder / "page.png").write_bytes(b"<html>")
        assert (
            refusal(f"folder:{folder}")
            == '"page.png" is not a PNG, JPEG, GIF or WebP picture. Save it as PNG.'
        )

    def test_files_beside_are_left_out_and_told(self, folder):
        (folder / "notes.txt").write_text("x")
        (folder / ".DS_Store").write_text("x")
        with collect_cautions() as cautions:
            assert len(stimuli.load(f"folder:{folder}")) == 5
        assert [c.message for c in cautions] == [
            'Left out of the folder "set", because they are no pictures: notes.txt.'
        ]

    def test_same_name_twice(self, folder, encode, pixels):
        (folder / "face1.png").write_bytes(encode(pixels))
        assert refusal(f"folder:{folder}").startswith(
            'The folder "set" gives several stimuli the same name: face1.'
        )

    def test_a_link_out_of_the_folder(self, folder, tmp_path):
        (tmp_path / "secret.png").write_bytes(b"x")
        (folder / "link.png").symlink_to(tmp_path / "secret.png")
        assert refusal(f"folder:{folder}").startswith(
            '"link.png" in the folder "set" is a link to a file outside it.'
        )

    def test_missing_and_empty(self, tmp_path):
        sentence = refusal(f"folder:{tmp_path}/nowhere")
        assert sentence.startswith('There is no folder "nowhere".')
        assert str(tmp_path) not in sentence
        assert refusal(f"folder:{tmp_path}") == (
            f'The folder "{tmp_path.name}" holds no pictures. Give 1 to 20,000 PNG, JPEG, GIF or WebP files.'
        )

    def test_conversions_are_told_once(self, tmp_path, encode):
        for i in range(4):
            (tmp_path / f"see{i}.png").write_bytes(encode(np.zeros((9, 9, 4), np.uint8)))
        with collect_cautions() as cautions:
            found = stimuli.load(f"folder:{tmp_path}")
            for i in range(4):
                found.picture(i)
        assert [c.code for c in cautions] == ["picture-alpha"]

    def test_relative_paths_and_roots(self, folder, tmp_path, monkeypatch):
        monkeypatch.delenv("HOMOLOG_DATA", raising=False)
        monkeypatch.chdir(tmp_path)
        assert len(stimuli.load("folder:set")) == 5
        assert not stimuli.inside_roots("folder:set")
        monkeypatch.setenv("HOMOLOG_DATA", str(tmp_path))
        monkeypatch.chdir("/")
        assert len(stimuli.load("folder:set")) == 5
        assert stimuli.inside_roots("folder:set")
        assert stimuli.inside_roots("gratings")
        assert not stimuli.inside_roots("folder:set/../..")


class TestZip:
    def test_same_pictures_as_the_folder(self, folder, tmp_path):
        paths = sorted(p for p in folder.rglob("*") if p.is_file())
        members = [(p.relative_to(folder).as_posix(), p.read_bytes()) for p in paths]
        ref = make_zip(tmp_path / "set.zip", [*members, ("__MACOSX/._face1.jpg", b"x"), ("empty/", b"")])
        found, plain = stimuli.load(ref), stimuli.load(f"folder:{folder}")
        assert found.names == plain.names
        assert found.categories == plain.categories
        for i in range(len(found)):
            assert np.array_equal(found.picture(i), plain.picture(i))
        assert stimuli.identity(ref) == found.digest
        assert sorted(p.name for p in tmp_path.iterdir()) == ["set", "set.zip"]

    @pytest.mark.parametrize(
        "name",
        ["../out.png", "/etc/out.png", "a/../../out.png", "C:/out.png", "a\\out.png", "./a.png", "a//b.png"],
    )
    def test_unsafe_members(self, tmp_path, pixels, encode, name):
        ref = make_zip(tmp_path / "bad.zip", [("a.png", encode(pixels)), (name, encode(pixels))])
        sentence = refusal(ref)
        assert sentence.startswith('"bad.zip" holds the unsafe member "')
        assert sentence.endswith("Pack plain pictures only.")
        assert not (tmp_path.parent / "out.png").exists()

    def test_symlink(self, tmp_path):
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        assert refusal(make_zip(tmp_path / "bad.zip", [(info, "/etc/passwd")])) == (
            '"bad.zip" holds the unsafe member "link.png". Pack plain pictures only.'
        )

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_duplicate(self, tmp_path, pixels, encode):
        ref = make_zip(tmp_path / "bad.zip", [("a.png", encode(pixels)), ("a.png", encode(255 - pixels))])
        assert (
            refusal(ref) == '"bad.zip" holds the member "a.png" twice. Pack it again with every picture once.'
        )

    def test_bomb(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "MOST_ZIP_BYTES", 20 * 2**20)
        ref = make_zip(tmp_path / "bomb.zip", [(f"{i}.png", bytes(10 * 2**20)) for i in range(3)])
        assert refusal(ref).startswith('"bomb.zip" would unpack to 30 MB in 3 members. The limits are 20 MB')

    def test_a_changed_byte_is_found(self, tmp_path, pixels, encode):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:  # stored: only the CRC can tell
            archive.writestr("a.jpg", encode(pixels, "JPEG"))
        changed = bytearray(data.getvalue())
        changed[600] ^= 1
        (tmp_path / "bad.zip").write_bytes(changed)
        assert refusal(f"zip:{tmp_path}/bad.zip").startswith('"a.jpg" in "bad.zip" is damaged.')

    def test_not_a_zip(self, tmp_path):
        (tmp_path / "page.zip").write_bytes(b"<html>Not found</html>")
        assert refusal(f"zip:{tmp_path}/page.zip").startswith('"page.zip" is not a complete zip file.')

    def test_svg_inside(self, tmp_path, pixels, encode):
        ref = make_zip(tmp_path / "bad.zip", [("a.png", encode(pixels)), ("b.svg", b"<svg/>")])
        assert refusal(ref) == '"b.svg" is not a PNG, JPEG, GIF or WebP picture. Save it as PNG.'

    def test_options_are_refused(self, tmp_path):
        assert refusal(f"zip:{tmp_path}/x.zip?size=3").startswith("There is no option of zip:")
