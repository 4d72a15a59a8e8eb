"""The head that regresses a confidence for every joint, or for every feature channel, of one view."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from coview.networks.normalisation import BatchNorm2d


class ConfidenceHead(nn.Module):
    """Coarse features to confidences in (0, 1). [Iskakov19], §3.1; layer names of the released weights

    Accepts inputs of 1 × 1 and more: an odd row or column is pooled by itself, which changes nothing for the 12 × 12 of
    a 384-pixel crop.

    Args:
        inputs: channels in.
        outputs: number of confidences.
        released_numerics: whether an odd row or column is left out, as in the released code: the answer differs for
            crops of 192, 320 or 352 pixels. Below 128 pixels, where nothing would remain, it is pooled by itself."""

    def __init__(self, inputs: int, outputs: int, *, released_numerics: bool = False) -> None:
        super().__init__()
        pooling = _WholeWindows if released_numerics else nn.MaxPool2d
        self.features = nn.Sequential(
            nn.Conv2d(inputs, 512, 3, padding=1),
            BatchNorm2d(512),
            pooling(2, ceil_mode=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(512, 256, 3, padding=1),
            BatchNorm2d(256),
            pooling(2, ceil_mode=True),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(
            nn.Linear(256, 512),
            nn.ReLU(inplace=True),
            nn.Linear(512, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, outputs),
            nn.Sigmoid(),
        )

    def forward(self, features: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs"]:
        """Confidences of each image.

        Args:
            features: of the last residual stage."""
        confidence: Tensor = self.head(self.features(features).mean(dim=(-2, -1)))
        return confidence


class _WholeWindows(nn.MaxPool2d):
    """Pooling by windows that lie in the map altogether; the rest of the map does not count."""

    def forward(self, input: Tensor) -> Tensor:
        whole = min(input.shape[-2:]) >= 2
        return functional.max_pool2d(input, self.kernel_size, ceil_mode=not whole)
