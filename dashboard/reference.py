"""References: the one way to name a network, a stimulus set, a recording or a reducer in text.

A reference is ``NAME`` or ``NAME?option=value&flag``, the same in URLs, on the command line and in code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote, unquote

from dashboard.errors import InputError, unknown

_SAFE = "/:.,-_~@+ "


@dataclass(frozen=True)
class Reference:
    """A parsed reference.

    Attributes
    ----------
    name : str
        What stands before the question mark, such as ``"torchvision:resnet18"``.
    options : Mapping of str to str
        What stands behind it, in the given order; a flag has the value ``""``.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        pairs = [k if v == "" else f"{k}={quote(v, safe=_SAFE)}" for k, v in self.options.items()]
        return self.name + ("?" + "&".join(pairs) if pairs else "")

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def scheme(self) -> str:
        """The part of the name before the first colon, or ``""``."""
        return self.name.partition(":")[0] if ":" in self.name else ""

    @property
    def rest(self) -> str:
        """The part of the name behind the first colon, or the whole name."""
        return self.name.partition(":")[2] if ":" in self.name else self.name

    def check_options(self, allowed: Iterable[str]) -> None:
        """Raise `InputError` when an option is not among ``allowed``."""
        allowed = set(allowed)
        for name in self.options:
            if name not in allowed:
                raise unknown(f"option of {self.name}", name, allowed or {"(none)"})

    def integer(self, name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """Read a whole-number option, between ``low`` and ``high``."""
        value = self.number(name, default, low=low, high=high)
        if value != int(value):
            message = f"{name} of {self.name} must be a whole number, not {self.options[name]}."
            raise InputError(message)
        return int(value)

    def number(
        self, name: str, default: float, *, low: float = float("-inf"), high: float = float("inf")
    ) -> float:
        """Read a finite numeric option, between ``low`` and ``high``."""
        text = self.options.get(name)
        if text is None:
            return float(default)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high or value in (float("inf"), float("-inf")):
            message = f'{name} of {self.name} must be a number from {low:g} to {high:g}, not "{text}".'
            raise InputError(message)
        return value


@lru_cache(maxsize=1024)
def parse(text: str) -> Reference:
    """Read a reference.

    Examples
    --------
    >>> parse("torchvision:resnet18?untrained&seed=0").options["seed"]
    '0'
    """
    name, _, query = text.strip().partition("?")
    if not name or any(ord(c) < 32 for c in text):
        message = f'"{text}" is not a reference.'
        raise InputError(
            message, "Write NAME or NAME?option=value, such as torchvision:resnet18?untrained&seed=0."
        )
    # Not parse_qsl: it reads a plus sign, which file names may hold, as a blank.
    pairs = [
        (unquote(k), unquote(v)) for k, _, v in (part.partition("=") for part in query.split("&") if part)
    ]
    names = [k for k, _ in pairs]
    if len(set(names)) < len(names):
        message = f'"{text}" gives an option twice.'
        raise InputError(message)
    return Reference(name, MappingProxyType(dict(pairs)))


def untrained(network: str) -> str:
    """Return the reference of a network's untrained twin: random weights, of seed 0 unless one is given."""
    ref = parse(network)
    kept = {name: value for name, value in ref.options.items() if name != "weights"}
    return str(Reference(ref.name, {**kept, "untrained": "", "seed": kept.get("seed", "0")}))
