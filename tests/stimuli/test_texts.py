"""Text stimuli: lines and tables, names, categories, and files that are no texts."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import stimuli
from dashboard.errors import InputError, collect_cautions

HOSTILE = [
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x")',
    "[a](javascript:x) $\\frac{1}{0}$ :red[x]",
    "\u202eevil\u0007bell",
    "\u200b" * 9 + "x",
    "w" * 5000,
]


@pytest.fixture
def write(tmp_path):
    def make(name: str, content: str | bytes) -> str:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return f"text:{tmp_path / name}"

    return make


def refusal(ref: str) -> str:
    with pytest.raises(InputError) as caught:
        stimuli.load(ref)
    return str(caught.value)


def test_a_text_per_line(write):
    found = stimuli.load(write("a.txt", "\ufeffThe cat sat.\r\n\r\n  A dog ran.  \nThe cat sat.\n \u200b\n"))
    assert found.texts == ("The cat sat.", "A dog ran.", "The cat sat.")
    assert found.names == ("The cat sat.", "A dog ran.", "The cat sat. (2)")
    assert found.categories == ("", "", "")
    assert (found.kind, found.item(1), found.text(2)) == ("text", "A dog ran.", "The cat sat.")


def test_long_and_equal_beginnings_get_unique_short_names(write):
    same = "word " * 40
    found = stimuli.load(write("a.txt", f"{same}a\n{same}b\n{same}c"))
    assert len(set(found.names)) == 3
    assert found.names[1] == found.names[0] + " (2)"
    assert len(found.names[0]) <= 60
    assert found.names[0].endswith("…")
    assert found.text(2) == f"{same}c"
    numbered = stimuli.load(write("b.txt", "x\nx (2)\nx"))
    assert numbered.names == ("x", "x (2)", "x (3)")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_with_categories_and_columns(write, separator):
    rows = [
        ["id", "text", "category", "length"],
        ["a1", "Hello there", "greet", "2"],
        ["a2", "Bye", "part", "1"],
    ]
    ref = write("t.csv", "\n".join(separator.join(row) for row in rows))
    found = stimuli.load(ref)
    assert found.texts == ("Hello there", "Bye")
    assert found.categories == ("greet", "part")
    assert found.columns["length"].tolist() == [2.0, 1.0]
    assert found.columns["id"].tolist() == ["a1", "a2"]
    other = stimuli.load(f"{ref}?column=id&category=length")
    assert (other.texts, other.categories) == (("a1", "a2"), ("2", "1"))
    assert other.digest != found.digest


def test_quoted_cells_may_hold_lines_and_separators(write):
    found = stimuli.load(write("t.csv", 'sentence\n"one, two\nthree"\n"she said ""no"""\n'))
    assert found.texts == ("one, two\nthree", 'she said "no"')
    assert found.names == ("one, two three", 'she said "no"')


def test_identity_is_the_digest_and_follows_the_bytes(write):
    ref = write("a.txt", "one\ntwo")
    first = stimuli.identity(ref)
    assert first == stimuli.load(ref).digest
    write("a.txt", "one\ntwos")
    assert stimuli.identity(ref) != first


def test_subset_moves_texts_and_their_digest(write):
    found = stimuli.load(write("a.txt", "one\ntwo\nthree"))
    part = found.subset(["three", "one"])
    assert part.texts == ("three", "one")
    assert part.digest != found.digest
    assert np.array_equal(part.thumbnail(0), found.thumbnail(2))


def test_hostile_text_is_text(write):
    found = stimuli.load(write("h.txt", "\n".join(HOSTILE)))
    assert found.texts == tuple(HOSTILE)
    assert found.names[0] == HOSTILE[0]
    assert found.names[3] == "evilbell"
    assert found.names[4] == "x"
    for i in range(len(found)):
        tile = found.thumbnail(i, 48)
        assert (tile.shape, tile.dtype) == ((48, 48, 3), np.uint8)
        assert tile.min() < 200  # something is written
        assert tile[0, 0].tolist() == [236, 236, 232]


def test_thumbnails_differ_with_the_words(write):
    found = stimuli.load(write("a.txt", "the cat\nthe dog"))
    assert not np.array_equal(found.thumbnail(0), found.thumbnail(1))


def test_texts_are_no_pictures_and_pictures_no_texts(write):
    found = stimuli.load(write("a.txt", "one"))
    for ask in (found.picture, found.array):
        with pytest.raises(InputError, match="are texts, not pictures"):
            ask(0)
    with pytest.raises(InputError, match="are pictures, not texts"):
        stimuli.load("gratings?orientations=2").text(0)
    with pytest.raises(IndexError):
        found.text(1)


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.txt", "", "", '"a.txt" holds no texts. Give 1 to 20,000'),
        ("a.txt", "a\0b", "", '"a.txt" is not a text file.'),
        ("a.txt", "x" * 20_001, "", 'Text 1 of "a.txt" has 20,001 characters.'),
        ("a.txt", "a,b\n1,2", "?category=b", "needs the column of the texts as well"),
        ("a.csv", "", "", '"a.csv" is empty.'),
        ("a.csv", "a,b\n1,2", "", '"a.csv" has the columns a, b. Say which one holds the texts'),
        ("a.csv", "a,b\n1,2", "?column=c", 'no column "c". It has a, b.'),
        ("a.csv", "a,b\n1,2", "?column=a&category=c", 'no column "c"'),
        ("a.csv", "a,a\n1,2", "?column=a", "several columns called a"),
        ("a.csv", "a,b\n1,2\n3", "?column=a", 'Line 3 of "a.csv" has 1 cells where the header has 2.'),
        ("a.csv", 'a,b\n1,"2', "?column=a", "not a complete CSV file"),
        ("a.txt", "x", "?colum=a", "Did you mean column"),
    ],
)
def test_refused(write, name, content, options, words):
    assert words in refusal(write(name, content) + options)


def test_missing_file_and_another_encoding(write, tmp_path):
    sentence = refusal(f"text:{tmp_path}/none.txt")
    assert sentence.startswith('There is no text file "none.txt".')
    assert str(tmp_path) not in sentence
    with collect_cautions() as told:
        assert stimuli.load(write("l.txt", "caf\xe9".encode("latin-1"))).texts == ("café",)
    assert [c.code for c in told] == ["texts-latin-1"]
    assert stimuli.load(write("u.txt", "naïve\n".encode("utf-16"))).texts == ("naïve",)


def test_pages_open_only_what_lies_in_the_folders_for_stimuli(write, homolog_home):
    outside = write("a.txt", "one")
    assert not stimuli.inside_roots(outside)
    (homolog_home / "stimuli").mkdir()
    (homolog_home / "stimuli" / "mine.csv").write_text("text\nhello")
    assert stimuli.inside_roots("text:mine.csv")
    assert "text:mine.csv" in {entry.reference for entry in stimuli.choices()}
