"""Reports what is installed, what is missing, and which features that affects."""

import importlib.metadata
import importlib.util
import platform
import shutil

EXTRAS = {  # extra: module, what it is for
    "view": ("viser", "the 3D scene and the plots of `coview report`"),
    "mocap": ("ezc3d", "`coview export --to c3d`"),
    "tables": ("h5py", "2D joints in .h5 files of SLEAP and DeepLabCut"),
    "synth": ("moderngl", "rendered people, which image-based methods train on"),
}


def examine() -> list[str]:
    """Versions, devices, optional packages and disk space.

    Returns:
        One line per finding; lines that begin with "missing" name the command that installs it.
    """
    lines = [f"python    {platform.python_version()} on {platform.system()} {platform.machine()}"]
    lines += [f"coview    {importlib.metadata.version('coview')}", _torch(), _opencv()]
    for extra, (module, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        mend = "" if there else f": pip install 'coview[{extra}]'"
        lines.append(f"{'ok     ' if there else 'missing'}   {module}, for {purpose}{mend}")
    free = shutil.disk_usage(".").free / 1e9
    lines.append(
        f"disk      {free:.0f} GB free here" + (" (less than 1 GB: stages may fail)" if free < 1 else "")
    )
    return lines


def _torch() -> str:
    import torch

    gpu = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA GPU: training runs on the CPU"
    )
    return f"torch     {torch.__version__}, {torch.get_num_threads()} threads, {gpu}"


def _opencv() -> str:
    found = [
        d.metadata["Name"] for d in importlib.metadata.distributions() if "opencv" in str(d.metadata["Name"])
    ]
    if len(found) > 1:
        return f"conflict  several packages bring cv2 ({', '.join(sorted(found))}): keep opencv-python-headless alone"
    return f"ok        {found[0] if found else 'cv2 is missing: pip install opencv-python-headless'}"
