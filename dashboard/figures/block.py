"""One block of bytes for a component in the browser: a header and the arrays that it tells where to find."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def packed(header: Mapping[str, Any], parts: Mapping[str, bytes], *, apart: str) -> bytes:
    """Pack a header and arrays, which reach a component as bytes only in one piece.

    Parameters
    ----------
    header : mapping
        Plain values; ``parts`` (name to start and length) and ``digest`` (of all that is drawn) are added.
    parts : mapping of str to bytes
    apart : str
        What in the header changes no drawing, such as what is marked: it does not count for the digest.

    Returns
    -------
    bytes
        uint32 length of the header (little-endian), the header as JSON, and the parts one after the other.
    """
    digest = hashlib.sha256(json.dumps({**header, apart: None}).encode())
    offsets, start = {}, 0
    for name, content in parts.items():
        digest.update(content)
        offsets[name] = (start, len(content))
        start += len(content)
    text = json.dumps({**header, "parts": offsets, "digest": digest.hexdigest()}).encode()
    return b"".join([len(text).to_bytes(4, "little"), text, *parts.values()])
