"""The way in for browsers where a token is set: a link or a form with the token, exchanged for a cookie."""

from __future__ import annotations

from starlette.responses import HTMLResponse, RedirectResponse, Response

from furet.serve.admission import cookie_name, cookie_value
from furet.serve.limits import ServerSettings

SIGN_IN = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>furet</title>
<main>
<h1>furet</h1>
<p>{says}</p>
<form method="get" action="/">
<label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label>
<button>Open</button>
</form>
</main>
</html>
"""
_POLICY = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def let_in(settings: ServerSettings) -> Response:
    """To the page, without the token in the address, and with the cookie."""
    assert settings.token is not None
    response = RedirectResponse("/", 303)
    response.set_cookie(
        cookie_name(settings), cookie_value(settings.token), httponly=True, samesite="strict", path="/"
    )
    return response


def sign_in(wrong: bool) -> Response:
    """The form that asks for the token; nothing of what was given is in it."""
    says = "This is not the token." if wrong else "This server wants the token that it was started with."
    headers = {"content-security-policy": _POLICY, "www-authenticate": "Bearer"}
    return HTMLResponse(SIGN_IN.format(says=says), 401, headers)
