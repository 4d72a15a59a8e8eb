import importlib.util

from coview.doctor import EXTRAS, examine


def test_every_extra_is_looked_at():
    lines = examine()
    assert all(any(module in line for line in lines) for module, _ in EXTRAS.values())


def test_a_missing_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert any("pip install 'coview[mocap]'" in line for line in examine())


def test_two_opencvs_are_a_conflict(monkeypatch):
    class Installed:
        def __init__(self, name: str) -> None:
            self.metadata = {"Name": name}

    both = [Installed("opencv-python"), Installed("opencv-python-headless")]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: both)
    assert any(line.startswith("conflict") for line in examine())
