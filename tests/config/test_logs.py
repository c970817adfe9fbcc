"""Where logs go, and what is written of them."""

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import SyslogPlace, is_log_file, syslog_place
from s3shield.config.errors import BadValueError
from s3shield.config.logs import access_log, access_log_sample, error_log


class TargetTests(SynchronousTestCase):
    """Targets."""

    def test_syslog(self) -> None:
        """The parameters of nginx, and where an address leads."""
        for text, wanted in (
            ("syslog", SyslogPlace(hostname=False)),
            ("syslog:server=unix:/dev/log", SyslogPlace(path="/dev/log")),
            ("syslog:server=log.example", SyslogPlace(kind="udp", host="log.example")),
            ("syslog:server=[::1]:1514", SyslogPlace(kind="udp", host="::1", port=1514)),
            ("syslog:server=udp:10.0.0.1", SyslogPlace(kind="udp", host="10.0.0.1")),
            (
                "syslog:server=tcp:10.0.0.1:601,facility=mail,tag=a_b,severity=notice,rfc5424,nohostname",
                SyslogPlace(
                    kind="tcp",
                    host="10.0.0.1",
                    port=601,
                    facility=2,
                    severity=5,
                    tag="a_b",
                    hostname=False,
                    rfc5424=True,
                ),
            ),
        ):
            self.assertEqual(wanted, syslog_place(text))
            self.assertEqual(access_log(f"{text} json").target, text)
            self.assertFalse(is_log_file(text))
        self.assertEqual(access_log("journald $status").format, "$status")
        self.assertFalse(is_log_file("journald"))
        self.assertTrue(is_log_file("/var/log/s3shield/access.log"))

    def test_mistakes(self) -> None:
        """Each is one sentence, with the nearest word where there is one."""
        for read, text, wanted in (
            (access_log, "syslog:", "no such parameter"),
            (access_log, "syslog:facility=mail", "wants a server"),
            (access_log, "syslog:server=", "looks like"),
            (access_log, "syslog:server=a,server=b", "looks like"),
            (access_log, "syslog:server=a,nohostname=1", "looks like"),
            (access_log, "syslog:server=a:99999", "looks like"),
            (access_log, "syslog:server=unix:log", "whole path"),
            (access_log, "syslog:server=a,tag=a b", "up to 32"),
            (access_log, "syslog:server=a,severity=loud", "emerg"),
            (error_log, "syslog:server=a,severity=info", "its own"),
            (access_log_sample, "0", "part of 1"),
            (access_log_sample, "1.5", "part of 1"),
            (access_log_sample, "10%", "part of 1"),
        ):
            error = self.assertRaises(BadValueError, read, text.replace("a b", "a%b"))
            self.assertIn(wanted, str(error), text)
        for read, text, near in (
            (access_log, "syslog:server=a,facilty=mail", "facility"),
            (access_log, "syslog:server=a,facility=local8", "local7"),
            (access_log, "journal", "journald"),
            (error_log, "stder", "stderr"),
        ):
            error = self.assertRaises(BadValueError, read, text)
            self.assertEqual(near, error.suggestion if near != "local7" else near, text)

    def test_sample(self) -> None:
        """A part of 1."""
        for text, wanted in (("1", 1.0), ("1.0", 1.0), ("0.1", 0.1), (".25", 0.25)):
            self.assertEqual(access_log_sample(text), wanted)
