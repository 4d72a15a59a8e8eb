"""Settings of the documentation site, for Sphinx. `make docs` builds it into docs/_build/html."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import api_pages  # noqa: E402  needs the path above

import coview  # noqa: E402

project = "coview"
author = copyright = "The coview authors"
version = release = coview.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
suppress_warnings = [
    # a name such as `Recipe` in a signature may mean the public name or the module's: either link is right
    "ref.python",
]

html_theme = "furo"
html_title = f"coview {version}"
html_static_path: list[str] = []
html_show_sphinx = False

# pages and notebooks
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 900  # of a cell that takes ten seconds, on a machine that is busy with other work
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # progress bars
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# recorded motion for the notebook of the benchmark, where it lies beside the checkout; else it generates its own
_MOTION = HERE.parents[1] / "shared" / "data" / "mocap_cmu"
if _MOTION.is_dir():
    os.environ.setdefault("COVIEW_DOCS_MOTION", str(_MOTION))

# reference
autosummary_generate = True
toc_object_entries = False  # thousands of entries, which Furo repeats on every page
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of Lightning are written for another site
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # fields of a class in one list, not described a second time beside its members
napoleon_attr_annotations = False  # shapes such as "*batch 3 3" look like markup

api_pages.write(HERE / "reference")


def setup(app) -> None:  # type: ignore[no-untyped-def]  # Sphinx is no dependency of the code that is checked
    """Docstrings are written in Markdown's manner; Sphinx reads reStructuredText."""
    app.connect("autodoc-process-docstring", api_pages.as_restructured_text, priority=400)
