"""What is known of Apache's directives that become no option."""

from __future__ import annotations

from typing import Final

__all__ = ["CONDITIONS", "LOST", "NEEDLESS", "SECTIONS_LOST"]

_ITSELF: Final = "it is so here without being said"
_MODULES: Final = "there are no modules to load"
_FILES: Final = "no files of this machine are served"
_CACHED: Final = "the cache of s3shield does this by itself"

NEEDLESS: Final = {
    **dict.fromkeys(
        (
            *("sslproxyengine", "proxypreservehost", "proxyrequests", "proxyvia", "servertokens"),
            *("serversignature", "traceenable", "hostnamelookups", "usecanonicalname", "keepalive"),
            *("maxkeepaliverequests", "enablesendfile", "enablemmap", "sslsessioncache", "mutex"),
            *("sslsessioncachetimeout", "sslhonorcipherorder", "sslcompression", "timeout"),
            *("sslsessiontickets", "sslrandomseed", "proxypassreverse", "proxyerroroverride"),
            *("proxytimeout", "proxybadheader", "proxyiobuffersize", "namevirtualhost"),
            *("allowencodedslashes", "uspenablesubreq", "s3useheaders", "requestreadtimeout"),
            *("serveradmin", "serverroot", "define", "undefine", "accepfilter", "acceptfilter"),
            *("uspskipfileext", "usphandleapi", "serverlimit", "extendedstatus", "protocols"),
            *("sslproxyprotocol", "sslproxyciphersuite", "rewriteengine", "proxyreceivebuffersize"),
        ),
        _ITSELF,
    ),
    **dict.fromkeys(
        (
            *("startservers", "minspareservers", "maxspareservers", "maxrequestworkers"),
            *("maxclients", "threadsperchild", "minsparethreads", "maxsparethreads"),
            *("threadlimit", "maxconnectionsperchild", "maxrequestsperchild", "listenbacklog"),
            *("defaultruntimedir", "sendbuffersize", "receivebuffersize", "limitrequestfields"),
            *("limitrequestfieldsize", "limitrequestline", "threadstacksize", "coredumpdirectory"),
        ),
        "s3shield has no such limit of its own",
    ),
    **dict.fromkeys(("loadmodule", "loadfile", "addmodule", "clearmodulelist"), _MODULES),
    **dict.fromkeys(
        (
            *("options", "allowoverride", "allowoverridelist", "directoryindex", "accessfilename"),
            *("addtype", "typesconfig", "adddefaultcharset", "addlanguage", "mimemagicfile"),
            *("addcharset", "addencoding", "fileetag", "indexoptions"),
            *("forcetype", "documentroot"),
        ),
        _FILES,
    ),
    **dict.fromkeys(
        (
            *("cachedirlevels", "cachedirlength", "cachequickhandler", "cachelockpath"),
            *("cacheignorenolastmod", "cachelastmodifiedfactor", "cachedetailheader"),
            *("cachestorenostore", "cachestoreprivate", "cachestoreexpired", "cacheheader"),
            *("cacheignorequerystring", "cacheignorecachecontrol", "cachereadsize"),
            *("cachereadtime", "cacheminfilesize", "cachekeybaseurl"),
        ),
        _CACHED,
    ),
    "pidfile": "give s3shield a file of its own: pid_file, or twistd --pidfile",
    "logformat": "no log that is taken over uses it",
    "usphandleism": "packaging is the Origin's work; s3shield stands between it and the bucket",
    "s3region": "no address that is asked begins like this section",
    "s3accesskey": "no address that is asked begins like this section",
    "satisfy": "nobody is kept out here",
}

_PACKAGED: Final = (
    "packaging is not done here: s3shield stands between the Origin and the bucket",
    "keep the Origin, and let it ask s3shield",
)

LOST: Final = {
    **dict.fromkeys(
        ("setenv", "setenvif", "setenvifnocase", "browsermatch", "unsetenv"),
        ("variables of one's own are not known here", ""),
    ),
    **dict.fromkeys(
        ("errordocument", "alias", "aliasmatch", "scriptalias", "fallbackresource"),
        ("files of this machine are not served here", "clients get one line of text"),
    ),
    **dict.fromkeys(
        ("redirect", "redirectmatch", "redirectpermanent", "redirecttemp"),
        ("redirects are not made here", "redirect in front of s3shield"),
    ),
    **dict.fromkeys(
        ("rewriterule", "rewritecond", "rewritebase", "rewritemap", "rewriteoptions"),
        (
            "of mod_rewrite just rules with [P] and without conditions are taken over",
            "write it as `rewrite` in the location",
        ),
    ),
    **dict.fromkeys(
        ("requestheader",),
        ("fields of requests are not changed here", "a bucket is sent none of the client's"),
    ),
    **dict.fromkeys(
        ("setoutputfilter", "addoutputfilterbytype", "deflatecompressionlevel", "addoutputfilter"),
        ("filters are not taken over", "write `compress = gzip` in the location for DEFLATE"),
    ),
    **dict.fromkeys(
        ("expiresactive", "expiresdefault", "expiresbytype"),
        ("lifetimes for browsers are not made here", "set Cache-Control on the objects"),
    ),
    **dict.fromkeys(
        ("remoteipheader", "remoteipinternalproxy", "remoteiptrustedproxy"),
        ("known, but this version does not do it", "the log shows the address that connects"),
    ),
    **dict.fromkeys(("sslprotocol",), ("TLS 1.2 and later are spoken, whatever this says", "")),
    **dict.fromkeys(
        ("sslciphersuite", "sslopensslconfcmd"), ("the ciphers are those of the TLS library", "")
    ),
    **dict.fromkeys(
        ("sslusestapling", "sslstaplingcache"), ("OCSP answers are not stapled here", "")
    ),
    **dict.fromkeys(
        ("sslcertificatechainfile", "sslcacertificatefile"),
        ("tls_certificate is one file", "put the chain into it, behind the certificate"),
    ),
    **dict.fromkeys(
        ("sslproxycheckpeername", "sslproxycheckpeercn", "sslproxycheckpeerexpire"),
        ("an origin's certificate is checked as a whole, or not at all", "see origin_verify"),
    ),
    **dict.fromkeys(
        ("s3rolearn", "s3rolesessionname", "s3roleduration"),
        ("known, but this version does not assume roles", "give keys in [bucket:...]"),
    ),
    **dict.fromkeys(
        ("uspenablemp4", "usphandlef4f", "uspmp4", "usplicensekey", "uspenabledynamic"),
        _PACKAGED,
    ),
    "proxyset": ("it is of a balancer, or of an address that nothing here asks", ""),
    **dict.fromkeys(("addhandler", "sethandler", "action"), ("handlers are not known here", "")),
    "h2push": ("clients are spoken to in HTTP/1.1", ""),
    "s3secretkey": ("no address that is asked begins like this section", ""),
    "s3securitytoken": ("no address that is asked begins like this section", ""),
    "cacheignoreheaders": ("all fields of an answer are stored", "see proxy_hide_header"),
    "cachemaxexpire": ("the origin's own lifetimes have no upper limit here", ""),
    "cacheminexpire": ("lifetimes have no lower limit here", "see proxy_cache_valid_force"),
    "cachedisable": ("whether it is cached is said by `proxy_cache` in the location", ""),
    "include": ("it has not the form `Include FILE`", ""),
    "includeoptional": ("it has not the form `IncludeOptional FILE`", ""),
    "proxyblock": ("origins are those that the ini names", ""),
    "proxyremote": ("there is no proxy between s3shield and an origin", ""),
}
"""Why a directive is not taken over, and what to do instead; names in lower case."""

SECTIONS_LOST: Final = {
    "<files>": "no files of this machine are served",
    "<filesmatch>": "no files of this machine are served",
    "<ifdefine>": "whether it is in force is said when Apache is started: give -D NAME",
    "<if>": "conditions are not looked at here",
    "<elseif>": "conditions are not looked at here",
    "<else>": "conditions are not looked at here",
    "<macro>": "macros are not known to the import",
    "<ifversion>": "which version of Apache it is meant for is not known",
}

CONDITIONS: Final = frozenset(SECTIONS_LOST) - {"<files>", "<filesmatch>"}
"""Sections that may be in force or not, for this request or for this machine."""
