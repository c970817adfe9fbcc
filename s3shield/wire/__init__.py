"""HTTP/1.1 on the wire: the server's channel, the origin pool, and their transports."""

from __future__ import annotations

from .bridge import RequestDownstream, request_from
from .channel_factory import ChannelFactory
from .client_certificate import TlsFacts, TlsPeer, VerifiedPeer
from .downstream import Downstream, Octets, Site
from .listen import BindError, bind, listen_socket
from .observed import Observing
from .origin_call import OriginCall, Receiver
from .origin_pool import OriginAddress, OriginOptions, OriginPool, OriginStats
from .proxy_port import ProxyRules, listen_proxied
from .real_ip import RealIp, Trusted
from .tls import Certificate, CertificateError, LoadedCertificate, ServerTls
from .upload import BodyPlan, StreamedRequest, Upload, UploadSink

__all__ = [
    "BindError",
    "BodyPlan",
    "Certificate",
    "CertificateError",
    "ChannelFactory",
    "Downstream",
    "LoadedCertificate",
    "Observing",
    "Octets",
    "OriginAddress",
    "OriginCall",
    "OriginOptions",
    "OriginPool",
    "OriginStats",
    "ProxyRules",
    "RealIp",
    "Receiver",
    "RequestDownstream",
    "ServerTls",
    "Site",
    "StreamedRequest",
    "TlsFacts",
    "TlsPeer",
    "Trusted",
    "Upload",
    "UploadSink",
    "VerifiedPeer",
    "bind",
    "listen_proxied",
    "listen_socket",
    "request_from",
]
