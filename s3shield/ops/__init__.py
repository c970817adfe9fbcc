"""A daemon's life: the access log, the error log, the worker processes."""

from s3shield.ops.access_log import AccessLog
from s3shield.ops.admin import Purges, admin_site
from s3shield.ops.admin_gate import Gate
from s3shield.ops.aside import run_aside
from s3shield.ops.bucket_state import BucketState, bucket_states
from s3shield.ops.certificate_watch import CertificateWatch
from s3shield.ops.certificates import Certificates
from s3shield.ops.credential_fetch import Fetched, UnavailableError, describe, fetch
from s3shield.ops.credential_watch import CredentialWatch
from s3shield.ops.daemon import Daemon
from s3shield.ops.error_log import LEVELS, ErrorLog
from s3shield.ops.file_look import FileLook, Mark, look_at
from s3shield.ops.key_watch import KeyWatch
from s3shield.ops.log_format import COMBINED, compile_format
from s3shield.ops.log_noted import ORIGIN_TIMES, SENT, TLS
from s3shield.ops.log_record import LogRecord
from s3shield.ops.outcome import Outcome, OutcomeFile, outcome_path
from s3shield.ops.plan import Plan, StartError, make_plan
from s3shield.ops.readiness import Readiness, key_reasons
from s3shield.ops.sockets import Lot, Sockets
from s3shield.ops.tally import Tally

__all__ = [
    "COMBINED",
    "LEVELS",
    "ORIGIN_TIMES",
    "SENT",
    "TLS",
    "AccessLog",
    "BucketState",
    "CertificateWatch",
    "Certificates",
    "CredentialWatch",
    "Daemon",
    "ErrorLog",
    "Fetched",
    "FileLook",
    "Gate",
    "KeyWatch",
    "LogRecord",
    "Lot",
    "Mark",
    "Outcome",
    "OutcomeFile",
    "Plan",
    "Purges",
    "Readiness",
    "Sockets",
    "StartError",
    "Tally",
    "UnavailableError",
    "admin_site",
    "bucket_states",
    "compile_format",
    "describe",
    "fetch",
    "key_reasons",
    "look_at",
    "make_plan",
    "outcome_path",
    "run_aside",
]
