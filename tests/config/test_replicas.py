"""`replica` and what goes with it: what is read, and what cannot be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import HealthConfig, dump, loads
from s3shield.config.dump import render

from .fixture import BUCKET, PLAIN, mistakes, read

OTHER = BUCKET.replace("[bucket:media]", "[bucket:media-us]").replace("eu-central-1", "us-east-1")


def buckets(**replicas: str) -> str:
    """Buckets with these names, and the options that each has."""
    return PLAIN + "".join(
        BUCKET.replace("[bucket:media]", f"[bucket:{name}]") + f"{options}\n"
        for name, options in replicas.items()
    )


class ReplicaTests(SynchronousTestCase):
    """The options of `[bucket:]`."""

    def test_read(self):
        """A replica has its own endpoint and region; what is left out has a default."""
        config = read(f"{PLAIN}{BUCKET}replica = media-us\n{OTHER}")
        media = config.buckets["media"]
        self.assertEqual(
            ("media-us", frozenset(), 5.0, None),
            (media.replica, media.replica_on, media.replica_timeout, media.health),
        )
        (replica,) = config.replicas("media")
        self.assertEqual("us-east-1", replica.region)
        self.assertEqual((), config.replicas("media-us"))

    def test_all_of_it(self):
        """Every option, in nginx's words or bare; the dump says the same again."""
        for words in ("http_403 http_404", "404 403"):
            more = f"replica = media-us\nreplica_on = {words}\nreplica_timeout = 1500ms\n"
            config = read(f"{PLAIN}{BUCKET}{more}health = /up 10s\n{OTHER}health = /up\n")
            media = config.buckets["media"]
            self.assertEqual({403, 404}, media.replica_on)
            self.assertEqual(
                (1.5, HealthConfig("/up", 10.0)), (media.replica_timeout, media.health)
            )
            self.assertEqual(HealthConfig("/up", 30.0), config.buckets["media-us"].health)
            text = render(config, lambda secret: secret)
            self.assertEqual(config, loads(text, environ={}, mode_of=lambda _path: None))
            self.assertIn("replica_on = http_403 http_404\n", dump(config))

    def test_several(self):
        """A replica may have one of its own."""
        config = read(buckets(a="replica = b", b="replica = c", c=""))
        self.assertEqual(["b", "c"], [each.name for each in config.replicas("a")])

    def test_of_a_location(self):
        """A location with a key of its own has its bucket's replica, and that is there."""
        own = "[location:/b]\nbucket = media\naws_access_key = AKIDOTHER\naws_secret_key = x\n"
        for more in ("", "[location:/c]\nbucket = media-us\naws_region = us-west-2\n"):
            config = read(f"{BUCKET}replica = media-us\n{OTHER}{own}{more}")
            name = config.locations[0].bucket
            self.assertNotEqual("media", name)
            self.assertEqual(["media-us"], [each.name for each in config.replicas(name)])

    def test_mistakes(self):
        """Each is told, with its place."""
        for options, wanted in (
            ("replica = media-uss", "there is no [bucket:media-uss] (did you mean 'media-us'?)"),
            ("replica = zzz", "there is no [bucket:zzz]"),
            ("replica = media", "the replicas go in a circle: media -> media"),
            ("replica_on = 403", "it goes with replica"),
            ("replica_timeout = 1s", "it goes with replica"),
            ("replica = media-us\nreplica_on = http_500", "'http_500'"),
            ("replica = media-us\nreplica_timeout = 0", "a timeout is more than zero"),
            ("health = up", "it looks like /path 30s, of an object that is in the bucket: 'up'"),
            ("health = /", "it looks like /path 30s"),
            ("health = /up 30x", "a time looks like 30s"),
            ("health = /up 0", "once a second at most"),
        ):
            (line,) = mistakes(f"{PLAIN}{BUCKET}{options}\n{OTHER}")
            self.assertIn(f"[bucket:media] {options.splitlines()[-1].split(' ')[0]}: ", line)
            self.assertIn(wanted, line)

    def test_elsewhere(self):
        """It is about a bucket, and inherited by none."""
        for section in ("[s3shield]\n", "[location:/x]\nbucket = media\n"):
            (line,) = mistakes(f"{BUCKET}{PLAIN}{section}replica = media\n")
            self.assertIn("replica: this option belongs in [bucket:...]", line)

    def test_circles(self):
        """A circle is told once, not by those that lead into it."""
        text = buckets(a="replica = b", b="replica = c", c="replica = b")
        (line,) = mistakes(text)
        self.assertIn("[bucket:b] replica: the replicas go in a circle: b -> c -> b", line)
