"""Pulls opportunities and what belongs to them from the interface of Fxiaoke (纷享销客).

A token lasts two hours and is fetched anew when the interface says that it has run out; that
may be asked ten times a minute. Errors come with status 200 and a code of their own. Records
come in pages of 100 by offset, ordered by when they were created; as deep offsets are slow, or
refused, each two thousand records the query begins again at the time of the last one, and what
was there already is left out.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from salesflow.adapters.importers.crm.pull.client import Answer, ApiClient, ensure_safe
from salesflow.adapters.importers.crm.pull.folder import PulledFolder
from salesflow.domain.wording import shortened
from salesflow.errors import InputError, SalesflowError

__all__ = ["HOST", "OPTIONAL", "SECRETS", "pull_fxiaoke"]


HOST: Final = "https://open.fxiaoke.com"
"""The interface; enterprises of other clouds have their own."""
SECRETS: Final = ("app_id", "app_secret", "permanent_code")
OPTIONAL: Final = ("user_id", "open_user_id")
"""In whose name it is read: the employee's id, or with the older interface the open id."""
PAGE: Final = 100
DEPTH: Final = 2_000
OBJECTS: Final = (
    "AccountObj",
    "ContactObj",
    "NewOpportunityObj",
    "QuoteObj",
    "QuoteLinesObj",
    "ActiveRecordObj",
    "CompetitiveLinesObj",
)
NEEDED: Final = ("NewOpportunityObj",)
EXPIRED: Final = 20016
"""The token does not exist, or has run out."""
BUSY: Final = -1
"""The system is busy."""
OFTEN: Final = ("频繁", "频率", "too frequent")
"""What is in the message where too much is asked; the codes of that are nowhere documented."""
TRIES: Final = 5
Report = Callable[[int, int], None]


def pull_fxiaoke(
    secrets: Mapping[str, str],
    folder: Path,
    *,
    client: ApiClient,
    host: str = HOST,
    progress: Report | None = None,
) -> list[str]:
    """Fetch what is not there yet into a folder, and return what could not be read, and why.

    Raises:
        InputError: when Fxiaoke does not take the secrets, or opportunities cannot be read.
        SalesflowError: when there is no answer; the same call goes on where it stopped.
    """
    if not (secrets.get("user_id") or secrets.get("open_user_id")):
        raise InputError(
            "Fxiaoke reads in the name of an employee: set FXIAOKE_USER_ID, such as 1000, or"
            " FXIAOKE_OPEN_USER_ID, which begins with FSUID_"
        )
    pages = PulledFolder(folder, "fxiaoke")
    access = _FxiaokeAccess(secrets, ensure_safe(host), client)
    count = 0
    for name in OBJECTS:
        part = pages.part(name)
        while not part.get("done"):
            try:
                count += _take(pages, part, name, access.query(name, _search(part)))
            except _RefusedError as error:
                if name in NEEDED:
                    raise InputError(f"Fxiaoke refuses {name}: {error}") from error
                pages.left.append(f"{name}: {error}")
                part["done"] = True
                pages.save()
            if progress is not None:
                progress(count, count)
    pages.complete()
    return pages.left


class _RefusedError(Exception):
    """Fxiaoke answered with a code."""


class _FxiaokeAccess:
    """A token, fetched when it is needed and again when it has run out."""

    def __init__(self, secrets: Mapping[str, str], host: str, client: ApiClient) -> None:
        self._secrets = secrets
        self._host = host
        self._client = client
        self._token: Mapping[str, Any] | None = None

    def query(self, name: str, search: Mapping[str, Any]) -> Answer:
        """Ask for a page of records.

        Raises:
            _RefusedError: when it is refused.
        """
        data = {"dataObjectApiName": name, "search_query_info": search}
        answer = self._ask({"data": data})
        if _code(answer) == EXPIRED:
            self._token = None
            answer = self._ask({"data": data})
        if _code(answer) == EXPIRED:
            raise InputError("Fxiaoke takes no token of this application")
        if _code(answer) != 0:
            raise _RefusedError(_said(answer))
        return answer

    def _ask(self, body: Mapping[str, Any]) -> Answer:
        token = self._token = self._token or self._fetch()
        headers: dict[str, str] = {}
        if "accessToken" in token:
            headers = {
                "authorization": f"Bearer {token['accessToken']}",
                "x-fs-ea": str(token.get("ea")),
                "x-fs-userid": self._secrets["user_id"],
            }
        else:
            body = {
                **body,
                "corpAccessToken": token["corpAccessToken"],
                "corpId": token.get("corpId"),
                "currentOpenUserId": self._secrets["open_user_id"],
            }
        return self._send("/cgi/crm/v2/data/query", body, headers)

    def _fetch(self) -> Mapping[str, Any]:
        """Fetch a token, of the newer interface where an employee's id is given."""
        newer = "user_id" in self._secrets
        path = "/oauth2.0/token" if newer else "/cgi/corpAccessToken/get/V2"
        names = {
            "appId": "app_id",
            "appSecret": "app_secret",
            "permanentCode": "permanent_code",
        }
        body = {name: self._secrets[secret] for name, secret in names.items()}
        if newer:
            body["grantType"] = "app_secret"
        answer = self._send(path, body, {})
        wanted = "accessToken" if newer else "corpAccessToken"
        if _code(answer) != 0 or not answer.json.get(wanted):
            raise InputError(
                f"Fxiaoke gives no token: {_said(answer)}; see that app id, secret and"
                " permanent code are of one application, and --host is that of its cloud"
            )
        told: Mapping[str, Any] = answer.json
        return told

    def _send(self, path: str, body: Mapping[str, Any], headers: dict[str, str]) -> Answer:
        """Send a request, again where the system says that it is busy."""
        said = ""
        for attempt in range(TRIES):
            params = {"thirdTraceId": str(uuid4())}
            url = f"{self._host}{path}"
            answer = self._client.send("POST", url, headers=headers, params=params, json=body)
            if not isinstance(answer.json, Mapping):
                raise SalesflowError(
                    f"{self._host} is no interface of Fxiaoke: status {answer.status}, no JSON"
                )
            if not _is_busy(answer):
                return answer
            said = _said(answer)
            if attempt < TRIES - 1:
                self._client.pause()
        raise SalesflowError(
            f"Fxiaoke is too busy ({said}); run the same command again later, and it goes on"
            " where it stopped"
        )


def _is_busy(answer: Answer) -> bool:
    message = str(answer.json.get("errorMessage") or "").casefold()
    return _code(answer) == BUSY or (
        _code(answer) != 0 and any(each in message for each in OFTEN)
    )


def _code(answer: Answer) -> object:
    return answer.json.get("errorCode")


def _said(answer: Answer) -> str:
    words = (answer.json.get("errorCode"), answer.json.get("errorMessage"))
    return shortened(", ".join(str(each) for each in words if each is not None), 200)


def _search(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what asks for the next page."""
    search: dict[str, Any] = {
        "limit": PAGE,
        "offset": part.get("offset", 0),
        "filters": [],
        "orders": [{"fieldName": "create_time", "isAsc": True}],
    }
    if part.get("since") is not None:
        since = {
            "field_name": "create_time",
            "field_values": [part["since"]],
            "operator": "GTE",
        }
        search["filters"] = [since]
    return search


def _take(pages: PulledFolder, part: dict[str, Any], name: str, answer: Answer) -> int:
    """Keep a page without what was there already, and where the next one is."""
    records = _records(answer)
    known = set(part.get("known", ()))
    fresh = [each for each in records if str(each.get("_id")) not in known]
    _move_on(part, records)
    if not fresh:
        pages.save()
        return 0
    page = part["page"] = part.get("page", 0) + 1
    content = answer.content
    if len(fresh) < len(records):
        kept = {"errorCode": 0, "dataList": fresh}
        content = json.dumps(kept, ensure_ascii=False).encode()
    pages.write(name, page, content)
    return len(fresh)


def _move_on(part: dict[str, Any], records: list[Mapping[str, Any]]) -> None:
    """Note where the next page is; from a depth on, by the time of the last record."""
    offset = part.get("offset", 0) + PAGE
    part |= {"offset": offset, "done": len(records) < PAGE}
    if not records:
        return
    last = records[-1].get("create_time")
    before = part.get("recent", []) if part.get("latest") == last else []
    same = [str(each.get("_id")) for each in records if each.get("create_time") == last]
    part |= {"latest": last, "recent": [*before, *same]}
    if offset >= DEPTH and last is not None and last != part.get("since"):
        part |= {"since": last, "offset": 0, "known": part["recent"]}


def _records(answer: Answer) -> list[Mapping[str, Any]]:
    """Return the records of an answer, in either of its forms."""
    within = answer.json.get("data")
    found = within.get("dataList") if isinstance(within, Mapping) else within
    found = found if isinstance(found, list) else answer.json.get("dataList")
    return [each for each in found or () if isinstance(each, Mapping)]
