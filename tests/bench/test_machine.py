import re

import torch

from coview import __version__
from coview.bench import machine as here
from coview.bench.machine import commit, forget_peak, machine, peak_mb


def test_the_commit_is_that_of_this_checkout():
    assert re.fullmatch(r"[0-9a-f]{7,}\+?", commit()) or commit() == f"coview {__version__}"


def test_an_installed_copy_does_not_name_the_repository_around_it(monkeypatch, tmp_path):
    monkeypatch.setattr(here, "_ROOT", tmp_path)
    assert commit() == f"coview {__version__}"


def test_the_machine_says_threads_and_load():
    assert re.fullmatch(
        rf"cpu: .+, \d+ cores, {torch.get_num_threads()} threads(, load \d+\.\d)?", machine("cpu")
    )


def test_the_peak_is_of_what_came_since():
    forget_peak()
    before = peak_mb("cpu")
    held = torch.ones(2**25)  # 128 MB
    assert peak_mb("cpu") - before > 100
    del held
    forget_peak()
    assert peak_mb("cpu") < before + 100


def test_where_the_peak_cannot_be_reset_it_is_the_processs(monkeypatch, tmp_path):
    monkeypatch.setattr(here, "_PEAK_RESET", tmp_path / "nowhere" / "file")
    monkeypatch.setattr(here, "_STATUS", tmp_path / "no status")
    forget_peak()
    assert 20 < peak_mb("cpu") < 100_000
