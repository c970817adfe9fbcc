"""XML of strangers, read with care. Pure.

There is no document type (so there are no entities but XML's own five, and nothing is loaded), and
never more of anything than a bound says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from xml.parsers import expat  # nosec: no DTD gets past `_no_doctype`

__all__ = ["BadXmlError", "read_xml"]

_MAX_DEPTH: Final = 16
_MAX_TEXT: Final = 16 * 1024

Path = tuple[str, ...]
"""Names from the root on, without namespaces."""


class BadXmlError(ValueError):
    """It cannot be read; the text is a sentence for people."""


class _Reader:
    def __init__(
        self,
        begin: Callable[[Path, Mapping[str, str]], None],
        end: Callable[[Path, str], None],
        most: int,
    ) -> None:
        self._begin = begin
        self._end = end
        self._left = most
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(":")[2])
        self._left -= 1
        if self._left < 0:
            raise BadXmlError("there are too many elements in it")
        if len(self._path) > _MAX_DEPTH:
            raise BadXmlError("it is too deep")
        self._text.clear()
        self._length = 0
        self._begin(tuple(self._path), attributes)

    def data(self, data: str) -> None:
        self._length += len(data)
        if self._length > _MAX_TEXT:
            raise BadXmlError("a text in it is too long")
        self._text.append(data)

    def stop(self, _name: str) -> None:
        self._end(tuple(self._path), "".join(self._text).strip())
        self._text.clear()
        self._length = 0
        self._path.pop()


def _no_doctype(*_: object) -> None:
    raise BadXmlError("there is a document type in it")


def read_xml(
    document: bytes,
    *,
    begin: Callable[[Path, Mapping[str, str]], None] = lambda _path, _attributes: None,
    end: Callable[[Path, str], None] = lambda _path, _text: None,
    most: int,
) -> None:
    """Read a document; tell each element's path and attributes, then path and own text.

    most: elements. Raises BadXmlError, and what is raised by those that are told.
    """
    reader = _Reader(begin, end, most)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    for event, told in (
        ("StartElement", reader.start),
        ("EndElement", reader.stop),
        ("CharacterData", reader.data),
        ("StartDoctypeDecl", _no_doctype),
        ("EntityDecl", _no_doctype),
    ):
        setattr(parser, f"{event}Handler", told)  # the word is expat's
    try:
        parser.Parse(document, True)
    except expat.ExpatError as why:
        raise BadXmlError(f"it is not XML: {expat.errors.messages[why.code]}") from None
    except (LookupError, UnicodeError) as why:
        raise BadXmlError(f"it cannot be read: {why}") from None
