import io
import sys

from coview.progress import progress


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
