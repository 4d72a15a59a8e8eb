"""Normal equations of cameras and board poses, and the boards' elimination [Triggs00 §6.1]."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class BoardEquations:
    """JᵀJ and −Jᵀr of all cameras' columns and of the boards."""

    cameras: Float[Tensor, "unknowns unknowns"]
    mixed: Float[Tensor, "instants unknowns 6"]
    boards: Float[Tensor, "instants 6 6"]
    camera_rhs: Float[Tensor, "unknowns"]
    board_rhs: Float[Tensor, "instants 6"]
    slopes: tuple[Float[Tensor, "sightings rows columns"], Float[Tensor, "sightings rows 6"]]

    def with_residuals(
        self,
        view: Int[Tensor, "sightings"],
        instant: Int[Tensor, "sightings"],
        residual: Float[Tensor, "sightings rows"],
    ) -> "BoardEquations":
        """The same system for another residual."""
        columns = self.slopes[0].shape[-1]
        cameras = self.camera_rhs.new_zeros(len(self.camera_rhs) // columns, columns)
        of_camera, of_board = (-(rows.mT @ residual[..., None])[..., 0] for rows in self.slopes)
        return replace(
            self,
            camera_rhs=cameras.index_add(0, view, of_camera).flatten(),
            board_rhs=torch.zeros_like(self.board_rhs).index_add(0, instant, of_board),
        )

    def with_prior(
        self, slopes: Float[Tensor, "unknowns"], residuals: Float[Tensor, "unknowns"]
    ) -> "BoardEquations":
        """One more equation per camera column: slope · step = −stray. Slope 0: none."""
        return replace(
            self,
            cameras=self.cameras + torch.diag_embed(slopes.square()),
            camera_rhs=self.camera_rhs - slopes * residuals,
        )


@dataclass(frozen=True)
class ReducedBoardEquations:
    """The system of the free camera columns alone."""

    matrix: Float[Tensor, "free free"]
    rhs: Float[Tensor, "free"]
    board_inverse: Float[Tensor, "instants 6 6"]


def normal_equations(
    view: Int[Tensor, "sightings"],
    instant: Int[Tensor, "sightings"],
    residual: Float[Tensor, "sightings rows"],
    slopes: tuple[Float[Tensor, "sightings rows columns"], Float[Tensor, "sightings rows 6"]],
    counts: tuple[int, int],
) -> BoardEquations:
    """Summed over sightings; `slopes` by the camera's columns and by the board's pose, `counts` views and instants.

    A camera sees an instant at most once."""
    of_camera, of_board = slopes
    (views, instants), columns = counts, of_camera.shape[-1]
    blocks = residual.new_zeros(views, columns, columns).index_add(0, view, of_camera.mT @ of_camera)
    mixed = residual.new_zeros(instants, views, columns, 6)
    mixed[instant, view] = of_camera.mT @ of_board
    empty = BoardEquations(
        torch.block_diag(*blocks),
        mixed.flatten(1, 2),
        residual.new_zeros(instants, 6, 6).index_add(0, instant, of_board.mT @ of_board),
        residual.new_zeros(views * columns),
        residual.new_zeros(instants, 6),
        slopes,
    )
    return empty.with_residuals(view, instant, residual)


def eliminate_boards(
    equations: BoardEquations, free: Bool[Tensor, "unknowns"], damping: float
) -> ReducedBoardEquations:
    """With the boards eliminated; `damping` raises every diagonal by that share (Marquardt)."""
    diagonal = equations.boards.diagonal(dim1=1, dim2=2)
    inverse = torch.linalg.inv(equations.boards + torch.diag_embed(damping * diagonal + 1e-12))
    mixed = equations.mixed[:, free]
    carried = mixed @ inverse
    matrix = equations.cameras[free][:, free]
    matrix = matrix + damping * torch.diag_embed(matrix.diagonal())
    return ReducedBoardEquations(
        matrix - torch.einsum("iab,icb->ac", carried, mixed),
        equations.camera_rhs[free] - torch.einsum("iab,ib->a", carried, equations.board_rhs),
        inverse,
    )
