"""Checks before every request to the pages, and headers on every response.

Every web page that a user opens can send requests to this machine. The checks, in order:

- The Host header must name this server: otherwise a page whose domain name resolves to this machine (DNS
  rebinding) could read everything.
- With a token, a request needs it: in a cookie, which is set when it comes as ``?token=``, or in a header.
- Requests that another site's page makes are refused, except for following a link to a page.
- A POST must come from a page of this server (Origin), and an action must have the CSRF token of its page.

The Content-Security-Policy allows no script but the files of this server, and none in HTML.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import define, field, frozen

from floto.core.errors import FlotoError
from floto.core.hosts import host_name, is_loopback
from floto.core.swf.identifiers import shown

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it, browsers send "Origin: null" with the forms of our own pages.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_COOKIE = "floto-session"
#: Links from elsewhere send the cookie, requests of other sites' pages do not.
_COOKIE_RULES = "Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"
TOKEN_HEADER = "x-floto-token"  # noqa: S105 - the name of a header
_BEARER = "bearer "


@define
class Refused(FlotoError):
    """A request that is refused, with the HTTP status and the reason."""

    status: int
    message: str

    def __str__(self) -> str:
        """Return the reason."""
        return self.message


@frozen
class Admission:
    """The result of a check: the request continues, or is redirected with a ``set-cookie`` header."""

    location: str | None = None
    cookie: str | None = None


def _lower(names: Collection[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen(kw_only=True)
class Guard:
    """The checks of requests.

    Args:
        hosts: Names of this server beside those of the loopback interface.
        token: The token that requests need; None: none is needed.
        needs_token: Whether the pages are refused as long as there is no token.
        allow_actions: Whether actions may be carried out.
    """

    hosts: frozenset[str] = field(default=frozenset(), converter=_lower)
    token: str | None = field(default=None, repr=False)
    needs_token: bool = False
    allow_actions: bool = False
    #: The CSRF token of the forms; other sites cannot read the pages that have it.
    csrf: str = field(factory=lambda: secrets.token_urlsafe(32), init=False, repr=False)

    def admit(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Admission:
        """Check a request. Raises ``Refused``.

        Args:
            method: The method.
            path: The path, percent-encoded.
            query: The query string.
            headers: The headers, by names in lower case.
        """
        self._check_host(headers.get("host", ""))
        self._check_site(method, headers)
        if self.needs_token and self.token is None:
            raise Refused(403, "this server checks signatures; start it with --token to see its pages")
        given = dict(parse_qsl(query)).get("token")
        if self.token is not None and given is not None and method == "GET":
            self._need(given)
            rest = urlencode([pair for pair in parse_qsl(query) if pair[0] != "token"])
            cookie = f"{_cookie_name(headers)}={self._session}; {_COOKIE_RULES}"
            return Admission(f"{path}?{rest}" if rest else path, cookie)
        if self.token is not None:
            self._check_token(headers)
        return Admission()

    def check_action(self, given: str | None) -> None:
        """Check that actions are allowed, and that a form is one of this server. Raises ``Refused``."""
        if not self.allow_actions:
            raise Refused(403, "this page is read-only; start it with --allow-actions to act on runs")
        self.check_form(given)

    def check_form(self, given: str | None) -> None:
        """Check the CSRF token of a form. Raises ``Refused``."""
        if given is None or not _equal(given, self.csrf):
            raise Refused(403, "the form is not of this page, or the server was restarted: load it again")

    def _check_host(self, host: str) -> None:
        name = host_name(host)
        if name not in self.hosts and not is_loopback(name):
            raise Refused(403, f"{shown(host)} is not a name of this server; name it with --allowed-host")

    @staticmethod
    def _check_site(method: str, headers: Mapping[str, str]) -> None:
        site, is_post = headers.get("sec-fetch-site"), method not in {"GET", "HEAD"}
        is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if site in {"cross-site", "same-site"} and (is_post or not is_link):
            raise Refused(403, "a page of another site has sent this request")
        if is_post and not _same_origin(headers.get("origin"), headers.get("host", "")):
            raise Refused(403, "the request does not come from a page of this server (Origin)")

    def _check_token(self, headers: Mapping[str, str]) -> None:
        authorization = headers.get("authorization", "")
        if authorization.lower().startswith(_BEARER):
            self._need(authorization[len(_BEARER) :].strip())
        elif not _equal(_cookie(headers), self._session):
            raise Refused(401, "this page needs its token: open it with ?token=TOKEN once")

    def _need(self, given: str) -> None:
        if self.token is None or not _equal(given, self.token):
            raise Refused(401, "the token is wrong: open the page with ?token=TOKEN, as its server has it")

    @property
    def _session(self) -> str:
        """The value of the cookie, from which the token cannot be computed."""
        return hmac.new((self.token or "").encode(), b"floto session", hashlib.sha256).hexdigest()


def _cookie_name(headers: Mapping[str, str]) -> str:
    """Return the name of the cookie: browsers send the cookies of a host to all its ports."""
    port = re.search(r":([0-9]{1,5})$", headers.get("host", ""))
    return f"{_COOKIE}-{port[1] if port else 80}"


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(headers))
    except CookieError:
        return ""
    return "" if found is None else found.value


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))


def _same_origin(origin: str | None, host: str) -> bool:
    try:
        parts = urlsplit(origin or "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and parts.netloc.lower() == host.lower()
