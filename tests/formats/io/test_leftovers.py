"""What a killed process left unfinished goes; what a living one writes stays."""

import os
import re
import signal
import subprocess
import sys

import pytest

from coview.formats.io.atomic import write_text
from coview.formats.io.leftovers import abandoned, in_work, locked, remove_unfinished

pytest.importorskip("fcntl")
ANY = re.compile(r"\..*\.part")
HOLDER = """
import sys, time
from pathlib import Path
from coview.formats.io.leftovers import in_work
with in_work(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_what_a_living_process_writes_stays_until_it_is_killed(tmp_path):
    path = tmp_path / ".joints.0123abcd.part.npz"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        remove_unfinished(tmp_path / "." / "")
        assert path.exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    write_text(tmp_path / "joints.txt", "finished")
    assert path.exists()  # this process has looked before
    pid = os.fork()
    if pid == 0:
        write_text(tmp_path / "joints.txt", "finished")
        os._exit(0)
    os.waitpid(pid, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["joints.txt"]


def test_only_names_of_ours_are_removed(tmp_path):
    kept = [".hidden", "a.part", ".a.part.npz", ".a.0123abcd.npz", ".a.xyzxyzxy.part"]
    for name in [*kept, ".a.0123abcd.part", ".b.0123abcd.part.toml"]:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").touch()
    (tmp_path / ".a.part").symlink_to(tmp_path / "precious")
    assert list(abandoned(tmp_path, ANY)) == []


def test_folders_that_are_not_there_or_cannot_be_read_hold_nothing(tmp_path):
    assert list(abandoned(tmp_path / "none", ANY)) == []


def test_a_lock_is_held_once(tmp_path):
    (tmp_path / "file").touch()
    one, two = (os.open(tmp_path / "file", os.O_RDONLY) for _ in range(2))
    assert locked(one) is True
    assert locked(two) is False
    os.close(one)
    assert locked(two) is True
    os.close(two)


def test_a_file_in_work_is_made(tmp_path):
    with in_work(tmp_path / "new"):
        assert (tmp_path / "new").exists()
        assert list(abandoned(tmp_path, re.compile("new"))) == []
    assert list(abandoned(tmp_path, re.compile("new"))) == [tmp_path / "new"]
