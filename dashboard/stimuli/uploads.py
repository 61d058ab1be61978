"""What somebody brought as stimuli, ``upload:DIGEST``: pictures, zips of them with a table, or texts.

The files are kept as they came and read by workers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dashboard import delimited, guarded, kept
from dashboard.errors import InputError, listing
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, clean_name, digest_of

if TYPE_CHECKING:
    from dashboard.stimuli.files import Member

VERSION = 1
"""Raised whenever the same files give other names or another order; part of the digest."""

ENDINGS = ("png", "jpg", "jpeg", "webp")
TABLES, TEXTS, ZIPS = ("csv", "tsv"), ("txt",), ("zip",)
OPTIONS = ("column", "category")
NAME_COLUMNS = ("name", "file", "filename", "picture", "image", "stimulus", "item")
MOST_FILES = 200
TRIED_TOGETHER = 20
"""Pictures that share one limit of time when they are read for the first time."""

_AGAIN = "Drop the pictures on the Add page again."


def keep(given: Sequence[tuple[str, bytes]], session: str) -> str:
    """Keep uploaded pictures and return the reference that opens them; see `kept.keep`.

    Raises
    ------
    InputError
        When there is no file, or there are too many or too large ones.
    """
    if not 1 <= len(given) <= MOST_FILES:
        message = f"The upload holds {len(given) or 'no'} files."
        raise InputError(message, f"Give 1 to {MOST_FILES} pictures; more of them fit into a zip.")
    names = kept.display_names([name for name, _ in given], "picture")
    return kept.keep([(name, data) for name, (_, data) in zip(names, given, strict=True)], session).reference


def load_uploads(reference: Reference) -> Stimuli:
    """Load ``upload:DIGEST[?column=NAME&category=NAME]``; every picture is checked as those of a folder are.

    Pictures may come one by one or in zips. A table beside them (CSV) gives their categories and columns,
    joined by name. A table or text file alone holds texts; ``column`` names that of the texts.

    Raises
    ------
    InputError
        When the upload is not kept here (any more), a file is not one that we read, or names do not match.
    """
    from dashboard.stimuli import files, texts  # here, because they load the picture library

    reference.check_options(OPTIONS)
    found = kept.opened(reference.name, _AGAIN)
    _tried(found)
    tables = [f for f in found.files if _ending(f) in TABLES]
    words = [f for f in found.files if _ending(f) in (*TABLES, *TEXTS)]
    digest = identify_uploads(reference)
    if len(words) == len(found.files):
        if len(words) > 1:
            message = f"The upload holds {len(words)} files of texts."
            raise InputError(message, "Give one file of texts, or pictures with one table.")
        return texts.texts_of(reference, words[0].read(), words[0].name, digest)
    members = _members(found, files)
    title = found.recipe.get("title") or f"{len(members)} uploaded picture{'s' if len(members) > 1 else ''}"
    made = files.stimuli_of(reference, members, str(title), digest)
    return _with_table(made, tables, reference) if tables else made


def identify_uploads(reference: Reference) -> str:
    """Return the digest that `load_uploads` gives: names and SHA-256 of the files, without the session."""
    from dashboard.stimuli import pictures

    reference.check_options(OPTIONS)
    found = kept.opened(reference.name, _AGAIN)
    return digest_of(
        "uploads", VERSION, pictures.VERSION, found.identity, dict(sorted(reference.options.items()))
    )


def look(upload: str) -> dict[str, Any]:
    """Tell what is in the files of an upload: pictures, columns of a table, texts.

    Raises
    ------
    InputError
        As `load_uploads`, without decoding any picture.
    """
    from dashboard.stimuli import files

    found = kept.opened(upload, _AGAIN)
    _tried(found)
    tables = [f for f in found.files if _ending(f) in TABLES]
    header = list(_table(tables[0]).header) if tables else []
    words = [f for f in found.files if _ending(f) in (*TABLES, *TEXTS)]
    if len(words) == len(found.files):
        return {"kind": "texts", "pictures": 0, "columns": header}
    return {"kind": "pictures", "pictures": len(_members(found, files)), "columns": header}


def _tried(found: kept.Kept) -> None:
    """Let every picture and table be read once in a process with limits before this one reads it."""
    given = [(file.path, file.name, file.sha256) for file in found.files]
    guarded.tried("dashboard.stimuli.uploads:read_through", given, name=found.files[0].name)


def read_through(given: list[list[str]], start: int) -> int | None:
    """Decode some pictures of an upload, or read its tables; return the place of the next pictures.

    Raises
    ------
    InputError
        When a file is refused or damaged.
    """
    from dashboard.stimuli import files, pictures, texts

    members: list[Member] = []
    for path, name in given:
        ending = name.rpartition(".")[2].casefold()
        if ending in ZIPS:
            members += files.zip_members(Path(path), name)
        elif ending not in (*TABLES, *TEXTS):
            members.append(files.Member(name, Path(path).read_bytes))
        elif start == 0:
            text = texts.decoded(Path(path).read_bytes(), name)
            if ending in TABLES:
                delimited.table(text, name)
    stop = min(start + TRIED_TOGETHER, len(members))
    for member in members[start:stop]:
        pictures.decode(member.read(), PurePosixPath(member.path).name)
    return stop if stop < len(members) else None


def _table(file: kept.File) -> delimited.Table:
    from dashboard.stimuli import texts

    return delimited.table(texts.decoded(file.read(), file.name), file.name)


def _ending(file: kept.File) -> str:
    return file.name.rpartition(".")[2].casefold()


def _members(found: kept.Kept, files: Any) -> list[Member]:
    """Return all pictures, those in zips, too; two of one name are refused when the set is made."""
    members = []
    for file in found.files:
        if _ending(file) in ZIPS:
            members += files.zip_members(file.checked(), file.name)
        elif _ending(file) not in (*TABLES, *TEXTS):
            members.append(files.Member(file.name, file.read))
    return members


def _with_table(made: Stimuli, tables: Sequence[kept.File], reference: Reference) -> Stimuli:
    """Join the columns of a table with the pictures by name; every picture needs its row."""
    import dataclasses

    from dashboard.stimuli import texts

    table = tables[0]
    if len(tables) > 1:
        raise InputError(f"The upload holds {len(tables)} tables.", "Give one table with a row per picture.")
    read = _table(table)
    header, body = read.header, read.rows
    place = next((i for i, cell in enumerate(header) if cell.casefold() in NAME_COLUMNS), 0)
    rows = _by_name(body, place, set(made.names), table.name)
    lacking = [name for name in made.names if name not in rows]
    if lacking:
        message = f'"{table.name}" has no row for {len(lacking)} of {len(made)} pictures: {listing(lacking)}.'
        raise InputError(message, f'Its column "{header[place]}" must hold their names.')
    columns = {
        header[i]: texts.values([rows[name][i] for name in made.names])
        for i in range(len(header))
        if i != place and header[i]
    }
    kind = reference.options.get("category") or next((c for c in columns if c.casefold() == "category"), "")
    if kind and kind not in columns:
        message = f'"{table.name}" has no column "{texts.one_line(kind, 40)}".'
        raise InputError(message, f"It has {listing(columns, 6)}.")
    categories = tuple(map(str, columns.pop(kind))) if kind else made.categories
    return dataclasses.replace(made, categories=categories, columns={**made.columns, **columns})


def _by_name(body: list[list[str]], place: int, known: set[str], table: str) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for row in body:
        name = clean_name(row[place])
        name = name if name in known else name.rpartition(".")[0] or name
        if name in rows:
            raise InputError(f'"{table}" has two rows for "{name[:80]}".', "Give every picture one row.")
        rows[name] = row
    return rows
