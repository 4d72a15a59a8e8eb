"""What a calibration from a board says of itself: the world, clocks, lenses in words, residuals, remarks."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.capture.board.solve import BoardSolution, board_tilts
from coview.capture.calibration.from_people import CameraFit
from coview.errors import InputError
from coview.formats.calibration.clock import SYNCHRONOUS, Clock

_AGREES = 3.0  # pixels: a corner that misses by more was misread, or the board moved


def board_world(
    solution: BoardSolution, numbers: list[int], origin_frame: int | None
) -> tuple[Float[Tensor, "3 4"], str]:
    """First-camera-from-world, z up, and where up comes from."""
    if origin_frame is None:
        turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).double()  # x right, y forward, z up
        pose = torch.cat([turn, torch.zeros(3, 1).double()], dim=-1)
        return pose, f"ASSUMED: up is that of camera {solution.recording.names[0]}, which is the origin"
    seen = solution.recording.seen.instant.unique().tolist()
    known = [numbers[i] for i in seen if numbers[i] >= 0]
    if origin_frame not in known:
        near = sorted(sorted(known, key=lambda n: abs(n - origin_frame))[:5])
        raise InputError(
            f"--origin-frame {origin_frame}: no camera found the board there, so it cannot be the floor. The nearest "
            f"frames with a board: {', '.join(map(str, near))}."
        )
    board = solution.adjusted.scene.boards[numbers.index(origin_frame)]
    flipped = board[:, :3] @ torch.diag(
        torch.tensor([1.0, -1, -1]).double()
    )  # a print's z points into the floor
    return torch.cat([flipped, board[:, 3:]], dim=-1), f"the board on the floor in frame {origin_frame}"


def board_clocks(solution: BoardSolution) -> tuple[dict[str, Clock], tuple[str, ...]]:
    """Of the cameras whose clock was found, and a note on those that are not on time."""
    clocks = solution.adjusted.scene.clocks.tolist()
    sigmas = solution.adjusted.column_sigma[:, -1].tolist()
    found = {
        name: Clock(clock, time_offset_sigma=sigma)
        for name, clock, sigma in zip(solution.recording.names, clocks, sigmas, strict=True)
        if sigma > 0
    }
    late = [
        f"{name} {1000 * c.time_offset:+.0f} ± {1000 * c.time_offset_sigma:.0f} ms"
        for name, c in found.items()
        if abs(c.time_offset) > max(3 * c.time_offset_sigma, 0.002)
    ]
    first = solution.recording.names[0]
    note = f"the board moved as if these cameras were late against {first} (allowed for): {', '.join(late)}."
    return found, (note,) if late else ()


def board_remarks(solution: BoardSolution, origin_frame: int | None) -> tuple[str, ...]:
    notes = []
    if not solution.adjusted.converged:
        notes.append(
            "the adjustment had NOT settled when it was stopped; more varied views of the board would help."
        )
    if origin_frame is None and len(solution.recording.names) > 1:
        notes.append(
            "nothing says where up is: the first camera is taken to stand level. Lay the board on the floor in some "
            "frame N and give --origin-frame N."
        )
    return tuple(notes)


def board_provenance(solution: BoardSolution, free_lens: bool) -> dict[str, str]:
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
        bent = ", ".join(
            f"{what} {float(cameras.distortion[view, i]):.3f} ± {float(sigma[view, 10 + i]):.3f}"
            for i, what in enumerate(("k1", "k2", "p1", "p2", "k3"))
        )
        tilts = board_tilts(solution, view)
        lines[f"lens_{name}"] = (
            f"f {focal:.1f} ± {focal * float(sigma[view, 6]):.1f} px, c ({cx:.1f} ± {float(sigma[view, 8]):.1f}, "
            f"{cy:.1f} ± {float(sigma[view, 9]):.1f}) px, {bent}; {len(tilts)} pictures, "
            f"tilts to {float(tilts.max()):.0f}°"
        )
    return lines


def focal_sigmas(solution: BoardSolution) -> dict[str, float]:
    sigma = solution.adjusted.column_sigma[:, 6] * solution.cameras.focal[:, 0]
    return dict(zip(solution.recording.names, sigma.tolist(), strict=True))


def camera_fit(solution: BoardSolution, view: int, centre_sigma: float) -> CameraFit:
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
