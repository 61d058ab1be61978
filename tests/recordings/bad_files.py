"""Files that must be refused or warned about, made from nothing: a name, bytes, and words of the sentence."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np
from scipy.io import savemat

NAMES = np.array([f"s{i:02d}" for i in range(12)])
VALUES = np.random.default_rng(0).normal(size=(12, 5))
SQUARE = np.abs(np.subtract.outer(np.arange(12.0), np.arange(12.0)))


@dataclass(frozen=True)
class Bad:
    """A file, and what the sentence (or the caution) must say."""

    name: str
    data: bytes
    words: str
    warned: bool = False


class Payload:
    """Makes the marker folder when it is un-pickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def npy(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def header(text: str) -> bytes:
    """A .npy file with this header and 16 bytes of data."""
    body = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body + bytes(16)


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def mat(**variables: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def hdf5(make: Callable[[h5py.File], None], folder: Path) -> bytes:
    path = folder / "made.h5"
    with h5py.File(path, "w") as file:
        make(file)
    data = path.read_bytes()
    path.unlink()
    return data


def nii(whole: bool = False, **changed: object) -> bytes:
    """A NIfTI image of 4 × 3 × 2 voxels and 6 volumes (of labels: 1), with fields of its header changed."""
    values = (
        (np.arange(24) % 3).reshape(4, 3, 2, 1) if whole else np.sin(np.arange(144.0)).reshape(4, 3, 2, 6)
    )
    image = nibabel.Nifti1Image(values.astype(np.float32), np.eye(4))
    data = bytearray(image.to_bytes())
    header = np.frombuffer(data, nibabel.Nifti1Header.template_dtype, 1)
    for field, value in changed.items():
        width = header[field].shape[1:]
        header[field][0] = (
            np.resize(value, width) if np.ndim(value) == 0 else [*value, *[1] * (8 - len(value))]
        )
    return bytes(data)


def csv(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding)


def objects(marker: str) -> np.ndarray:
    array = np.empty(2, dtype=object)
    array[:] = [Payload(marker), Payload(marker)]
    return array


def code_files(marker: str) -> list[Bad]:
    """Classes 1 and 2 of the guide: what runs code when it is opened."""
    payload = Payload(marker)
    pickles = [pickle.dumps(payload, protocol) for protocol in range(6)]
    good = npz(r=VALUES)
    with_objects = npy(objects(marker), allow_pickle=True)
    return [
        *[Bad(f"p{i}.pkl", data, "can run code when opened") for i, data in enumerate(pickles)],
        *[Bad(f"p{i}.npz", data, "can run code when opened") for i, data in enumerate(pickles[2:])],
        Bad("p.mat", pickles[4], "can run code when opened"),
        Bad("p.csv", pickles[2], "can run code when opened"),
        Bad("cut.pkl", pickles[4][:-3], "can run code when opened"),
        Bad("a.joblib", b"\x80\x04" + bytes(20), "can run code when opened"),
        Bad("objects.npy", with_objects, "holds Python objects, which can run code"),
        Bad("objects.npz", npz(r=VALUES, o=objects(marker)), "holds Python objects, which can run code"),
        Bad("mixed.npz", zipped(("r.npy", npy(VALUES)), ("o.npy", with_objects)), "holds Python objects"),
        Bad(
            "structured.npy",
            header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2,), }"),
            "holds Python objects",
        ),
        Bad("with-pickle.npz", zipped(("r.npy", npy(VALUES)), ("x.pkl", pickles[2])), "which is no array"),
        Bad("whole.pt", zipped(("archive/data.pkl", pickles[2])), "is a PyTorch file"),
        Bad("script.pt", zipped(("m/data.pkl", pickles[2]), ("m/code/a.py", b"x")), "holds a program"),
        Bad("a.keras", zipped(("config.json", b"{}"), ("model.weights.h5", b"x")), "Keras or TensorFlow"),
        Bad("a.xlsx", zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"")), "workbook"),
        Bad("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "workbook"),
        Bad("a.onnx", b"\x08\x07\x12\x07pytorch" + bytes(50), "is an ONNX file"),
        Bad("a.safetensors", (2).to_bytes(8, "little") + b"{}", "holds weights, not a recording"),
        Bad("tail.npz", good + pickles[2], ""),
        Bad("script.py", b"import os\n", "is not a recording that is read"),
        Bad("page.csv", b"<!DOCTYPE html><html><script>alert(1)</script></html>", "is a web page"),
    ]


def damaged_files() -> list[Bad]:
    """Class 6: cut, flipped, foreign."""
    good = npz(responses=VALUES, names=NAMES)
    flipped = bytearray(good)
    flipped[200] ^= 1
    matlab = mat(r=VALUES)
    return [
        Bad("empty.npz", b"", "is empty"),
        Bad("empty.csv", b"", "is empty"),
        Bad("cut.npz", good[:-40], "not complete or is damaged"),
        Bad("cut-in-head.npz", good[:20], "not complete or is damaged"),
        Bad("flipped.npz", bytes(flipped), "damaged"),
        Bad("cut.npy", npy(VALUES)[:-9], "damaged"),
        Bad("cut.mat", matlab[:200], "damaged"),
        Bad("head.mat", matlab[:128], "holds no arrays"),
        Bad("cut.h5", b"\x89HDF\r\n\x1a\n" + bytes(40), "damaged"),
        Bad("cut.nc", b"CDF\x01" + bytes(10), "damaged"),
        Bad("cut.parquet", b"PAR1" + bytes(40), "damaged"),
        Bad("cdf5.nc", b"CDF\x05" + bytes(40), "64-bit data kind"),
        Bad("a.nii", b"\x5c\x01\x00\x00" + bytes(400), "of the ANALYZE kind, or one half of a pair"),
        Bad("cut.nii", nii()[:300], "damaged"),
        Bad("cut-data.nii", nii()[:-8], "damaged"),
        Bad("cut.nii.gz", gzip.compress(nii())[:-20], "damaged"),
        Bad("odd-type.nii", nii(datatype=77), "damaged"),
        Bad("a.nii.gz", b"\x1f\x8b" + bytes(40), "not complete or is damaged"),
        Bad("a.csv.gz", gzip.compress(b"name,a\n"), "compressed file or an archive"),
        Bad("labels.nii", nii(whole=True), "holds labels"),
        Bad("names.json", b'{"1": "V1"}', "read only as names of labels"),
        Bad("nested.json", b"[" * 100_000, "does not name the labels"),
        Bad("script.json", b'{"__reduce__": ["os.mkdir", "x"]}', "does not name the labels"),
        Bad("a.tar", bytes(257) + b"ustar" + bytes(300), "can run code"),
        Bad("pointer.mat", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer"),
        Bad("annex.h5", b"/annex/objects/SHA256E-s9--0.h5\n", "pointer"),
        Bad("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(40), "is a picture"),
        Bad("picture.npz", b"\xff\xd8\xff\xe0" + bytes(40), "is a picture"),
        Bad("page.mat", b"<html><body>404</body></html>", "is a web page"),
        Bad("noise.mat", bytes(range(1, 200)) * 3, ""),
        Bad("noise.dat", bytes(range(1, 200)) * 3, "is not a recording that is read"),
        Bad("zip.zip", zipped(("a.txt", b"x")), "zip without NumPy arrays"),
        Bad("v4.mat", struct.pack("<5i", 0, 2, 2, 0, 2) + b"a\0" + bytes(32), "damaged"),
    ]


def bombs(folder: Path) -> list[Bad]:
    """Classes 3, 4, 9, 10: sizes that are claimed, compressed or nested."""
    shape = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    zeros = bytearray(npy(np.zeros(8, dtype="u1")))
    big = header("{'descr': '|u1', 'fortran_order': False, 'shape': (600000000,), }") + bytes(10)
    deflated = zipped(("r.npy", big + bytes(2_000_000)), compression=zipfile.ZIP_DEFLATED)

    def compressed(data: bytes) -> bytes:
        body = zlib.compress(data, 9)
        return mat(r=1)[:128] + struct.pack("<II", 15, len(body)) + body

    claims, bursts = struct.pack("<II", 14, 600 * 2**20), struct.pack("<II", 14, 200)

    def deep(file: h5py.File) -> None:
        group = file
        for _ in range(40):
            group = group.create_group("g")

    def loop(file: h5py.File) -> None:
        group = file.create_group("a")
        group["again"] = group

    def loop_to_root(file: h5py.File) -> None:
        file.create_group("a")["root"] = file["/"]

    def huge(file: h5py.File) -> None:
        file.create_dataset("r", shape=(10**6, 10**6), dtype="f8", chunks=(1000, 1000))

    def chunk(file: h5py.File) -> None:
        file.create_dataset("r", shape=(4000, 4000), dtype="f8", chunks=(4000, 4000), compression="gzip")

    def many(file: h5py.File) -> None:
        for i in range(10_001):
            file.create_group(str(i))

    return [
        Bad("claims.npy", header(shape), "would need 7,629,395 MB"),
        Bad("claims.npz", zipped(("r.npy", header(shape))), "would need 7,629,395 MB"),
        Bad("more-than-there.npy", header(shape.replace("1000000, 1000000", "100, 100")), "damaged"),
        Bad("negative.npy", header(shape.replace("1000000, 1000000", "-4, 2")), "damaged"),
        Bad("overflow.npy", header(shape.replace("1000000, 1000000", f"{2**62}, 8")), "far too much"),
        Bad("long-header.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(99), "damaged"),
        Bad("code-header.npy", header("__import__('os').mkdir('x')"), "damaged"),
        Bad("version-9.npy", b"\x93NUMPY\x09\x00" + bytes(zeros[8:]), "damaged"),
        Bad("bomb.npz", deflated, "would need 572 MB"),
        Bad("twice.npz", zipped(("r.npy", npy(VALUES)), ("r.npy", npy(VALUES))), "holds an array twice"),
        Bad("above.npz", zipped(("../r.npy", npy(VALUES))), "which is no array"),
        Bad("root.npz", zipped(("/r.npy", npy(VALUES))), "which is no array"),
        Bad("claims.nii", nii(dim=(4, 2000, 2000, 2000, 9)), "would need 274,658 MB"),
        Bad("overflow.nii", nii(dim=(7, *[32767] * 7)), "has the shape"),
        Bad("negative.nii", nii(dim=(4, 2, 2, -2, 6)), "has the shape"),
        Bad("bomb.nii.gz", gzip.compress(nii() + bytes(80 * 2**20)), "unpacks to more than its header"),
        Bad("nan-place.nii", nii(srow_x=np.nan), "no usable place in space"),
        Bad("bomb.mat", compressed(claims + bytes(4 * 2**20)), "would need 600 MB"),
        Bad("bursting.mat", compressed(bursts + bytes(30 * 2**20)), "is damaged"),
        Bad("zeros.mat", compressed(bytes(4 * 2**20)), "is damaged"),
        Bad("deep.h5", hdf5(deep, folder), "nests more than 32 groups"),
        Bad("loop.h5", hdf5(loop, folder), "a group inside itself"),
        Bad("loop-to-root.h5", hdf5(loop_to_root, folder), "a group inside itself"),
        Bad("huge.h5", hdf5(huge, folder), "would need 7,629,395 MB"),
        Bad("chunk.h5", hdf5(chunk, folder), "pieces of 122 MB"),
        Bad("many.h5", hdf5(many, folder), "holds more than 10,000 parts"),
    ]


def elsewhere(folder: Path) -> list[Bad]:
    """Class 11: HDF5 files that point to other files."""
    secret = folder / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["r"] = VALUES

    def external_link(file: h5py.File) -> None:
        file["r"] = h5py.ExternalLink(str(secret), "r")

    def below(file: h5py.File) -> None:
        file.create_group("a/b")["r"] = h5py.ExternalLink(str(secret), "r")

    def storage(file: h5py.File) -> None:
        file.create_dataset("r", shape=(12, 5), dtype="f8", external=[("/etc/hostname", 0, 480)])

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(shape=(12, 5), dtype="f8")
        layout[:] = h5py.VirtualSource(str(secret), "r", shape=(12, 5))
        file.create_virtual_dataset("r", layout)

    def nwb_external(file: h5py.File) -> None:
        file.attrs["nwb_version"] = "2.7.0"
        file["acquisition/series/external_file"] = ["/etc/hostname"]

    def keras(file: h5py.File) -> None:
        file.attrs["keras_version"] = "3.0"
        file["r"] = VALUES

    def soft(file: h5py.File) -> None:
        file["r"] = h5py.SoftLink("/nowhere")

    def nwb_empty(file: h5py.File) -> None:
        file.attrs["nwb_version"] = "2.7.0"
        file["general/session_id"] = "x"

    def mat73_reference(file: h5py.File) -> None:
        external_link(file.create_group("#refs#"))

    return [
        Bad("external.h5", hdf5(external_link, folder), "points to another file (an external link)"),
        Bad("below.h5", hdf5(below, folder), "points to another file (an external link)"),
        Bad("external.nc", hdf5(external_link, folder), "points to another file"),
        Bad("storage.h5", hdf5(storage, folder), "points to another file (external storage)"),
        Bad("virtual.h5", hdf5(virtual, folder), "points to another file (a virtual dataset)"),
        Bad("external.nwb", hdf5(nwb_external, folder), "points to another file (external_file)"),
        Bad("keras.h5", hdf5(keras, folder), "is a Keras or TensorFlow model"),
        Bad("soft.h5", hdf5(soft, folder), "holds no arrays"),
        Bad("empty.nwb", hdf5(nwb_empty, folder), "holds no arrays"),
        Bad("refs.h5", hdf5(mat73_reference, folder), "points to another file"),
    ]


def quiet_errors() -> list[Bad]:
    """Classes 17 to 23: numbers and names that would give a wrong result without complaint."""

    def r(values: np.ndarray = VALUES, names: np.ndarray = NAMES, **more: object) -> bytes:
        return npz(responses=values, names=names, **more)

    def changed(place: tuple[object, ...], value: float, base: np.ndarray = VALUES) -> np.ndarray:
        copy = base.copy()
        copy[place] = value
        return copy

    asymmetric = changed((2, 5), 9.0, SQUARE)
    similarity = 1 - SQUARE / 11
    return [
        Bad("nan-row.npz", r(changed((3,), np.nan)), "are missing, in 5 of 5 units and 1 of 12 stimuli"),
        Bad(
            "nan-spread.npz", r(changed((3, 1), np.nan)), "1 responses in all units of subject 1 are missing"
        ),
        Bad("all-nan.npz", r(np.full((12, 5), np.nan)), "are missing, in 5 of 5 units and 12 of 12"),
        Bad("inf.npz", r(changed((3, 1), np.inf)), "are infinite, in unit 1"),
        Bad("minus-inf.npz", r(changed((0, 4), -np.inf)), "are infinite, in unit 4"),
        Bad("half-overflow.npz", r(changed((0, 4), 7e4).astype(np.float16)), "are infinite"),
        Bad("constant.npz", r(np.ones((12, 5))), "the same response to every stimulus"),
        Bad("constant-unit.npz", r(changed((slice(None), 2), 3.0)), "never change", warned=True),
        Bad("constant-stimulus.npz", r(changed((4,), 1.0)), "no correlation distance: s04", warned=True),
        Bad("two.npz", npz(responses=VALUES[:2], names=NAMES[:2]), "There are 2 stimuli"),
        Bad("few.npz", npz(responses=VALUES[:4], names=NAMES[:4]), "With 4 stimuli", warned=True),
        Bad("no-names.npz", npz(responses=VALUES), "taken by position", warned=True),
        Bad("twice.npz", r(names=np.array([*NAMES[:11], NAMES[0]])), "1 names come several times"),
        Bad("blank.npz", r(names=np.array([*NAMES[:11], "  "])), "has no name at 12"),
        Bad("case.npz", r(names=np.array([*NAMES[:11], "S00"])), "differ only by zeros or case"),
        Bad("zeros.npz", r(names=np.array(["1", "01", *NAMES[2:]])), "differ only by zeros or case"),
        Bad("blank-twin.npz", r(names=np.array([*NAMES[:11], " s00 "])), "1 names come several times"),
        Bad("unicode-twin.npz", r(names=np.array([*NAMES[:10], "é", "e\u0301"])), "come several times"),
        Bad("control.npz", r(names=np.array([*NAMES[:11], "a\x07b"])), "cannot be the name of a stimulus"),
        Bad(
            "long-name.npz", r(names=np.array([*NAMES[:11], "x" * 5000])), "cannot be the name of a stimulus"
        ),
        Bad("complex.npz", r(VALUES * 1j), "No array of numbers"),
        Bad("texts.npz", npz(responses=NAMES.reshape(4, 3), names=NAMES), "No array of numbers"),
        Bad("asymmetric.npz", npz(rdm=asymmetric, names=NAMES), "is not symmetric"),
        Bad("similarity.npz", npz(rdm=similarity, names=NAMES), "has ones on the diagonal"),
        Bad("diagonal.npz", npz(rdm=SQUARE + 2 * np.eye(12), names=NAMES), "on the diagonal"),
        Bad("nan-rdm.npz", npz(rdm=changed((2, 3), np.nan, SQUARE), names=NAMES), "missing or infinite"),
        Bad(
            "rdm-names.npz",
            npz(rdm=SQUARE, names=np.array([*NAMES[:11], "s00"])),
            "come several times|same name",
        ),
        Bad("pairs.npz", npz(rdm=np.ones((2, 65)), names=NAMES), ""),
        Bad(
            "struct.mat", mat(f=np.array([(1.0, 2)], dtype=[("a", "f8"), ("b", "i4")])), "No array of numbers"
        ),
    ]


def tables() -> list[Bad]:
    """Class 24: traps of CSV files."""
    rows = "".join(f"s{i:02d},{i}.5,{i * i}\n" for i in range(12))
    good = "name,a,b\n" + rows
    return [
        Bad("ragged.csv", csv(good.replace("s03,3.5,9", "s03,3.5,9,7")), "Line 5 of"),
        Bad("quote.csv", csv(good.replace("s03,", '"s03,')), "not a complete CSV file"),
        Bad("nul.csv", csv(good.replace("s03", "s\0")), "is not a text file"),
        Bad("same-head.csv", csv(good.replace("name,a,b", "name,a,a")), "several columns called a"),
        Bad("no-head.csv", csv("".join(f"{i},{i}.5,{i * i}\n" for i in range(12))), "holds numbers, where"),
        Bad("only-head.csv", csv("name,a,b\n"), "has no rows"),
        Bad(
            "units.csv", csv(good.replace("3.5,", "3.5 mV,")), 'Line 5 of "units.csv" has "3.5 mV" in column'
        ),
        Bad("thousands.csv", csv(good.replace(",9\n", ',"1,000"\n')), 'has "1,000" in column "b"'),
        Bad("underscore.csv", csv(good.replace("3.5,", "1_0,")), 'has "1_0" in column'),
        Bad("wide.csv", csv(",".join(f"c{i}" for i in range(50_001)) + "\n1\n"), "50,001 columns"),
        Bad("na.csv", csv(good.replace("3.5,", "NA,")), "are missing, in 1 of 2 units"),
        Bad("latin.csv", good.replace("s03", "é").encode("latin-1"), "read as Latin-1", warned=True),
        Bad("html.csv", csv(good.replace("s03", "<script>")), "", warned=True),
        Bad("formula.csv", csv(good.replace("s03", "=1+2")), "", warned=True),
        Bad("infinite.csv", csv(good.replace("3.5,", "inf,")), "are infinite"),
        Bad("leading.csv", csv(good.replace("s03", "007").replace("s04", "7")), "differ only by zeros"),
    ]


def all_files(marker: str, folder: Path) -> list[Bad]:
    """Every bad file."""
    return [
        *code_files(marker),
        *damaged_files(),
        *bombs(folder),
        *elsewhere(folder),
        *quiet_errors(),
        *tables(),
    ]
