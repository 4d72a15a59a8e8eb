"""The report in a real browser: it draws, it plays, it asks nobody for anything.

Chromium is steered over its debugging socket, so that the tests wait for what they want to see and
not for a time that a busy machine may not keep.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from coview.report.colours import CAMERA
from coview.report.page import write_report
from coview.training.evaluation.compare import reconstructed
from coview.training.prediction.prediction_files import Prediction, write_prediction

CHROMIUM = shutil.which("chromium")
PATIENCE = 120.0  # seconds
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ),
    *("--ignore-gpu-blocklist", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=800,1300", "--remote-debugging-port=0"),
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
connect = pytest.importorskip("websockets.sync.client", reason="websockets comes with coview[view]").connect


class Tab:
    """One page in the browser, and everything it reported."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.calls = socket, 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=PATIENCE))
            if message.get("id") == self.calls:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def until(self, method: str) -> None:
        """Wait for an event, unless it came already."""
        while not self.of(method):
            self.events.append(json.loads(self.socket.recv(timeout=PATIENCE)))

    def picture(self) -> np.ndarray:
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)

    def wait_for(self, wanted: Callable[[np.ndarray], bool]) -> np.ndarray:
        """The first picture that is `wanted`; the last one seen where patience ends."""
        deadline = time.monotonic() + PATIENCE
        while not wanted(picture := self.picture()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return picture

    def console(self) -> list[str]:
        """Errors and uncaught exceptions, in words."""
        found = [
            e["params"]["entry"]["text"]
            for e in self.of("Log.entryAdded")
            if _is_bad(e["params"]["entry"]["level"])
        ]
        found += [
            json.dumps(e["params"]["args"])
            for e in self.of("Runtime.consoleAPICalled")
            if _is_bad(e["params"]["type"])
        ]
        return found + [
            json.dumps(e["params"]["exceptionDetails"]) for e in self.of("Runtime.exceptionThrown")
        ]

    def of(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("method") == method]


def _is_bad(level: str) -> bool:
    return level in ("error", "assert")


@contextmanager
def opened(page: Path, work: Path) -> Iterator[Tab]:
    """`page` in a browser of its own, with everything it asks for logged to `work`/net.json."""
    profile = work / "profile"
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={profile}",
        f"--log-net-log={work / 'net.json'}",
        "about:blank",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as browser:
        try:
            with connect(_address(profile), max_size=None) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    tab.call(f"{domain}.enable")
                tab.call("Page.navigate", url=page.as_uri())
                tab.until("Page.loadEventFired")
                yield tab
                tab.call("Browser.close")
            browser.wait(30)  # until the log of its requests is written
        finally:
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)


def _address(profile: Path) -> str:
    """Of the debugging socket of the only tab."""
    port = profile / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    while not (port.is_file() and port.read_text().strip()):
        assert time.monotonic() < deadline, "the browser did not start"
        time.sleep(0.1)
    with urllib.request.urlopen(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list") as answer:
        tabs = json.load(answer)
    return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")


def hosts(work: Path) -> set[str]:
    """Whom the browser asked, less those it asks for itself."""
    asked = re.findall(r'"url":"(?:https?|wss?)://([^/":]+)', (work / "net.json").read_text())
    return {host for host in asked if not ITS_OWN.fullmatch(host) and host != "127.0.0.1"}


@dataclass(frozen=True)
class Visit:
    early: np.ndarray  # RGB
    late: np.ndarray  # when the scene has moved on
    console: list[str]
    hosts: set[str]


@pytest.fixture(scope="module")
def visit(session, tmp_path_factory):
    work = tmp_path_factory.mktemp("browser")
    page = write_report(session.path, work / "report.html")
    with opened(page, work) as tab:
        early = tab.wait_for(lambda picture: camera_pixels(picture).sum() > 100)
        late = tab.wait_for(lambda picture: moved(early, picture).sum() > 500)
        console = tab.console()
    return Visit(early, late, console, hosts(work))


def camera_pixels(picture):
    """Pixels in the colour that only the cameras of the 3D scene have."""
    return np.abs(picture - np.array(CAMERA)).max(axis=-1) < 25


def moved(first, second):
    return np.abs(first - second).max(axis=-1) > 60


def test_the_page_and_its_3d_scene_are_drawn(visit):
    cameras = camera_pixels(visit.early)
    assert cameras.sum() > 100, "no camera is drawn in 3D"
    rows = np.nonzero(cameras.any(axis=1))[0]
    assert visit.early.std() > 10
    assert visit.early[rows[0] : rows[-1] + 200].std() > 10


def test_the_scene_plays_and_the_page_around_it_stands_still(visit):
    changed = moved(visit.early, visit.late)
    assert changed.sum() > 500
    first_camera = np.nonzero(camera_pixels(visit.early).any(axis=1))[0][0]
    assert changed[: first_camera - 200].sum() == 0


def test_nothing_is_asked_of_the_network(visit):
    assert visit.hosts == set()


def test_the_console_has_no_complaints(visit):
    assert visit.console == []


def test_a_page_that_asks_or_fails_is_caught(tmp_path):
    page = tmp_path / "asks.html"
    page.write_text('<img src="http://elsewhere.example/x.png"><script>throw Error("loud")</script>')
    with opened(page, tmp_path) as tab:
        tab.until("Network.loadingFailed")
        console = tab.console()
    assert hosts(tmp_path) == {"elsewhere.example"}
    assert any("loud" in line for line in console)


def test_poses_from_one_camera_are_drawn_turn_and_play(new_session, tmp_path):
    session = new_session(trained=False)
    reference, _ = reconstructed(session, "east", session.skeleton)
    path = session.path / "predictions" / "model" / "east.npz"
    write_prediction(Prediction("east", 0.4 * reference, "m", "told", 25.0, session.skeleton, path))
    page = write_report(session.path)
    with opened(page, tmp_path) as tab:

        def run(script: str) -> Any:
            return tab.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

        run("var drawn = n => document.querySelectorAll('.trio canvas')[n].toDataURL()")
        first, *_ = before = [run(f"drawn({panel})") for panel in range(3)]
        assert before[0] == before[1], "the prediction is the reconstruction in another size"
        assert before[2] != before[1], "the third holds both"
        run("document.querySelector('input').value = 3; document.querySelector('input').oninput()")
        moved_on = run("drawn(0)")
        run("document.querySelectorAll('[data-turn]')[2].click()")
        assert len({first, moved_on, run("drawn(0)")}) == 3
        assert run("document.querySelector('output').textContent") == "frame 3: 0 mm"
        run("document.querySelector('[data-play]').click()")
        while run("document.querySelector('input').value") == "3":
            time.sleep(0.05)
        assert tab.console() == []
    assert hosts(tmp_path) == set()
