"""Two commands on one session: the second waits and says for whom; a killed one holds nobody up."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from coview.formats.session.lock import LOCK, one_at_a_time, working_on

pytest.importorskip("fcntl")
HOLDER = """
import sys, time
from pathlib import Path
from coview.formats.session.lock import working_on
with working_on(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(seconds)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_the_second_waits_and_says_for_whom(tmp_path, capsys):
    with holder(tmp_path, 0.5) as process:
        with working_on(tmp_path):
            assert process.wait() == 0  # it let go because it ended
        said = capsys.readouterr().err
    assert f"waiting for process {process.pid} (`coview" in said
    assert said.count("waiting") == 1
    assert str(tmp_path) in said
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_holds_nobody_up(tmp_path, capsys):
    with holder(tmp_path, 60) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert json.loads((tmp_path / LOCK).read_text())["process"] == process.pid
    with working_on(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_stage_may_call_another_and_leaves_nothing(tmp_path):
    @one_at_a_time
    def inner(session):
        return sorted(path.name for path in session.iterdir())

    @one_at_a_time
    def outer(source, session):
        return inner(session), inner(session=session)

    assert outer(1, tmp_path) == ([LOCK], [LOCK])
    with pytest.raises(TypeError):
        inner()
    assert list(tmp_path.iterdir()) == []


def test_threads_take_turns(tmp_path):
    inside, most = [], []

    def work():
        with working_on(tmp_path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_folder_that_cannot_be_written_to_is_not_locked(tmp_path):
    with working_on(tmp_path / "none"):
        assert not (tmp_path / "none").exists()


def test_an_error_lets_go(tmp_path):
    with pytest.raises(RuntimeError), working_on(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
