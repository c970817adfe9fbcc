"""nginx's limits: what their zones say is in their lines, and counts together as before."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.importing import Weight

from .fixture import imported, loaded, need_crossplane, notes

TEXT = """
http {
    limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
    limit_req_zone $http_x_api_key zone=keys:10m rate=30r/m;
    limit_req_zone $jwt_claim_sub zone=subs:10m rate=1r/s;
    limit_conn_zone $server_name zone=all:1m;
    limit_req zone=one burst=20 nodelay;
    limit_req_status 429;
    server {
        server_name a.test;
        limit_conn all 100;
        limit_req_log_level warn;
        location / { proxy_pass http://o.test; }
        location /slow/ {
            proxy_pass http://o.test;
            limit_req zone=keys;
            limit_req zone=one burst=5 delay=2;
            limit_rate 1m;
            limit_rate_after 10m;
        }
        location /odd/ { proxy_pass http://o.test; limit_req zone=nowhere burst=5; }
        location /subs/ { proxy_pass http://o.test; limit_req zone=subs; }
    }
}
"""


class LimitsTests(SynchronousTestCase):
    """See the module's text."""

    def test_zones(self) -> None:
        """Keys, rates and numbers are kept; a zone holds in all its locations."""
        need_crossplane()
        what = imported(TEXT)
        config = loaded(what)
        found = {str(each.pattern): each.limits for each in config.locations}
        one = "$binary_remote_addr rate=10r/s burst=20 nodelay zone=one"
        self.assertEqual([one], [str(each) for each in found["/"].req])
        self.assertEqual(429, found["/"].req_status)
        self.assertEqual(["a.test 100 zone=all"], [str(each) for each in found["/"].conn])
        slow = found["/slow/"]
        self.assertEqual(
            [
                "$http_x_api_key rate=30r/m zone=keys",
                "$binary_remote_addr rate=10r/s burst=5 delay=2 zone=one",
            ],
            [str(each) for each in slow.req],
        )
        self.assertEqual((1 << 20, 10 << 20), (slow.rate, slow.rate_after))
        self.assertEqual(found["/"].req[0].counted_by, slow.req[1].counted_by)
        lost = sorted(note.partition(" ")[2] for note in notes(what, Weight.LOST))
        self.assertEqual(
            [
                "limit_req $jwt_claim_sub rate=1r/s zone=subs",
                "limit_req zone=nowhere burst=5",
                "limit_req_log_level warn",
            ],
            [each.rstrip(";") for each in lost],
        )
