"""Host, Origin and Sec-Fetch-Site against methods: who gets in, row by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from furet.serve.admission import check_host
from furet.serve.limits import ServerSettings

SETTINGS = {"allowed_hosts": ("models.example.org",), "allowed_origins": ("https://chat.example.org",)}

# method, Host, Origin, Sec-Fetch-Site, whether it opens a page, status
MATRIX = [
    # programs, which send no Origin: the Host decides
    ("GET", "localhost:8080", None, None, False, 200),
    ("GET", "LOCALHOST:8080", None, None, False, 200),
    ("GET", "127.0.0.1:8080", None, None, False, 200),
    ("GET", "127.8.9.1:8080", None, None, False, 200),
    ("GET", "[::1]:8080", None, None, False, 200),
    ("POST", "localhost:8080", None, None, False, 200),
    ("POST", "127.0.0.1:8080", None, None, False, 200),
    ("POST", "[::1]:8080", None, None, False, 200),
    ("GET", "models.example.org", None, None, False, 200),
    ("GET", "models.example.org:8080", None, None, False, 200),
    ("POST", "models.example.org", None, None, False, 200),
    ("GET", "localhost", None, None, False, 421),
    ("GET", "localhost:8081", None, None, False, 421),
    ("GET", "127.0.0.1:80", None, None, False, 421),
    ("GET", "[::1]:8081", None, None, False, 421),
    # names that somebody else may point at this machine
    ("GET", "evil.example:8080", None, None, False, 421),
    ("POST", "evil.example:8080", None, None, False, 421),
    ("DELETE", "evil.example:8080", None, None, False, 421),
    ("OPTIONS", "evil.example:8080", None, None, False, 421),
    ("HEAD", "evil.example:8080", None, None, False, 421),
    ("POST", "evil.example:8080", "http://evil.example:8080", "same-origin", False, 421),
    ("GET", "evil.example:8080", None, "none", True, 421),
    ("GET", "localhost.evil.example:8080", None, None, False, 421),
    ("GET", "127.0.0.1.evil.example:8080", None, None, False, 421),
    ("GET", "evil-models.example.org", None, None, False, 421),
    ("GET", "localhost:8080.evil.example", None, None, False, 421),
    ("GET", "localhost:8080@evil.example", None, None, False, 421),
    ("GET", "evil.example@localhost:8080", None, None, False, 421),
    ("GET", "localhost.:8080", None, None, False, 421),
    ("GET", "192.168.1.7:8080", None, None, False, 421),
    ("GET", "10.0.0.1:8080", None, None, False, 421),
    ("GET", "0.0.0.0:8080", None, None, False, 421),
    ("GET", "2130706433:8080", None, None, False, 421),
    ("GET", "0x7f000001:8080", None, None, False, 421),
    ("GET", "[::ffff:10.0.0.1]:8080", None, None, False, 421),
    ("GET", "[::1:8080", None, None, False, 421),
    ("GET", "::1:8080", None, None, False, 421),
    ("GET", ":8080", None, None, False, 421),
    ("GET", "localhost:", None, None, False, 421),
    ("GET", "localhost:8080:8080", None, None, False, 421),
    ("GET", "localhost:+8080", None, None, False, 421),
    ("GET", "localhost:٨٠٨٠", None, None, False, 421),
    ("GET", "localhost:8080/", None, None, False, 421),
    ("GET", "", None, None, False, 421),
    # the server's own page, and that of an allowed origin
    ("POST", "localhost:8080", "http://localhost:8080", "same-origin", False, 200),
    ("POST", "localhost:8080", "http://localhost:8080", None, False, 200),
    ("POST", "models.example.org", "https://models.example.org", "same-origin", False, 200),
    ("POST", "localhost:8080", "https://chat.example.org", "cross-site", False, 200),
    ("OPTIONS", "localhost:8080", "https://chat.example.org", "cross-site", False, 204),
    # pages of other origins
    ("POST", "localhost:8080", "http://evil.example", "cross-site", False, 403),
    ("POST", "localhost:8080", "http://evil.example", None, False, 403),
    ("GET", "localhost:8080", "http://evil.example", None, False, 403),
    ("OPTIONS", "localhost:8080", "http://evil.example", "cross-site", False, 403),
    ("DELETE", "localhost:8080", "http://evil.example", "cross-site", False, 403),
    ("POST", "localhost:8080", "null", "cross-site", False, 403),
    ("POST", "localhost:8080", "null", None, False, 403),
    ("POST", "localhost:8080", "http://localhost:3000", "same-site", False, 403),
    ("POST", "localhost:8080", "http://127.0.0.1:8080", "cross-site", False, 403),
    ("POST", "localhost:8080", "http://localhost:8080.evil.example", None, False, 403),
    ("POST", "localhost:8080", "http://chat.example.org", None, False, 403),
    ("POST", "localhost:8080", "https://chat.example.org.evil.example", None, False, 403),
    ("POST", "localhost:8080", "http://evil@localhost:8080", None, False, 403),
    ("POST", "localhost:8080", "chrome-extension://abcdef", None, False, 403),
    ("POST", "localhost:8080", "http://localhost:8080/", None, False, 403),
    ("POST", "localhost:8080", "http://localhost:99999", None, False, 403),
    ("POST", "localhost:8080", "", None, False, 403),
    ("POST", "localhost:8080", None, "cross-site", False, 403),
    ("GET", "localhost:8080", None, "cross-site", False, 403),
    ("GET", "localhost:8080", None, "same-site", False, 403),
    ("GET", "localhost:8080", None, "whatever", False, 403),
    # following a link is no call by the page that has the link; a form that posts is
    ("GET", "localhost:8080", None, "cross-site", True, 200),
    ("POST", "localhost:8080", None, "cross-site", True, 403),
    ("GET", "localhost:8080", None, "none", True, 200),
    # what no API takes
    ("TRACE", "localhost:8080", None, None, False, 405),
    ("CONNECT", "localhost:8080", None, None, False, 405),
]


def test_the_table_is_of_the_size_that_is_promised() -> None:
    assert len(MATRIX) >= 60 and len(set(MATRIX)) == len(MATRIX)


@pytest.mark.parametrize(("method", "host", "origin", "site", "opens", "wanted"), MATRIX)
def test_who_gets_in(
    client: Callable[..., TestClient],
    method: str,
    host: str,
    origin: str | None,
    site: str | None,
    opens: bool,
    wanted: int,
) -> None:
    headers = {"host": host, "origin": origin, "sec-fetch-site": site}
    if opens:
        headers |= {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    sent = {name: value.encode() for name, value in headers.items() if value is not None}
    body = {"model": "fake", "content": "a"} if method == "POST" else None
    path = "/tokenize" if method == "POST" else "/v1/models"
    response = client(**SETTINGS).request(method, path, headers=sent, json=body)
    assert response.status_code == wanted, response.text
    allowed = response.headers.get("access-control-allow-origin")
    assert allowed == ("https://chat.example.org" if origin == "https://chat.example.org" else None)


@pytest.mark.parametrize(
    ("host", "arrived", "admitted"),
    [
        ("192.168.1.5:8080", "::ffff:192.168.1.5", True),
        ("[::ffff:192.168.1.5]:8080", "192.168.1.5", True),
        ("192.168.1.6:8080", "::ffff:192.168.1.5", False),
        ("[::ffff:192.168.1.6]:8080", "::ffff:192.168.1.5", False),
        ("127.0.0.1:8080", "::ffff:192.168.1.5", True),
        ("[::ffff:127.0.0.1]:8080", "::1", True),
        ("[2001:db8::1]:8080", "2001:db8::1", True),
        ("[2001:db8::2]:8080", "2001:db8::1", False),
    ],
)
def test_an_address_is_the_servers_own_however_it_is_written(host: str, arrived: str, admitted: bool) -> None:
    """With --host :: one socket takes both kinds."""
    refused = check_host({"server": (arrived, 8080)}, {"host": host}, ServerSettings(host="::"))
    assert (refused is None) == admitted
