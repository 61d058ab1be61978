"""MATLAB files: what the walk lets through, and the false sizes and nests that it stops."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from dashboard.errors import InputError
from dashboard.recordings.mat import check_mat, read_mat


def saved(compress: bool = True, **variables) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=compress)
    return file.getvalue()


def refusal(data: bytes, limit: int = 2**20) -> str:
    with pytest.raises(InputError) as caught:
        check_mat(data, "a.mat", limit)
    return str(caught.value)


def numeric(shape: tuple[int, ...], kind: int = 6, body: bytes = b"") -> bytes:
    """A matrix element that claims a shape, whatever it holds."""
    flags = struct.pack("<IIII", 6, 8, kind, 0)
    sizes = struct.pack(f"<II{len(shape)}i", 5, 4 * len(shape), *shape)
    sizes += bytes(-len(sizes) % 8)
    content = flags + sizes + struct.pack("<II", 1, 0) + body
    return struct.pack("<II", 14, len(content)) + content


HEADER = saved()[:128]


@pytest.mark.parametrize("compress", [True, False])
def test_reads_numbers_texts_cells_and_structs(compress):
    cells = np.empty(2, dtype=object)
    cells[:] = ["one", np.arange(3)]
    data = saved(
        compress, x=np.arange(6.0).reshape(2, 3), t="text", c=cells, s={"a": 1, "b": {"d": np.eye(2)}}, e=[]
    )
    found = read_mat(data, "a.mat")
    assert set(found) == {"x", "t", "c", "s", "e"}
    assert found["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["s"].b.d[1, 1] == 1
    assert found["c"][0] == "one"


def test_a_bomb_is_not_inflated():
    data = saved(x=np.zeros(4_000_000))  # 32 MB in some 30 kB
    assert len(data) < 50_000
    assert refusal(data) == ('A variable in "a.mat" would need 31 MB. The limit is 1 MB.')
    check_mat(data, "a.mat", 64 * 2**20)


def test_declared_shapes_count():
    assert (
        refusal(HEADER + numeric((10**6, 10**6)))
        == 'A part in "a.mat" would need 7,629,395 MB. The limit is 1 MB.'
    )


def test_cells_that_are_not_there():
    assert refusal(HEADER + numeric((1000, 100), kind=1)) == '"a.mat" is damaged. Download it again.'


def test_negative_shape():
    assert refusal(HEADER + numeric((-1, 5))) == '"a.mat" is damaged. Download it again.'


def test_deep_nests():
    element = numeric((1, 1), body=struct.pack("<IId", 9, 8, 1.0))
    for _ in range(40):
        element = numeric((1, 1), kind=1, body=element)
    assert refusal(HEADER + element).startswith('"a.mat" nests or holds too many variables.')


def test_other_versions_and_files():
    assert refusal(b"MATLAB 7.3 MAT-file" + bytes(600)) == (
        '"a.mat" is a MATLAB 7.3 file, which is not read here. Save it in MATLAB with the option -v7.'
    )
    for data in (b"", b"<html></html>", HEADER[:100], bytes(300)):
        assert refusal(data).startswith('"a.mat" is not a MATLAB version 5 file, or not complete.')


def test_every_cut_is_refused_or_a_whole_variable():
    data = saved(x=np.random.default_rng(0).random(50), y=np.arange(40))
    whole = set(read_mat(data, "a.mat"))
    refused = 0
    for end in range(128, len(data), 5):
        try:
            found = read_mat(data[:end], "a.mat")
        except InputError:
            refused += 1
        else:
            assert set(found) < whole
    assert refused > 0.9 * len(range(128, len(data), 5))


def test_changed_bytes_never_raise_anything_else():
    data = saved(x=np.random.default_rng(0).random(50), s={"a": "text", "b": np.arange(9)})
    rng = np.random.default_rng(1)
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.integers(128, len(data))] ^= 1 << rng.integers(8)
        try:
            read_mat(bytes(changed), "a.mat", 2**24)
        except InputError:
            continue


def test_garbage_behind_a_good_inflated_header():
    body = zlib.compress(struct.pack("<II", 14, 400) + b"\xff" * 100)
    assert (
        refusal(HEADER + struct.pack("<II", 15, len(body)) + body) == '"a.mat" is damaged. Download it again.'
    )
