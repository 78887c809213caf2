"""Sphinx's configuration of the site."""

import re
from typing import Any

from sphinx.application import Sphinx

project = "Tenfold"
html_title = "Tenfold"
copyright = "the Tenfold authors, under the Apache licence 2.0"  # noqa: A001
extensions = ["myst_parser", "tenfold.site.mathml"]
exclude_patterns = ["files"]

myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/tenfold.svg"
html_copy_source = False
html_show_search_summary = False  # it asks for pages in a way that files on a disk refuse
html_use_index = False
html_domain_indices = False
html_permalinks = False

LIGHT = {
    "color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad", "color-brand-visited": "#6b3fa0",
    "color-foreground-primary": "#16191d", "color-foreground-secondary": "#50565f",
    "color-background-border": "#e2e5ea",
    "word-yes": "#0a6b41", "word-yes-behind": "#e3f5ec", "word-no": "#a33a00", "word-no-behind": "#fdeee4",
    "word-open": "#0b5cad", "word-open-behind": "#e6f0fb", "word-none": "#50565f", "word-none-behind": "#f1f3f6",
}  # fmt: skip
DARK = {
    "color-brand-primary": "#7ab8f5", "color-brand-content": "#7ab8f5", "color-brand-visited": "#c3a5f0",
    "color-foreground-primary": "#e4e7eb", "color-foreground-secondary": "#a7aeb8",
    "color-background-border": "#343a42",
    "word-yes": "#6fd6a4", "word-yes-behind": "#12301f", "word-no": "#f5a173", "word-no-behind": "#3a1f10",
    "word-open": "#7ab8f5", "word-open-behind": "#12283f", "word-none": "#b4bbc5", "word-none-behind": "#24292f",
}  # fmt: skip
html_theme_options: dict[str, Any] = {
    "top_of_page_buttons": [], "light_css_variables": LIGHT, "dark_css_variables": DARK,
}  # fmt: skip

BOX = re.compile(r'<div class="(table|math)-wrapper docutils container"')  # that Furo puts around what may be wide


def _reach_boxes(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Makes boxes that scroll reachable by keyboard."""
    if "body" in context:
        context["body"] = BOX.sub(r'\g<0> tabindex="0" role="region" aria-label="\1"', context["body"])


def setup(app: Sphinx) -> None:
    """Registers what the site changes of pages."""
    app.connect("html-page-context", _reach_boxes)
