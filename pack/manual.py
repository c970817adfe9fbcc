"""The page s3shield(1), made of the help texts.

python -m pack.manual > s3shield.1
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from pack.words import Command, Word, commands, top
from s3shield import __version__

__all__ = ["page"]


def _escaped(text: str) -> str:
    """Return text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in text.split("\n"))


def _word(word: Word) -> str:
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in word.names)
    value = f"\\fI{_escaped(word.once)}\\fR" if word.value else ""
    end = "" if word.help.endswith(("?", ".")) else "."
    return f".TP\n{' '.join(filter(None, (names, value)))}\n{_escaped(word.help)}{end}\n"


def _synopsis(command: Command) -> str:
    words = " ".join(f"\\fI{_escaped(word.once)}\\fR" for word in command.operands)
    return f"\\fBs3shield {_escaped(command.name)}\\fR [\\fIOPTIONS\\fR] {words}".rstrip()


def _examples(text: str) -> str:
    return f".nf\n{_escaped(text.rstrip())}\n.fi\n" if text else ""


def _parts() -> Iterable[str]:
    first = top()
    yield f'.TH S3SHIELD 1 "" "s3shield {__version__}" "s3shield"\n'
    yield ".SH NAME\ns3shield \\- serve private S3 buckets from a cache that signs\n.SH SYNOPSIS\n"
    yield "\\fBs3shield\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.br\n"
    yield "\\fBtwistd\\fR [\\fB\\-n\\fR] \\fBs3shield\\fR [\\fB\\-c\\fR \\fIFILE\\fR]\n"
    yield f".SH DESCRIPTION\n{_escaped(first.text)}\n"
    yield "The daemon is what \\fBtwistd s3shield\\fR runs, by the configuration that\n"
    yield ".BR s3shield.ini (5)\ntells of. \\fBs3shield\\fR does what is done besides serving.\n"
    yield ".SH OPTIONS\n"
    yield from (_word(word) for word in first.options)
    yield ".SH COMMANDS\n"
    for command in commands():
        yield f".SS {_synopsis(command)}\n{_escaped(command.text)}\n"
        yield from (_word(word) for word in command.words if "--help" not in word.names)
        yield f".PP\n{_examples(command.examples)}"
    yield f".SH EXAMPLES\n{_examples(first.examples)}"
    yield ".SH FILES\n.TP\n\\fI/etc/s3shield/s3shield.ini\\fR\nThe configuration.\n"
    yield ".SH SEE ALSO\n.BR s3shield.ini (5)\n"


def page() -> str:
    """Return the page in roff."""
    return "".join(_parts())


if __name__ == "__main__":
    sys.stdout.write(page())
