"""Volumetric triangulation written plainly: what benchmarks/learnable_triangulation.py compares ours with.

The method as [Iskakov19] describes it and the released weights expect it: modules in PyTorch's default memory
format, layer after layer; all views of a sample sampled with `grid_sample` and stacked into one tensor; a
softmax over the views; a 3D network. Nothing is fused, folded or recomputed. Names of the parameters are
those of the released files, so one state dict serves both."""

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + residual)


class PlainPoseResNet(nn.Module):
    """ResNet-50 or -152, three deconvolutions, heat-maps."""

    def __init__(self, depth: int, joints: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, count in enumerate(BLOCKS[depth]):
            width, blocks = 64 * 2**stage, []
            for block in range(count):
                blocks.append(Bottleneck(inputs, width, 2 if stage and not block else 1))
                inputs = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        layers: list[nn.Module] = []
        for channels in (inputs, 256, 256):
            layers += [nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256)]
            layers.append(nn.ReLU(inplace=True))
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(256, joints, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        features = self.deconv_layers(x)
        return self.final_layer(features), features


class Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm3d(outputs), nn.ReLU(True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Res(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.res_branch = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, padding=1),
            nn.BatchNorm3d(outputs),
            nn.ReLU(True),
            nn.Conv3d(outputs, outputs, 3, padding=1),
            nn.BatchNorm3d(outputs),
        )
        self.skip_con = nn.Sequential()
        if inputs != outputs:
            self.skip_con = nn.Sequential(nn.Conv3d(inputs, outputs, 1), nn.BatchNorm3d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.res_branch(x) + self.skip_con(x), True)


class Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ConvTranspose3d(inputs, outputs, 2, 2), nn.BatchNorm3d(outputs), nn.ReLU(True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Hourglass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        channels = [32, 64, 128, 128, 128, 128]
        for level in range(1, 6):
            outer, inner = channels[level - 1], channels[level]
            setattr(self, f"skip_res{level}", Res(outer, outer))
            setattr(self, f"encoder_res{level}", Res(outer, inner))
            setattr(self, f"decoder_res{level}", Res(inner, inner))
            setattr(self, f"decoder_upsample{level}", Up(inner, outer))
        self.mid_res = Res(128, 128)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level in range(1, 6):
            skips.append(getattr(self, f"skip_res{level}")(x))
            x = getattr(self, f"encoder_res{level}")(functional.max_pool3d(x, 2, 2))
        x = self.mid_res(x)
        for level in range(5, 0, -1):
            x = getattr(self, f"decoder_res{level}")(x)
            x = getattr(self, f"decoder_upsample{level}")(x)
            x = x + skips[level - 1]
        return x


class PlainV2V(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.front_layers = nn.Sequential(Basic(inputs, 16, 7), Res(16, 32), Res(32, 32), Res(32, 32))
        self.encoder_decoder = Hourglass()
        self.back_layers = nn.Sequential(Res(32, 32), Basic(32, 32, 1), Basic(32, 32, 1))
        self.output_layer = nn.Conv3d(32, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output_layer(self.back_layers(self.encoder_decoder(self.front_layers(x))))


def plain_unproject(features: Tensor, projections: Tensor, points: Tensor) -> Tensor:
    """Features "b c k h w", projections into map cells "b c 3 4", points "b n n n 3" -> volumes "b k n n n".

    The softmax aggregation of the spec, §6.3 and §6.4: zeros outside the maps and behind the cameras take part."""
    batch, views, channels, height, width = features.shape
    shape = points.shape[1:4]
    volumes = torch.zeros(batch, channels, *shape)
    for item in range(batch):
        stacked = torch.zeros(views, channels, *shape)
        homogeneous = torch.cat(
            [points[item].reshape(-1, 3), torch.ones(points[item].numel() // 3, 1)], dim=1
        )
        for view in range(views):
            image = homogeneous @ projections[item, view].T
            behind = image[:, 2] <= 0
            depth = image[:, 2].clone()
            depth[depth == 0] = 1.0
            pixels = image[:, :2] / depth[:, None]
            grid = torch.stack([2 * (pixels[:, 0] / height - 0.5), 2 * (pixels[:, 1] / width - 0.5)], dim=1)
            sampled = functional.grid_sample(
                features[item, view][None],
                grid[None, :, None],
                mode="bilinear",
                padding_mode="zeros",
                align_corners=True,
            )
            sampled = sampled.view(channels, -1)
            sampled[:, behind] = 0.0
            stacked[view] = sampled.view(channels, *shape)
        weights = stacked.view(views, -1).softmax(dim=0).view(stacked.shape)
        volumes[item] = (stacked * weights).sum(0)
    return volumes


class PlainVolumetricTriangulation(nn.Module):
    """Reference numerics; softmax aggregation, 64³ cells unless told otherwise."""

    def __init__(self, depth: int = 152, joints: int = 17, cells: int = 64, side: float = 2500.0) -> None:
        super().__init__()
        self.cells, self.side = cells, side
        self.backbone = PlainPoseResNet(depth, joints)
        self.process_features = nn.Sequential(nn.Conv2d(256, 32, 1))
        self.volume_net = PlainV2V(32, joints)

    def forward(self, images: Tensor, projections: Tensor, base: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised BGR images "b c 3 h w", projections into their pixels "b c 3 4", base "b 3" in one unit.

        Answers: keypoints "b joints 3" in that unit, the features "b c 32 h4 w4", and the volumes."""
        batch, views = images.shape[:2]
        heatmaps, features = self.backbone(images.flatten(0, 1))
        features = self.process_features(features).unflatten(0, (batch, views))
        scale = torch.tensor(
            [heatmaps.shape[-1] / images.shape[-1], heatmaps.shape[-2] / images.shape[-2], 1.0]
        )
        points = self.points(base)
        volumes = plain_unproject(features, projections * scale[:, None], points)
        volumes = self.volume_net(volumes)
        shares = volumes.flatten(2).softmax(dim=2).view(volumes.shape)
        return torch.einsum("bjxyz,bxyzc->bjc", shares, points), features, shares

    def points(self, base: Tensor) -> Tensor:
        steps = torch.arange(self.cells) * (self.side / (self.cells - 1)) - self.side / 2
        grid = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), dim=-1)
        return base[:, None, None, None] + grid
