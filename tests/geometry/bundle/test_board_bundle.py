import pytest
import torch

from coview.data.synthetic.board import BOARD, waved_board
from coview.geometry.bundle.board_bundle import adjust_boards
from coview.geometry.bundle.board_scene import COLUMNS, BoardScene, BoardUnknowns, board_rates, columns

LENSES, CLOCKS = slice(6, 15), 15


def unknowns(views, *, timed=False, lens=True):
    free = torch.ones(views, COLUMNS, dtype=torch.bool)
    free[:, LENSES], free[:, CLOCKS] = lens, timed
    free[0, :6], free[0, CLOCKS] = False, False
    flat = torch.zeros(views, COLUMNS).double()
    return BoardUnknowns(free, flat, torch.full_like(flat, torch.inf))


def disturbed(scene, seed=3):
    """A start some way off: poses, lenses, boards; clocks at zero."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    views = len(scene.cameras)
    step = torch.zeros(views, COLUMNS).double()
    step[1:, :6] = 0.02 * draw(views - 1, 6)
    step[:, 6], step[:, 8:10], step[:, 10] = 0.05 * draw(views), 8 * draw(views, 2), 0.05 * draw(views)
    start = scene.moved(step, 0.02 * draw(len(scene.boards), 6))
    return BoardScene(start.cameras, start.boards, torch.zeros_like(scene.clocks))


def still(waved):
    return torch.zeros(len(waved.times), 6).double()


def test_exact_pixels_give_the_exact_lenses_and_places():
    waved = waved_board(20)
    done = adjust_boards(
        disturbed(waved.scene), BOARD.corners, waved.seen, unknowns(3), still(waved), tolerance=1e-9
    )
    truth, found = waved.scene, done.scene
    assert done.converged
    torch.testing.assert_close(found.cameras.cam_from_world, truth.cameras.cam_from_world, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.cameras.intrinsics, truth.cameras.intrinsics, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.boards, truth.boards, atol=1e-6, rtol=0)


def test_late_clocks_are_found_from_how_the_board_moves():
    waved = waved_board(60, clocks=(0.0, 0.06, -0.03), noise=0.1)
    scene = BoardScene(waved.scene.cameras, waved.scene.boards, torch.zeros(3).double())
    for timed in (False, True, True):
        rates = board_rates(scene.boards, waved.times, 0.35)
        done = adjust_boards(
            scene, BOARD.corners, waved.seen, unknowns(3, timed=timed, lens=False), rates, huber=1.0
        )
        scene = done.scene
    torch.testing.assert_close(scene.clocks, torch.tensor([0.0, 0.06, -0.03]).double(), atol=1e-3, rtol=0)
    assert done.sigma < 0.2


@pytest.mark.slow
def test_standard_deviations_cover_the_truth():
    """Ten draws, all columns: the share within one and two σ is that of a normal distribution."""
    scores = []
    for seed in range(10):
        waved = waved_board(12, clocks=(0.0, 0.0), noise=0.3, seed=seed)
        done = adjust_boards(waved.scene, BOARD.corners, waved.seen, unknowns(2), still(waved))
        error = columns(done.scene) - columns(waved.scene)
        scores.append((error / done.column_sigma)[:, LENSES].flatten())
        moved = done.scene.cameras.centres - waved.scene.cameras.centres
        scores.append((moved[1] / done.centre_covariance[1].diagonal().sqrt()).flatten())
        assert done.sigma == pytest.approx(0.3, rel=0.1)
    scores = torch.cat(scores).abs()
    assert 0.55 < float((scores < 1).double().mean()) < 0.80
    assert 0.90 < float((scores < 2).double().mean()) <= 1.0


def test_gross_errors_are_shrugged_off():
    waved = waved_board(15, noise=0.2)
    pixels = waved.seen.pixels.clone()
    pixels[::7, 3] += 60.0
    seen = type(waved.seen)(waved.seen.view, waved.seen.instant, pixels, waved.seen.weights)
    done = adjust_boards(waved.scene, BOARD.corners, seen, unknowns(3, lens=False), still(waved), huber=1.0)
    off = (done.scene.cameras.centres - waved.scene.cameras.centres).norm(dim=-1)
    assert off.max() < 0.005


def test_what_is_not_seen_stays_usual():
    """Boards parallel to the picture: the focal is kept by what is usual, and its σ is that of the usual."""
    waved = waved_board(10, clocks=(0.0,), tilt=0.0, noise=0.1)
    free = unknowns(1)
    prior_sigma, prior_mean = free.prior_sigma.clone(), columns(waved.scene)
    prior_sigma[:, 6:15] = torch.tensor([0.1, 0.002, 20.0, 20.0, 0.1, 0.1, 0.003, 0.003, 0.1])
    done = adjust_boards(
        waved.scene,
        BOARD.corners,
        waved.seen,
        BoardUnknowns(free.free, prior_mean, prior_sigma),
        still(waved),
        pixel_sigma=0.1,
    )
    assert 0.03 < float(done.column_sigma[0, 6]) <= 0.11


def test_an_untied_camera_has_no_covariance():
    waved = waved_board(8, clocks=(0.0, 0.0))
    apart = waved.seen.where((waved.seen.view == 0) == (waved.seen.instant < 4))
    done = adjust_boards(
        waved.scene, BOARD.corners, apart, unknowns(2, lens=False), still(waved), iterations=3
    )
    assert not bool(done.centre_covariance[1].isfinite().all() and done.centre_covariance[1].trace() < 1.0)
