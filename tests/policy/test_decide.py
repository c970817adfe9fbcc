"""How a request is answered from what is stored, and what stands in for a failed origin."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    FETCH,
    GATEWAY_TIMEOUT,
    HIT,
    NEVER,
    REVALIDATE,
    CachePolicy,
    CacheStatus,
    EntryFlag,
    FailureKind,
    GiveUp,
    OriginFailure,
    ServeStale,
    decide,
    on_origin_error,
    stale_while_updating,
)

from .values import DEFAULT, NOW, cc, entry, request, stored

REFRESH = ServeStale(CacheStatus.STALE, refresh=True)
STALE = ServeStale(CacheStatus.STALE, refresh=False)
OBEDIENT = CachePolicy(client_revalidate=True)
LATER = NOW + 100
K = FailureKind


class Decide(SynchronousTestCase):
    def check(self, expected, stored_entry, now=NOW, asked=None, policy=DEFAULT) -> None:
        """Require this outcome."""
        found = decide(asked or request(), stored_entry, now, policy)
        self.assertEqual(found, expected, (stored_entry, now))

    def test_nothing_stored(self) -> None:
        """RFC 9111 4: no stored response, ask the origin."""
        self.check(FETCH, None)

    def test_fresh(self) -> None:
        """RFC 9111 4.2: fresh strictly before the end of its lifetime."""
        self.check(HIT, entry())
        self.check(HIT, entry(), NOW + 59.9)
        self.check(REVALIDATE, entry(), NOW + 60)
        self.check(HIT, entry(status=404, etag=b"", last_modified=-1))

    def test_stale(self) -> None:
        """RFC 9111 4.3: validated when it has a validator, fetched when not."""
        self.check(REVALIDATE, entry(), LATER)
        self.check(REVALIDATE, entry(etag=b""), LATER)
        self.check(REVALIDATE, entry(last_modified=-1), LATER)
        self.check(REVALIDATE, entry(etag=b"", last_modified=0), LATER)
        self.check(FETCH, entry(etag=b"", last_modified=-1), LATER)
        self.check(FETCH, entry(status=404), LATER)
        self.check(FETCH, entry(), LATER, policy=CachePolicy(revalidate=False))

    def test_stale_while_revalidate(self) -> None:
        """RFC 5861 3: served stale within the window, with a refresh, and not after."""
        meta = entry(swr_until=NOW + 90)
        self.check(HIT, meta, NOW + 59)
        self.check(REFRESH, meta, NOW + 60)
        self.check(REFRESH, meta, NOW + 89)
        self.check(REVALIDATE, meta, NOW + 90)
        self.check(REVALIDATE, meta, NOW + 70, policy=CachePolicy(background_update=False))
        self.assertTrue(stale_while_updating(meta, NOW + 70))

    def test_never_stale(self) -> None:
        """RFC 9111 5.2.2: flags that forbid stale close a window, should one be open."""
        for flag in (EntryFlag.MUST_REVALIDATE, EntryFlag.VALIDATE_ALWAYS, EntryFlag.WITHDRAWN):
            meta = entry(flags=int(flag), swr_until=NOW + 900)
            self.check(REVALIDATE, meta, LATER)
            self.assertFalse(stale_while_updating(meta, LATER))

    def test_no_cache(self) -> None:
        """RFC 9111 5.2.2.4: never used without validation, however young."""
        meta = stored(cc("no-cache, max-age=60, stale-while-revalidate=9", ("ETag", '"a"')))
        self.check(REVALIDATE, meta, NOW)

    def test_marks_are_no_responses(self) -> None:
        """VARIANTS and HIT_FOR_MISS entries answer nothing."""
        for flag in (EntryFlag.VARIANTS, EntryFlag.HIT_FOR_MISS):
            self.check(FETCH, entry(flags=int(flag), fresh_until=NEVER))

    def test_head(self) -> None:
        """RFC 9110 9.3.2: a stored GET answers HEAD, a stored HEAD never answers GET."""
        from_head = entry(flags=int(EntryFlag.FROM_HEAD))
        self.check(HIT, entry(), asked=request("HEAD"))
        self.check(HIT, from_head, asked=request("HEAD"))
        self.check(FETCH, from_head, asked=request("GET"))
        self.check(REVALIDATE, from_head, LATER, request("HEAD"))

    def test_only_if_cached(self) -> None:
        """RFC 9111 5.2.1.7: what is stored, or 504; obeyed always, it costs nothing."""
        asked = request(cache_control="only-if-cached")
        self.check(HIT, entry(), asked=asked)
        self.check(GATEWAY_TIMEOUT, None, asked=asked)
        self.check(GATEWAY_TIMEOUT, entry(), LATER, asked)
        self.check(REFRESH, entry(swr_until=NOW + 900), LATER, asked)
        self.check(GATEWAY_TIMEOUT, entry(flags=int(EntryFlag.FROM_HEAD)), asked=asked)

    def test_client_directives_are_not_obeyed_by_default(self) -> None:
        """`client_revalidate` off: clients do not drive the origin's cost."""
        for headers in (
            {"cache_control": "no-cache"},
            {"pragma": "no-cache"},
            {"cache_control": "max-age=0"},
        ):
            self.check(HIT, entry(), asked=request(**headers))

    def test_client_directives_obeyed(self) -> None:
        """RFC 9111 5.2.1: each request directive, with `client_revalidate` on."""
        for headers, now, expected in (
            ({}, NOW, HIT),
            ({"cache_control": "no-cache"}, NOW, REVALIDATE),
            ({"pragma": "no-cache"}, NOW, REVALIDATE),
            ({"pragma": "no-cache", "cache_control": "max-age=99"}, NOW, HIT),
            ({"cache_control": "max-age=0"}, NOW, HIT),
            ({"cache_control": "max-age=0"}, NOW + 1, REVALIDATE),
            ({"cache_control": "max-age=10"}, NOW + 10, HIT),
            ({"cache_control": "max-age=10"}, NOW + 11, REVALIDATE),
            ({"cache_control": "min-fresh=30"}, NOW + 30, HIT),
            ({"cache_control": "min-fresh=30"}, NOW + 31, REVALIDATE),
            ({"cache_control": "max-age=60"}, NOW + 60, REVALIDATE),
            ({"cache_control": "max-stale"}, NOW + 9999, STALE),
            ({"cache_control": "max-stale=30"}, NOW + 90, STALE),
            ({"cache_control": "max-stale=30"}, NOW + 91, REVALIDATE),
            ({"cache_control": "max-stale=30, min-fresh=5"}, NOW + 70, REVALIDATE),
            ({"cache_control": "no-cache, max-stale"}, NOW + 70, REVALIDATE),
            ({"cache_control": "no-cache, only-if-cached"}, NOW, GATEWAY_TIMEOUT),
        ):
            self.check(expected, entry(), now, request(**headers), OBEDIENT)

    def test_client_insists_over_windows(self) -> None:
        """A client that wants validation is not given a stale answer meanwhile."""
        meta = entry(swr_until=NOW + 900)
        self.check(REVALIDATE, meta, LATER, request(cache_control="no-cache"), OBEDIENT)
        self.check(REVALIDATE, meta, LATER, request(cache_control="max-age=5"), OBEDIENT)
        self.check(REFRESH, meta, LATER, request(), OBEDIENT)

    def test_max_stale_does_not_override_the_origin(self) -> None:
        """RFC 9111 4.2.4: must-revalidate wins over the client's max-stale."""
        meta = entry(flags=int(EntryFlag.MUST_REVALIDATE))
        self.check(REVALIDATE, meta, LATER, request(cache_control="max-stale"), OBEDIENT)

    @settings(max_examples=200, deadline=None)
    @given(
        st.integers(0, 255),
        st.floats(-100, 100),
        st.floats(-100, 100),
        st.sampled_from(["GET", "HEAD"]),
        st.sampled_from([None, "no-cache", "max-stale", "only-if-cached", "max-age=3", "\xff="]),
        st.booleans(),
    )
    def test_total(self, flags, fresh, window, method, control, obedient) -> None:
        """Every state has a decision, and a stale entry that must not be used is not."""
        meta = entry(flags=flags, fresh_until=NOW + fresh, swr_until=NOW + window)
        headers = {} if control is None else {"cache_control": control.encode("latin-1")}
        policy = OBEDIENT if obedient else DEFAULT
        found = decide(request(method, **headers), meta, NOW, policy)
        if fresh <= 0:
            self.assertIsNot(found, HIT)
            if flags & (EntryFlag.MUST_REVALIDATE | EntryFlag.VALIDATE_ALWAYS):
                self.assertNotIsInstance(found, ServeStale)


def failure(kind: FailureKind, status: int = 0, code: str = "") -> OriginFailure:
    """One failed attempt."""
    return OriginFailure(kind, status=status, code=code)


class OnOriginError(SynchronousTestCase):
    def check(self, expected, meta, failed, now=LATER, policy=DEFAULT, asked=None) -> None:
        """Require this outcome."""
        found = on_origin_error(asked or request(), meta, failed, now, policy)
        self.assertEqual(found, expected, (meta, failed))

    def test_nothing_to_stand_in(self) -> None:
        """504 when time ran out, 502 for other failures, the origin's own status else."""
        for failed, status in (
            (failure(K.CONNECT), 502),
            (failure(K.CUT), 502),
            (failure(K.INVALID), 502),
            (failure(K.TIMEOUT), 504),
            (failure(K.STATUS, 503), 503),
            (failure(K.STATUS, 404), 404),
        ):
            self.check(GiveUp(status), None, failed)
            self.check(GiveUp(status), entry(flags=int(EntryFlag.HIT_FOR_MISS)), failed)
            self.check(GiveUp(status), entry(flags=int(EntryFlag.FROM_HEAD)), failed)

    def test_use_stale_tokens(self) -> None:
        """As nginx `proxy_cache_use_stale`: each token covers its failures, no other."""
        cases = {
            "error": [failure(K.CONNECT), failure(K.CUT)],
            "timeout": [failure(K.TIMEOUT)],
            "invalid_header": [failure(K.INVALID)],
        }
        for status in (500, 502, 503, 504, 403, 404, 429):
            cases[f"http_{status}"] = [failure(K.STATUS, status)]
        for token, (other, failures) in itertools.product(cases, cases.items()):
            policy = CachePolicy(use_stale=frozenset({token}))
            for failed in failures:
                found = on_origin_error(request(), entry(), failed, LATER, policy)
                self.assertEqual(found == STALE, token == other, (token, failed))

    def test_default_tokens(self) -> None:
        """The default: error timeout updating http_500 502 503 504 429."""
        for failed in (failure(K.CONNECT), failure(K.CUT), failure(K.TIMEOUT)):
            self.check(STALE, entry(), failed)
        for status in (500, 502, 503, 504, 429):
            self.check(STALE, entry(), failure(K.STATUS, status))
        for status in (403, 404, 501, 505):
            self.check(GiveUp(status), entry(), failure(K.STATUS, status))
        self.check(GiveUp(502), entry(), failure(K.INVALID))

    def test_without_limit_in_time(self) -> None:
        """As nginx: however stale, for what is not forbidden."""
        self.check(STALE, entry(), failure(K.CONNECT), NOW + 10**8)

    def test_forbidden(self) -> None:
        """RFC 9111 5.2.2.2: never stale, and 504 when the origin cannot be reached."""
        for value in ("must-revalidate, max-age=60", "proxy-revalidate, max-age=60", "s-maxage=60"):
            meta = stored(cc(value, ("ETag", '"a"')))
            for kind in (K.CONNECT, K.CUT, K.TIMEOUT):
                self.check(GiveUp(504), meta, failure(kind))
            self.check(GiveUp(502), meta, failure(K.INVALID))
            self.check(GiveUp(503), meta, failure(K.STATUS, 503))
        always = stored(cc("no-cache", ("ETag", '"a"')))
        self.check(GiveUp(504), always, failure(K.CONNECT), NOW)

    def test_fresh_may_stand_in(self) -> None:
        """RFC 9111 4.2: a refresh that fails early does not take a fresh entry away."""
        meta = stored(cc("must-revalidate, max-age=60", ("ETag", '"a"')))
        self.check(STALE, meta, failure(K.CONNECT), NOW + 30)
        self.check(GiveUp(504), meta, failure(K.CONNECT), NOW + 60)
        self.check(STALE, entry(), failure(K.STATUS, 503), NOW + 30)

    def test_stale_if_error(self) -> None:
        """RFC 5861 4: within the window, for every error, even with use_stale off."""
        off = CachePolicy(use_stale=frozenset())
        meta = stored(cc("max-age=60, stale-if-error=90"))
        for failed in (
            failure(K.CONNECT),
            failure(K.CUT),
            failure(K.TIMEOUT),
            failure(K.INVALID),
            *(failure(K.STATUS, status) for status in (500, 502, 503, 504)),
        ):
            self.check(STALE, meta, failed, NOW + 149, off)
            gone = on_origin_error(request(), meta, failed, NOW + 150, DEFAULT)
            self.assertIsInstance(gone, GiveUp, failed)
        self.check(GiveUp(404), meta, failure(K.STATUS, 404), NOW + 100)

    def test_credential_failure(self) -> None:
        """A refused signature is an origin error: stale may stand in, and the client sees 502."""
        failed = failure(K.STATUS, 403, "ExpiredToken")
        self.check(STALE, entry(), failed)
        self.check(GiveUp(502), None, failed)
        self.check(GiveUp(403), entry(), failure(K.STATUS, 403, "AccessDenied"))
        self.check(GiveUp(502), entry(), failed, policy=CachePolicy(use_stale=frozenset()))

    def test_head(self) -> None:
        """A stored HEAD stands in for a HEAD."""
        from_head = entry(flags=int(EntryFlag.FROM_HEAD))
        self.check(STALE, from_head, failure(K.CONNECT), asked=request("HEAD"))
