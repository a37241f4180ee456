from __future__ import annotations

import re

import pytest

from weir.decode.redact import Redactor
from weir.model.control import Redaction

M = r"masked:[0-9a-f]{8}"
REDACTOR = Redactor(Redaction(key=b"k"))


def headers(fields, redactor=REDACTOR, where="request"):
    return redactor.apply({where: {"headers": fields}})[where]["headers"]


def like(pattern, value):
    return re.fullmatch(pattern.replace("MASK", M), value) is not None


@pytest.mark.parametrize(
    ("name", "value", "pattern"),
    [
        ("authorization", "Bearer abc.def", "Bearer MASK"),
        ("authorization", "Basic dXNlcjpwYXNz", "Basic MASK"),
        ("authorization", "abcdef", "MASK"),
        ("proxy-authorization", "Digest username=\"a\", response=\"b\"", "Digest MASK"),
        ("cookie", "sid=abc; theme=dark", "sid=MASK; theme=MASK"),
        ("cookie", "garbage", "MASK"),
        ("cookie", "a=; b=x=y", "a=; b=MASK"),
        ("set-cookie", "sid=abc; Path=/; HttpOnly\nt=x; Max-Age=3", "sid=MASK; Path=/; HttpOnly\nt=MASK; Max-Age=3"),
        ("x-api-key", "12345", "MASK"),
        ("referer", "https://u:p@a.b/c?token=t&x=1", r"https://u:MASK@a\.b/c\?token=MASK&x=1"),
        ("location", "/cb?code=abc&state=s", r"/cb\?code=MASK&state=s"),
        ("accept", "text/html; token=1", "text/html; token=1"),
    ],
)
def test_header_fields(name, value, pattern):
    for where in ("request", "response"):
        assert like(pattern, headers({name: value}, where=where)[name])


def test_trailers_are_masked_too():
    made = REDACTOR.apply({"response": {"trailers": {"x-auth-token": "t"}}})
    assert like("MASK", made["response"]["trailers"]["x-auth-token"])


def test_interim_responses_are_masked_too():
    entry = {"interim_responses": [{"status_code": 103, "headers": {"set-cookie": "a=b", "link": "</x>"}}]}
    (masked,) = REDACTOR.apply(entry)["interim_responses"]
    assert like("a=MASK", masked["headers"]["set-cookie"])
    assert masked["headers"]["link"] == "</x>"


def test_equal_secrets_stay_equal_under_one_key_and_differ_under_another():
    assert REDACTOR.mask("a") == REDACTOR.mask("a") != REDACTOR.mask("b")
    assert Redactor(Redaction(key=b"other")).mask("a") != REDACTOR.mask("a")
    assert Redactor(Redaction()).mask("a") != REDACTOR.mask("a")


def test_masking_twice_changes_nothing():
    once = headers({"cookie": "a=b", "authorization": "Bearer x"})
    assert headers(dict(once)) == once


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("/a?token=x&page=1", r"/a\?token=MASK&page=1"),
        ("/a?page=1&API_KEY=x", r"/a\?page=1&API_KEY=MASK"),
        ("/a?csrf_token=x", r"/a\?csrf_token=MASK"),
        ("/a?X-Amz-Signature=x&X-Amz-Date=y", r"/a\?X-Amz-Signature=MASK&X-Amz-Date=y"),
        ("/a?%74oken=x", r"/a\?%74oken=MASK"),
        ("/a?user%5Bpassword%5D=x", r"/a\?user%5Bpassword%5D=MASK"),
        ("/a?user[password]=x", r"/a\?user\[password\]=MASK"),
        ("/a;token=x/b", r"/a;token=MASK"),
        ("/a?x=1;token=y", r"/a\?x=1;token=MASK"),
        ("/cb#access_token=x&state=1", r"/cb#access_token=MASK&state=1"),
        ("/a?b=1#id_token=x", r"/a\?b=1#id_token=MASK"),
        ("/r?u=/x?token=y", r"/r\?u=/x\?token=MASK"),
        ("http://user:secret@h/p", "http://user:MASK@h/p"),
        ("/r?to=http://u:secret@h/", r"/r\?to=http://u:MASK@h/"),
        ("GET /a?token=x → 200", r"GET /a\?token=MASK → 200"),
        ("GET /a?page=2 → 200", r"GET /a\?page=2 → 200"),
        ("/a?monkey=1&tokens=2&country_code=de", r"/a\?monkey=1&tokens=2&country_code=de"),
        ("/a?token=", r"/a\?token="),
        ("/plain", "/plain"),
    ],
)
def test_urls(text, pattern):
    for field in ("path", "url", "summary"):
        assert like(pattern, REDACTOR.apply({field: text})[field])


def test_query_maps_and_cookie_maps():
    entry = {
        "query_string": {"token": "x", "page": "1", "password": ["a", "b"]},
        "request.cookies": {"sid": "x"}, "response.cookies": {"t": "y"},
    }
    made = REDACTOR.apply(entry)
    assert made["query_string"]["page"] == "1"
    assert like("MASK", made["query_string"]["token"])
    assert [like("MASK", v) for v in made["query_string"]["password"]] == [True, True]
    assert like("MASK", made["request.cookies"]["sid"])
    assert like("MASK", made["response.cookies"]["t"])


def test_a_query_as_text():
    assert like("a=1&sig=MASK", REDACTOR.apply({"query_string": "a=1&sig=x"})["query_string"])


def body(content_type, **kept):
    message = {"headers": {"content-type": content_type}, "body": kept}
    return REDACTOR.apply({"request": message})["request"]["body"]


def test_forms():
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert like("password=MASK&user=u", body(form, text="password=x&user=u", size=17)["text"])
    assert body(form, text="password=x", size=10)["size"] == 10
    assert like("secret=MASK&b=\xff", body(form, data=b"secret=x&b=\xff")["data"].decode("latin-1"))
    assert body("text/plain", text="password=x")["text"] == "password=x"


def test_bodies_can_be_dropped():
    redactor = Redactor(Redaction(bodies=True))
    entry = {
        "request": {"body": {"size": 5, "text": "hello"}}, "response": {"body": {"size": 1, "data": b"x"}},
        "first_bytes_client": "00",
    }
    assert redactor.apply(entry) == {
        "request": {"body": {"size": 5, "truncated": True}}, "response": {"body": {"size": 1, "truncated": True}},
    }


def test_what_is_masked_can_be_chosen():
    redactor = Redactor(Redaction(headers=("x-secret",), query=("q",)))
    made = redactor.apply({"path": "/?q=1&token=2", "request": {"headers": {"x-secret": "s", "cookie": "a=b"}}})
    assert like("MASK", made["request"]["headers"]["x-secret"])
    assert made["request"]["headers"]["cookie"] == "a=b"
    assert like(r"/\?q=MASK&token=MASK", made["path"])


def test_nothing_is_masked_when_nothing_is_to_be():
    redactor = Redactor(Redaction(headers=(), query=()))
    entry = {"path": "/?token=2", "request": {"headers": {"authorization": "s"}}}
    assert redactor.apply(entry) == {"path": "/?token=2", "request": {"headers": {"authorization": "s"}}}


def test_lone_surrogates_do_no_harm():
    assert like("MASK", headers({"x-api-key": "\udcff"})["x-api-key"])


def test_many_names_do_not_fill_the_memory():
    redactor = Redactor(Redaction())
    for n in range(10_000):
        redactor.apply({"path": f"/?p{n}=1"})
    assert len(redactor._known) <= 4096
