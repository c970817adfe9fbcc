"""What is known of nginx's directives that become no option, or one of the same meaning."""

from __future__ import annotations

from typing import Final

__all__ = ["LOST", "NEEDLESS", "SAME"]

SAME: Final = {
    "client_max_body_size": "client_max_body_size",
    "limit_conn": "limit_conn",
    "limit_conn_dry_run": "limit_conn_dry_run",
    "limit_conn_status": "limit_conn_status",
    "limit_rate": "limit_rate",
    "limit_rate_after": "limit_rate_after",
    "limit_req": "limit_req",
    "limit_req_dry_run": "limit_req_dry_run",
    "limit_req_status": "limit_req_status",
    "max_ranges": "max_ranges",
    "proxy_cache_background_update": "proxy_cache_background_update",
    "proxy_cache_bypass": "proxy_cache_bypass",
    "proxy_cache_lock": "proxy_cache_lock",
    "proxy_cache_lock_age": "proxy_cache_lock_age",
    "proxy_cache_lock_timeout": "proxy_cache_lock_timeout",
    "proxy_cache_max_range_offset": "proxy_cache_max_range_offset",
    "proxy_cache_methods": "proxy_cache_methods",
    "proxy_cache_min_uses": "proxy_cache_min_uses",
    "proxy_cache_revalidate": "proxy_cache_revalidate",
    "proxy_cache_use_stale": "proxy_cache_use_stale",
    "proxy_cache_valid": "proxy_cache_valid",
    "proxy_connect_timeout": "origin_connect_timeout",
    "proxy_hide_header": "proxy_hide_header",
    "proxy_ignore_headers": "proxy_ignore_headers",
    "proxy_no_cache": "proxy_no_cache",
    "proxy_read_timeout": "origin_read_timeout",
    "proxy_ssl_trusted_certificate": "origin_ca",
    "proxy_ssl_verify": "origin_verify",
}
"""Directives of http, server and location that are an option with the same value."""

_ITSELF: Final = "it is so here without being said"
_SYSTEM: Final = "s3shield has no such limit of its own"
_BUFFERS: Final = "bodies are passed on as they come, in memory of a fixed size"
_S3_REQUEST: Final = "nothing of the client's goes to a bucket but the key"
_INDEX: Final = "the index is one file in the cache's directory and grows by itself"

NEEDLESS: Final = {
    "http2": "it is offered with TLS, unless `http2 = off` stands in [s3shield]",
    **dict.fromkeys(
        (
            *("http2_max_concurrent_streams", "http2_chunk_size", "http2_body_preread_size"),
            *("http2_recv_buffer_size", "http2_max_field_size", "http2_max_header_size"),
            *("http2_idle_timeout", "http2_recv_timeout", "http2_max_requests"),
        ),
        "streams and windows have limits of their own here",
    ),
    **dict.fromkeys(
        (
            *("sendfile", "tcp_nopush", "tcp_nodelay", "aio", "aio_write", "directio"),
            *("sendfile_max_chunk", "output_buffers", "postpone_output", "open_file_cache"),
            *("open_file_cache_valid", "open_file_cache_min_uses", "open_file_cache_errors"),
            *("types_hash_max_size", "types_hash_bucket_size", "variables_hash_max_size"),
            *("server_names_hash_max_size", "server_names_hash_bucket_size", "server_tokens"),
            *("map_hash_max_size", "map_hash_bucket_size", "proxy_headers_hash_max_size"),
            *("proxy_headers_hash_bucket_size", "variables_hash_bucket_size", "pcre_jit"),
            *("proxy_http_version", "proxy_ssl_server_name", "proxy_ssl_name", "thread_pool"),
            *("proxy_ssl_session_reuse", "proxy_ssl_protocols", "proxy_ssl_ciphers"),
            *("proxy_ssl_verify_depth", "proxy_socket_keepalive", "proxy_redirect"),
            *("proxy_cache_convert_head", "proxy_intercept_errors", "keepalive_requests"),
            *("keepalive_disable", "reset_timedout_connection", "lingering_close"),
            *("lingering_time", "lingering_timeout", "merge_slashes", "server_name_in_redirect"),
            *("port_in_redirect", "absolute_redirect", "log_not_found", "msie_padding"),
            *("chop_prefix", "uninitialized_variable_warn", "recursive_error_pages"),
            *("ssl_session_cache", "ssl_session_timeout", "ssl_session_tickets", "ssl_buffer_size"),
            *("ssl_prefer_server_ciphers", "ssl_dhparam", "ssl_ecdh_curve", "preread_buffer_size"),
        ),
        _ITSELF,
    ),
    **dict.fromkeys(
        (
            *("worker_connections", "worker_rlimit_nofile", "multi_accept", "use"),
            *("accept_mutex", "worker_cpu_affinity", "worker_priority", "timer_resolution"),
            *("client_body_buffer_size", "client_header_buffer_size", "connection_pool_size"),
            *("large_client_header_buffers", "client_body_temp_path", "request_pool_size"),
            *("client_body_timeout", "client_body_in_file_only", "worker_shutdown_timeout"),
        ),
        _SYSTEM,
    ),
    **dict.fromkeys(
        (
            *("proxy_buffering", "proxy_buffers", "proxy_buffer_size", "proxy_busy_buffers_size"),
            *("proxy_max_temp_file_size", "proxy_temp_file_write_size", "proxy_temp_path"),
            *("proxy_request_buffering", "proxy_send_timeout", "proxy_send_lowat"),
            *("proxy_force_ranges", "proxy_ignore_client_abort"),
        ),
        _BUFFERS,
    ),
    **dict.fromkeys(
        ("proxy_pass_request_headers", "proxy_pass_request_body", "underscores_in_headers"),
        _S3_REQUEST,
    ),
    **dict.fromkeys(
        (
            *("gzip_vary", "gzip_proxied", "gzip_disable", "gzip_http_version", "gzip_buffers"),
            *("gzip_window", "gzip_hash", "brotli_window", "brotli_buffers", "zstd_buffers"),
        ),
        "compressed forms are stored, with Vary, for all who accept them",
    ),
    **dict.fromkeys(("resolver", "resolver_timeout"), "the system's resolver is asked"),
    **dict.fromkeys(
        ("types", "default_type", "charset", "charset_types", "types_hash"),
        "the object's own Content-Type is sent",
    ),
    **dict.fromkeys(("load_module", "daemon", "master_process"), "there are no modules to load"),
    "slice": "large objects are fetched and stored in blocks: block_size in [cache:...]",
    "keepalive": "connections to origins are kept, origin_connections of them",
    "zone": "this is an upstream's shared memory",
    **dict.fromkeys(
        ("limit_req_zone", "limit_conn_zone"), "each limit says its key, and its rate, itself"
    ),
    "pid": "give s3shield a file of its own: pid_file, or twistd --pidfile",
    "aws_access_key": "no location uses it",
    "aws_key_scope": "no location uses it",
}

_STATIC: Final = "files of this machine are not served here"
_LISTED: Final = "index documents of this machine are not looked for"

LOST: Final = {
    **dict.fromkeys(
        ("gzip_static", "brotli_static", "zstd_static"),
        (_STATIC, "store objects compressed, with their Content-Encoding"),
    ),
    "gunzip": ("what is stored compressed is sent compressed", ""),
    **dict.fromkeys(
        ("limit_req_log_level", "limit_conn_log_level"),
        ("refusals are told as `warn`, a line a second", ""),
    ),
    **dict.fromkeys(
        ("root", "alias", "autoindex", "try_files", "autoindex_exact_size"), (_STATIC, "")
    ),
    "index": (_LISTED, "where the bucket has index documents, say so with `index`"),
    "error_page": (
        "which location shows its page is not always as in nginx",
        "write it with `error_page`, and put the page into the bucket",
    ),
    "expires": (
        "lifetimes for browsers are not made here",
        "set Cache-Control on the objects, or hide theirs and add one of your own",
    ),
    **dict.fromkeys(
        ("set_real_ip_from", "real_ip_header", "real_ip_recursive"),
        ("not taken over: it is for the whole daemon here", "give it in [s3shield]"),
    ),
    **dict.fromkeys(
        ("http2_push", "http3", "quic_retry"),
        ("clients are spoken to in HTTP/1.1 and HTTP/2, without pushes", ""),
    ),
    **dict.fromkeys(
        ("map", "geo", "split_clients", "map_hash"),
        ("variables of one's own are not known here", "write out what uses them"),
    ),
    "set": ("variables of one's own are not known here", "write out what uses it"),
    **dict.fromkeys(
        ("proxy_next_upstream", "proxy_next_upstream_tries", "proxy_next_upstream_timeout"),
        ("which failures are tried again is not said here", ""),
    ),
    **dict.fromkeys(
        ("proxy_cookie_domain", "proxy_cookie_path", "sub_filter", "sub_filter_once"),
        ("bodies and cookies are passed on unchanged", ""),
    ),
    **dict.fromkeys(
        ("stream", "mail"), ("only HTTP is served here", "leave it to nginx or to another program")
    ),
    **dict.fromkeys(
        ("ssl_stapling", "ssl_stapling_verify", "ssl_trusted_certificate"),
        ("OCSP answers are not stapled here", ""),
    ),
    "ssl_protocols": ("TLS 1.2 and later are spoken, whatever this says", ""),
    "ssl_ciphers": ("the ciphers are those of the TLS library", ""),
    "proxy_bind": ("the system chooses the local address", ""),
    "proxy_method": ("the client's method is the origin's", ""),
    "proxy_set_body": ("the client's body is the origin's", ""),
    "proxy_pass_header": ("x-amz-* fields are shown by `pass_amz_headers`", ""),
    "proxy_store": ("copies as files are not made here", "use proxy_cache"),
    "mirror": ("requests are not copied", ""),
    "aws_signing_key": ("no location uses it", ""),
    "aws_secret_key": ("no location uses it", ""),
    "aws_s3_bucket": ("no location uses it", ""),
    "s3_bucket": ("no location uses it", ""),
    "aws_auth_presign": ("signed URLs are not made for clients here", "use `s3shield presign`"),
    "log_format": ("no access_log that is taken over uses it", ""),
    "aws_endpoint": (
        "ngx_aws_auth takes aws_endpoint from the signed location itself alone",
        "",
    ),
    "aws_sign": (
        "ngx_aws_auth takes aws_sign from the location itself alone: what is below is not signed",
        "to sign, write the keys of its bucket into [bucket:...] and take out `aws_sign = off`",
    ),
    "include": ("it has not the form `include FILE`", ""),
    "env": ("variables of the environment are read where `env:NAME` is a value", ""),
    "valid_referers": ("the Referer is not looked at here", ""),
    "modsecurity": ("there is no such filter here", "put one in front"),
    **dict.fromkeys(
        ("secure_link", "secure_link_md5", "secure_link_secret"),
        ('it is kept with `if`s for "" (403) and "0" (410) in the same place', ""),
    ),
    "upstream": ("no location uses it", ""),
}
"""Why a directive is not taken over, and what to do instead."""
