"""Text from files and names, made safe to show."""

from __future__ import annotations

_ACTIVE = frozenset(r"\`*_{}[]()<>#+-!|~$:")


def plain(text: str) -> str:
    r"""Escape what Markdown would act on, so that a name shows as it is.

    Examples
    --------
    >>> plain("a*b")
    'a\\\\*b'
    """
    return "".join("\\" + c if c in _ACTIVE else c for c in text)


def written(text: str) -> str:
    r"""Return somebody's Markdown without pictures, which would be fetched from where the text says.

    Streamlit shows HTML in Markdown as text, and links only to pages.

    Examples
    --------
    >>> written("![x](http://a.b/c.png) and $x^2$")
    '!\\\\[x](http://a.b/c.png) and $x^2$'
    """
    return text.replace("![", "!\\[")
