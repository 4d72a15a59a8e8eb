import pytest
import torch

from coview.capture.board.results import (
    board_clocks,
    board_provenance,
    board_remarks,
    board_world,
    camera_fit,
)
from coview.capture.board.solve import BoardRecording, BoardSolution
from coview.data.synthetic.board import BOARD, SIZE, waved_board
from coview.geometry.bundle.board_bundle import BoardsAdjusted
from coview.geometry.bundle.board_scene import COLUMNS


@pytest.fixture(scope="module")
def solution():
    """The truth as an answer, one camera 40 ± 1 ms late."""
    waved = waved_board(6, clocks=(0.0, 0.04))
    covariance = torch.zeros(2, COLUMNS, COLUMNS).double()
    covariance[1, 15, 15] = 1e-6
    residuals = torch.full_like(waved.seen.weights, 0.2)
    residuals[0, 0] = 50.0
    recording = BoardRecording(("north", "east"), (SIZE, SIZE), BOARD, waved.seen, waved.times)
    return BoardSolution(recording, BoardsAdjusted(waved.scene, residuals, 0.2, True, 5, covariance))


def test_up_is_the_first_cameras_or_the_floors(solution):
    pose, said = board_world(solution, [0, 1, 2, 3, 4, 5], None)
    assert "ASSUMED" in said
    cameras = solution.cameras.moved(pose)
    torch.testing.assert_close(
        cameras.rotation[0] @ torch.tensor([0.0, 0, 1]).double(), torch.tensor([0.0, -1, 0]).double()
    )
    pose, said = board_world(solution, [0, 1, 2, 3, 4, 5], 4)
    cameras = solution.cameras.moved(pose)
    assert said == "the board on the floor in frame 4"
    assert bool((cameras.centres[:, 2] > 0).all())  # cameras look at the printed side: they are above
    assert torch.linalg.det(cameras.rotation) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"--origin-frame 9: no camera found the board.*1, 2, 3, 4, 5"):
        board_world(solution, [0, 1, 2, 3, 4, 5], 9)


def test_late_clocks_are_told(solution):
    clocks, notes = board_clocks(solution)
    assert list(clocks) == ["east"]
    assert clocks["east"].time_offset == pytest.approx(0.04)
    assert "started later than north (allowed for): east +40 ± 1 ms" in notes[0]


def test_words_for_lenses_and_residuals(solution):
    said = board_provenance(solution, True)
    assert said["lens_north"].startswith("f 900.0 ± 0.0 px")
    assert said["scale"] == "squares of 50 mm, as stated"
    fit = camera_fit(solution, 0, 0.01)
    assert fit.median_px == pytest.approx(0.2)
    assert fit.agreement < 1
    assert "--origin-frame N" in board_remarks(solution, None)[0]
    assert board_remarks(solution, 4) == ()
