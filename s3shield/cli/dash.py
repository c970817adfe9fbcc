"""DASH manifests (ISO/IEC 23009-1): the URLs of the segments in one. Pure.

Theory of operation. The manifest is a tree of Period, AdaptationSet and Representation, each of
which may have a BaseURL and a SegmentTemplate, SegmentList or SegmentBase; what an inner one lacks
it inherits. A template makes URLs of numbers or times: those of its SegmentTimeline, or, with a
constant duration, as many as the period is long. A live presentation with a constant duration
has no end and gives its first segment only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urljoin

import attrs

from .bounded_xml import BadXmlError, read_xml

__all__ = ["read_manifest"]

_MOST: Final = 200_000
_ELEMENTS: Final = 500_000
_LEVELS: Final = ("Period", "AdaptationSet", "Representation")
_DURATION: Final = re.compile(
    r"P(?:([0-9.]+)D)?(?:T(?:([0-9.]+)H)?(?:([0-9.]+)M)?(?:([0-9.]+)S)?)?"
)
_IDENTIFIER: Final = re.compile(
    r"\$(RepresentationID|Number|Bandwidth|Time)?(?:%0([0-9]{1,2})d)?\$"
)


@attrs.define(eq=False)
class _Node:
    """One element. name: without namespace."""

    name: str
    attributes: Mapping[str, str]
    text: str = ""
    children: list[_Node] = attrs.field(factory=list)

    def all(self, name: str) -> list[_Node]:
        """Return the children of that name."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> _Node | None:
        """Return the first of them."""
        return next(iter(self.all(name)), None)

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number."""
        text = self.attributes.get(name, "")
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else default


def read_manifest(document: bytes, url: str) -> list[str]:
    """Return the absolute URLs of all segments. url: the manifest's. Raises BadXmlError."""
    root = _tree(document)
    if root is None or root.name != "MPD":
        raise BadXmlError("it is no DASH manifest: it has no MPD")
    total = _seconds(root.attributes.get("mediaPresentationDuration", ""))
    found: dict[str, None] = {}
    base = _based(url, root)
    periods = root.all("Period")
    for number, period in enumerate(periods):
        length = _seconds(period.attributes.get("duration", ""))
        if length is None and number == len(periods) - 1 and total is not None:
            length = total - (_seconds(period.attributes.get("start", "")) or 0.0)
        for each in _segments(period, (), base, length):
            found[each] = None
            if len(found) > _MOST:
                raise BadXmlError("it has more segments than any film")
    return list(found)


def _tree(document: bytes) -> _Node | None:
    roots: list[_Node] = []
    stack: list[_Node] = []

    def begin(path: tuple[str, ...], attributes: Mapping[str, str]) -> None:
        node = _Node(path[-1], attributes)
        (stack[-1].children if stack else roots).append(node)
        stack.append(node)

    def end(_path: tuple[str, ...], text: str) -> None:
        stack.pop().text = text

    read_xml(document, begin=begin, end=end, most=_ELEMENTS)
    return roots[0] if roots else None


def _seconds(text: str) -> float | None:
    """Read an xs:duration in days and less."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    try:
        days, hours, minutes, seconds = [float(part or 0) for part in found.groups()]
    except ValueError:
        return None
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _based(base: str, node: _Node) -> str:
    own = node.one("BaseURL")
    return base if own is None else urljoin(base, own.text)


def _segments(
    node: _Node, outer: tuple[_Node, ...], base: str, length: float | None
) -> Iterator[str]:
    """Yield the segments below a node. outer: what it stands in. length: seconds, if known."""
    base = _based(base, node)
    chain = (*outer, node)
    level = _LEVELS.index(node.name)
    if level < len(_LEVELS) - 1:
        for child in node.all(_LEVELS[level + 1]):
            yield from _segments(child, chain, base, length)
        return
    template = _inherited(chain, "SegmentTemplate")
    listed = _inherited(chain, "SegmentList")
    if template is not None:
        yield from (urljoin(base, uri) for uri in _made(template, node, length))
    elif listed is not None:
        # One without a name is a range of the BaseURL.
        yield from (urljoin(base, uri) for uri in _listed(listed))
    else:
        yield base  # one file, of which players ask for ranges


def _inherited(chain: tuple[_Node, ...], name: str) -> _Node | None:
    """Return an element of that name with what the outer ones of that name say."""
    found = [node for each in chain if (node := each.one(name)) is not None]
    if not found:
        return None
    attributes: dict[str, str] = {}
    children: dict[str, list[_Node]] = {}
    for node in found:
        attributes.update(node.attributes)
        children.update({child.name: node.all(child.name) for child in node.children})
    return _Node(name, attributes, "", [child for some in children.values() for child in some])


def _listed(node: _Node) -> Iterator[str]:
    first = node.one("Initialization")
    if first is not None:
        yield first.attributes.get("sourceURL", "")
    for each in node.all("SegmentURL"):
        yield each.attributes.get("media", "")


def _made(template: _Node, representation: _Node, length: float | None) -> Iterator[str]:
    names = {
        "RepresentationID": representation.attributes.get("id", ""),
        "Bandwidth": representation.attributes.get("bandwidth", ""),
    }
    first = template.attributes.get("initialization")
    if first is not None:
        yield _filled(first, names)
    media = template.attributes.get("media")
    if media is None:
        return
    number = template.number("startNumber", 1)
    for count, time in enumerate(_times(template, length)):
        yield _filled(media, {**names, "Number": str(number + count), "Time": str(time)})


def _times(template: _Node, length: float | None) -> Iterator[int]:
    """Yield when segments begin, in the template's timescale."""
    scale = max(1, template.number("timescale", 1))
    end = None if length is None else math.ceil(length * scale)
    timeline = template.one("SegmentTimeline")
    if timeline is None:
        duration = template.number("duration", 0)
        count = 1 if end is None or duration <= 0 else math.ceil(end / duration)
        for at in range(min(count, _MOST + 1)):
            yield at * duration
        return
    time = 0
    steps = timeline.all("S")
    for at, step in enumerate(steps):
        time = step.number("t", time)
        duration = step.number("d", 0)
        if duration <= 0:
            raise BadXmlError("a segment in its timeline has no duration")
        repeat = step.number("r", 0)
        if repeat < 0:  # until the next one, or the end of the period
            until = steps[at + 1].number("t", time) if at + 1 < len(steps) else end
            repeat = 0 if until is None else max(0, math.ceil((until - time) / duration) - 1)
        for _ in range(min(repeat, _MOST) + 1):
            yield time
            time += duration


def _filled(template: str, names: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return "$"
        text = names.get(found[1], "")
        width = int(found[2] or 0)
        return text.zfill(width) if text.isdigit() else text

    return _IDENTIFIER.sub(value, template)
