"""The head that regresses a confidence for every joint, or for every feature channel, of one view."""

from jaxtyping import Float
from torch import Tensor, nn

from coview.networks.normalisation import BatchNorm2d


class ConfidenceHead(nn.Module):
    """Coarse features to confidences in (0, 1). [Iskakov19], §3.1; layer names of the released weights

    Accepts inputs of 1 × 1 and more: an odd row or column is pooled by itself, which changes nothing for the 12 × 12 of
    a 384-pixel crop.

    Args:
        inputs: channels in.
        outputs: number of confidences."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(inputs, 512, 3, padding=1),
            BatchNorm2d(512),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(512, 256, 3, padding=1),
            BatchNorm2d(256),
            nn.MaxPool2d(2, ceil_mode=True),
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
