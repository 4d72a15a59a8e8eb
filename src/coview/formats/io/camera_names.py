"""Matching files to cameras by name: natural order, and names that differ only in trivial ways."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

# Words that tools add to a camera's name; they say what a file is, not which camera it is from.
_ADDED = frozenset(
    {"json", "img", "int", "ext", "video", "videos", "keypoints", "pose", "calib", "intrinsics"}
)
# Digits from which a number in a name is a camera's serial number, as Vicon's Nexus and Qualisys write it.
_SERIAL = re.compile(r"(?<![0-9])[0-9]{5,}(?![0-9])")
# Nexus: `<trial>.<serial>` or `<trial>.<serial>.<date and time>`
_NEXUS = re.compile(r".*?[._]([0-9]{5,})(?:\.[0-9]{8,})?")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which cam_2 comes before cam_10.

    Args:
        name: The name; upper and lower case are equal.

    Returns:
        For `sorted(names, key=natural_key)`.
    """
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name.casefold())
        if part
    ]


def plain_name(name: str) -> str:
    """A camera's name without case, punctuation, leading zeros, and words such as `json`.

    Args:
        name: Such as `cam_01`, `Cam1` or `cam01_json`.

    Returns:
        Such as `cam1`, which is equal for all three.
    """
    name = _composed(name).casefold()
    parts = [part for part in re.split(r"[\W_]+", name) if part and part not in _ADDED]
    # "12 1" and "121" stay different
    joined = re.sub(r"(?<=[0-9]) (?=[0-9])", "-", " ".join(parts)).replace(" ", "")
    return re.sub(r"[0-9]+", lambda number: str(int(number.group()[-300:])), joined) or name


def _composed(name: str) -> str:
    """Letters and their accents as one character: file systems and editors store either form."""
    return unicodedata.normalize("NFC", name)


def match_names(wanted: Sequence[str], available: Sequence[str]) -> dict[str, str]:
    """For each wanted name the available one that means the same camera.

    Tried in order, each for the names still open: the same name (in either form of Unicode); the same plain name; one
    plain name being the end of the other (`take3_cam01` and `cam01`); one being a serial number that the other holds
    (`2118670` and `Walk 03.2118670.20190514`); the same serial number where such names have it. A name is used only
    where it is the only candidate, so that nothing is matched by position or by chance.

    Args:
        wanted: Names to match.
        available: Names to choose from; each is used once at most.

    Returns:
        Wanted name: available name. Those without a match are left out.
    """
    found: dict[str, str] = {}
    for same in (
        _identical,
        _plainly_equal,
        _one_ends_with_other,
        _serial_of_other,
        _same_serial,
    ):
        open_wanted = [name for name in wanted if name not in found]
        open_available = [name for name in available if name not in found.values()]
        found |= _unique_pairs(open_wanted, open_available, same)
    return found


def listed(names: Iterable[str]) -> str:
    """Names for a message: in natural order, separated by commas; "none" where there are none."""
    return ", ".join(sorted(names, key=natural_key)) or "none"


def _unique_pairs(wanted, available, same) -> dict[str, str]:  # type: ignore[no-untyped-def]
    forward = {name: [other for other in available if same(name, other)] for name in wanted}
    backward = {other: [name for name in wanted if same(name, other)] for other in available}
    return {
        name: others[0]
        for name, others in forward.items()
        if len(others) == 1 and len(backward[others[0]]) == 1
    }


def _identical(a: str, b: str) -> bool:
    return _composed(a) == _composed(b)


def _plainly_equal(a: str, b: str) -> bool:
    return plain_name(a) == plain_name(b)


def _one_ends_with_other(a: str, b: str) -> bool:
    a, b = plain_name(a), plain_name(b)
    shorter, longer = sorted((a, b), key=len)
    if not longer.endswith(shorter):
        return False
    before = longer[: -len(shorter)]
    # "11" must not match "1", nor a lone "1" anything: a number is only whole with a letter before it
    return not (shorter[0].isdecimal() and before[-1:].isdecimal()) and not shorter.isdecimal()


def _serial_of_other(a: str, b: str) -> bool:
    return any(
        bool(_SERIAL.fullmatch(one)) and one in _SERIAL.findall(other) for one, other in ((a, b), (b, a))
    )


def _same_serial(a: str, b: str) -> bool:
    one, other = _NEXUS.fullmatch(a), _NEXUS.fullmatch(b)
    return one is not None and other is not None and one[1] == other[1]
