import io
import sys

from coview.progress import duration, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_step_comes_through_in_order_and_silently(capsys):
    assert list(progress(iter("abc"), total=3, what="spell")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_the_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(progress(iter("abc"), total=3, what="spell")) == ["a", "b", "c"]
    assert "spell" in screen.getvalue()


def test_durations_for_people():
    assert [duration(s) for s in (0.0, 40.0, 700.0, 11_100.0, float("nan"))] == [
        "0 s",
        "40 s",
        "12 min",
        "3 h 05 min",
        "an unknown time",
    ]
