"""The report in a real browser: it draws, it plays, it asks nobody for anything."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from coview.report.colours import CAMERA
from coview.report.page import write_report

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ),
    *("--ignore-gpu-blocklist", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--window-size=800,1300"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
# Chromium asks these for itself, whatever page it shows.
ITS_OWN = re.compile(
    r"(accounts|clients\d|android\.clients|www)\.google\.com"
    r"|(update|optimizationguide-pa|content-autofill)\.googleapis\.com"
)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium here: apt-get install chromium (or: make system)"
    ),
]


@dataclass(frozen=True)
class Visit:
    picture: np.ndarray  # RGB
    console: list[str]
    hosts: set[str]


def visit(page: Path, work: Path, milliseconds: int) -> Visit:
    """Open `page`, wait on the browser's own clock, take a picture, and hear whom it asked."""
    work.mkdir()
    shot, log = work / "shot.png", work / "net.json"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={work / 'profile'}", f"--log-net-log={log}"]
    command += [f"--virtual-time-budget={milliseconds}", f"--screenshot={shot}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    hosts = set(re.findall(r'"url":"(?:https?|wss?)://([^/"]+)', log.read_text()))
    return Visit(
        cv2.imread(str(shot))[..., ::-1].astype(int),
        [line for line in done.stderr.splitlines() if "CONSOLE" in line],
        {host for host in hosts if not ITS_OWN.fullmatch(host.split(":")[0])},
    )


@pytest.fixture(scope="module")
def visits(session, tmp_path_factory):
    work = tmp_path_factory.mktemp("browser")
    page = write_report(session.path, work / "report.html")
    return [visit(page, work / f"at_{at}", at) for at in (1200, 2000)]


def scene_rows(picture):
    """Rows of the picture between the highest and the lowest camera of the 3D scene."""
    camera = np.abs(picture - np.array(CAMERA)).max(axis=-1) < 25
    assert camera.sum() > 100, "no camera is drawn in 3D"
    rows = np.nonzero(camera.any(axis=1))[0]
    return slice(rows[0], rows[-1] + 250)


def test_the_page_and_its_3d_scene_are_drawn(visits):
    picture = visits[0].picture
    assert picture.std() > 10
    assert picture[scene_rows(picture)].std() > 10


def test_the_scene_plays(visits):
    first, second = (one.picture for one in visits)
    rows = scene_rows(first)
    moved = np.abs(first - second).max(axis=-1) > 60
    assert moved[rows].sum() > 500
    assert moved[: rows.start - 150].sum() == 0  # the page around it stands still


def test_nothing_is_asked_of_the_network(visits):
    assert visits[0].hosts == set()


def test_the_console_has_no_complaints(visits):
    complaints = [
        line for line in visits[0].console if re.search(r"ERROR:CONSOLE|Uncaught|Refused|violates", line)
    ]
    assert complaints == []
    assert any("Embedded data loaded" in line for line in visits[0].console)


def test_a_page_that_asks_is_caught(tmp_path):
    page = tmp_path / "asks.html"
    page.write_text('<img src="http://elsewhere.example/x.png"><script>throw Error("loud")</script>')
    seen = visit(page, tmp_path / "work", 500)
    assert seen.hosts == {"elsewhere.example"}
    assert any("Uncaught" in line for line in seen.console)
