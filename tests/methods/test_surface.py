"""Projected meshes against closed forms: areas, angles, what hides what."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.methods import surface

X, Y, Z = np.eye(3)


def sphere(n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere: an octahedron whose triangles are cut into four, n times."""
    points = [tuple(p) for p in np.concatenate([np.eye(3), -np.eye(3)])]
    faces = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    place = {p: i for i, p in enumerate(points)}

    def middle(a: int, b: int) -> int:
        p = np.array(points[a]) + np.array(points[b])
        key = tuple(np.round(p / np.linalg.norm(p), 12))
        if key not in place:
            place[key] = len(points)
            points.append(key)
        return place[key]

    for _ in range(n):
        cut = []
        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            cut += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = cut
    return np.array(points), np.array(faces)


def test_a_square_covers_its_pixels_and_each_corner_its_own():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    found = surface.seen(points, np.array([[0, 1, 2], [0, 2, 3]]), X, Y, 40.0, margin=3)
    assert found.vertex.shape == (46, 46)
    inside = found.vertex[3:43, 3:43]
    assert (inside >= 0).all()
    assert (found.vertex >= 0).sum() == 1600
    assert [inside[-1, 0], inside[-1, -1], inside[0, -1], inside[0, 0]] == [0, 1, 2, 3]
    np.testing.assert_allclose(found.light[3:43, 3:43], 1.0, rtol=0, atol=1e-12)
    # Each triangle is shared out to the nearest of its corners by weight: a third each.
    shares = np.bincount(inside.ravel()) / 1600
    np.testing.assert_allclose(shares, [1 / 3, 1 / 6, 1 / 3, 1 / 6], atol=0.02)


@pytest.mark.parametrize(("right", "up"), [(X, Y), (Y, Z), (-Y, Z), (-Y, -X)])
def test_a_sphere_is_a_disc_whose_light_is_the_cosine(right, up):
    points, faces = sphere()
    per_unit = 60.0
    found = surface.seen(points, faces, right, up, per_unit)
    seen = found.vertex >= 0
    assert seen.sum() == pytest.approx(np.pi * per_unit**2, rel=0.005)
    rows, columns = np.nonzero(seen)
    centre = np.array([rows.mean(), columns.mean()])
    radius = np.hypot(rows - centre[0], columns - centre[1]) / per_unit
    angle = np.sqrt(np.clip(1 - radius**2, 0, 1))
    inner = radius < 0.9
    np.testing.assert_allclose(found.light[seen][inner], angle[inner], atol=0.02)
    towards = points[found.vertex[seen]] @ np.cross(right, up)
    assert towards.min() > -0.1  # nothing of the far side is seen


def test_what_is_nearer_hides_what_is_behind_whatever_the_order():
    flat = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]], dtype=float)
    near = flat / 2 + [0.2, 0.2, 1.0]
    points, faces = np.concatenate([flat, near]), np.array([[0, 1, 2], [3, 4, 5]])
    one = surface.seen(points, faces, X, Y, 8.0)
    other = surface.seen(points, faces[::-1], X, Y, 8.0)
    np.testing.assert_array_equal(one.vertex, other.vertex)
    assert np.isin(one.vertex, [3, 4, 5]).sum() == pytest.approx(2 * 8**2, rel=0.1)
    back = surface.seen(points, faces, -X, Y, 8.0)  # from behind the large one hides the small one
    assert set(np.unique(back.vertex)) == {-1, 0, 1, 2}


def test_a_tilted_plane_is_shorter_and_darker_by_the_cosine():
    tilt = np.radians(60)
    points = np.array(
        [[0, 0, 0], [1, 0, 0], [1, np.cos(tilt), np.sin(tilt)], [0, np.cos(tilt), np.sin(tilt)]]
    )
    found = surface.seen(points, np.array([[0, 1, 2], [0, 2, 3]]), X, Y, 40.0)
    assert (found.vertex >= 0).sum() == pytest.approx(40 * 20, rel=0.02)
    np.testing.assert_allclose(found.light[found.vertex >= 0], 0.5, atol=1e-12)


def test_a_triangle_without_area_is_not_seen():
    points = np.array([[0, 0, 0], [1, 1, 0], [2, 2, 0]], dtype=float)
    found = surface.seen(points, np.array([[0, 1, 2]]), X, Y, 10.0)
    assert (found.vertex == -1).all()
