"""Pulls deals with their history from the interface of Zoho CRM, version 8.

A token lasts an hour and is fetched anew when it has run out. Records come in pages of 200; the
first ten by number, all further by the token that the page before gave, which lasts a day: when
it has expired, that module begins anew. Which fields a module has is asked first, as a request
names those that it wants.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from salesflow.adapters.importers.crm.pull.client import Answer, ApiClient, ensure_safe
from salesflow.adapters.importers.crm.pull.folder import PulledFolder
from salesflow.domain.wording import shortened
from salesflow.errors import InputError, SalesflowError

__all__ = ["ACCOUNTS", "SECRETS", "pull_zoho"]


ACCOUNTS: Final = "https://accounts.zoho.com"
"""Who gives tokens; accounts.zoho.eu, .in, .com.cn … of other data centres."""
SECRETS: Final = ("client_id", "client_secret", "refresh_token")
PAGE: Final = 200
PAGES_BY_NUMBER: Final = 10
FIELDS_MAX: Final = 50
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Deals": (
        *("Deal_Name", "Stage", "Pipeline", "Amount", "Probability", "Expected_Revenue"),
        *("Closing_Date", "Account_Name", "Contact_Name", "Owner", "Lead_Source", "Currency"),
        *("Reason_For_Loss__s", "Created_Time", "Created_By", "Modified_Time", "Modified_By"),
        *("Stage_Modified_Time", "Exchange_Rate"),
    ),
    "DealHistory": (
        *("Potential_Name", "Stage", "Moved_To__s", "Modified_Time", "Modified_By", "Amount"),
        *("Probability", "Expected_Revenue", "Closing_Date", "Stage_Duration_Calendar_Days"),
    ),
    "Accounts": ("Account_Name", "Industry", "Billing_Country", "Created_Time"),
    "Contacts": (
        *("First_Name", "Last_Name", "Account_Name", "Title", "Email", "Phone", "Mobile"),
        "Created_Time",
    ),
    "Quotes": (
        *("Subject", "Quote_Stage", "Deal_Name", "Account_Name", "Grand_Total", "Valid_Till"),
        *("Quote_Number", "Currency", "Quoted_Items", "Created_Time", "Modified_Time"),
    ),
}
"""The modules that are pulled, and the fields that are asked for."""
BEGUN_MAX: Final = 3
"""A module whose page tokens run out begins anew so often."""
OK: Final = 200
NOTHING: Final = (204, 304)
UNAUTHORISED: Final = 401
NEEDED: Final = ("Deals",)
NOT_THERE: Final = frozenset(
    {
        "INVALID_MODULE",
        "NO_PERMISSION",
        "NOT_SUPPORTED",
        "FEATURE_NOT_SUPPORTED",
        "OAUTH_SCOPE_MISMATCH",
        "INVALID_URL_PATTERN",
        "API_NOT_SUPPORTED",
    }
)
"""What says that a module cannot be read, though others may."""
EXPIRED: Final = frozenset(
    {"EXPIRED_VALUE", "INVALID_DATA", "DISCRETE_PAGINATION_LIMIT_EXCEEDED"}
)
Report = Callable[[int, int], None]


def pull_zoho(
    secrets: Mapping[str, str],
    folder: Path,
    *,
    client: ApiClient,
    accounts: str = ACCOUNTS,
    timeline: bool = False,
    progress: Report | None = None,
) -> list[str]:
    """Fetch what is not there yet into a folder, and return what could not be read, and why.

    With `timeline` also what every save of a deal changed, which is a request a deal.

    Raises:
        InputError: when Zoho does not take the secrets, or deals cannot be read.
        SalesflowError: when there is no answer; the same call goes on where it stopped.
    """
    pages = PulledFolder(folder, "zoho")
    access = _Access(secrets, ensure_safe(accounts), client)
    pulling = _Pulling(pages, access, progress)
    pulling.pipelines()
    for module in FIELDS:
        pulling.module(module)
    if timeline:
        pulling.timelines()
    pages.complete()
    return pages.left


class _Access:
    """A token, fetched when it is needed and again when it has run out."""

    def __init__(self, secrets: Mapping[str, str], accounts: str, client: ApiClient) -> None:
        self._secrets = secrets
        self._accounts = accounts
        self._client = client
        self._token = ""
        self._domain = ""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask the interface; an answer may say that there is nothing, or why not."""
        if not self._token:
            self._refresh()
        answer = self._ask(path, params)
        if answer.status == UNAUTHORISED and code_of(answer) != "OAUTH_SCOPE_MISMATCH":
            self._refresh()
            answer = self._ask(path, params)
        if answer.status == UNAUTHORISED and code_of(answer) != "OAUTH_SCOPE_MISMATCH":
            raise InputError(f"Zoho takes no token for this account: {_said(answer)}")
        return answer

    def _ask(self, path: str, params: Mapping[str, str] | None) -> Answer:
        headers = {"authorization": f"Zoho-oauthtoken {self._token}"}
        return self._client.send("GET", f"{self._domain}{path}", headers=headers, params=params)

    def _refresh(self) -> None:
        form = {**self._secrets, "grant_type": "refresh_token"}
        answer = self._client.send("POST", f"{self._accounts}/oauth/v2/token", form=form)
        told = answer.json if isinstance(answer.json, Mapping) else {}
        token, domain = told.get("access_token"), told.get("api_domain")
        if not isinstance(token, str) or not isinstance(domain, str):
            why = shortened(str(told.get("error") or f"status {answer.status}"), 100)
            raise InputError(
                f"Zoho gives no token: {why}; see that client id, secret and refresh token are"
                " of one client and of this data centre (--accounts)"
            )
        self._token, self._domain = token, ensure_safe(domain)


def code_of(answer: Answer) -> str:
    """Return what Zoho calls what is wrong; empty where it says nothing."""
    told = answer.json if isinstance(answer.json, Mapping) else {}
    return str(told.get("code") or "")


def _said(answer: Answer) -> str:
    told = answer.json if isinstance(answer.json, Mapping) else {}
    words = (told.get("code"), told.get("message"))
    return shortened(", ".join(str(each) for each in words if each) or f"{answer.status}", 200)


class _Pulling:
    """One pull, part by part."""

    def __init__(self, pages: PulledFolder, access: _Access, progress: Report | None) -> None:
        self._pages = pages
        self._access = access
        self._progress = progress
        self._count = 0

    def pipelines(self) -> None:
        """Fetch the pipelines of every layout of deals."""
        part = self._pages.part("pipelines")
        if part.get("done"):
            return
        answer = self._access.get("/crm/v8/settings/layouts", {"module": "Deals"})
        if not self._is_there("pipelines", answer):
            part["done"] = True
            return
        for number, layout in enumerate(_items(answer, "layouts"), 1):
            params = {"layout_id": str(layout.get("id"))}
            found = self._access.get("/crm/v8/settings/pipeline", params)
            if self._is_there("pipelines", found) and found.content:
                self._pages.write("pipelines", number, found.content)
        part["done"] = True
        self._pages.save()

    def module(self, module: str) -> None:
        """Fetch the records of a module, from where it stopped."""
        part = self._pages.part(module)
        if part.get("done"):
            return
        if "fields" not in part:
            part["fields"] = self._fields(module)
        while not part.get("done"):
            answer = self._access.get(f"/crm/v8/{module}", _page_params(part))
            begun = part.get("begun", 0)
            if code_of(answer) in EXPIRED and part.get("page") and begun < BEGUN_MAX:
                kept = {"fields": part["fields"], "begun": begun + 1}
                self._pages.drop(module)
                part = self._pages.part(module)
                part |= kept
                continue
            if not self._is_there(module, answer):
                part["done"] = True
                break
            self._take(module, part, answer)
        self._pages.save()

    def timelines(self) -> None:
        """Fetch what every save of every deal changed."""
        part = self._pages.part("timeline")
        number = 0
        for deal in self._deals():
            number += 1
            if number <= part.get("deals", 0):
                continue
            params = {"per_page": str(PAGE)}
            for page in range(1, 1_000):
                answer = self._access.get(f"/crm/v8/Deals/{deal}/__timeline", params)
                if not self._is_there("timeline", answer):
                    return
                if not _items(answer, "__timeline"):
                    break
                self._pages.write(f"timeline_{deal}", page, answer.content)
                token = _info(answer).get("next_page_token")
                if not token:
                    break
                params = {"per_page": str(PAGE), "page_token": str(token)}
            part["deals"] = number
            self._pages.save()
            self._seen(1)

    def _take(self, module: str, part: dict[str, Any], answer: Answer) -> None:
        """Keep a page, and where the next one is."""
        records = _items(answer, "data")
        if not records:
            part["done"] = True
            return
        info = _info(answer)
        page = part.get("page", 0) + 1
        more = bool(info.get("more_records"))
        token = info.get("next_page_token")
        if more and token is None and page >= PAGES_BY_NUMBER:
            raise SalesflowError(
                f"Zoho has more than {PAGE * page:,} records of {module} and names no next page"
            )
        part |= {"page": page, "token": token, "done": not more}
        self._pages.write(module, page, answer.content)
        self._seen(len(records))

    def _fields(self, module: str) -> str:
        """Return the fields to ask for: those wanted that the account has."""
        wanted = FIELDS[module]
        answer = self._access.get("/crm/v8/settings/fields", {"module": module})
        names = {str(each.get("api_name")) for each in _items(answer, "fields")}
        found = [name for name in wanted if name in names or not names]
        return ",".join(found[:FIELDS_MAX])

    def _is_there(self, what: str, answer: Answer) -> bool:
        """Return whether an answer holds what was asked; what may be missing is listed."""
        if answer.status == OK or answer.status in NOTHING:
            return True
        if code_of(answer) in NOT_THERE and what not in NEEDED:
            told = f"{what}: {_said(answer)}"
            if told not in self._pages.left:
                self._pages.left.append(told)
            return False
        raise InputError(f"Zoho refuses {what}: {_said(answer)}")

    def _deals(self) -> Iterator[str]:
        """Yield the ids of the deals that were fetched."""
        import json

        for path in sorted(self._pages.path.glob("Deals_*.json")):
            for record in json.loads(path.read_bytes()).get("data", ()):
                yield str(record["id"])

    def _seen(self, count: int) -> None:
        self._count += count
        if self._progress is not None:
            self._progress(self._count, self._count)


def _page_params(part: Mapping[str, Any]) -> dict[str, str]:
    """Return what asks for the next page: a number, or the token of the page before."""
    params = {"fields": part["fields"], "per_page": str(PAGE)}
    params |= {"sort_by": "id", "sort_order": "asc"}
    if part.get("token"):
        return {**params, "page_token": str(part["token"])}
    return {**params, "page": str(part.get("page", 0) + 1)}


def _items(answer: Answer, name: str) -> list[Mapping[str, Any]]:
    told = answer.json if isinstance(answer.json, Mapping) else {}
    items = told.get(name)
    return (
        [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else []
    )


def _info(answer: Answer) -> Mapping[str, Any]:
    told = answer.json if isinstance(answer.json, Mapping) else {}
    info = told.get("info")
    return info if isinstance(info, Mapping) else {}
