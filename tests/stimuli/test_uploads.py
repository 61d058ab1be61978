"""Pictures that were dropped on a page: who can open them, what they are called, and what is refused."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from dashboard import kept, provenance, specs, stimuli
from dashboard.errors import InputError, collect_cautions
from dashboard.stimuli import uploads


def refusal(reference: str) -> str:
    with pytest.raises(InputError) as caught:
        seen(reference)
    return str(caught.value)


def seen(reference: str) -> None:
    found = stimuli.load(reference)
    for i in range(len(found)):
        found.picture(i)


def test_an_upload_opens_as_stimuli_with_names_and_categories(pixels, encode):
    given = [("heart 1.png", encode(pixels)), ("disc 2.webp", encode(pixels, "WEBP", lossless=True))]
    ref = uploads.keep(given, "secret")
    found = stimuli.load(ref)
    assert found.names == ("heart 1", "disc 2")
    assert found.categories == ("heart", "disc")
    np.testing.assert_array_equal(found.picture(0), pixels)
    np.testing.assert_array_equal(found.picture(1), pixels)
    assert stimuli.identity(ref) == found.digest
    assert stimuli.inside_roots(ref)


def test_reference_depends_on_the_session_and_identity_on_the_files_alone(pixels, encode):
    given = [("a.png", encode(pixels))]
    one, other = uploads.keep(given, "one"), uploads.keep(given, "other")
    assert one != other
    assert uploads.keep(given, "one") == one
    assert stimuli.identity(one) == stimuli.identity(other)
    assert stimuli.identity(uploads.keep([("b.png", encode(pixels))], "one")) != stimuli.identity(one)
    # Lists of jobs are seen by everybody.
    title = provenance.title(specs.StimuliSpec(stimuli=one))
    assert one not in title
    assert one[7:15] in title


def test_exif_orientation_is_applied_and_told(pixels, encode):
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    with collect_cautions() as told:
        found = stimuli.load(uploads.keep([("turned.png", file.getvalue())], "s"))
    assert found.picture(0).shape == (32, 24, 3)
    assert "EXIF orientation" in told[0].message


def test_an_animated_picture_gives_its_first_frame_and_says_so(pixels):
    frames = [Image.fromarray(np.roll(pixels, k, axis=1)) for k in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    with collect_cautions() as told:
        found = stimuli.load(uploads.keep([("moving.webp", file.getvalue())], "s"))
    np.testing.assert_array_equal(found.picture(0), pixels)
    assert "only the first frame" in told[0].message


def test_bad_pictures_are_refused_by_name(pixels, encode):
    good = ("good.png", encode(pixels))

    def kept(name: str, data: bytes) -> str:
        return refusal(uploads.keep([good, (name, data)], "s"))

    whole = encode(pixels)
    assert kept("cut.png", whole[: len(whole) // 2]).startswith('"cut.png" is damaged')
    assert kept("page.jpg", b"<html>").startswith('"page.jpg" is not a PNG, JPEG, GIF or WebP picture')
    assert kept("none.png", b"") == '"none.png" is empty. Copy or download it again.'
    assert '"tiny.png" has 4 x 4 pixels' in kept("tiny.png", encode(pixels[:4, :4]))
    huge = encode(Image.new("1", (6000, 6000)))
    assert len(huge) < 100_000
    assert '"huge.png" has 6000 x 6000 pixels, more than 25 million' in kept("huge.png", huge)
    jpeg = encode(np.repeat(np.repeat(pixels, 20, 0), 20, 1), "JPEG")
    assert kept("half.jpg", jpeg[: len(jpeg) // 2]).startswith('"half.jpg" is damaged')


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["../../etc/passwd", "C:\\x\\y.png"], ["passwd", "y.png"]),
        (["a.png", "a.jpg", "a.png"], ["a.png", "a (2).jpg", "a (3).png"]),
        (["\u202egnp.exe.png", "\0", ".png"], ["gnp.exe.png", "picture", "picture (2).png"]),
        (["x" * 300 + ".png"], ["x" * 100 + ".png"]),
    ],
)
def test_names_are_for_display_only(given, wanted):
    assert kept.display_names(given, "picture") == wanted


def test_too_much_and_nothing_is_refused(monkeypatch):
    with pytest.raises(InputError, match="no files"):
        uploads.keep([], "s")
    with pytest.raises(InputError, match="201 files"):
        uploads.keep([("a.png", b"x")] * 201, "s")
    monkeypatch.setenv("HOMOLOG_UPLOAD", "1MiB")
    with pytest.raises(InputError, match="at most 1 MB"):
        uploads.keep([("a.png", bytes(2**20 + 1))], "s")


@pytest.mark.parametrize("ref", ["upload:..", "upload:" + "0" * 64, "upload:../" + "a" * 61, "upload:"])
def test_what_was_never_uploaded_is_not_opened(ref):
    assert "not kept here" in refusal(ref)


def test_a_file_that_changed_on_the_disk_is_refused_and_old_uploads_go(
    homolog_home, pixels, encode, monkeypatch
):
    ref = uploads.keep([("a.png", encode(pixels))], "s")
    folder = homolog_home / "uploads" / ref[7:]
    assert {path.suffix for path in folder.iterdir()} == {".bin", ".json"}
    next(folder.glob("*.bin")).write_bytes(encode(255 - pixels))
    assert "damaged on the disk" in refusal(ref)
    monkeypatch.setattr(kept, "KEPT_S", -1)
    uploads.keep([("b.png", encode(pixels))], "s")
    assert "not kept here" in refusal(ref)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_png", ".png"), data)
    return file.getvalue()


def test_a_zip_and_a_table_are_joined_by_name_whatever_their_order(pixels, encode):
    pictures = zipped(a_png=encode(pixels), b_png=encode(255 - pixels))
    table = b"file,category,size,orientation\nb.png,bird,2,90.5\na,fish,1,0\n"
    ref = uploads.keep([("set.zip", pictures), ("table.csv", table)], "s")
    found = stimuli.load(ref)
    assert found.names == ("a", "b")
    assert found.categories == ("fish", "bird")
    np.testing.assert_array_equal(found.columns["orientation"], [0, 90.5])
    np.testing.assert_array_equal(found.picture(1), 255 - pixels)
    assert uploads.look(ref) == {
        "kind": "pictures",
        "pictures": 2,
        "columns": ["file", "category", "size", "orientation"],
    }
    assert stimuli.load(f"{ref}?category=size").categories == ("1.0", "2.0")
    assert stimuli.identity(f"{ref}?category=size") != stimuli.identity(ref)
    short = uploads.keep([("set.zip", pictures), ("table.csv", b"file,kind\na,fish\n")], "s")
    assert '"table.csv" has no row for 1 of 2 pictures: b' in refusal(short)
    twice = uploads.keep([("set.zip", pictures), ("t.csv", b"file,kind\na,x\na.png,y\nb,z\n")], "s")
    assert "has two rows for" in refusal(twice)


def test_texts_come_by_line_or_from_a_column():
    lines = uploads.keep([("words.txt", "ein Hund\nein Kätzchen\n".encode())], "s")
    assert stimuli.load(lines).texts == ("ein Hund", "ein Kätzchen")
    table = uploads.keep([("words.csv", b"id,words,kind\n1,a dog,animal\n2,a car,thing\n")], "s")
    assert "Say which one holds the texts" in refusal(table)
    found = stimuli.load(f"{table}?column=words&category=kind")
    assert (found.texts, found.categories) == (("a dog", "a car"), ("animal", "thing"))


def test_bad_zips_of_an_upload_are_refused_by_the_name_of_the_upload(pixels, encode):
    bad = uploads.keep([("mine.zip", zipped(**{"..__a_png": encode(pixels)}))], "s")
    assert refusal(bad).startswith('"mine.zip" holds the unsafe member')
    assert refusal(uploads.keep([("cut.zip", b"PK\x03\x04")], "s")).startswith(
        '"cut.zip" is not a complete zip'
    )
