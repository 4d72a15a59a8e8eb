"""Description of a calibration from a board: world, clocks, intrinsics in words, residuals, remarks."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.capture.board.solve import BoardSolution, board_tilts
from coview.capture.calibration.assess import CameraFit
from coview.errors import InputError
from coview.formats.calibration.clock import SYNCHRONOUS, Clock

# pixels: a corner with a larger residual was misread, or the board moved
_AGREES = 3.0


def board_world(
    solution: BoardSolution, numbers: list[int], origin_frame: int | None
) -> tuple[Float[Tensor, "3 4"], str]:
    """Choose the world: the board on the floor, or the first camera with its own up.

    Args:
        solution: The solved cameras and boards.
        numbers: Frame number of every instant; -1: none.
        origin_frame: Frame in which the board lies on the floor, or None.

    Returns:
        First-camera-from-world, metres, z up; and where up comes from, in words.

    Raises:
        InputError: Where no camera found the board in `origin_frame`.
    """
    if origin_frame is None:
        # x right, y forward, z up
        rotation = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).double()
        pose = torch.cat([rotation, torch.zeros(3, 1).double()], dim=-1)
        return pose, f"ASSUMED: up is that of camera {solution.recording.names[0]}, which is the origin"
    seen = solution.recording.seen.instant.unique().tolist()
    usable = [numbers[i] for i in seen if numbers[i] >= 0]
    if origin_frame not in usable:
        near = sorted(sorted(usable, key=lambda n: abs(n - origin_frame))[:5])
        raise InputError(
            f"--origin-frame {origin_frame}: no camera found the board there, so it cannot be the floor. The nearest "
            f"frames with a board: {', '.join(map(str, near))}."
        )
    board = solution.adjusted.scene.boards[numbers.index(origin_frame)]
    # a print's z points into the floor
    flipped = board[:, :3] @ torch.diag(torch.tensor([1.0, -1, -1]).double())
    return torch.cat([flipped, board[:, 3:]], dim=-1), f"the board on the floor in frame {origin_frame}"


def board_clocks(solution: BoardSolution) -> tuple[dict[str, Clock], tuple[str, ...]]:
    """The estimated clocks of the cameras.

    Args:
        solution: The solved cameras and boards.

    Returns:
        Clock of every camera whose clock was estimated; and a note on those that are significantly not synchronised.
    """
    clocks = solution.adjusted.scene.clocks.tolist()
    sigmas = solution.adjusted.column_sigma[:, -1].tolist()
    found = {
        name: Clock(clock, time_offset_sigma=sigma)
        for name, clock, sigma in zip(solution.recording.names, clocks, sigmas, strict=True)
        if sigma > 0
    }
    shifted = [
        f"{name} {1000 * c.time_offset:+.0f} ± {1000 * c.time_offset_sigma:.0f} ms"
        for name, c in found.items()
        if abs(c.time_offset) > max(3 * c.time_offset_sigma, 0.002)
    ]
    first = solution.recording.names[0]
    note = (
        f"the board moved as if these cameras started later than {first} (allowed for): {', '.join(shifted)}."
    )
    return found, (note,) if shifted else ()


def board_remarks(solution: BoardSolution, origin_frame: int | None) -> tuple[str, ...]:
    """Notes on what a calibration from a board leaves open.

    Args:
        solution: The solved cameras and boards.
        origin_frame: Frame in which the board lies on the floor, or None.

    Returns:
        Sentences on convergence and on where up is.
    """
    notes = []
    if not solution.adjusted.converged:
        notes.append(
            "the adjustment had NOT converged when it was stopped; more varied views of the board would help."
        )
    if origin_frame is None and len(solution.recording.names) > 1:
        notes.append(
            "nothing says where up is: the first camera is taken to stand level. Lay the board on the floor in some "
            "frame N and give --origin-frame N."
        )
    return tuple(notes)


def board_provenance(solution: BoardSolution, free_lens: bool) -> dict[str, str]:
    """Describe how a calibration from a board came about.

    Args:
        solution: The solved cameras and boards.
        free_lens: Whether intrinsics were estimated; they are then described with standard deviations.

    Returns:
        Entries for the provenance of the calibration.
    """
    recording, adjusted = solution.recording, solution.adjusted
    lines = {
        "method": "board",
        "board": str(recording.board),
        "scale": f"squares of {1000 * recording.board.square:g} mm, as stated",
        "adjustment": f"σ {adjusted.sigma:.2f} px per coordinate{'' if adjusted.converged else ', NOT converged'}",
    }
    cameras, sigma = adjusted.scene.cameras, adjusted.column_sigma
    for view, name in enumerate(recording.names if free_lens else ()):
        focal, (cx, cy) = float(cameras.focal[view, 0]), cameras.principal_point[view].tolist()
        distortion = ", ".join(
            f"{what} {float(cameras.distortion[view, i]):.3f} ± {float(sigma[view, 10 + i]):.3f}"
            for i, what in enumerate(("k1", "k2", "p1", "p2", "k3"))
        )
        tilts = board_tilts(solution, view)
        lines[f"lens_{name}"] = (
            f"f {focal:.1f} ± {focal * float(sigma[view, 6]):.1f} px, c ({cx:.1f} ± {float(sigma[view, 8]):.1f}, "
            f"{cy:.1f} ± {float(sigma[view, 9]):.1f}) px, {distortion}; {len(tilts)} pictures, "
            f"tilts to {float(tilts.max()):.0f}°"
        )
    return lines


def focal_sigmas(solution: BoardSolution) -> dict[str, float]:
    """Standard deviations of the focal lengths.

    Args:
        solution: The solved cameras and boards.

    Returns:
        Pixels, by name of the camera.
    """
    sigma = solution.adjusted.column_sigma[:, 6] * solution.cameras.focal[:, 0]
    return dict(zip(solution.recording.names, sigma.tolist(), strict=True))


def camera_fit(solution: BoardSolution, view: int, centre_sigma: float) -> CameraFit:
    """How well one camera explains the corners that it saw.

    Args:
        solution: The solved cameras and boards.
        view: Index of the camera.
        centre_sigma: Standard deviation of its centre, metres.

    Returns:
        The fit; a corner agrees up to `_AGREES` pixels.
    """
    residuals = solution.residuals(view)
    agree = residuals <= _AGREES
    median = float(residuals[agree].median()) if bool(agree.any()) else float("nan")
    share = float(agree.double().mean())
    return CameraFit(
        solution.recording.names[view],
        median,
        float("nan"),
        share,
        centre_sigma,
        float(solution.cameras.focal[view].mean()),
        focal_sigmas(solution)[solution.recording.names[view]],
        board_clocks(solution)[0].get(solution.recording.names[view], SYNCHRONOUS),
    )
