"""What may be stored (RFC 9111 section 3), why not, and what is remembered."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    ANY,
    NEVER,
    CachePolicy,
    EntryFlag,
    NoStore,
    NoStoreReason,
    ResponseHead,
    Store,
    admit,
    admit_partial,
    credential_failure,
)

from .values import DEFAULT, NOW, admitted, cc, date, head, request, stored, table

R = NoStoreReason
ETAG = ("ETag", '"v1"')


class Admit(SynchronousTestCase):
    def refused(self, response, reason, policy=DEFAULT, asked=None, **options) -> None:
        """Require this refusal."""
        self.assertEqual(admitted(response, policy, asked, **options), NoStore(reason), response)

    def kept(self, response, policy=DEFAULT, asked=None) -> Store:
        """Require that it is stored."""
        answer = admitted(response, policy, asked)
        self.assertIsInstance(answer, Store, response)
        return answer

    def test_explicitly_fresh_statuses(self) -> None:
        """RFC 9111 3: any final status, understood or not, with a lifetime of its own."""
        excepted = {206, 304, 416, 428, 429, 431, 511}
        for status in range(200, 600):
            for response in (
                cc("max-age=60", status=status),
                cc("s-maxage=60", status=status),
                head(("Expires", date(60)), status=status),
                head(("CDN-Cache-Control", "max-age=60"), status=status),
            ):
                answer = admitted(response)
                if status in excepted:
                    self.assertIsInstance(answer, NoStore, response)
                else:
                    self.assertIsInstance(answer, Store, response)

    def test_statuses_without_a_lifetime(self) -> None:
        """RFC 9111 3: without one, only what is heuristically cacheable, or `public`."""
        modified = ("Last-Modified", date(-1000))
        for status in (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 451, 501):
            self.kept(head(modified, status=status))
        for status in (201, 202, 205, 299, 302, 303, 307, 400, 401, 403, 499, 500, 502, 503, 504):
            self.refused(head(modified, status=status), R.NO_FRESHNESS)
            self.kept(cc("public", modified, status=status))

    def test_not_about_the_resource(self) -> None:
        """A 304 to our own unconditional request, a 416, a 412 to conditions: never stored."""
        for status in (304, 416):
            self.refused(cc("max-age=60", status=status), R.STATUS)
        for name in ("if_match", "if_unmodified_since", "if_none_match", "if_modified_since"):
            self.refused(cc("max-age=60", status=412), R.STATUS, asked=request(**{name: '"a"'}))
        for status in (0, 100, 101, 103, 199, 600, 999):
            self.refused(cc("max-age=60", status=status), R.STATUS)
        self.refused(cc("max-age=60", ETAG, status=206), R.PARTIAL_CONTENT)

    def test_statuses_of_rfc_6585(self) -> None:
        """RFC 6585 3-6: MUST NOT be stored by a cache; an operator's TTL may."""
        policy = CachePolicy(valid=table(({429}, 5)))
        for status in (428, 429, 431, 511):
            self.refused(cc("max-age=60", status=status), R.STATUS)
        self.kept(head(status=429), policy)

    def test_restricting_directives(self) -> None:
        """RFC 9111 5.2.2: no-store and private, whatever else is said."""
        for value, reason in (
            ("no-store", R.NO_STORE),
            ("max-age=60, no-store", R.NO_STORE),
            ("NO-STORE, public, max-age=60", R.NO_STORE),
            ("no-store, no-cache, must-revalidate", R.NO_STORE),
            ("private", R.PRIVATE),
            ("private, max-age=60", R.PRIVATE),
            ("Private, s-maxage=60", R.PRIVATE),
        ):
            self.refused(cc(value, ETAG), reason)

    def test_must_understand(self) -> None:
        """RFC 9111 5.2.2.3: overrides no-store where the status is understood, only there."""
        self.kept(cc("must-understand, no-store, max-age=60"))
        self.kept(cc("no-store, max-age=60, must-understand", status=404))
        understood = {
            200,
            201,
            202,
            203,
            204,
            205,
            300,
            301,
            302,
            303,
            307,
            308,
            421,
            422,
            425,
            426,
        }
        understood |= {451, *range(400, 418), *range(500, 506)} - {416}
        for status in range(200, 600):
            answer = admitted(cc("must-understand, no-store, max-age=60", status=status))
            self.assertEqual(isinstance(answer, Store), status in understood, status)
        self.refused(cc("must-understand, max-age=60", status=299), R.STATUS)
        self.refused(cc("must-understand, no-store, max-age=60", status=599), R.STATUS)

    def test_no_cache(self) -> None:
        """RFC 9111 5.2.2.4: kept for validation, if it can be validated."""
        meta = stored(cc("no-cache, max-age=60", ETAG))
        self.assertTrue(meta.flags & EntryFlag.VALIDATE_ALWAYS)
        self.assertTrue(meta.flags & EntryFlag.MUST_REVALIDATE)
        self.assertEqual((meta.fresh_until, meta.swr_until, meta.sie_until), (NEVER,) * 3)
        stored(cc("no-cache", ("Last-Modified", date(-5))))
        self.refused(cc("no-cache, max-age=60"), R.NO_CACHE)

    def test_qualified_directives(self) -> None:
        """RFC 9111 5.2.2.4, 5.2.2.7: listed fields are not stored, the rest is."""
        answer = self.kept(cc('max-age=60, private="X-User", no-cache="x-b"', ("X-User", "7")))
        self.assertEqual(answer.withheld, frozenset({b"x-user", b"x-b"}))
        self.assertEqual(answer.meta.fresh_until, NOW + 60)
        self.kept(cc('max-age=60, private="set-cookie"', ("Set-Cookie", "a=b")))
        self.refused(cc('max-age=60, private="content-type"'), R.PRIVATE)

    def test_set_cookie(self) -> None:
        """Not stored unless ignored: one client's cookie must not go to all."""
        response = cc("max-age=60, public", ("Set-Cookie", "a=b"))
        self.refused(response, R.SET_COOKIE)
        self.kept(response, CachePolicy(ignore_headers=frozenset({b"set-cookie"})))

    def test_authorization(self) -> None:
        """RFC 9111 3.5: only with must-revalidate, public or s-maxage."""
        asked = request(authorization="Basic eDp5")
        for value in ("public, max-age=60", "must-revalidate, max-age=60", "s-maxage=60"):
            self.kept(cc(value), asked=asked)
        for value in ("max-age=60", "proxy-revalidate, max-age=60", 'no-cache="a", max-age=60'):
            self.refused(cc(value), R.CLIENT_AUTH, asked=asked)
        self.refused(head(), R.CLIENT_AUTH, CachePolicy(valid=table((ANY, 60))), asked)
        self.kept(cc("max-age=60"), CachePolicy(ignore_authorization=True), asked)

    def test_vary(self) -> None:
        """RFC 9111 4.1: `*` never matches; names are kept lower-case and sorted."""
        for value in ("*", "Accept, *", "*, foo", "a b"):
            self.refused(cc("max-age=60", ("Vary", value)), R.VARY_STAR)
        self.assertEqual(
            self.kept(cc("max-age=60", ("Vary", "Foo, ACCEPT ,foo"))).vary, (b"accept", b"foo")
        )
        self.kept(cc("max-age=60", ("Vary", "*")), CachePolicy(ignore_headers=frozenset({b"vary"})))

    def test_methods(self) -> None:
        """`proxy_cache_methods`, and never anything but GET and HEAD."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "get"):
            self.refused(cc("max-age=60"), R.METHOD, asked=request(method))
        only_get = CachePolicy(cache_methods=frozenset({b"GET"}))
        self.refused(cc("max-age=60"), R.METHOD, only_get, request("HEAD"))

    def test_head_responses(self) -> None:
        """RFC 9110 9.3.2: the answer to a HEAD has no body and is marked so."""
        answer = self.kept(cc("max-age=60"), asked=request("HEAD"))
        self.assertTrue(answer.meta.flags & EntryFlag.FROM_HEAD)
        small = CachePolicy(max_object_size=10)
        self.kept(cc("max-age=60", ("Content-Length", "11")), small, request("HEAD"))

    def test_size(self) -> None:
        """`max_object_size`: refused as soon as Content-Length tells."""
        small = CachePolicy(max_object_size=10)
        self.refused(cc("max-age=60", ("Content-Length", "11")), R.TOO_LARGE, small)
        self.kept(cc("max-age=60", ("Content-Length", "10")), small)
        self.kept(cc("max-age=60"), small)

    def test_operator_says_no(self) -> None:
        """`proxy_cache off`, TTL 0, `X-Accel-Expires: 0`."""
        self.refused(cc("max-age=60"), R.CACHE_OFF, CachePolicy(enabled=False))
        self.refused(head(ETAG), R.ZERO_TTL, CachePolicy(valid=table(({200}, 0))))
        self.refused(cc("max-age=60", ETAG, ("X-Accel-Expires", "0")), R.ZERO_TTL)

    def test_request_no_store(self) -> None:
        """RFC 9111 5.2.1.5: obeyed when the client's directives are."""
        asked = request(cache_control="no-store")
        self.kept(cc("max-age=60"), asked=asked)
        self.refused(
            cc("max-age=60"), R.REQUEST_NO_STORE, CachePolicy(client_revalidate=True), asked
        )

    def test_stale_on_arrival(self) -> None:
        """Stored only if it can be of use: validated, or in a stale window."""
        self.refused(cc("max-age=0"), R.NO_FRESHNESS)
        self.refused(head(("Expires", "0")), R.NO_FRESHNESS)
        self.refused(cc("max-age=60", ("Age", "60")), R.NO_FRESHNESS)
        self.refused(head(), R.NO_FRESHNESS)
        self.refused(cc("max-age=0", ETAG, status=404), R.NO_FRESHNESS)
        self.refused(cc("max-age=0, stale-if-error=0"), R.NO_FRESHNESS)
        self.kept(cc("max-age=0", ("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT")))
        for response in (
            cc("max-age=0", ETAG),
            cc("max-age=0", ("Last-Modified", date(-5))),
            cc("max-age=0, stale-while-revalidate=5"),
            cc("max-age=0, stale-if-error=5"),
            head(ETAG),
            head(("Expires", "0"), ETAG),
        ):
            self.assertLessEqual(self.kept(response).meta.fresh_until, NOW)

    def test_credentials(self) -> None:
        """Our own refused signature is never stored; AccessDenied is an ordinary 403."""
        policy = CachePolicy(valid=table((ANY, 60)))
        for code in ("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
            self.refused(head(status=403), R.CREDENTIALS, policy, code=code)
        self.refused(head(status=400), R.CREDENTIALS, policy, code="ExpiredToken")
        self.assertIsInstance(admitted(head(status=403), policy, code="AccessDenied"), Store)
        self.assertFalse(credential_failure(403, ""))
        self.assertFalse(credential_failure(404, "NoSuchKey"))
        self.assertTrue(credential_failure(403, "RequestTimeTooSkewed"))
        self.assertTrue(credential_failure(400, "AuthorizationHeaderMalformed"))

    def test_bucket_varies_with_nothing_of_the_clients(self) -> None:
        """A bucket never sees the client's fields: one variant, whatever Vary says."""
        answer = self.kept(
            cc("max-age=60", ("Vary", "Origin, Accept")), CachePolicy(is_bucket=True)
        )
        self.assertEqual(answer.vary, ())

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        "Cache-Control",
                        "Expires",
                        "Age",
                        "Date",
                        "Last-Modified",
                        "Vary",
                        "ETag",
                        "CDN-Cache-Control",
                        "Content-Length",
                        "Connection",
                    ]
                ),
                st.binary(max_size=25)
                | st.sampled_from([b"max-age=5", b"no-store", b"no-cache", b"public", b"*"]),
            ),
            max_size=6,
        ),
        st.integers(0, 999),
    )
    def test_total(self, fields, status) -> None:
        """No response makes it raise; one with no-store of its own is never stored."""
        response = head(*fields, status=status, dated=False)
        answer = admitted(response)
        self.assertIsInstance(answer, Store | NoStore)
        values = [v for n, v in fields if n == "Cache-Control"]
        if values == [b"no-store"] and not any(n == "CDN-Cache-Control" for n, _ in fields):
            self.assertIsInstance(answer, NoStore)


class Meta(SynchronousTestCase):
    def test_instants(self) -> None:
        """RFC 9111 4.2: fresh while lifetime exceeds age, both from birth."""
        answer = admit(request(), cc("max-age=60", ("Age", "10")), NOW - 2, NOW, DEFAULT)
        self.assertIsInstance(answer, Store)
        meta = answer.meta
        self.assertEqual(
            (meta.status, meta.born, meta.response_time, meta.fresh_until),
            (200, NOW - 12, NOW, NOW + 48),
        )

    def test_operator_lifetimes_count_from_receipt(self) -> None:
        """As nginx: `proxy_cache_valid` and X-Accel-Expires do not subtract Age."""
        policy = CachePolicy(valid=table(({200}, 60)))
        self.assertEqual(stored(head(("Age", "50")), policy).fresh_until, NOW + 60)
        meta = stored(head(("Age", "50"), ("X-Accel-Expires", "60")))
        self.assertEqual((meta.fresh_until, meta.born), (NOW + 60, NOW - 50))

    def test_validators(self) -> None:
        """ETag as sent, Last-Modified as an instant; nonsense is none."""
        for value, expected in (
            ('"a"', b'"a"'),
            ('W/"a"', b'W/"a"'),
            ("bare", b"bare"),
            (b'"\xe9"', b'"\xe9"'),
            ("", b""),
            (b'"a\x01"', b""),
        ):
            self.assertEqual(stored(cc("max-age=9", ("ETag", value))).etag, expected, value)
        self.assertEqual(stored(cc("max-age=9", ETAG, ("ETag", '"v2"'))).etag, b"")
        self.assertEqual(stored(cc("max-age=9", ETAG, ETAG)).etag, b'"v1"')
        for value, instant in (
            (date(-5), int(NOW) - 5),
            (b"x", -1),
            (b"Mon, 01 Jan 1900 00:00:00 GMT", 0),
        ):
            meta = stored(cc("max-age=9", ("Last-Modified", value)))
            self.assertEqual(meta.last_modified, instant)

    def test_origin_windows(self) -> None:
        """RFC 5861: windows start where freshness ends."""
        meta = stored(cc("max-age=60, stale-while-revalidate=30, stale-if-error=90"))
        self.assertEqual((meta.swr_until, meta.sie_until), (NOW + 90, NOW + 150))
        self.assertTrue(meta.flags & EntryFlag.EXPLICIT_SIE)

    def test_no_window_of_ours_after_the_origins_lifetime(self) -> None:
        """RFC 9111 4.2.4: an explicit lifetime is not stretched by `updating`."""
        for response in (
            cc("max-age=60"),
            head(("Expires", date(60))),
            head(("CDN-Cache-Control", "max-age=60")),
            head(("Last-Modified", date(-1000))),
            head(("X-Accel-Expires", "60")),
        ):
            self.assertEqual(stored(response).swr_until, NEVER, response)

    def test_updating_window_after_the_operators_lifetime(self) -> None:
        """As nginx `updating` with background updates: a day, for TTL-table entries."""
        policy = CachePolicy(valid=table(({200}, 60)))
        self.assertEqual(stored(head(), policy).swr_until, NOW + 60 + 86400)
        for off in (
            attrs.evolve(policy, background_update=False),
            attrs.evolve(policy, use_stale=frozenset({"error"})),
        ):
            self.assertEqual(stored(head(), off).swr_until, NEVER)
        asked = cc("stale-while-revalidate=5")
        self.assertEqual(stored(asked, policy).swr_until, NOW + 65)

    def test_prohibitions_close_every_window(self) -> None:
        """RFC 9111 4.2.4: must-revalidate, proxy-revalidate, s-maxage."""
        policy = CachePolicy(valid=table(({200}, 60)))
        for value in (
            "must-revalidate",
            "proxy-revalidate",
            "must-revalidate, max-age=60",
            "s-maxage=60",
            "s-maxage=60, stale-while-revalidate=9, stale-if-error=9",
            "max-age=60, must-revalidate, stale-while-revalidate=9",
        ):
            meta = stored(cc(value), policy)
            self.assertTrue(meta.flags & EntryFlag.MUST_REVALIDATE, value)
            self.assertFalse(meta.flags & EntryFlag.EXPLICIT_SIE, value)
            self.assertEqual((meta.swr_until, meta.sie_until), (NEVER, NEVER), value)

    def test_heuristic_flag(self) -> None:
        """RFC 9111 4.2.2: a guess is remembered as one."""
        self.assertTrue(stored(head(("Last-Modified", date(-99)))).flags & EntryFlag.HEURISTIC)
        self.assertFalse(stored(cc("max-age=9")).flags & EntryFlag.HEURISTIC)


class AdmitPartial(SynchronousTestCase):
    def partial(self, *fields, status=206, policy=DEFAULT):
        """What `admit_partial` says of a 206."""
        response = cc("max-age=60", *fields, status=status)
        return admit_partial(request(), response, NOW, NOW, policy)

    def test_judged_as_the_whole(self) -> None:
        """RFC 9111 3.3; nginx: 206 counts as 200."""
        answer = self.partial(("Content-Range", "bytes 0-4/9"), ("Content-Length", "5"), ETAG)
        self.assertIsInstance(answer, Store)
        self.assertEqual((answer.meta.status, answer.meta.etag), (200, b'"v1"'))
        plain = ResponseHead(206, b"", ((b"Content-Range", b"bytes 0-4/*"),))
        table_only = CachePolicy(valid=table(({200}, 60)))
        self.assertIsInstance(admit_partial(request(), plain, NOW, NOW, table_only), Store)

    def test_refusals(self) -> None:
        """A part that does not say which part it is, or another status: not stored."""
        refusal = NoStore(R.PARTIAL_CONTENT)
        self.assertEqual(self.partial(), refusal)
        self.assertEqual(self.partial(("Content-Range", "bytes 4-0/9")), refusal)
        self.assertEqual(self.partial(("Content-Range", "bytes */9")), refusal)
        self.assertEqual(self.partial(("Content-Range", "bytes 0-4/9"), status=200), refusal)
        small = CachePolicy(max_object_size=8)
        answer = self.partial(("Content-Range", "bytes 0-4/9"), policy=small)
        self.assertEqual(answer, NoStore(R.TOO_LARGE))
