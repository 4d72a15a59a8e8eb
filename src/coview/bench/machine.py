"""Provenance of measurements: commit, hardware, peak memory."""

import os
import platform
import subprocess
from pathlib import Path

import torch

from coview import __version__

_ROOT = Path(__file__).resolve().parents[3]
_PEAK_RESET = Path("/proc/self/clear_refs")  # Linux: writing 5 sets the peak to what is held now
_STATUS = Path("/proc/self/status")


def commit() -> str:
    """Short hash of the checkout that this code lies in, `+` where `src` was changed since; else the version."""
    # installed, the repository around it is somebody else's
    short = _git("rev-parse", "--short", "HEAD") if (_ROOT / ".git").exists() else ""
    changed = bool(short and _git("status", "--porcelain", "--", "src"))
    return f"{short}{'+' if changed else ''}" or f"coview {__version__}"


def machine(device: str) -> str:
    """The hardware and its load, in words: seconds mean little where others compute on the same cores.

    Args:
        device: The torch device that computed.

    Returns:
        Device, processor, cores, threads, load.
    """
    words = [_processor(), f"{os.cpu_count()} cores", f"{torch.get_num_threads()} threads"]
    if hasattr(os, "getloadavg"):
        words.append(f"load {os.getloadavg()[0]:.1f}")
    accelerator = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return f"{accelerator}: {', '.join(words)}"


def forget_peak() -> None:
    """Reset the measurement of peak memory, where the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        _PEAK_RESET.write_text("5")
    except OSError:  # not Linux, or not allowed: the peak is that of the whole process
        return


def peak_mb(device: str) -> float:
    """The most memory held since `forget_peak`: by tensors on a GPU, or by this process.

    Args:
        device: The torch device.

    Returns:
        Megabytes (2²⁰ bytes).
    """
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    if _STATUS.is_file():
        lines = _STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _processor() -> str:
    """The name of the processor, where the system tells."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
