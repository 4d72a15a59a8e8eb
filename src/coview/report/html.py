"""Pieces of HTML: text that is safe, tables, bars, numbers with units. Strings in, strings out."""

import base64
import html
import math
from collections.abc import Iterable, Sequence


def text(value: object) -> str:
    """Any value as text that cannot become markup."""
    return html.escape(str(value), quote=True)


def number(value: float, unit: str, digits: int = 1) -> str:
    """`3.1 px`; a dash where there is no value."""
    return "–" if not math.isfinite(value) else f"{value:.{digits}f}&nbsp;{unit}"


def percent(share: float, digits: int = 0) -> str:
    """`97%`; a dash where there is no value."""
    return "–" if not math.isfinite(share) else f"{share:.{digits}%}"


def bar(share: float, label: str, tone: str = "") -> str:
    """A horizontal bar of `share` of the cell, and what it says. `label` is HTML already."""
    width = 0.0 if not math.isfinite(share) else 100 * min(max(share, 0.0), 1.0)
    return f'<div class="bar {tone}"><i style="width:{width:.1f}%"></i><span>{label}</span></div>'


def stacked(shares: Sequence[float], titles: Sequence[str]) -> str:
    """One bar made of parts, from weak to strong."""
    strongest = max(len(shares) - 1, 1)
    parts = (
        f'<i style="width:{100 * share:.2f}%;--strength:{index / strongest:.2f}" '
        f'title="{text(title)}: {share:.0%}"></i>'
        for index, (share, title) in enumerate(zip(shares, titles, strict=True))
        if share > 0
    )
    return f'<div class="stack">{"".join(parts)}</div>'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table that scrolls sideways where the screen is narrow. Cells are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in headers)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def definitions(entries: dict[str, str]) -> str:
    """Topics and what is said about them. Both are plain text; ` | ` begins a new line."""
    lines = {name: text(said).replace(" | ", "<br>") for name, said in entries.items()}
    return f"<dl>{''.join(f'<dt>{text(name)}</dt><dd>{said}</dd>' for name, said in lines.items())}</dl>"


def section(name: str, title: str, *parts: str) -> str:
    """A titled part of the page; nothing at all where no part has content."""
    body = "".join(parts)
    return f'<section id="{name}"><h2>{text(title)}</h2>{body}</section>' if body else ""


def paragraph(words: str, tone: str = "") -> str:
    """Plain text as a paragraph."""
    return f'<p class="{tone}">{text(words)}</p>' if tone else f"<p>{text(words)}</p>"


def jpeg(data: bytes, alt: str) -> str:
    """A picture inside the page."""
    encoded = base64.b64encode(data).decode("ascii")
    return f'<img alt="{text(alt)}" src="data:image/jpeg;base64,{encoded}">'
