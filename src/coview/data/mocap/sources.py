"""Takes in a folder of downloaded motion capture: subject, split and skeleton of each."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coview.data.mocap.clips import Split
from coview.errors import MissingFileError, NotAFolderError
from coview.formats.io.camera_names import natural_key

# file types in order of preference: the original, a conversion, markers
KINDS = (".amc", ".bvh", ".c3d")
# Test subjects of the shared preparation; all others are for training, so that no person is in two splits.
TEST_SUBJECTS = frozenset({"11", "131", "135"})
# 02_01, Subject02_01, cmu_2_1, 02_01_poses, 02_walk: the subject's number, the take's where there is one, the rest
_NUMBERED = re.compile(r"(?:subject|cmu)?[ _-]?0*(\d+)(?:[_-]0*(\d+)(.*)|[ _-].*)?", re.IGNORECASE)


@dataclass(frozen=True)
class TakeSource:
    """A take to prepare."""

    path: Path
    asf: Path | None
    # such as cmu_02_01
    name: str
    # such as cmu02
    subject: str
    split: Split

    def digest(self, *settings: object) -> str:
        """SHA-256 of everything that the result depends on: name, content of the files, settings.

        Args:
            settings: plain values."""
        found = hashlib.sha256(repr((self.name, *settings)).encode())
        for path in filter(None, (self.path, self.asf)):
            found.update(hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()[:32]


@dataclass(frozen=True)
class Found:
    """The takes of a folder, and the files that were skipped with the reason."""

    sources: tuple[TakeSource, ...]
    passed_over: tuple[str, ...]


def find_sources(folder: Path) -> Found:
    """All takes below a folder, in natural order; one per name, the original format before conversions.

    The subject is the number that a name begins with (02 of 02_01.amc, Subject2_01.bvh and 02_01_poses.bvh); its
    skeleton is the .asf of that number or name, in the same folder or the only one below. A take whose name begins with
    no number (zombie.amc) is of a subject called what precedes the last underscore, and is for training, even if a test
    subject plays it. Of takes with the same content that would be in different splits only the first is used.

    Args:
        folder: to be searched.

    Raises:
        FileNotFoundError: there is no take.
        NotADirectoryError: `folder` is a file."""
    folder = Path(folder)
    if folder.is_file():
        raise NotAFolderError(
            f"{folder} is a file. Give its folder, {folder.parent}; all takes in it and below are prepared."
        )
    if not folder.is_dir():
        raise MissingFileError(f"no folder {folder}. Give the folder with the .asf/.amc, .bvh or .c3d files.")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    skeletons = [path for path in files if path.suffix.lower() == ".asf"]
    takes = [path for path in files if path.suffix.lower() in KINDS]
    if not takes:
        raise MissingFileError(
            f"no .amc, .bvh or .c3d file in {folder} or below, and no prepared clips (meta.json with cmu_*.npz). "
            f"docs/howto/data_sets.md says where to get them."
        )
    takes.sort(key=lambda path: (natural_key(path.stem), KINDS.index(path.suffix.lower()), str(path)))
    sources: dict[str, TakeSource] = {}
    passed_over = []
    copies = _copies(takes)
    for path in takes:
        source = _source(path, skeletons)
        if source.name in sources:
            passed_over.append(f"{path}: {sources[source.name].path.name} is the same take, and comes first")
        elif twin := _twin(source, copies[path], sources.values()):
            passed_over.append(
                f"{path} is not used: its content is that of {twin.path}, which is in split {twin.split}, and as "
                f"{source.name} it would be in {source.split}: a model would be tested on what it learnt. Delete the "
                f"one whose name is wrong."
            )
        else:
            sources[source.name] = source
    return Found(tuple(sources.values()), tuple(passed_over))


def _copies(takes: Iterable[Path]) -> dict[Path, set[Path]]:
    """The files of the same content as each; only files of equal size are read."""
    sizes, contents = defaultdict(list), defaultdict(set)
    for path in takes:
        sizes[path.stat().st_size].append(path)
    keys = {}
    for size, paths in sizes.items():
        for path in paths:
            keys[path] = (size, hashlib.sha256(path.read_bytes()).digest() if len(paths) > 1 else b"")
            contents[keys[path]].add(path)
    return {path: contents[key] for path, key in keys.items()}


def _twin(source: TakeSource, copies: set[Path], taken: Iterable[TakeSource]) -> TakeSource | None:
    """A take of another split with the same content."""
    if len(copies) == 1:
        return None
    return next((other for other in taken if other.path in copies and other.split != source.split), None)


def _source(path: Path, skeletons: Iterable[Path]) -> TakeSource:
    name, person = path.stem, path.stem.rpartition("_")[0] or path.stem
    numbered = _NUMBERED.fullmatch(path.stem)
    subject = f"cmu_{person}"
    if numbered:
        person = numbered[1]
        subject = f"cmu{int(person):02d}"
        if numbered[2]:
            name = f"{int(person):02d}_{int(numbered[2]):02d}{numbered[3]}"
    split: Split = "test" if person in TEST_SUBJECTS else "train"
    return TakeSource(path, _skeleton(path, person, skeletons), f"cmu_{name}", subject, split)


def _skeleton(path: Path, person: str, skeletons: Iterable[Path]) -> Path | None:
    """The subject's .asf; None where there is none, or several elsewhere."""
    names = {_plain(name) for name in (person, path.stem, path.stem.rpartition("_")[0])}
    own = [asf for asf in skeletons if _plain(asf.stem) in names]
    near = [asf for asf in own if asf.parent == path.parent]
    return near[0] if near else own[0] if len(own) == 1 else None


def _plain(name: str) -> str:
    """A name without what differs between the .asf and the takes of a subject: capitals, zeros, `subject` before
    it."""
    numbered = _NUMBERED.fullmatch(name)
    return numbered[1] if numbered and numbered.end(1) == len(name) else name.casefold()
