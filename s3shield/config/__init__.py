"""The configuration: ini text in, frozen values out, every mistake at once."""

from .access import AccessConfig
from .dump import dump
from .errors import ConfigError, ConfigErrors
from .jwt import JwtConfig
from .limits import LimitConn, LimitReq, LimitsConfig
from .listen import Listen
from .load import load, loads
from .logs import SyslogPlace, is_log_file, syslog_place
from .prices import Prices
from .real_ip import RealIpConfig
from .secure import SecureConfig
from .site import ErrorPage, SiteConfig
from .text import escape
from .tls import TlsConfig
from .units import parse_millis, parse_size
from .values import (
    AUTO,
    AccessLogConfig,
    BucketConfig,
    CacheConfig,
    Config,
    CredentialSource,
    DaemonConfig,
    ErrorLogConfig,
    HealthConfig,
    LocationConfig,
    OriginConfig,
    ServerConfig,
)

__all__ = [
    "AUTO",
    "AccessConfig",
    "AccessLogConfig",
    "BucketConfig",
    "CacheConfig",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "CredentialSource",
    "DaemonConfig",
    "ErrorLogConfig",
    "ErrorPage",
    "HealthConfig",
    "JwtConfig",
    "LimitConn",
    "LimitReq",
    "LimitsConfig",
    "Listen",
    "LocationConfig",
    "OriginConfig",
    "Prices",
    "RealIpConfig",
    "SecureConfig",
    "ServerConfig",
    "SiteConfig",
    "SyslogPlace",
    "TlsConfig",
    "dump",
    "escape",
    "is_log_file",
    "load",
    "loads",
    "parse_millis",
    "parse_size",
    "syslog_place",
]
