"""The same question with one setting changed: for another network, another layer, another seed."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.errors import InputError, unknown
from dashboard.specs import Spec

Form = Literal["network", "stimuli", "recording", "choice", "switch", "whole", "number", "names", "text"]


@dataclass(frozen=True)
class Setting:
    """One setting of a spec.

    Attributes
    ----------
    name : str
        Field, behind a dot where it belongs to a question inside: ``"rdms.network"``.
    form : Form
        What kind of value it takes.
    value : object
    options : tuple of str
        What may be chosen, for choices.
    """

    name: str
    form: Form
    value: Any
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What to call it: the field's name in words."""
        return self.name.rpartition(".")[2].replace("_", " ").capitalize()


_FORMS: dict[Any, Form] = {bool: "switch", int: "whole", float: "number", str: "text"}


def settings(spec: Spec, prefix: str = "") -> list[Setting]:
    """Return the settings of a spec and of those inside it, references first."""
    found: list[Setting] = []
    hints = typing.get_type_hints(type(spec))
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        name = f"{prefix}{field.name}"
        if isinstance(value, Spec):
            found += settings(value, f"{name}.")
        elif "source" in field.metadata:
            found.append(Setting(name, field.metadata["source"], value))
        else:
            found.append(_setting(name, hints[field.name], value))
    sources = ("network", "stimuli", "recording")
    return sorted(found, key=lambda one: one.form not in sources)


def _setting(name: str, hint: Any, value: Any) -> Setting:
    if typing.get_origin(hint) is Literal:
        return Setting(name, "choice", value, tuple(map(str, typing.get_args(hint))))
    if typing.get_origin(hint) is tuple:
        return Setting(name, "names", value)
    if isinstance(hint, types.UnionType):
        return Setting(name, "text", value)
    return Setting(name, _FORMS.get(hint, "text"), value)


def replaced(spec: Spec, name: str, value: Any) -> Spec:
    """Return the spec with one setting changed.

    Raises
    ------
    InputError
        When there is no such setting, or it cannot have that value.
    """
    outer, _, inner = name.partition(".")
    if outer not in {field.name for field in dataclasses.fields(spec)}:
        raise unknown(f"setting of {spec.kind}", outer, [field.name for field in dataclasses.fields(spec)])
    if inner:
        value = replaced(getattr(spec, outer), inner, value)
    elif isinstance(value, str) and isinstance(getattr(spec, outer), tuple):
        value = tuple(part.strip() for part in value.split(",") if part.strip())
    changed = spec.replace(**{outer: value})
    if changed == spec:
        message = "This is what the figure shows already."
        raise InputError(message, "Choose another value.")
    return changed


def words(setting: Setting, value: Any) -> str:
    """Return what tells the new figure from the old one, for its title."""
    shown = ", ".join(value) if isinstance(value, tuple) else str(value)
    return shown if setting.form in ("network", "stimuli", "recording") else f"{setting.label} {shown}"
