"""What a check says of a request, and what several say together (nginx: `satisfy`)."""

from __future__ import annotations

from typing import Final

import attrs

from s3shield.policy import Fields

__all__ = ["GRANTED", "Granted", "Refused", "Verdict", "together"]


@attrs.frozen
class Granted:
    """It may come in."""


@attrs.frozen
class Refused:
    """It may not. status: of the answer; fields: of it, such as WWW-Authenticate."""

    status: int
    fields: Fields = ()

    @property
    def final(self) -> bool:
        """Whether nobody need be asked after this one, even where one grant is enough."""
        return self.status not in _OPEN


Verdict = Granted | Refused | None
"""None: the check has nothing to say, as nginx's `allow` and `deny` where no line matches."""

GRANTED: Final = Granted()
_OPEN: Final = frozenset({401, 403, 410})


def together(before: Refused | None, now: Refused) -> Refused:
    """Return the refusal of two checks where one grant would have been enough.

    401 wins, with the challenges of both; else the later (nginx:
    ngx_http_core_access_phase).
    """
    if before is None or before.status != 401:
        return now
    if now.status != 401:
        return before
    return Refused(401, before.fields + now.fields)
