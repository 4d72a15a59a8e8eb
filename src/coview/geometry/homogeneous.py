"""Triangulation by the smallest singular vector, to the letter of released code: for comparison, not for use."""

import torch
from jaxtyping import Float
from torch import Tensor

_GAP = 1e-15  # of the trace: where the two smallest eigenvalues are nearer, any point is as good


def homogeneous_dlt(
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*batch views 3 4"],
    weights: Float[Tensor, "*batch views joints"],
) -> Float[Tensor, "*batch joints 3"]:
    """Homogeneous linear triangulation of undistorted pixels, weights multiplying rows [Iskakov19 eq. 4].

    Nothing is centred or scaled, so the answer depends on unit and origin of the world: 3 pixels of noise
    solved in metres instead of millimetres give a point 0.6 mm away. Use `triangulate`, which does not, unless
    weights were trained with this. Points come in the unit of the projections. The rows have the precision of
    the input, what follows has float64. NaN, with gradient zero, where the rows leave more than one
    point, or one at infinity."""
    across, down, depth = projections.unbind(dim=-2)
    planes = torch.stack([across, down], dim=-2)[..., None, :, :]
    rows = points[..., None] * depth[..., None, None, :] - planes
    rows = (weights[..., None, None] * rows).transpose(-4, -3).flatten(-3, -2).double()
    square = rows.mT @ rows
    trace = square.detach().diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    scaled = square / torch.where(trace > 0, trace, 1.0)[..., None, None]
    with torch.no_grad():
        smallest = torch.linalg.eigvalsh(scaled)[..., :2]
    single = (trace > 0) & (smallest[..., 1] - smallest[..., 0] > _GAP)
    # replaced before the decomposition, whose gradient divides by differences of eigenvalues
    distinct = torch.arange(1.0, 5.0, dtype=torch.float64, device=points.device).diag()
    vector = torch.linalg.eigh(torch.where(single[..., None, None], scaled, distinct)).eigenvectors[..., 0]
    single = single & (vector[..., 3].abs() > 1e-12)
    last = torch.where(single, vector[..., 3], 1.0)
    found = torch.where(single[..., None], vector[..., :3] / last[..., None], torch.nan)
    return found.to(points.dtype)
