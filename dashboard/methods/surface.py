"""A triangle mesh seen from one side: which vertex lies behind each pixel, and how much light it catches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class View:
    """A mesh in orthographic projection.

    Attributes
    ----------
    vertex : np.ndarray
        (height, width) int32: the vertex that is nearest behind each pixel; -1 where no triangle is.
    light : np.ndarray
        (height, width) float64: cosine of the angle between the surface and the direction of view, 0 to 1.
    """

    vertex: np.ndarray
    light: np.ndarray


def seen(
    points: np.ndarray, faces: np.ndarray, right: np.ndarray, up: np.ndarray, per_unit: float, margin: int = 2
) -> View:
    """Project a mesh and find what is in front.

    Parameters
    ----------
    points : np.ndarray
        (n_vertices, 3)
    faces : np.ndarray
        (n_faces, 3) vertices of each triangle, counter-clockwise seen from outside.
    right, up : np.ndarray
        (3,) orthogonal unit vectors: what points right and up in the picture; the eye is at right × up.
    per_unit : float
        Pixels per unit of the points.
    margin : int
        Empty pixels around.

    Returns
    -------
    View
        Just large enough for the mesh.
    """
    eye = np.cross(right, up)
    plane = np.stack([points @ right, -(points @ up)], axis=1) * per_unit
    low = plane.min(axis=0)
    plane = plane - low + margin
    width, height = (np.ceil(plane.max(axis=0)) + margin).astype(int)
    hits = _hits(plane, faces, (int(height), int(width)))
    corner = faces[hits.face]  # (n_hits, 3)
    depth = ((points @ eye)[corner] * hits.weight).sum(axis=1)
    order = np.lexsort((hits.face, depth, hits.pixel))  # the last of each pixel is in front
    last = np.append(np.diff(hits.pixel[order]) > 0, True)[: len(order)]
    front = order[last]
    nearest = corner[front, hits.weight[front].argmax(axis=1)]
    facing = np.clip(normals(points, faces) @ eye, 0.0, 1.0)
    vertex = np.full(height * width, -1, dtype=np.int32)
    light = np.zeros(height * width)
    vertex[hits.pixel[front]] = nearest
    light[hits.pixel[front]] = (facing[corner[front]] * hits.weight[front]).sum(axis=1)
    return View(vertex.reshape(height, width), np.clip(light.reshape(height, width), 0.0, 1.0))


def normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the unit normal of each vertex, the mean over its triangles by area: (n_vertices, 3)."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    found = np.zeros_like(points, dtype=np.float64)
    for k in range(3):
        np.add.at(found, faces[:, k], across)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)


@dataclass(frozen=True, eq=False)
class _Hits:
    """Pixels whose centre lies in a triangle: (n_hits,) pixel and face, (n_hits, 3) barycentric weights."""

    pixel: np.ndarray
    face: np.ndarray
    weight: np.ndarray


def _hits(plane: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> _Hits:
    """Find the pixels of all triangles at once: one step per place in the largest bounding box."""
    corners = plane[faces]  # (n_faces, 3, 2)
    first = np.ceil(corners.min(axis=1) - 0.5).astype(int)
    size = np.floor(corners.max(axis=1) - 0.5).astype(int) - first + 1
    pixel, face, weight = [], [], []
    for dy in range(int(size[:, 1].max(initial=0))):
        for dx in range(int(size[:, 0].max(initial=0))):
            candidates = np.flatnonzero((size[:, 0] > dx) & (size[:, 1] > dy))
            if not len(candidates):
                continue
            place = first[candidates] + [dx, dy]
            shares = _barycentric(corners[candidates], place + 0.5)
            inside = (shares >= -1e-9).all(axis=1)
            pixel.append(place[inside, 1] * shape[1] + place[inside, 0])
            face.append(candidates[inside])
            weight.append(shares[inside])
    if not pixel:
        return _Hits(np.empty(0, int), np.empty(0, int), np.empty((0, 3)))
    return _Hits(np.concatenate(pixel), np.concatenate(face), np.concatenate(weight))


def _barycentric(corners: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the weights of the corners at a place: (n, 3); NaN in triangles without area."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]

    def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    with np.errstate(divide="ignore", invalid="ignore"):
        whole = cross(b - a, c - a)
        second = cross(place - a, c - a) / whole
        third = cross(b - a, place - a) / whole
    return np.stack([1 - second - third, second, third], axis=1)
