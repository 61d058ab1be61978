"""Captions and paragraphs: Markdown with mathematics, as HTML, as a tree for typesetting, as plain text.

HTML in them shows as text, pictures are not fetched, and links lead to the web or to a letter only.
"""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from dashboard.report import mathematics

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

Node = dict[str, Any]

LONGEST = 40_000
"""Characters that are read as Markdown; a longer text is shown whole, as plain paragraphs."""


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable("table").disable("image")
    # The rules that read HTML are off: what looks like a tag is text.
    parser.disable(["html_block", "html_inline"])
    parser.use(dollarmath_plugin, allow_space=False, double_inline=True, renderer=_formula)
    parser.validateLink = lambda url: url.startswith(("https://", "http://", "mailto:"))  # type: ignore[method-assign]
    return parser


def _formula(tex: str, options: dict[str, Any]) -> str:
    return mathematics.mathml(tex, bool(options.get("display_mode")))


def html(text: str) -> str:
    """Return Markdown as HTML."""
    if len(text) > LONGEST:
        return f'<p style="white-space: pre-line">{escape(text)}</p>'
    found: str = _parser().render(text)
    return found.replace("<a href=", '<a rel="noopener noreferrer" href=')


def tree(text: str) -> list[Node]:
    """Return Markdown as nested dicts with a type ``t`` and content ``c`` or text ``v``."""
    from markdown_it.tree import SyntaxTreeNode

    if len(text) > LONGEST:
        return [{"t": "p", "c": [{"t": "text", "v": line}]} for line in text.splitlines() if line.strip()]
    return _nodes(SyntaxTreeNode(_parser().parse(text)).children)


_TEXTS = {
    "text": "text",
    "code_inline": "code",
    "fence": "block",
    "code_block": "block",
    "softbreak": "space",
    "hardbreak": "break",
    "hr": "rule",
}
_WRAPS = {
    "paragraph": "p",
    "strong": "strong",
    "em": "em",
    "blockquote": "quote",
    "bullet_list": "bullets",
    "ordered_list": "numbers",
    "list_item": "item",
    "table": "table",
    "tr": "row",
    "th": "cell",
    "td": "cell",
}


def _nodes(children: list[SyntaxTreeNode]) -> list[Node]:
    found: list[Node] = []
    for child in children:
        node = _node(child)
        found += node if isinstance(node, list) else [node]
    return found


def _node(node: SyntaxTreeNode) -> Node | list[Node]:
    kind = node.type
    if kind in _TEXTS:
        return {"t": _TEXTS[kind], "v": node.content}
    if kind.startswith("math"):
        return {
            "t": "math",
            "v": node.content,
            "m": mathematics.tree(node.content),
            "block": "inline" not in kind,
        }
    children = _nodes(node.children)
    if kind == "link":
        return {"t": "link", "href": str(node.attrs.get("href", "")), "c": children}
    if kind == "heading":
        return {"t": "heading", "level": int(node.tag[1:]), "c": children}
    if kind in _WRAPS:
        return {"t": _WRAPS[kind], "c": children}
    return children  # inline, thead, tbody


def plain(text: str) -> str:
    """Return Markdown as plain text: paragraphs with an empty line between, mathematics in one line."""
    return "\n\n".join(part for part in (_plain(node) for node in tree(text)) if part).strip()


def _plain(node: Node) -> str:
    kind = node["t"]
    if kind == "math":
        return mathematics.plain(node["v"])
    if kind in ("space", "break"):
        return " " if kind == "space" else "\n"
    if "v" in node:
        return str(node["v"]).rstrip("\n") if kind != "rule" else ""
    inner = [_plain(child) for child in node["c"]]
    if kind in ("bullets", "numbers"):
        return "\n".join(f"{'•' if kind == 'bullets' else f'{k}.'} {text}" for k, text in enumerate(inner, 1))
    if kind == "table":
        return "\n".join(inner)
    return (" | " if kind == "row" else "\n" if kind in ("item", "quote") else "").join(inner)
