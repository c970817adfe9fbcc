"""A daemon's life: the access log, the error log, the worker processes."""

from s3shield.ops.access_log import AccessLog
from s3shield.ops.error_log import LEVELS, ErrorLog
from s3shield.ops.log_format import compile_format
from s3shield.ops.log_variables import LogRecord

__all__ = [
    "LEVELS",
    "AccessLog",
    "ErrorLog",
    "LogRecord",
    "compile_format",
]
