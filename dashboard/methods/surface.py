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
    points: np.ndarray,
    faces: np.ndarray,
    right: np.ndarray,
    up: np.ndarray,
    per_unit: float,
    margin: int = 2,
    closed: bool = False,
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
    closed : bool
        The mesh has an inside: triangles that turn away are hidden by others, and are left out at once.

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
    facing = np.clip(normals(points, faces) @ eye, 0.0, 1.0)
    if closed:
        faces = faces[_twice_the_area(plane[faces]) < 0]  # rows grow downwards
    hits = _hits(plane, faces, (int(height), int(width)))
    corner = faces[hits.face]  # (n_hits, 3)
    depth = ((points @ eye)[corner] * hits.weight).sum(axis=1)
    order = np.argsort(depth, kind="stable")
    last = np.full(height * width, -1)
    last[hits.pixel[order]] = order  # of what is written to one pixel the last stays: what is in front
    front = last[last >= 0]
    nearest = corner[front, hits.weight[front].argmax(axis=1)]
    vertex = np.full(height * width, -1, dtype=np.int32)
    light = np.zeros(height * width)
    vertex[hits.pixel[front]] = nearest
    light[hits.pixel[front]] = (facing[corner[front]] * hits.weight[front]).sum(axis=1)
    return View(vertex.reshape(height, width), np.clip(light.reshape(height, width), 0.0, 1.0))


def normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the unit normal of each vertex, the mean over its triangles by area: (n_vertices, 3)."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    corners = faces.T.ravel()
    found = np.stack(
        [np.bincount(corners, np.tile(across[:, axis], 3), len(points)) for axis in range(3)], axis=1
    )
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)


@dataclass(frozen=True, eq=False)
class _Hits:
    """Pixels whose centre lies in a triangle: (n_hits,) pixel and face, (n_hits, 3) barycentric weights."""

    pixel: np.ndarray
    face: np.ndarray
    weight: np.ndarray


def _hits(plane: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> _Hits:
    """Find the pixels of all triangles at once: all pixels of all bounding boxes are tried together."""
    corners = plane[faces]  # (n_faces, 3, 2)
    first = np.ceil(corners.min(axis=1) - 0.5).astype(int)
    size = np.maximum(np.floor(corners.max(axis=1) - 0.5).astype(int) - first + 1, 0)
    tried = size.prod(axis=1)
    face = np.repeat(np.arange(len(faces)), tried)
    within = np.arange(len(face)) - np.repeat(np.cumsum(tried) - tried, tried)
    across = size[face, 0]
    place = first[face] + np.stack([within % across, within // across], axis=1)
    shares = _barycentric(corners, face, place + 0.5)
    inside = (shares >= -1e-9).all(axis=1)
    return _Hits((place[:, 1] * shape[1] + place[:, 0])[inside], face[inside], shares[inside])


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    crossed: np.ndarray = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return crossed


def _twice_the_area(corners: np.ndarray) -> np.ndarray:
    """Return the signed area of triangles, (n, 3, 2), times two."""
    return _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _barycentric(corners: np.ndarray, face: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the weights of the corners of triangles at places.

    Parameters
    ----------
    corners : np.ndarray
        (n_faces, 3, 2)
    face : np.ndarray
        (n,) triangle of each place.
    place : np.ndarray
        (n, 2)

    Returns
    -------
    np.ndarray
        (n, 3); NaN in triangles without area.
    """
    a = corners[:, 0]
    along, beside = corners[:, 1] - a, corners[:, 2] - a
    away = place - a[face]
    with np.errstate(divide="ignore", invalid="ignore"):
        per_area = (1 / _twice_the_area(corners))[face]
        second = _cross(away, beside[face]) * per_area
        third = _cross(along[face], away) * per_area
        return np.stack([1 - second - third, second, third], axis=1)
