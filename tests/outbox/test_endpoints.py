"""What a file of endpoints says, and what is refused of it at once."""

from pathlib import Path

import pytest

from outbox.receiving import SECRET
from salesflow import SalesFlow
from salesflow.adapters.outbox.endpoints import Endpoint, read_endpoints
from salesflow.adapters.outbox.transports import transport_of
from salesflow.errors import InputError

PLAIN = '[[endpoint]]\nname = "crm"\nurl = "https://crm.example.com/hook"\n'


def read(folder: Path, text: str) -> tuple[Endpoint, ...]:
    file = folder / "endpoints.toml"
    file.write_text(text, encoding="utf-8")
    return read_endpoints(file)


def test_an_endpoint_needs_a_name_and_an_address_alone(tmp_path: Path) -> None:
    [endpoint] = read(tmp_path, PLAIN)
    assert endpoint == Endpoint(name="crm", url="https://crm.example.com/hook")
    assert endpoint.facts is None
    assert endpoint.after is None
    assert not endpoint.personal


def test_all_that_can_be_said_of_an_endpoint_is_read(tmp_path: Path) -> None:
    text = (
        f'{PLAIN}facts = ["deal.won", "customer.*"]\nsecret_env = ["NEW", "OLD"]\n'
        "personal = true\ntimeout = 5\nconcurrency = 2\nattempts = 3\ngive_up_hours = 1.5\n"
        "retry_seconds = 1\nretry_seconds_max = 60\nafter = 0\nallow_http = false\n"
    )
    [endpoint] = read(tmp_path, text)
    assert endpoint.facts == ("deal.won", "customer.*")
    assert endpoint.secret_env == ("NEW", "OLD")
    assert (endpoint.timeout, endpoint.attempts, endpoint.after) == (5, 3, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it names no endpoint"),
        ("endpoint = 1", "it names no endpoint"),
        ("[[endpoints]]", r"endpoints is nothing that it says \(perhaps endpoint\)"),
        ("[[endpoint]", "it is not TOML"),
        ('[[endpoint]]\nurl = "https://a.example"', "an endpoint has no name"),
        ('[[endpoint]]\nname = "crm"', "endpoint 'crm' has no url"),
        (PLAIN.replace("crm", "c r m", 1), "name is 'c r m'; write a name of up to 64"),
        (PLAIN + PLAIN, "two endpoints are called 'crm'"),
        (PLAIN.replace("https", "ftp"), "begins with 'ftp'; there are https://, http://"),
        (PLAIN.replace("https", "http"), "over http anybody on the way reads"),
        (PLAIN.replace("crm.example.com", ""), "its url names no host"),
        (PLAIN.replace("crm.example", "a:b@crm.example"), "holds a user or a password"),
        (PLAIN.replace("/hook", "/#hook"), "which is never sent"),
        (PLAIN.replace("crm.example.com", "[::1"), "its url is no address"),
        (PLAIN + "timeout = 0", r"timeout is 0; write a number, 0.1 to 300"),
        (PLAIN + "timeout = true", "timeout is True"),
        (PLAIN + "attempts = 1.5", "attempts is 1.5; write a whole number, 1 to 1,000"),
        (PLAIN + 'personal = "yes"', "personal is 'yes'; write true or false"),
        (PLAIN + 'facts = "deal.won"', r"write a list of kinds, such as \[.deal.won"),
        (PLAIN + "secret_env = []", "write the name of an environment variable"),
        (
            PLAIN.replace("https://", "redis://") + 'secret_env = "S"',
            "secret_env signs webhooks alone, and redis:// goes unsigned",
        ),
        (
            PLAIN + "attempt = 3",
            r"there is no attempt \(perhaps attempts\); there are name, url",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_endpoints(tmp_path / "none.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(InputError, match="more than 256,000 bytes"):
        read_endpoints(tmp_path / "large.toml")


def test_http_is_for_this_machine_and_for_whoever_allows_it(tmp_path: Path) -> None:
    here = PLAIN.replace("https://crm.example.com", "http://127.0.0.1:8000")
    assert read(tmp_path, here)[0].scheme == "http"
    within = PLAIN.replace("https", "http") + "allow_http = true"
    assert read(tmp_path, within)[0].allow_http


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "the environment variable S is not set; it holds the secret of endpoint 'crm'"),
        ("whsec_short", "S holds no secret of a webhook"),
        ("whsec_" + "A" * 200, "of 24 to 64 random bytes"),
        ("whsec_é", "S holds no secret of a webhook"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_never_shown(value: str | None, said: str) -> None:
    pytest.importorskip("httpx2", reason="webhooks are sent by httpx2")
    url = "https://crm.example.com"
    endpoint = Endpoint(name="crm", url=url, secret_env=("S",), environment={"S": value}.get)
    with pytest.raises(InputError, match=said) as caught:
        transport_of(endpoint)
    assert value is None or value not in str(caught.value)
    with pytest.raises(InputError, match="endpoint 'crm' has no secret"):
        transport_of(Endpoint(name="crm", url=url))


def test_kinds_of_facts_that_there_are_not_are_refused(sqlite_url: str) -> None:
    pytest.importorskip("httpx2", reason="webhooks are sent by httpx2")
    told = {"name": "crm", "url": "https://crm.example.com", "secret_env": ("S",)}
    with SalesFlow(sqlite_url) as flow:
        for facts, said in (
            (("deal.one",), r"there are no facts 'deal.one' \(perhaps deal.won\)"),
            (("deals.*",), r"there are no facts 'deals\.\*'"),
        ):
            endpoint = Endpoint(**told, facts=facts, environment={"S": SECRET}.get)  # type: ignore[arg-type]
            with pytest.raises(InputError, match=said):
                flow.outbox.deliver([endpoint])
        assert flow.outbox.standings() == []
