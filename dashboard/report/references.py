"""The works that methods texts cite: found in a text by author and year, and written as BibTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Reference:
    """One work.

    Attributes
    ----------
    key : str
        Key in BibTeX.
    cited : str
        How texts cite it: authors, comma, year.
    kind : str
        Type of entry in BibTeX.
    fields : tuple of (str, str)
        Fields of the entry in order, without the year.
    aliases : tuple of str
        Further texts by which it is recognised.
    """

    key: str
    cited: str
    kind: str
    fields: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...] = ()

    @property
    def year(self) -> str:
        """Year of publication."""
        return self.cited[-4:]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds it in a text: with the year behind a comma or in brackets, and no author before."""
        authors = re.escape(self.cited[:-6]).replace(r"\ \&\ ", r" (?:&|and) ").replace(r"\ ", " ")
        forms = [
            rf"(?<![a-z] & )(?<![a-z] and )(?<![\w-]){authors}(?:'s(?: method)?)?,? \(?{self.year}",
            *map(re.escape, self.aliases),
        ]
        return re.compile("|".join(forms))

    @property
    def bibtex(self) -> str:
        """The entry."""
        lines = [f"  {name} = {{{value}}}," for name, value in (*self.fields, ("year", self.year))]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"]) + "\n"

    @property
    def listed(self) -> str:
        """The entry of a list of references."""
        values = dict(self.fields)
        place = values.get("journal") or values.get("booktitle") or values.get("publisher") or ""
        volume = values.get("volume", "")
        where = " ".join(part for part in (place, volume) if part)
        pages = f", {values['pages'].replace('--', '–')}" if "pages" in values else ""
        authors = values["author"].replace(" and ", "; ")
        return f"{authors} ({self.year}). {values['title']}. {where}{pages}.".replace("..", ".")


_ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}", re.M | re.S)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.M)


def _read(text: str) -> dict[str, Reference]:
    """Read entries with one field a line; ``cited`` and ``aliases`` say how texts cite the work."""
    found = {}
    for kind, key, body in _ENTRY.findall(text):
        fields = dict(_FIELD.findall(body))
        cited, aliases = fields.pop("cited"), fields.pop("aliases", "")
        fields.pop("year")
        names = tuple(alias for alias in aliases.split("; ") if alias)
        found[key] = Reference(key, cited, kind, tuple(fields.items()), names)
    return found


REFERENCES: dict[str, Reference] = _read(Path(__file__).with_name("references.bib").read_text("utf-8"))
"""Every work by its key."""

_CITATION = re.compile(
    r"[A-ZŠ][\w-]+(?:(?:, | & | and | et al\.|'s method|'s| [A-Z])[\w-]*)*,? \(?(?:19|20)\d\d\b"
)


def cited(text: str) -> list[Reference]:
    """Return the works that a text cites, in order of their first mention."""
    found = [(match.start(), key) for key, work in REFERENCES.items() if (match := work.pattern.search(text))]
    return [REFERENCES[key] for _, key in sorted(found)]


def unresolved(text: str) -> list[str]:
    """Return what looks like a citation in a text and is no work of ours."""
    for work in REFERENCES.values():
        text = work.pattern.sub("", text)
    return [match[0] for match in _CITATION.finditer(text)]
