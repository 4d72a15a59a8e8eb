"""Bones: their length from noisy joints, and paths solved together with them."""

import numpy as np

from coview.capture.reconstruction.bone_length_prior import BonePrior, solve_with_bones

IDENTITY = np.array([1.0, 0, 0, 1, 0, 1])


def swinging(frames=200, noise=0.01, seed=0):
    """A joint at rest and one that turns around it at 0.3 m: frames joints 3."""
    random = np.random.default_rng(seed)
    angle = np.linspace(0, 6, frames)
    end = 0.3 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    truth = np.stack([np.zeros_like(end), end], axis=1)
    return truth, truth + noise * random.normal(size=truth.shape)


def test_noise_does_not_make_a_bone_longer():
    _, points = swinging(5000, noise=0.03)
    told = np.broadcast_to(0.03**2 * np.eye(3), (5000, 2, 3, 3))
    assert abs(BonePrior.of(points, told, [(0, 1)]).length.item() - 0.3) < 0.003
    assert BonePrior.of(points, 0 * told, [(0, 1)]).length.item() > 0.303


def test_a_bone_never_seen_whole_is_left_out():
    _, points = swinging()
    points[:, 1] = np.nan
    assert BonePrior.of(points, np.zeros((200, 2, 3, 3)), [(0, 1)]).length.shape == (0, 1)
    assert BonePrior.of(points, np.zeros((200, 2, 3, 3)), []).length.shape == (0, 1)


def test_a_rigid_bone_counts_and_a_soft_one_hardly():
    truth, _ = swinging()
    paths = truth.transpose(1, 0, 2).copy()
    sure = np.broadcast_to(1e-8 * np.eye(3), (2, 200, 3, 3))
    prior = BonePrior.of(truth, np.zeros((200, 2, 3, 3)), [(0, 1)])
    rigid = prior.at(paths, sure, 0.04).weight
    paths[1] *= 1 + 0.2 * np.sin(np.arange(200.0))[:, None]
    soft = prior.at(paths, sure, 0.04).weight
    assert rigid.min() > 100 * soft.max()
    unsure = np.broadcast_to(0.1 * np.eye(3), (2, 200, 3, 3))
    assert prior.at(paths, unsure, 0.04).weight.max() == 0


def test_conjugate_gradients_solve_the_coupled_equations():
    truth, points = swinging(30)
    paths = points.transpose(1, 0, 2)
    information = np.broadcast_to(1e4 * IDENTITY, (2, 30, 6))
    variance = np.full((2, 28), 1e-4)
    sure = np.broadcast_to(1e-5 * np.eye(3), (2, 30, 3, 3))
    bones = BonePrior.of(truth, np.zeros((30, 2, 3, 3)), [(0, 1)]).at(paths, sure, 0.04)
    found = solve_with_bones(information, 1e4 * paths, variance, bones, paths)

    difference = np.diff(np.eye(30), n=2, axis=0)
    one = np.kron(1e4 * np.eye(30) + difference.T @ difference / 1e-4 + 1e-2 * np.eye(30), np.eye(3))
    dense = np.kron(np.eye(2), one)
    right = (1e4 * paths).reshape(-1)
    for frame in range(30):
        row = np.zeros((2, 30, 3))
        row[0, frame], row[1, frame] = -bones.along[0, frame], bones.along[0, frame]
        row = row.reshape(-1)
        dense += bones.weight[0, frame] * np.outer(row, row)
        right = right + bones.weight[0, frame] * bones.length[0, 0] * row
    np.testing.assert_allclose(found.reshape(-1), np.linalg.solve(dense, right), atol=1e-4)
