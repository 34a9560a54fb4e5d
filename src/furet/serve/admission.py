"""The checks of a request's headers: its form, the Host, the Origin, the token. Each returns a failure or nothing."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from furet.serve.errors import Failure, refusal
from furet.serve.limits import MAX_HEADER_COUNT, MAX_HEADERS, MAX_TARGET, ServerSettings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ONCE = (b"host", b"origin", b"authorization", b"x-api-key", b"content-type", b"content-length", b"content-encoding")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_ELSEWHERE = "furet serve --allow-host NAME admits another name"

Headers = Mapping[str, str]


def headers_of(scope: Scope) -> dict[str, str]:
    """Names in lower case, and their values; of a name that occurs twice the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def check_form(scope: Scope) -> Failure | None:
    """Method, length of the target, number and size of headers, and that none is there twice that counts once."""
    if scope["method"] not in METHODS:
        return refusal(405, f"method {scope['method']:.20}: wanted one of {', '.join(METHODS)}")
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
        return refusal(414, f"the path: wanted at most {MAX_TARGET} bytes")
    names = [name.lower() for name, _ in scope["headers"]]
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(names) > MAX_HEADER_COUNT or size > MAX_HEADERS:
        return refusal(431, f"the headers: wanted at most {MAX_HEADER_COUNT}, of {MAX_HEADERS} bytes in all")
    for name in _ONCE:
        if names.count(name) > 1:
            return refusal(400, f"the header {name.decode()}: wanted once, got it {names.count(name)} times")
    return None


def check_host(scope: Scope, headers: Headers, settings: ServerSettings) -> Failure | None:
    """That the server is called by a name of its own, and by the port at which the request arrived."""
    host = headers.get("host", "").lower()
    address, listening = scope.get("server") or (settings.host, settings.port)
    name, port = split_host(host)
    if host in settings.allowed_hosts or name in settings.allowed_hosts:
        return None
    own = is_loopback(name) or name == settings.host or _same_address(name, address)
    if name and own and listening in (int(port[:9]), None):  # a socket in the file system has no port
        return None
    return refusal(421, f"Host {host:.80}: not a name of this server; {_ELSEWHERE}")


def check_origin(scope: Scope, headers: Headers, settings: ServerSettings) -> Failure | None:
    """That no page of another origin speaks, unless it is allowed to."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None:
        if origin in settings.allowed_origins:
            return None
        if not _same_origin(origin, headers.get("host", "")):
            return refusal(403, f"Origin {origin:.80}: pages of this origin may not call the server")
    opens = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site in ("same-origin", "none") or (opens and origin is None and scope["method"] in ("GET", "HEAD")):
        return None  # following a link to the page is no call by the page that has the link
    return refusal(403, f"Sec-Fetch-Site {site:.20}: pages of other origins may not call the server")


def shows_token(headers: Headers, settings: ServerSettings) -> bool:
    """Whether a request carries the token, or the cookie that stands for it."""
    assert settings.token is not None
    scheme, _, given = headers.get("authorization", "").partition(" ")
    bearer = scheme.lower() == "bearer" and same(given.strip(), settings.token)
    return (
        bearer
        or same(headers.get("x-api-key", ""), settings.token)
        or same(_cookie(headers.get("cookie", ""), cookie_name(settings)), cookie_value(settings.token))
    )


def cookie_name(settings: ServerSettings) -> str:
    """Cookies do not tell ports apart, so their names do."""
    return f"furet_{settings.port}"


def cookie_value(token: str) -> str:
    """What shows that a browser once knew the token, without revealing it."""
    return hmac.new(token.encode(), b"furet: the cookie of a browser", sha256).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def split_host(host: str) -> tuple[str, str]:
    """The name and the port of a Host header, port 80 where there is none; ("", "") for what is no host."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name, port = host, "80"
    if ("[" in name) != name.startswith("[") or ("[" in name) != name.endswith("]"):
        return "", ""
    if not port.isascii() or not port.isdigit() or (":" in name and "[" not in name) or set(name) & set("/\\@?# \t"):
        return "", ""
    return name.strip("[]"), port


def is_loopback(name: str) -> bool:
    """Whether a name means this machine wherever it is looked up."""
    try:
        return name == "localhost" or _address(name).is_loopback
    except ValueError:
        return False


def _same_address(name: str, address: str) -> bool:
    """Whether a name is, in digits, the address at which the request arrived: no name of somebody else's is."""
    try:
        return _address(name) == _address(address)
    except ValueError:
        return False


def _address(digits: str) -> IPv4Address | IPv6Address:
    """One of IPv4 is itself also where a socket of IPv6 took it, as ::ffff:192.0.2.1. ValueError for what is none."""
    found = ip_address(digits)
    return getattr(found, "ipv4_mapped", None) or found


def _same_origin(origin: str, host: str) -> bool:
    """Whether a page is the server's own: the Host that it calls is the one it came from."""
    try:
        parts = urlsplit(origin)
        port = str(parts.port or _DEFAULT_PORTS.get(parts.scheme, ""))
    except ValueError:
        return False
    if parts.scheme not in _DEFAULT_PORTS or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        return False
    name, host_port = split_host(host.lower())
    implied = {host_port} if host.endswith(f":{host_port}") else set(_DEFAULT_PORTS.values())
    return bool(name) and (parts.hostname or "") == name and port in implied


def _cookie(header: str, name: str) -> str:
    """The value of a cookie. Those of programs at other ports may be of any form, which a parser would stumble over."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for key, _, value in pairs if key == name), "")
