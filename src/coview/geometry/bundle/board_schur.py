"""Normal equations of cameras and board poses, and the boards' elimination [Triggs00 §6.1]."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Equations:
    """JᵀJ and −Jᵀr of all cameras' columns and of the boards."""

    cameras: Float[Tensor, "unknowns unknowns"]
    mixed: Float[Tensor, "instants unknowns 6"]
    boards: Float[Tensor, "instants 6 6"]
    camera_pull: Float[Tensor, "unknowns"]
    board_pull: Float[Tensor, "instants 6"]
    slopes: tuple[Float[Tensor, "sightings rows columns"], Float[Tensor, "sightings rows 6"]]

    def pulled_by(
        self,
        view: Int[Tensor, "sightings"],
        instant: Int[Tensor, "sightings"],
        residual: Float[Tensor, "sightings rows"],
    ) -> "Equations":
        """The same system for another residual."""
        columns = self.slopes[0].shape[-1]
        cameras = self.camera_pull.new_zeros(len(self.camera_pull) // columns, columns)
        of_camera, of_board = (-(rows.mT @ residual[..., None])[..., 0] for rows in self.slopes)
        return replace(
            self,
            camera_pull=cameras.index_add(0, view, of_camera).flatten(),
            board_pull=torch.zeros_like(self.board_pull).index_add(0, instant, of_board),
        )

    def with_known(self, slopes: Float[Tensor, "unknowns"], strays: Float[Tensor, "unknowns"]) -> "Equations":
        """One more equation per camera column: slope · step = −stray. Slope 0: none."""
        return replace(
            self,
            cameras=self.cameras + torch.diag_embed(slopes.square()),
            camera_pull=self.camera_pull - slopes * strays,
        )


@dataclass(frozen=True)
class Reduced:
    """The system of the free camera columns alone."""

    matrix: Float[Tensor, "free free"]
    pull: Float[Tensor, "free"]
    board_inverse: Float[Tensor, "instants 6 6"]


def normal_equations(
    view: Int[Tensor, "sightings"],
    instant: Int[Tensor, "sightings"],
    residual: Float[Tensor, "sightings rows"],
    slopes: tuple[Float[Tensor, "sightings rows columns"], Float[Tensor, "sightings rows 6"]],
    counts: tuple[int, int],
) -> Equations:
    """Summed over sightings; `slopes` by the camera's columns and by the board's pose, `counts` views and instants.

    A camera sees an instant at most once."""
    of_camera, of_board = slopes
    (views, instants), columns = counts, of_camera.shape[-1]
    blocks = residual.new_zeros(views, columns, columns).index_add(0, view, of_camera.mT @ of_camera)
    mixed = residual.new_zeros(instants, views, columns, 6)
    mixed[instant, view] = of_camera.mT @ of_board
    empty = Equations(
        torch.block_diag(*blocks),
        mixed.flatten(1, 2),
        residual.new_zeros(instants, 6, 6).index_add(0, instant, of_board.mT @ of_board),
        residual.new_zeros(views * columns),
        residual.new_zeros(instants, 6),
        slopes,
    )
    return empty.pulled_by(view, instant, residual)


def reduced(equations: Equations, free: Bool[Tensor, "unknowns"], damping: float) -> Reduced:
    """With the boards eliminated; `damping` raises every diagonal by that share (Marquardt)."""
    diagonal = equations.boards.diagonal(dim1=1, dim2=2)
    inverse = torch.linalg.inv(equations.boards + torch.diag_embed(damping * diagonal + 1e-12))
    mixed = equations.mixed[:, free]
    carried = mixed @ inverse
    matrix = equations.cameras[free][:, free]
    matrix = matrix + damping * torch.diag_embed(matrix.diagonal())
    return Reduced(
        matrix - torch.einsum("iab,icb->ac", carried, mixed),
        equations.camera_pull[free] - torch.einsum("iab,ib->a", carried, equations.board_pull),
        inverse,
    )
