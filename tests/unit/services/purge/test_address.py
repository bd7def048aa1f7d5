"""MAYFLY_REDIS_URL: what each form means, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from mesh.errors import ConfigError
from services.purge.address import Host, Kind, RedisAddress, Target, is_loopback

A, B = Host("a", 1), Host("b", 2)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("unix:///s?db=2&username=u&password=p%40", Target(Kind.SINGLE, False, (), "/s", "", 2, "u", "p@")),
        ("redis://a:1/3", Target(Kind.SINGLE, False, (A,), db=3)),
        ("rediss://u:p%3A@a", Target(Kind.SINGLE, True, (Host("a", 6379),), username="u", password="p:")),
        ("redis://[::1]:7", Target(Kind.SINGLE, False, (Host("::1", 7),))),
        ("redis+sentinel://a:1,b:2/main?db=4", Target(Kind.SENTINEL, False, (A, B), master="main", db=4)),
        ("rediss+sentinel://a,b:2/m", Target(Kind.SENTINEL, True, (Host("a", 26379), B), master="m")),
        ("redis+cluster://u:p@a:1,b:2", Target(Kind.CLUSTER, False, (A, B), username="u", password="p")),
        ("rediss+cluster://a:1", Target(Kind.CLUSTER, True, (A,))),
    ],
)  # fmt: skip
def test_a_url_says_where_redis_is(url: str, target: Target) -> None:
    assert RedisAddress(url).target() == target


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://a", "must begin with"),
        ("redis://", "names no host"),
        ("redis://a:1,b:2", "several hosts need"),
        ("redis://a:0", "not host:port"),
        ("redis://a:b", "not host:port"),
        ("redis://a/x", "database is a number"),
        ("redis://a?db=1&ssl_cert_reqs=none", "unknown option 'ssl_cert_reqs'"),
        ("unix://x", "absolute path"),
        ("redis+sentinel://a:1", "needs the primary's name"),
        ("redis+cluster://a:1/1", "database 0 alone"),
        ("redis+cluster://a:1?db=1", "database 0 alone"),
    ],
)
def test_a_wrong_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match="MAYFLY_REDIS_URL") as caught:
        RedisAddress(url).target()
    assert why in str(caught.value)


def test_a_password_from_a_file_counts_more_than_the_urls_and_neither_is_shown() -> None:
    address = RedisAddress("redis://u:in-the-url@a", username="v", password="from-a-file")
    assert (address.target().username, address.target().password) == ("v", "from-a-file")
    with pytest.raises(ConfigError) as caught:
        RedisAddress("redis://u:in-the-url@a:x").target()
    assert "in-the-url" not in str(caught.value)


def test_loopback_is_told_from_the_rest() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1"))
    assert not any(is_loopback(host) for host in ("10.0.0.1", "redis", "0.0.0.0", "localhost.example"))
