"""What other tools make of the scenes of `benchmarks/triangulation.py`; started by it, in a Python that has them.

    python triangulation_peers.py scene.npz METHOD SECONDS out.npz

Needs numpy and the tool, not coview. Each tool gets undistorted pixels and projections through the function
it offers for one set of points. Works through the points in pieces until SECONDS are over. The first
piece is done twice, the first time off the clock (imports, just-in-time compilers). Exit code 3: the
tool is not installed.
"""

import importlib.util
import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

NOT_HERE = 3
PIECE = {"aniposelib": 50_000, "aniposelib RANSAC": 1, "Pose2Sim": 1}
MODULE = {"aniposelib": "aniposelib", "aniposelib RANSAC": "aniposelib", "Pose2Sim": "Pose2Sim"}


def anipose_group(scene: dict[str, np.ndarray]):
    from aniposelib.cameras import Camera, CameraGroup
    from cv2 import Rodrigues

    cameras = []
    for view, (matrix, pose) in enumerate(zip(scene["intrinsics"], scene["cam_from_world"], strict=True)):
        turn = Rodrigues(pose[:, :3])[0][:, 0]
        cameras.append(
            Camera(
                matrix=matrix, dist=np.zeros(5), size=(1000, 1000), rvec=turn, tvec=pose[:, 3], name=f"{view}"
            )
        )
    return CameraGroup(cameras)


def anipose(scene: dict[str, np.ndarray], robust: bool) -> Callable[[np.ndarray], np.ndarray]:
    group = anipose_group(scene)
    if robust:
        return lambda pixels: group.triangulate_ransac(pixels, undistort=True)[0]
    return lambda pixels: group.triangulate(pixels, undistort=True)


def pose2sim(scene: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    from Pose2Sim.triangulation import triangulation_from_best_cameras

    projections = list(scene["intrinsics"] @ scene["cam_from_world"])
    # its own defaults: 15 px, two cameras, no search for swapped sides
    config = {
        "triangulation": {
            "reproj_error_threshold_triangulation": 15,
            "min_cameras_for_triangulation": 2,
            "handle_LR_swap": False,
            "undistort_points": False,
        }
    }

    def work(pixels: np.ndarray) -> np.ndarray:
        points = []
        for joint in range(pixels.shape[1]):
            seen = [*pixels[:, joint].T, np.ones(len(pixels))]
            points.append(triangulation_from_best_cameras(config, seen, seen, projections, {})[0][:3])
        return np.array(points)

    return work


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(scene_path: str, method: str, budget: float, out_path: str) -> int:
    if importlib.util.find_spec(MODULE[method]) is None:
        return NOT_HERE
    os.environ.setdefault("MPLBACKEND", "Agg")
    with np.load(scene_path, allow_pickle=False) as file:
        scene = {name: file[name] for name in file.files}
    pixels = scene["pixels"].astype(float)  # views points 2
    work = pose2sim(scene) if method == "Pose2Sim" else anipose(scene, robust="RANSAC" in method)
    piece = PIECE[method]
    work(pixels[:, :piece])
    before, found, began = memory_mb(), [], time.perf_counter()
    for start in range(0, pixels.shape[1], piece):
        found.append(np.asarray(work(pixels[:, start : start + piece]), dtype=float)[:, :3])
        if time.perf_counter() - began > budget:
            break
    seconds = time.perf_counter() - began
    np.savez(out_path, points=np.concatenate(found), seconds=seconds, peak_mb=memory_mb() - before)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]))
