"""Sphinx's settings for the documentation site."""

project = "Headwater"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
html_theme = "furo"
html_title = "Headwater"
html_show_copyright = False
html_show_sphinx = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # links to headings are checked too
suppress_warnings = [
    "misc.highlighting_failure",  # Jinja within SQL is shown plain
    "toc.not_included",
]
