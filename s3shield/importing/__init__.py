"""Configurations of nginx and Apache made an ini, with an account of what is not in it.

Theory of operation. A file is read into a tree of directives. What the tree says is put
into a draft of an ini, and every directive is entered in a ledger: used, needless, lost, or
lost although it kept somebody out. The loader of s3shield itself reads the draft; what it
does not take goes out of it and into the ledger, so that the ini passes `s3shield check`.

Where a restriction cannot be kept its location is closed (405 for everybody) rather than
open: an import that opens a private bucket to the world is the one mistake that must not
happen.
"""

from .ledger import Note, Weight
from .run import Imported, Kind, import_file
from .source import ImportFailed

__all__ = ["ImportFailed", "Imported", "Kind", "Note", "Weight", "import_file"]
