"""MATLAB version 5 files: looked through for false sizes and odd content first, then read by scipy."""

from __future__ import annotations

import io
import logging
import math
import struct
import zlib
from typing import Any

from dashboard.errors import InputError, caution

MOST_BYTES = 512 * 2**20
"""Most bytes that the variables of a file may take together."""

_MOST_ELEMENTS = 1_000_000
_MOST_DEPTH = 32
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_ITEM_BYTES = {_CHAR: 4, _SPARSE: 0, 6: 8, 7: 4, 8: 1, 9: 1, 10: 2, 11: 2, 12: 4, 13: 4, 14: 8, 15: 8}

_INT8, _INT32, _UINT32, _UTF8 = 1, 5, 6, 16
_TEXTS = {16, 17, 18}
_STORED_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes per entry of the types in which numbers and characters are stored."""

_COMPLEX = 0x08

_log = logging.getLogger(__name__)


def read_mat(data: bytes, name: str, limit: int = MOST_BYTES) -> dict[str, Any]:
    """Read the variables of a MATLAB version 5 file.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Its name, for the sentence of an error.
    limit : int
        Most bytes that it may inflate to.

    Returns
    -------
    dict
        Variables by name, as `scipy.io.loadmat` gives them, squeezed, structs with attributes.

    Raises
    ------
    InputError
        When it is no such file, damaged, or would need more than ``limit``.
    """
    check_mat(data, name, limit)
    from scipy.io import loadmat  # here, because it takes a fifth of a second

    try:
        file: Any = io.BytesIO(data)  # scipy takes files, its types say only paths
        found = loadmat(file, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # scipy raises many kinds on damaged files
        _log.info("mat file %s: %r", name, error)
        raise _damaged(name) from error
    return {key: value for key, value in found.items() if not key.startswith("__")}


def check_mat(data: bytes, name: str, limit: int = MOST_BYTES) -> None:
    """Look through a MATLAB version 5 file without building any variable; see `read_mat`."""
    order = _byte_order(data, name)
    walk = _Walk(name, order, limit)
    view = memoryview(data)
    place = 128
    try:
        while place < len(data):
            kind, body, place = walk.top(view, place)
            if kind == _COMPRESSED:
                kind, body, _ = walk.top(memoryview(walk.inflate(body)), 0)
            if kind != _MATRIX:
                raise _damaged(name)
            walk.matrix(body)
    except (struct.error, zlib.error, UnicodeDecodeError, IndexError) as error:
        raise _damaged(name) from error


def _byte_order(data: bytes, name: str) -> str:
    """Return struct's sign for the byte order, or refuse what is no version 5 file."""
    if data[:10] == b"MATLAB 7.3" or data[:8] == b"\x89HDF\r\n\x1a\n":
        message = f'"{name}" is a MATLAB 7.3 file, which is not read here.'
        raise InputError(message, "Save it in MATLAB with the option -v7.")
    marks = {b"IM": "<", b"MI": ">"}
    if len(data) < 128 or not data.startswith(b"MATLAB 5.0") or data[126:128] not in marks:
        message = f'"{name}" is not a MATLAB version 5 file, or not complete.'
        raise InputError(message, "Download it again, or save it in MATLAB with the option -v7.")
    return marks[data[126:128]]


def _damaged(name: str) -> InputError:
    return InputError(f'"{name}" is damaged.', "Download it again.")


class _Walk:
    """Walks the elements of a file with a stack, counting what they would take."""

    def __init__(self, name: str, order: str, limit: int) -> None:
        self.name = name
        self.order = order
        self.limit = limit
        self.n_bytes = 0
        self.n_elements = 0

    def top(self, view: memoryview, place: int) -> tuple[int, memoryview, int]:
        """Return kind and content of an element that stands by itself, and where the next one starts."""
        kind, size = struct.unpack_from(self.order + "II", view, place)
        if size > len(view) - place - 8:
            raise _damaged(self.name)
        return kind, view[place + 8 : place + 8 + size], place + 8 + size

    def inflate(self, body: memoryview) -> bytes:
        """Inflate in pieces, and stop when the limit is passed."""
        inflater = zlib.decompressobj()
        pieces: list[bytes] = []
        done = expected = 0
        rest: bytes | memoryview = body
        while rest and not inflater.eof:
            piece = inflater.decompress(rest, 2**20)
            rest = inflater.unconsumed_tail
            if not pieces:
                self._check_tag(piece)
                expected = 8 + struct.unpack_from(self.order + "I", piece, 4)[0]
            pieces.append(piece)
            done += len(piece)
            self.n_bytes += len(piece)
            if done > expected:  # a bomb: more comes out than the variable says it has
                raise _damaged(self.name)
            if self.n_bytes > self.limit:
                message = f'The variables in "{self.name}" would need more than {self.limit // 2**20} MB.'
                raise InputError(message, "Save only the arrays that are needed.")
        if not inflater.eof:
            raise _damaged(self.name)
        return b"".join(pieces)

    def _check_tag(self, piece: bytes) -> None:
        """Refuse what is no variable, or would be too large, before more of it is inflated."""
        kind, size = struct.unpack_from(self.order + "II", piece)
        if kind != _MATRIX:
            raise _damaged(self.name)
        self._check_size(size, "A variable")

    def matrix(self, body: memoryview) -> None:
        """Check a matrix and all that it holds."""
        stack = [(body, 0)]
        while stack:
            body, depth = stack.pop()
            self.n_elements += 1
            if depth > _MOST_DEPTH or self.n_elements > _MOST_ELEMENTS:
                message = f'"{self.name}" nests or holds too many variables.'
                raise InputError(message, "Save only the arrays that are needed.")
            if len(body):
                stack.extend((inner, depth + 1) for inner in self._inside(body))

    def _inside(self, body: memoryview) -> list[memoryview]:
        """Check the header of a matrix, and return the matrices in it."""
        flag_kind, flags, place = self._element(body, 0)
        kind = struct.unpack_from(self.order + "I", flags)[0] & 0xFF
        if kind == _OPAQUE:
            self._skip("an object")
            return []
        shape_kind, shape, place = self._element(body, place)
        sizes = struct.unpack(f"{self.order}{len(shape) // 4}i", shape)
        label_kind, label, place = self._element(body, place)
        if (flag_kind, len(flags), shape_kind, label_kind) != (_UINT32, 8, _INT32, _INT8):
            raise _damaged(self.name)  # scipy trusts these, and ends the process where they are wrong
        n = math.prod(sizes)
        variable = bytes(label).decode("latin-1") or "A part"
        if min(sizes, default=0) < 0:
            raise _damaged(self.name)
        self._check_size(n * _ITEM_BYTES.get(kind, 8), variable)
        if kind in (_FUNCTION, _OBJECT):
            self._skip(f'"{variable}", a function or object')
            return []
        if kind == _STRUCT:
            _, length, place = self._element(body, place)
            _, fields, place = self._element(body, place)
            n *= len(fields) // max(struct.unpack_from(self.order + "i", length)[0], 1)
        if kind in (_CELL, _STRUCT):
            return self._matrices(body, place, n)
        self._check_numbers(body, place, n, kind, bool(flags[1 if self.order == "<" else 2] & _COMPLEX))
        return []

    def _check_numbers(self, body: memoryview, place: int, n: int, kind: int, imaginary: bool) -> None:
        """Refuse numbers and characters whose type or count is not what the header of the matrix says."""
        if kind not in (_CHAR, _SPARSE, *_ITEM_BYTES):
            raise _damaged(self.name)
        if kind == _SPARSE:
            return self._check_sparse(body, place, imaginary)
        for _ in range(2 if imaginary else 1):
            stored, content, place = self._element(body, place)
            item = _STORED_BYTES.get(stored)
            if item is None or (kind != _CHAR and stored in _TEXTS) or len(content) % item:
                raise _damaged(self.name)
            if stored != _UTF8 and len(content) // item != n:
                raise _damaged(self.name)
        return None

    def _check_sparse(self, body: memoryview, place: int, imaginary: bool) -> None:
        parts = []
        for _ in range(4 if imaginary else 3):
            stored, content, place = self._element(body, place)
            item = _STORED_BYTES.get(stored)
            if item is None or len(content) % item:
                raise _damaged(self.name)
            parts.append((stored, content))
        rows, ends = parts[0], parts[1]
        if rows[0] != _INT32 or ends[0] != _INT32 or len(ends[1]) < 4:
            raise _damaged(self.name)
        counts = struct.unpack(f"{self.order}{len(ends[1]) // 4}i", ends[1])
        if counts[0] != 0 or list(counts) != sorted(counts) or counts[-1] > len(rows[1]) // 4:
            raise _damaged(self.name)

    def _matrices(self, body: memoryview, place: int, n: int) -> list[memoryview]:
        if n > len(body) // 8:  # each takes a tag of 8 bytes at least
            raise _damaged(self.name)
        found = []
        for _ in range(n):
            kind, inner, place = self._element(body, place)
            if kind != _MATRIX:
                raise _damaged(self.name)
            found.append(inner)
        return found

    def _element(self, body: memoryview, place: int) -> tuple[int, memoryview, int]:
        """Return kind and content of the element at ``place``, and where the next one starts."""
        kind, size = struct.unpack_from(self.order + "II", body, place)
        if kind >> 16:  # up to four bytes are packed into the tag
            kind, size = kind & 0xFFFF, kind >> 16
            start, end = place + 4, place + 8
        else:
            start = place + 8
            end = start + size + (-size % 8)
        if size > len(body) - start or (end - start == 4 and size > 4):
            raise _damaged(self.name)
        return kind, body[start : start + size], end

    def _check_size(self, n_bytes: int, variable: str) -> None:
        if n_bytes > self.limit:
            size = f"{n_bytes / 2**20:,.0f} MB" if n_bytes < 2**50 else "far too much"
            message = f'{variable} in "{self.name}" would need {size}.'
            raise InputError(message, f"The limit is {self.limit // 2**20} MB.")

    def _skip(self, what: str) -> None:
        caution("mat-skipped", f'{what[0].upper()}{what[1:]} in "{self.name}" is not data and is left out.')
