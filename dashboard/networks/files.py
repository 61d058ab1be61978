"""Weight files on disk: where they are, whether a page may name them, and the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from dashboard import settings
from dashboard.errors import InputError
from dashboard.reference import Reference, parse

_ENTRY = re.compile(r"[A-Z][A-Z0-9_]*")
_BLOCK = 1 << 20

_digests: dict[tuple[str, int, int], str] = {}


def names_file(ref: Reference) -> bool:
    """Tell whether ``weights=`` names a file, not one of torchvision's entries such as ``IMAGENET1K_V1``."""
    value = ref.options.get("weights")
    return value is not None and not _ENTRY.fullmatch(value)


def weight_file(reference: str) -> Path | None:
    """Return the weight file that a reference names, or None when it names none.

    A path is taken as it is (absolute, or relative to the working folder), else below each of
    `settings.weights_roots`.

    Raises
    ------
    InputError
        When there is no such file.
    """
    ref = parse(reference)
    if not names_file(ref):
        return None
    value = ref.options["weights"]
    file = find(value)
    if file is None:
        message = f'There is no weight file "{Path(value).name}".'
        remedy = (
            "Check the path: it is looked for from the working folder and in the weights folders of "
            "HOMOLOG_HOME and HOMOLOG_DATA."
        )
        raise InputError(message, remedy)
    return file


def inside_roots(reference: str) -> bool:
    """Tell whether a page may open what a link names: no path, or one that truly lies in a weights folder.

    Links are followed to their ends before the comparison. A relative path that leads nowhere is let through,
    so that opening it gives the sentence about the missing file.
    """
    ref = parse(reference)
    if ref.scheme == "hf":
        value = ref.rest
    elif names_file(ref):
        value = ref.options["weights"]
    else:
        return True
    file = find(value)
    if file is None:
        return not Path(value).is_absolute() and ".." not in Path(value).parts and value[:1] != "~"
    try:
        inside = [file, *file.iterdir()] if ref.scheme == "hf" and file.is_dir() else [file]
        roots = [root.resolve() for root in settings.weights_roots()]
        return all(any(path.resolve().is_relative_to(root) for root in roots) for path in inside)
    except (OSError, RuntimeError):  # a loop of links
        return False


def shown_name(reference: str) -> str:
    """Return the reference with only the base name of a file or folder, fit for an answer that others see."""
    ref = parse(reference)
    if ref.scheme == "hf" and (ref.rest[:1] in "/~" or Path(ref.rest).is_absolute() or ".." in ref.rest):
        return str(Reference(f"hf:{Path(ref.rest).name}", ref.options))
    if not names_file(ref):
        return reference
    options = {**ref.options, "weights": Path(ref.options["weights"]).name}
    return str(Reference(ref.name, options))


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's bytes; remembered while its path, size and time of change stay the same.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    try:
        facts = file.stat()
        key = (str(file.resolve()), facts.st_size, facts.st_mtime_ns)
        if key not in _digests:
            digest = hashlib.sha256()
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
            _digests[key] = digest.hexdigest()
    except OSError as error:
        raise unreadable(file, error) from error
    return _digests[key]


def unreadable(file: Path, error: OSError) -> InputError:
    """Return the error for a file that the system does not let us read."""
    reason = (error.strerror or type(error).__name__).lower()
    return InputError(f'The weight file "{file.name}" cannot be read ({reason}).', "Check its access rights.")


def find(value: str) -> Path | None:
    """Return the file or folder that a path means, from the working or a weights folder, or None."""
    path = Path(value).expanduser()
    places = [path] if path.is_absolute() else [path, *(root / path for root in settings.weights_roots())]
    for place in places:
        try:
            if place.exists():
                return place
        except (OSError, ValueError):  # too long, or a loop of links
            continue
    return None
