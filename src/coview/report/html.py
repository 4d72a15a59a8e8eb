"""Fills the page templates in `templates/` with Jinja2: every value is escaped, unless it is markup already.

A template that names a value which it was not given fails (StrictUndefined) instead of leaving a gap.
"""

import math
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

_DASH, _NO_BREAK = "–", "\N{NO-BREAK SPACE}"


def render_html(template: str, **values: object) -> Markup:
    """The HTML of `templates/<template>.html.j2`; as `Markup`, so that a template that includes it keeps it as it is.

    Args:
        template: file name in `templates/`, without `.html.j2`.
        values: what the template names. Strings become text, never markup; `Markup` is taken over.

    Raises:
        jinja2.UndefinedError: where the template names a value that is not given."""
    return Markup(_environment().get_template(f"{template}.html.j2").render(values))


def render_markdown(template: str, **values: object) -> str:
    """The Markdown of `templates/<template>.md.j2`; nothing is escaped.

    Args:
        template: File name in `templates/`, without `.md.j2`.
        values: What the template names.

    Returns:
        The Markdown.
    """
    return _environment().get_template(f"{template}.md.j2").render(values)


def number(value: float, unit: str, digits: int = 1) -> str:
    """A value with its unit: "3.1 px", with a no-break space.

    Args:
        value: The value.
        unit: Its unit.
        digits: Decimals.

    Returns:
        The text; a dash where the value is not finite.
    """
    return f"{value:.{digits}f}{_NO_BREAK}{unit}" if math.isfinite(value) else _DASH


def plus_minus(value: float, sigma: float, unit: str, digits: int = 0) -> str:
    """A value with its standard deviation and unit: "1200 ± 4.0 px".

    Args:
        value: The value.
        sigma: Its standard deviation; not shown where it is not finite.
        unit: Unit of both.
        digits: Decimals of the value; the standard deviation has one at least.

    Returns:
        The text; a dash where the value is not finite.
    """
    if not math.isfinite(value):
        return _DASH
    around = f"{_NO_BREAK}±{_NO_BREAK}{sigma:.{max(digits, 1)}f}" if math.isfinite(sigma) else ""
    return f"{value:.{digits}f}{around}{_NO_BREAK}{unit}"


def percent(share: float, digits: int = 0) -> str:
    """A share as "97%".

    Args:
        share: The share, 0 to 1.
        digits: Decimals.

    Returns:
        The text; a dash where the share is not finite.
    """
    return f"{share:.{digits}%}" if math.isfinite(share) else _DASH


def setting(value: object) -> str:
    """A stored setting as text: numbers with four significant digits, lists by their parts.

    Args:
        value: The setting.

    Returns:
        The text; a dash for None.
    """
    if value is None:
        return _DASH
    if isinstance(value, list):
        return ", ".join(map(setting, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def width(share: float) -> str:
    """CSS width of a bar.

    Args:
        share: The share, clamped to 0 to 1.

    Returns:
        Percentage; 0 where the share is not finite.
    """
    return f"{100 * min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0:.1f}%"


def _asset(name: str) -> Markup:
    """A style sheet or script of ours, to stand in the page as it is."""
    loader = _environment().loader
    assert loader is not None
    return Markup(loader.get_source(_environment(), name)[0])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("coview.report"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number,
        "plus_minus": plus_minus,
        "percent": percent,
        "setting": setting,
        "width": width,
    }
    environment.globals["asset"] = _asset
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment
