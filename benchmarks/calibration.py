"""Cameras from people where other tools break: late cameras, drift, wrong focal lengths, outliers, gaps."""

import argparse
import time

import torch

from coview.cameras import Cameras
from coview.data.motion import random_motion
from coview.data.synthetic import ring_cameras
from coview.geometry.alignment import similarity_alignment

FPS, FRAMES, SIGMA = 50.0, 300, 3.0
CASES = {
    "exact": {},
    "outliers": {"outliers": 0.05},
    "missing": {"missing": 0.3},
    "late 20 ms": {"late": 0.02},
    "late 60 ms": {"late": 0.06},
    "late 200 ms": {"late": 0.2},
    "focal 5 %": {"focal": 1.05},
    "focal 20 %": {"focal": 1.2},
    "8 cameras": {"views": 8},
}


def scene(seed, *, views=4, outliers=0.0, missing=0.0, late=0.0, focal=1.0, frames=FRAMES, noise=SIGMA):
    g = torch.Generator().manual_seed(seed)
    fine = 20  # motion at 1000 Hz, so that any lateness is exact to a millisecond
    motion = random_motion(int((frames + 60) * fine), fps=FPS * fine, seed=seed, kind="mixed").double()
    pairs = [(1, 2), (2, 3), (4, 5), (5, 6), (11, 12), (12, 13), (14, 15), (15, 16), (0, 8)]
    motion = torch.cat([motion] + [(motion[:, a] + motion[:, b])[:, None] / 2 for a, b in pairs], dim=1)
    cameras = ring_cameras(views, radius=5.0, height=1.8, start_angle=0.3)
    cameras = Cameras(
        *(
            f.double() if f.is_floating_point() else f
            for f in (
                cameras.intrinsics,
                cameras.cam_from_world,
                cameras.size,
                cameras.distortion,
                cameras.fisheye,
            )
        )
    )
    shift = [0.0] * views
    shift[1] = late
    pixels = []
    for v in range(views):
        # frame n of this camera shows the world at n / FPS + shift
        index = ((torch.arange(frames) / FPS + shift[v] + 0.4) * FPS * fine).round().long()
        pixels.append(cameras[v].project(motion[index]))
    pixels = torch.stack(pixels, dim=1)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=g, dtype=torch.float64)
    wrong = torch.rand(pixels.shape[:-1], generator=g) < outliers
    angle = 2 * torch.pi * torch.rand(pixels.shape[:-1], generator=g, dtype=torch.float64)
    pixels = pixels + 80 * wrong[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
    there = torch.rand(pixels.shape[:-1], generator=g) >= missing
    weights = there.double()
    pixels = torch.where(there[..., None], pixels, torch.nan)
    given = cameras.intrinsics.clone()
    given[:, :2, :2] *= focal
    lenses = Cameras(
        given, cameras.cam_from_world * torch.nan, cameras.size, cameras.distortion, cameras.fisheye
    )
    return cameras, lenses, pixels, weights, torch.tensor(shift)


def centre_error(found: Cameras, truth: Cameras) -> float:
    fit = similarity_alignment(found.centres[None], truth.centres[None])
    return 1000 * float((fit.apply(found.centres[None])[0] - truth.centres).norm(dim=-1).mean())


def main() -> None:
    from coview.geometry.self_calibration import self_calibrate

    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--old", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.cases:
        errors = []
        began = time.perf_counter()
        for seed in range(arguments.seeds):
            truth, lenses, pixels, weights, shift = scene(seed, **CASES[name])
            names = tuple(f"c{v}" for v in range(len(truth)))
            try:
                if arguments.old:
                    found = self_calibrate(lenses, pixels, weights, names=names)
                    errors.append(centre_error(found.cameras, truth))
                else:
                    from coview.geometry.free_calibration import calibrate_freely

                    found = calibrate_freely(lenses, pixels, weights, names=names, fps=FPS)
                    errors.append(centre_error(found.cameras, truth))
                    print(
                        "   ",
                        [round(float(x) * 1000, 2) for x in found.offset],
                        "ms",
                        [round(float(x), 4) for x in found.cameras.focal[:, 0] / truth.focal[:, 0]],
                        found.words,
                    )
            except ValueError as error:
                errors.append(float("nan"))
                print(str(error)[:200])
        print(
            name,
            [round(e, 2) for e in errors],
            f"{(time.perf_counter() - began) / arguments.seeds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
