"""What a SignatureDoesNotMatch is explained with."""

from __future__ import annotations

from html import escape

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.mismatch import compare
from s3shield.signing import Credentials, Endpoint, Explanation, Signer, SignMode

NOW = 1_795_478_400.0


def explained(mode: SignMode = SignMode.V4, token: str | None = None) -> Explanation:
    """How a GET of `a b` is signed."""
    signer = Signer(
        Endpoint.parse("http://s3.test:9000", "media"),
        mode,
        Credentials("AKIA", "SeCrEt", session_token=token),
        "us-east-1",
    )
    return signer.explain(b"GET", b"a b", ((b"versionId", b"1"),), NOW)


def document(canonical: str = "", to_sign: str = "") -> bytes:
    """S3's document; both texts are left out where they are empty."""
    texts = (("CanonicalRequest", canonical), ("StringToSign", to_sign))
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts if text).encode()


class CompareTests(SynchronousTestCase):
    def test_the_same(self) -> None:
        """Equal texts, whatever the line ends: it is the key."""
        ours = explained()
        for end in ("\n", "\r\n"):
            body = document(
                ours.canonical_request.replace("\n", end), ours.string_to_sign.replace("\n", end)
            )
            found = compare(ours, body)
            self.assertIn("S3 signed the same text: the secret", found.verdict)
            self.assertEqual(4, len(found.texts))

    def test_first_difference(self) -> None:
        """The first line that differs, by number and name, with a hint where there is one."""
        ours = explained()
        for old, new, words in (
            ("GET", "HEAD", ("line 1 (method)", "'GET'", "'HEAD'")),
            ("/media/a%20b", "/media/a+b", ("line 2 (path)", "encoded in another way")),
            ("versionId=1", "", ("line 3 (query)", "'versionId=1'", "''")),
            ("host:s3.test:9000", "host:cdn", ("line 4 (host)", "'host:cdn'", "aws_endpoint")),
            ("x-amz-date:2026", "x-amz-date:2025", ("line 6 (x-amz-date)",)),
            ("host;x-amz-content-sha256;x", "host;x", ("names of the signed headers",)),
            ("\n\nhost;", "\nx-extra:1\n\nhost;", ("line 7 (end of the headers)", "x-extra")),
        ):
            self.assertIn(old, ours.canonical_request)
            theirs = ours.canonical_request.replace(old, new, 1)
            found = compare(ours, document(theirs, ours.string_to_sign))
            for word in words:
                self.assertIn(word, found.verdict)

    def test_string_to_sign(self) -> None:
        """Where the canonical requests agree, or there is none, the string to sign tells."""
        ours = explained()
        theirs = ours.string_to_sign.replace("us-east-1", "eu-west-1")
        for canonical in (ours.canonical_request, ""):
            verdict = compare(ours, document(canonical, theirs)).verdict
            self.assertIn("string to sign, line 3 (scope)", verdict)
            self.assertIn("aws_region", verdict)
        old = explained(SignMode.V2)
        theirs = old.string_to_sign.replace("/media/", "/other/")
        verdict = compare(old, document("", theirs)).verdict
        self.assertIn("'/media/a%20b?versionId=1', S3 received '/other/", verdict)

    def test_nothing_to_compare(self) -> None:
        """Many servers show nothing; ours is told all the same."""
        found = compare(explained(), b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        self.assertIn("S3 does not show what it received: look first whether the", found.verdict)
        titles = [title for title, _ in found.texts]
        self.assertEqual(["our canonical request", "our string to sign"], titles)

    def test_secrets(self) -> None:
        """Tokens and customers' keys are masked in both, in header, query and V2."""
        for mode in (SignMode.V4, SignMode.V4_QUERY, SignMode.V2):
            ours = explained(mode, "ToKeN")
            theirs = (
                "GET\n/a\nX-Amz-Security-Token=ToKeN&X-Amz-Signature=SiG&b=1\n"
                "x-amz-security-token:ToKeN\n"
                "x-amz-server-side-encryption-customer-key:KeY\nhost:a"
            )
            found = compare(ours, document(theirs, theirs))
            shown = found.verdict + "".join(text for _, text in found.texts)
            for secret in ("ToKeN", "SiG", "KeY", "SeCrEt"):
                self.assertNotIn(secret, shown, mode)
            self.assertIn("***", shown)

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=200), st.binary(max_size=200))
    def test_any_document(self, canonical: bytes, to_sign: bytes) -> None:
        """Whatever S3 says: one line each, and never an exception."""
        body = b"<CanonicalRequest>%b</CanonicalRequest><StringToSign>%b</StringToSign>"
        found = compare(explained(), body % (canonical, to_sign))
        for text in (found.verdict, *[text for _, text in found.texts]):
            self.assertTrue(text)
            self.assertNotIn("\n", text)
