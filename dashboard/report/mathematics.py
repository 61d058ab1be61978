"""Mathematics between dollar signs: as MathML, as a tree for typesetting, as plain text."""

from __future__ import annotations

import html
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

Node = dict[str, Any]

LONGEST = 2000
"""Characters of one formula; what is longer is shown as it was written."""

_RAISED = dict(zip("0123456789+-=()niaT*", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵀ*", strict=True))
_LOWERED = dict(zip("0123456789+-=()aeijknmx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑᵢⱼₖₙₘₓ", strict=True))


def mathml(tex: str, display: bool = False) -> str:
    """Return a formula as MathML, which browsers set by themselves; as code where it cannot be read."""
    root = _read(tex, display)
    if root is None:
        return f"<code>{html.escape(tex)}</code>"
    return ET.tostring(root, encoding="unicode")


def tree(tex: str) -> Node:
    """Return a formula as nested dicts with a type ``t``; plain data, so that typesetting runs no text of it.

    Types are row, i (name), n (number), o (sign), text, frac, sup, sub, subsup, sqrt, root, over, under,
    underover and table.
    """
    root = _read(tex, False)
    return {"t": "code", "v": tex} if root is None else _node(root)


def plain(tex: str) -> str:
    """Return a formula in one line of text, with raised and lowered figures where Unicode has them."""
    root = _read(tex, False)
    return tex if root is None else " ".join(_line(_node(root)).split())


def _read(tex: str, display: bool) -> ET.Element | None:
    from latex2mathml import converter

    if len(tex) > LONGEST:
        return None
    try:
        text = converter.convert(tex, display="block" if display else "inline")
        root = ET.fromstring(text)
    except Exception:  # the library raises what it meets; a formula is never worth a lost report
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            k: v for k, v in element.attrib.items() if k in ("display", "stretchy", "mathvariant")
        }
    root.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    return root


_LEAVES = {"mi": "i", "mn": "n", "mo": "o", "mtext": "text", "ms": "text"}
_PARTS = {
    "mfrac": "frac",
    "msup": "sup",
    "msub": "sub",
    "msubsup": "subsup",
    "mroot": "root",
    "mover": "over",
    "munder": "under",
    "munderover": "underover",
}


def _node(element: ET.Element) -> Node:
    tag = element.tag
    if tag in _LEAVES:
        return {"t": _LEAVES[tag], "v": element.text or ""}
    if tag == "mspace":
        return {"t": "text", "v": " "}
    children = [_node(child) for child in element]
    if tag in _PARTS:
        return {"t": _PARTS[tag], "c": children}
    if tag == "msqrt":
        return {"t": "sqrt", "c": [{"t": "row", "c": children}]}
    if tag == "mtable":
        return {"t": "table", "c": [row["c"] for row in children if row["t"] == "row"]}
    return children[0] if len(children) == 1 and tag != "mtr" else {"t": "row", "c": children}


def _line(node: Node) -> str:
    kind = node["t"]
    if kind in ("i", "n", "text", "code"):
        return str(node["v"])
    if kind == "o":
        return f" {node['v']} " if node["v"] in "=+−-<>≤≥≈∼≠×⋅" and node["v"] else str(node["v"])
    if kind == "table":
        return "; ".join(", ".join(_line(cell) for cell in row) for row in node["c"])
    return _WRITTEN.get(kind, lambda parts: "".join(parts))([_line(child) for child in node["c"]])


def _raised(text: str) -> str:
    text = text.strip().replace("−", "-")
    return (
        "".join(_RAISED[c] for c in text) if text and all(c in _RAISED for c in text) else f"^{_held(text)}"
    )


def _lowered(text: str) -> str:
    text = text.strip()
    return (
        "".join(_LOWERED[c] for c in text) if text and all(c in _LOWERED for c in text) else f"_{_held(text)}"
    )


def _held(text: str) -> str:
    text = text.strip()
    return text if len(text) < 2 else f"({text})"


_WRITTEN: dict[str, Callable[[list[str]], str]] = {
    "frac": lambda p: f"{_held(p[0])}/{_held(p[1])}",
    "sup": lambda p: p[0] + _raised(p[1]),
    "sub": lambda p: p[0] + _lowered(p[1]),
    "subsup": lambda p: p[0] + _lowered(p[1]) + _raised(p[2]),
    "sqrt": lambda p: f"√{_held(p[0])}",
    "root": lambda p: f"{_raised(p[1])}√{_held(p[0])}",
    "over": lambda p: p[0] + p[1],
    "under": lambda p: p[0] + _lowered(p[1]),
    "underover": lambda p: p[0] + _lowered(p[1]) + _raised(p[2]),
}
