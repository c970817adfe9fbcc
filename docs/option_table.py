"""The directive `option-table`: every option, where it may stand, what holds without it.

Made of the daemon's own table of options at each build, so that it cannot say anything else
than the daemon does.
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from option_rows import rows
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class OptionTable(SphinxDirective):
    """`.. option-table::`, without arguments."""

    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        group = nodes.tgroup(cols=3)
        for width in (34, 40, 26):
            group += nodes.colspec(colwidth=width)
        group += nodes.thead("", _row("option", "may stand in", "default", literal=False))
        group += nodes.tbody("", *(_row(*each, literal=True) for each in rows()))
        return [nodes.table("", group)]


def _row(*cells: str, literal: bool) -> nodes.row:
    row = nodes.row()
    for text in cells:
        words: nodes.Node = nodes.literal(text, text) if literal and text else nodes.Text(text)
        row += nodes.entry("", nodes.paragraph("", "", words))
    return row


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("option-table", OptionTable)
    return {"parallel_read_safe": True}
