"""Masks secrets in entries before anybody sees them; what is masked stays comparable, by a short keyed digest.

Works on the public form, in place, on maps that belong to the entry alone. Masked are credentials in headers, cookies'
values, token-like parameters wherever a URL or a form can stand, and passwords in URLs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from weir.model.control import Redaction
from weir.model.entry import EntryMap

URL_FIELDS = ("path", "url", "summary")
"""Top-level fields of entries in which a URL, or a part of one, can stand."""
MAP_FIELDS = ("query_string",)
"""Top-level fields that hold parameters by name."""
COOKIE_FIELDS = ("request.cookies", "response.cookies", "cookies")
"""Top-level fields that hold cookies by name."""
URL_HEADERS = ("referer", "location", "content-location", ":path", "x-original-url", "x-forwarded-uri")
"""Header fields whose value is a URL."""
INTERIM_FIELD = "interim_responses"
"""Top-level field that holds more messages."""
BYTES_FIELDS = ("first_bytes_client", "first_bytes_server")
"""Top-level fields that show payload as it was: dropped with the bodies."""
FORM = "application/x-www-form-urlencoded"

_STRONG = frozenset({"token", "password", "passwd", "pwd", "secret", "signature", "credential", "apikey"})
"""A parameter is token-like, too, if the last word of its name is one of these: `csrf_token`, `X-Amz-Signature`."""
_WORD = re.compile(r"[^a-z0-9]+")
_PARAMETER = re.compile(r"(^|[?&;#\s])([^=&?;#\s]{1,256})=([^&;#\s]*)")
_NESTED = re.compile(r"(\?)([^=&?;#\s]{1,256})=([^&?;#\s]*)")
"""A parameter of a URL that is itself a parameter's value."""
_USERINFO = re.compile(r"(//[^/?#\s:@]*:)([^/?#\s@]+)(@)")
_SET_COOKIE = re.compile(r"^(\s*[^=;]*=)([^;]*)")
_COOKIE = re.compile(r"(^|;)(\s*[^=;]*=)([^;]*)")
_MASKED = "masked:"
_MAX_KNOWN = 4096


class Redactor:
    """Applies one `Redaction`."""

    def __init__(self, redaction: Redaction) -> None:
        self._digest = hashlib.blake2b(digest_size=4, key=redaction.key[:64])
        self._bodies = redaction.bodies
        self._names = frozenset(name.lower() for name in redaction.query)
        headers = frozenset(name.lower() for name in redaction.headers)
        how: dict[str, Callable[[str], str]] = dict.fromkeys(headers, self._credentials)
        how |= {name: self._url for name in URL_HEADERS if name not in headers}
        how |= {n: f for n, f in (("cookie", self._cookie), ("set-cookie", self._set_cookies)) if n in headers}
        self._headers = how
        self._header_names = frozenset(how)
        self._known: dict[str, bool] = {}
        """Whether a parameter's name is token-like, for names that were asked before."""
        self._cookies = bool({"cookie", "set-cookie"} & headers)

    def apply(self, entry: EntryMap) -> EntryMap:
        """The same map, masked."""
        for name in URL_FIELDS:
            text = entry.get(name)
            if text and ("=" in text or "@" in text):
                masked = self._url(text)
                if masked is not text:
                    entry[name] = masked
        for name in MAP_FIELDS:
            parameters = entry.get(name)
            if parameters:
                entry[name] = self._parameters(parameters)
        if self._cookies:
            for name in COOKIE_FIELDS:
                cookies = entry.get(name)
                if type(cookies) is dict:
                    entry[name] = {key: self.mask(str(value)) for key, value in cookies.items()}
        if self._bodies:
            for name in BYTES_FIELDS:
                entry.pop(name, None)
        for name in ("request", "response"):
            message = entry.get(name)
            if message:
                self._message(message)
        for message in entry.get(INTERIM_FIELD, ()):
            self._message(message)
        return entry

    def mask(self, value: str) -> str:
        """What stands for a secret value; equal for equal values."""
        if not value or value.startswith(_MASKED):
            return value
        digest = self._digest.copy()
        digest.update(value.encode(errors="surrogatepass"))
        return _MASKED + digest.hexdigest()

    def _message(self, message: dict[str, Any]) -> None:
        headers = message.get("headers")
        if headers and not self._header_names.isdisjoint(headers):
            self._fields(headers)
        trailers = message.get("trailers")
        if trailers:
            self._fields(trailers)
        body = message.get("body")
        if body:
            if self._bodies:
                message["body"] = {k: v for k, v in body.items() if k not in ("text", "data")} | {"truncated": True}
            elif headers and FORM in headers.get("content-type", "").lower():
                self._form(body)

    def _fields(self, fields: dict[str, str]) -> None:
        for name in self._header_names.intersection(fields):
            fields[name] = self._headers[name](fields[name])

    def _form(self, body: dict[str, Any]) -> None:
        if "text" in body:
            body["text"] = self._any_url(body["text"])
        elif body.get("data"):
            # A form that is no UTF-8: Latin-1 maps bytes to characters one to one.
            body["data"] = self._any_url(body["data"].decode("latin-1")).encode("latin-1")

    def _credentials(self, value: str) -> str:
        """Keeps the scheme word of `Bearer …`, `Basic …` (RFC 9110 section 11.4)."""
        scheme, space, secret = value.partition(" ")
        if space and secret and scheme.isalnum():
            return scheme + " " + self.mask(secret)
        return self.mask(value)

    def _cookie(self, value: str) -> str:
        if "=" not in value:
            return self.mask(value)
        return _COOKIE.sub(lambda m: m[1] + m[2] + self.mask(m[3]), value)

    def _set_cookies(self, value: str) -> str:
        return "\n".join(
            _SET_COOKIE.sub(lambda m: m[1] + self.mask(m[2]), line, count=1) if "=" in line else self.mask(line)
            for line in value.split("\n")
        )

    def _url(self, text: str) -> str:
        """The usual case is told at once: a query without secrets, and nothing else that may hold one."""
        head, _, query = text.partition("?")
        if "=" in head or "@" in text or "#" in query or ";" in query or "?" in query:
            return self._any_url(text)
        for parameter in query.split("&"):
            if self._is_secret(parameter.partition("=")[0]):
                return self._any_url(text)
        return text

    def _any_url(self, text: str) -> str:
        if "=" in text:
            text = _PARAMETER.sub(self._parameter, text)
        if "@" in text:
            text = _USERINFO.sub(lambda m: m[1] + self.mask(m[2]) + m[3], text)
        return text

    def _parameter(self, match: re.Match[str]) -> str:
        before, name, value = match.groups()
        if self._is_secret(name):
            return f"{before}{name}={self.mask(value)}"
        if "?" in value:
            return f"{before}{name}={_NESTED.sub(self._parameter, value)}"
        return match[0]

    def _parameters(self, parameters: Any) -> Any:
        if type(parameters) is str:
            return self._any_url(parameters)
        if type(parameters) is dict and any(map(self._is_secret, parameters)):
            return {k: self._masked(v) if self._is_secret(k) else v for k, v in parameters.items()}
        return parameters

    def _masked(self, value: Any) -> Any:
        return [self.mask(str(v)) for v in value] if type(value) is list else self.mask(str(value))

    def _is_secret(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            known = self._known[name] = self._find_out(name.lower())
        return known

    def _find_out(self, name: str) -> bool:
        if "%" in name or "+" in name:
            name = unquote_plus(name)
        if name in self._names:
            return True
        words = [word for word in _WORD.split(name) if word]
        return bool(words) and words[-1] in _STRONG and bool(self._names)
