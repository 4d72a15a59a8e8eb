"""Band algebra against dense matrices."""

import numpy as np
import pytest

from coview.capture.reconstruction.smoothing_spline import DIFFERENCES, Factor, precision, second_differences


@pytest.fixture(scope="module")
def system():
    random = np.random.default_rng(0)
    joints, frames = 2, 60
    root = 100 * random.normal(size=(joints, frames, 3, 3))
    information = root @ root.transpose(0, 1, 3, 2)
    information[0, 20:30] = 0.0  # nobody saw it
    variance = random.uniform(1e-7, 1e-5, (joints, frames - 2))
    upper = information[..., [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    difference = np.zeros((frames - 2, frames))
    for row in range(frames - 2):
        difference[row, row : row + 3] = DIFFERENCES
    dense = []
    for joint in range(joints):
        matrix = np.kron(difference.T @ np.diag(1 / variance[joint]) @ difference, np.eye(3))
        for frame in range(frames):
            here = slice(3 * frame, 3 * frame + 3)
            matrix[here, here] += information[joint, frame] + 1e-2 * np.eye(3)
        dense.append(matrix)
    return Factor.of(precision(upper, variance), joints), dense, difference, random


def test_solve_and_determinant(system):
    factor, dense, _, random = system
    right = random.normal(size=(2, 60, 3))
    found = factor.solve(right)
    for joint, matrix in enumerate(dense):
        expected = np.linalg.solve(matrix, right[joint].reshape(-1)).reshape(-1, 3)
        np.testing.assert_allclose(found[joint], expected, rtol=1e-6, atol=1e-12)
    expected = [np.linalg.slogdet(matrix)[1] for matrix in dense]
    np.testing.assert_allclose(factor.log_determinant(), expected, rtol=1e-9)


def test_covariances_are_those_of_the_dense_inverse(system):
    factor, dense, difference, _ = system
    found, differences = factor.covariances()
    for joint, matrix in enumerate(dense):
        inverse = np.linalg.inv(matrix)
        expected = np.stack([inverse[3 * f : 3 * f + 3, 3 * f : 3 * f + 3] for f in range(60)])
        np.testing.assert_allclose(found[joint], expected, rtol=1e-5, atol=1e-11)
        wide = np.kron(difference, np.eye(3))
        spread = np.diag(wide @ inverse @ wide.T).reshape(-1, 3).sum(axis=1)
        np.testing.assert_allclose(differences[joint], spread, rtol=1e-5, atol=1e-12)


def test_covariances_stay_exact_over_a_long_take():
    """The backward recursion once grew its own rounding tenfold every few frames."""
    factor = Factor.of(
        precision(np.full((1, 3000, 6), 1e4) * [1, 0, 0, 1, 0, 1], np.full((1, 2998), 1e-9)), 1
    )
    found = factor.covariances()[0][0, :, 0, 0]
    np.testing.assert_allclose(found[500], found[2500], rtol=1e-6)
    np.testing.assert_allclose(found, found[::-1], rtol=1e-6)


def test_a_steady_motion_has_no_second_differences():
    steady = np.arange(10.0)[None, :, None] * np.array([1.0, 2.0, -3.0])
    np.testing.assert_allclose(second_differences(steady), 0.0, atol=1e-12)
