"""A source named in a docstring can be looked up."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEY = re.compile(r"\[([A-Z][A-Za-z]+\d{2})\b")


def test_every_source_named_in_the_code_is_in_the_bibliography():
    known = set(re.findall(r"@\w+\{(\w+),", (ROOT / "docs" / "references.bib").read_text()))
    named = {key for path in (ROOT / "src").rglob("*.py") for key in KEY.findall(path.read_text())}
    assert named <= known, f"not in docs/references.bib: {sorted(named - known)}"
    assert known <= named, f"in docs/references.bib, and named nowhere: {sorted(known - named)}"
