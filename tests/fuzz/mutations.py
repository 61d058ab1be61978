"""Small good files of every format that is read, ways to damage them, and how a worker reads each."""

from __future__ import annotations

import hashlib
import io
import json
import random
import traceback
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.errors import HomologError, collect_cautions

VALUES = np.random.default_rng(0).normal(size=(6, 3))
NAMES = np.array([f"s{i:02d}" for i in range(6)])


# --- damage ----------------------------------------------------------------------------------------


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, cut, repeat or drop a few bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed))
        kind = rng.randrange(5)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place : place + 4] = rng.randbytes(4)
        elif kind == 2:
            del changed[place : place + rng.randint(1, 16)]
        elif kind == 3:
            changed[place:place] = changed[place : place + rng.randint(1, 16)]
        else:
            changed[place : place + 8] = rng.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
        if not changed:
            changed = bytearray(b"\0")
    return bytes(changed)


# --- reading, in a process of its own --------------------------------------------------------------


def read(kind: str, path: str, name: str) -> dict[str, str]:
    """Read a file as the worker of its kind does: what came of it, and the sentence or the traceback."""
    warnings.simplefilter("ignore")
    try:
        with collect_cautions():
            KINDS[kind](Path(path), name)
    except HomologError as error:
        return {"came": "refused" if error.remedy else "finding", "said": str(error)}
    except MemoryError:
        raise
    except Exception:
        return {"came": "finding", "said": traceback.format_exc(limit=-4)}
    return {"came": "read", "said": ""}


def recording(path: Path, name: str) -> None:
    """Look at a recording and read it by the guess."""
    from dashboard.recordings import uploaded
    from dashboard.recordings.readers import look

    files = [[str(path), name], *_companions(path.parent, name)]
    found = look(files)
    json.dumps(found, allow_nan=False)
    facts = uploaded.convert(files, found["recipe"], str(path.parent))
    with np.load(path.parent / uploaded._ARRAYS) as arrays:
        for key in arrays.files:
            if not np.isfinite(arrays[key]).all() and "missing" not in found["recipe"]:
                raise ValueError(f"{key} of {facts['names']} is not finite")


def _companions(folder: Path, name: str) -> list[list[str]]:
    """Write the good files that a brain image, its labels or their names are read together with."""
    wanted = {"betas.nii": ["rois.nii"], "betas.nii.gz": ["rois.nii"], "rois.nii": ["betas.nii"]}
    given = wanted.get(name, ["betas.nii", "rois.nii"] if name == "areas.json" else [])
    images = _images() if given else {}
    for other in given:
        (folder / f"good {other}").write_bytes(images[other])
    return [[str(folder / f"good {other}"), other] for other in given]


def network(path: Path, name: str) -> None:
    """Read every table of weights of a file, or a list of class names."""
    from dashboard.networks import uploaded, weights

    data = path.read_bytes()
    if name.rpartition(".")[2] in uploaded.LABEL_ENDINGS:
        uploaded.read_labels(data, name)
        return
    for state in weights.read_tables(data, name).values():
        weights.tell_not_finite(weights.as_float32(state, name), name)


def picture(path: Path, name: str) -> None:
    """Look at the header of a picture, then decode it."""
    from dashboard.stimuli import pictures

    data = path.read_bytes()
    pictures.inspect(data, name)
    found = pictures.decode(data, name)
    if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3:
        raise ValueError(f"{found.shape} {found.dtype}")


def pack(path: Path, name: str) -> None:
    """Decode every picture of a zip."""
    from dashboard.stimuli import files, pictures

    for member in files.zip_members(path, name):
        pictures.decode(member.read(), member.path)


def words(path: Path, name: str) -> None:
    """Read the texts of a file."""
    from dashboard.reference import Reference
    from dashboard.stimuli import texts

    found = texts.texts_of(Reference("text:x"), path.read_bytes(), name, "")
    if len(set(found.names)) < len(found.names):
        raise ValueError("two texts of one name")
    found.draw(0)


KINDS: Mapping[str, Callable[[Path, str], None]] = {
    "recording": recording,
    "network": network,
    "picture": picture,
    "pack": pack,
    "words": words,
}


# --- good files ------------------------------------------------------------------------------------


def seeds(folder: Path) -> dict[tuple[str, str], bytes]:
    """Small good files, by kind and name."""
    return {
        **{("recording", name): data for name, data in _recordings(folder).items()},
        **{("network", name): data for name, data in _networks().items()},
        **{("picture", name): data for name, data in _pictures().items()},
        ("pack", "a.zip"): _zipped({f"{n}.png": d for n, d in (("a", _picture()), ("b/c", _picture(9)))}),
        ("words", "a.txt"): "one cat\ntwo dogs\nöne more\n".encode(),
        ("words", "a.csv"): b'text,category\n"a cat, black",animal\na car,thing\n',
    }


def _recordings(folder: Path) -> dict[str, bytes]:
    import pandas as pd
    import xarray as xr
    from scipy.io import savemat

    table = pd.DataFrame({"name": NAMES, "a": VALUES[:, 0], "b": VALUES[:, 1]})
    dataset = xr.Dataset({"r": (("stimulus", "unit"), VALUES), "name": ("stimulus", NAMES.astype(object))})
    table.to_parquet(folder / "a.parquet")
    dataset.to_netcdf(folder / "netcdf4.nc", engine="h5netcdf")
    dataset.drop_vars("name").to_netcdf(folder / "netcdf3.nc", engine="scipy")
    matlab = _bytes(lambda stream: savemat(stream, {"r": VALUES, "name": NAMES.astype(object)}))
    return {
        "a.npz": _bytes(lambda stream: np.savez(stream, r=VALUES, name=NAMES)),
        "a.npy": _bytes(lambda stream: np.save(stream, VALUES)),
        "a.mat": matlab,
        "mat73.mat": _matlab73(folder),
        "a.nwb": _hdf5(folder, _nwb),
        "netcdf4.nc": (folder / "netcdf4.nc").read_bytes(),
        "netcdf3.nc": (folder / "netcdf3.nc").read_bytes(),
        "a.h5": _hdf5(folder, _plain),
        "a.csv": table.to_csv(index=False).encode(),
        "a.parquet": (folder / "a.parquet").read_bytes(),
        **_images(),
        "areas.json": b'{"1": "V1", "2": "IT"}',
    }


def _images() -> dict[str, bytes]:
    import gzip

    import nibabel

    values = np.random.default_rng(0).normal(size=(4, 3, 2, 6)).astype(np.float32)
    labels = (np.arange(24) % 3).reshape(4, 3, 2).astype(np.int16)
    betas, rois = (nibabel.Nifti1Image(v, np.diag([2.0, 2, 2, 1])).to_bytes() for v in (values, labels))
    return {"betas.nii": betas, "betas.nii.gz": gzip.compress(betas, mtime=0), "rois.nii": rois}


def _plain(file: Any) -> None:
    file["r"], file["name"] = VALUES, [str(n) for n in NAMES]


def _nwb(file: Any) -> None:
    file.attrs["nwb_version"] = "2.7.0"
    file["intervals/trials/start_time"] = np.arange(6.0)
    file["intervals/trials/stop_time"] = np.arange(6.0) + 0.5
    file["units/spike_times"] = np.linspace(0, 6, 40)
    file["units/spike_times_index"] = [20, 40]


def _hdf5(folder: Path, make: Callable[[Any], None], **options: Any) -> bytes:
    import h5py

    path = folder / "made.h5"
    with h5py.File(path, "w", **options) as file:
        make(file)
    return path.read_bytes()


def _matlab73(folder: Path) -> bytes:
    """A file as MATLAB saves it with -v7.3: HDF5 behind a header of 512 bytes."""

    def make(file: Any) -> None:
        file["r"] = VALUES.T
        file["r"].attrs["MATLAB_class"] = np.bytes_("double")
        file["name"] = np.array([[ord(c) for c in "abcdef"]], dtype=np.uint16)
        file["name"].attrs["MATLAB_class"] = np.bytes_("char")

    data = _hdf5(folder, make, userblock_size=512)
    return b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + data[128:]


def _networks() -> dict[str, bytes]:
    import torch
    from safetensors.torch import save

    state = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3)}
    return {
        "a.safetensors": save(state),
        "a.pt": _bytes(lambda stream: torch.save({"epoch": 3, "state_dict": state}, stream)),
        "a.json": json.dumps({"0": "cat", "1": "dog"}).encode(),
    }


def _picture(shade: int = 0, kind: str = "PNG") -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(shade).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    return _bytes(lambda stream: Image.fromarray(pixels).save(stream, kind))


def _pictures() -> dict[str, bytes]:
    return {f"a.{kind.lower()}": _picture(3, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP")}


def _zipped(members: Mapping[str, bytes]) -> bytes:
    def make(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    return _bytes(make)


def _bytes(make: Callable[[io.BytesIO], Any]) -> bytes:
    stream = io.BytesIO()
    make(stream)
    return stream.getvalue()


def rng_of(name: str, k: int) -> random.Random:
    """The random numbers of the k-th damage of a file, the same whatever else is run."""
    return random.Random(int.from_bytes(hashlib.sha256(f"{name} {k}".encode()).digest()[:8], "big"))
