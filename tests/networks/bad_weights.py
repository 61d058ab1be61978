"""Weight files that must be refused: their names, their bytes, and words of the sentence."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Bad:
    name: str
    data: bytes
    words: str


class Payload:
    """Touches the marker file when it is un-pickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def packed(header: object, body: bytes = b"", size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + body


def tensor(shape: list[int], low: int, high: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [low, high]}


def saved(content: object, **options: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def rewritten(data: bytes, change) -> bytes:
    """A checkpoint with its members changed by ``change(name, data)``."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return zipped([(n, change(n, archive.read(n))) for n in archive.namelist()])


def with_pickle(pickled: bytes) -> bytes:
    return zipped([("archive/data.pkl", pickled), ("archive/version", b"3\n")])


def _deep(levels: int) -> object:
    content: object = torch.zeros(2)
    for _ in range(levels):
        content = {"a": content}
    return content


def _loop() -> bytes:
    # ( ] memoised, appended to itself ) under a key of a dict
    return with_pickle(b"\x80\x02}q\x00U\x01aq\x01]q\x02h\x02as.")


def _claiming(count: int) -> bytes:
    good = saved({"a": torch.zeros(4)})
    return rewritten(
        good,
        lambda n, d: (
            d.replace(b"K\x04tq", b"J" + count.to_bytes(4, "little") + b"tq", 1) if "pkl" in n else d
        ),
    )


def safetensors_files() -> list[Bad]:
    good = packed({"a": tensor([2, 2], 0, 16)}, bytes(16))
    many = {f"t{i}": tensor([0], 0, 0) for i in range(20_001)}
    return [
        Bad("empty.safetensors", b"", "is empty"),
        Bad("page.safetensors", b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        Bad(
            "pointer.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "pointer",
        ),
        Bad("annex.safetensors", b"/annex/objects/SHA256E-s9--0.safetensors\n", "pointer"),
        Bad("cut.safetensors", good[:-5], "header asks for"),
        Bad("cut-in-header.safetensors", good[:30], "longer than the file"),
        Bad("long-header.safetensors", packed({"a": 1}, size=2**31), "longer than the file"),
        Bad("huge-header.safetensors", packed({"a": 1}, size=2**60), "damaged"),
        Bad("no-json.safetensors", packed(b"{not json}"), "not JSON"),
        Bad("deep-json.safetensors", packed(b'{"a":' * 50_000), "not JSON"),
        Bad("twice.safetensors", packed(b'{"a":{},"a":{}}'), "names a twice"),
        Bad(
            "overlap.safetensors",
            packed({"a": tensor([4], 0, 16), "b": tensor([4], 8, 24)}, bytes(24)),
            "overlap or leave gaps",
        ),
        Bad(
            "gap.safetensors",
            packed({"a": tensor([4], 0, 16), "b": tensor([4], 20, 36)}, bytes(36)),
            "overlap or leave gaps",
        ),
        Bad("trailing.safetensors", good + b"more", "header asks for"),
        Bad("shape.safetensors", packed({"a": tensor([5], 0, 16)}, bytes(16)), "does not fit its bytes"),
        Bad("overflow.safetensors", packed({"a": tensor([2**40, 2**40], 0, 16)}, bytes(16)), "does not fit"),
        Bad("negative.safetensors", packed({"a": tensor([-4], 0, 16)}, bytes(16)), "incomplete"),
        Bad(
            "no-dtype.safetensors",
            packed({"a": {"shape": [4], "data_offsets": [0, 16]}}, bytes(16)),
            "incomplete",
        ),
        Bad("float8.safetensors", packed({"a": tensor([4], 0, 4, "F8_E4M3")}, bytes(4)), "F8_E4M3"),
        Bad("many.safetensors", packed(many), "20001 tensors"),
    ]


def pickles(marker: str) -> list[Bad]:
    evil = Payload(marker)
    legacy = saved({"a": torch.zeros(2)}, _use_new_zipfile_serialization=False)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("pickle")
        info.size = len(pickle.dumps(evil))
        archive.addfile(info, io.BytesIO(pickle.dumps(evil)))
    building = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R}b."
    code = "can run code"
    return [
        Bad("plain.pkl", pickle.dumps(evil), code),
        Bad("plain.pt", pickle.dumps(evil), code),
        Bad("dressed.safetensors", pickle.dumps(evil), code),
        Bad("old.pt", pickle.dumps(evil, protocol=0), code),
        Bad("cut.pt", pickle.dumps(evil)[:-1] + b"\xff\xff", code),
        Bad("legacy.pth", legacy, code),
        Bad("legacy.tar", tar.getvalue(), code),
        Bad("packed.joblib", zlib.compress(pickle.dumps(evil)), code),
        Bad("module.pt", saved(torch.nn.Linear(2, 2)), code),
        Bad("hidden.pt", saved({"a": torch.zeros(2), "b": evil}), "it names posix.mkdir"),
        Bad("protocol4.pt", saved({"a": torch.zeros(2), "b": evil}, pickle_protocol=4), "STACK_GLOBAL"),
        Bad("numpy.pt", saved({"a": np.float64(1)}), "can run code"),
        Bad("bytearray.pt", with_pickle(b"\x80\x02c__builtin__\nbytearray\nJ\x00\x00\x00\x70\x85R."), code),
        Bad("sparse.pt", saved({"a": torch.eye(3).to_sparse()}), code),
        Bad("inst.pt", with_pickle(b"\x80\x02(ios\ngetcwd\n."), code),
        Bad("building.pt", with_pickle(building), "damaged"),
        Bad("storage-called.pt", with_pickle(b"\x80\x02ctorch\nFloatStorage\nK\x05\x85R."), "damaged"),
        Bad("after-stop.pt", with_pickle(b"\x80\x02}." + pickle.dumps(evil)), "damaged"),
    ]


def zips() -> list[Bad]:
    good = saved({"a": torch.arange(64.0)})
    flipped = bytearray(good)
    flipped[good.index(torch.arange(64.0).numpy().tobytes()) + 7] ^= 1
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = [(n, archive.read(n)) for n in archive.namelist()]
    inside = zipped([("config.json", b"{}"), ("model.weights.h5", b"")])
    return [
        Bad(
            "script.pt",
            zipped([*members, ("archive/code/__torch__.py", b"def f(): pass")]),
            "holds a program",
        ),
        Bad("constants.pt", zipped([*members, ("archive/constants.pkl", b")\x80.")]), "holds a program"),
        Bad(
            "model.pt2",
            zipped([("m/archive_format", b"pt2"), ("m/models/model.json", b"{}")]),
            "holds a program",
        ),
        Bad("two.pt", zipped([*members, ("other/data.pkl", members[0][1])]), "more than one pickle"),
        Bad("compressed.pt", zipped(members, zipfile.ZIP_DEFLATED), "compressed"),
        Bad("flipped.pt", bytes(flipped), "checksums"),
        Bad("cut.pt", good[: len(good) // 2], "damaged"),
        Bad("escape.pt", zipped([*members, ("../evil", b"x")]), "unsafe member"),
        Bad("claims.pt", _claiming(2**30), "claims more numbers"),
        Bad("stretched.pt", saved({"a": torch.zeros(1).expand(1000, 1000)}), "claims more numbers"),
        Bad("deep.pt", saved(_deep(30)), "nested"),
        Bad("loop.pt", _loop(), "nested"),
        Bad("nothing.pt", saved({"epoch": 3}), "no table of weights"),
        Bad("pictures.zip", zipped([("a.png", b"x")]), "without PyTorch weights"),
        Bad("model.keras", inside, "Keras"),
        Bad("arrays.npz", zipped([("a.npy", b"x")]), "NumPy"),
    ]


def others() -> list[Bad]:
    return [
        Bad("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        Bad("array.npy", b"\x93NUMPY\x01\x00" + bytes(100), "NumPy"),
        Bad("model.onnx", b"\x08\x07\x12\x07pytorch" + bytes(50), "ONNX"),
        Bad("model.bin", b"\x08\x07\x12\x07pytorch" + bytes(50), "ONNX"),
        Bad("packed.tar.gz", b"\x1f\x8b\x08" + bytes(50), "compressed file"),
        Bad("noise.pt", bytes(range(100, 256)), "damaged"),
        Bad("notes.txt", b"these are not weights", "is not a weight file"),
    ]


def every(marker: str) -> list[Bad]:
    return [*safetensors_files(), *pickles(marker), *zips(), *others()]
