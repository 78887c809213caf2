"""Sphinx's configuration of the site."""

from typing import Any

from sphinx.application import Sphinx


project = "Tenfold"
html_title = "Tenfold"
copyright = "the Tenfold authors; Apache licence 2.0"  # noqa: A001
extensions = ["myst_parser", "tenfold.site.mathml"]
exclude_patterns = ["files"]
suppress_warnings = ["myst.header"]  # pages of claims begin with what is of one edition

myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # it asks for pages in a way that files on a disk refuse
html_use_index = False
html_domain_indices = False
html_permalinks = False
html_theme_options: dict[str, Any] = {"top_of_page_buttons": []}

TABLE = '<div class="table-wrapper docutils container"'


def _reach_tables(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Tables that scroll in their own box can be reached by keyboard."""
    if "body" in context:
        context["body"] = context["body"].replace(TABLE, f'{TABLE} tabindex="0" role="region" aria-label="table"')


def setup(app: Sphinx) -> None:
    """Registers what the site changes of pages."""
    app.connect("html-page-context", _reach_tables)
