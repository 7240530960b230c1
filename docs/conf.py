"""How Sphinx builds the site of these pages: `make docs`, then open build/site/index.html.

Nothing is asked of a network, neither by the build nor by a page that is opened: no intersphinx, formulas are MathML,
fonts and scripts come with the theme. `docs/making/check.py` looks the built pages over for that.
"""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "making"))
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "eyeline"
author = "The eyeline authors"
project_copyright = "The eyeline authors, MIT licence"
version = release = installed("eyeline")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # the docstrings have Google's sections (Args, Raises), which numpydoc does not read
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "mathematics",
    "reference",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["making", "examples", "pictures"]
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings hold functions
default_role = "code"
smartquotes = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
add_module_names = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "runnable",
    "filename_pattern": "plot_",
    "image_scrapers": ("matplotlib", "drawings.scraper"),
    "capture_repr": ("_repr_html_",),
    "reset_modules": ("matplotlib",),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "min_reported_time": 1e9,  # how long a script took is the machine's affair
}

html_theme = "pydata_sphinx_theme"
html_title = "eyeline"
html_static_path = ["making/static"]
html_css_files = ["site.css"]
ALONE = ("lecture", "guide", "reading", "trust", "explorer", "peers", "glossary", "changes")
html_sidebars = {page: [] for page in ALONE}
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "eyeline"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 9,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
