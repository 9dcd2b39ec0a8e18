"""Cases at a moment, naively: every stream walked, every text looked at for every word."""

import unicodedata
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

from oracle.beliefs import Raw, believed, effect_of, instant, of_stream
from oracle.customers import customer_at
from oracle.deals import processes_of, replay
from oracle.sales import closing_at

__all__ = ["case_at", "cases_at", "deal_known", "stream_of"]

CASES = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a32")
GIVES_LINES = ("deal.quote_drafted", "deal.quote_issued", "deal.quote_revised")
Found = dict[str, Any]


def stream_of(key: str) -> str:
    """Name the stream of a case; keys here are plain ASCII."""
    return str(uuid5(CASES, key))


def cases_at(
    events: list[Raw], asked: dict[str, Any], as_of: int, known_at: int
) -> list[Found] | None:
    """Give the cases asked for, the newest first; None where one named is not there."""
    keys = {e["payload"]["case"] for e in events if e["kind"] == "case.published"}
    found = [case_at(events, key, as_of, known_at) for key in sorted(keys)]
    there = [case for case in found if case is not None]
    if asked["case"] is not None:
        there = [case for case in there if case["case"] == asked["case"]]
        if not there:
            return None
    elif not asked["withdrawn"]:
        there = [case for case in there if case["withdrawn"] is None]
    if asked["training"] not in {None, *(t for case in there for t in case["trainings"])}:
        return None
    there = [case for case in there if _fits(events, case, asked, as_of, known_at)]
    return sorted(there, key=lambda case: (-case["published"], case["case"]))


def case_at(events: list[Raw], key: str, as_of: int, known_at: int) -> Found | None:
    """Say all that is believed of a case; None where there is none."""
    history = believed(of_stream(events, stream_of(key)), known_at)
    if not history or history[0]["payload"]["case"] != key or history[0]["occurred"] > as_of:
        return None
    opening, fact = history[0], history[0]["payload"]
    case: Found = {
        "case": key,
        "deal": fact["deal"],
        "title": fact.get("title"),
        "published": opening["occurred"],
        "withdrawn": None,
        "audience": fact.get("audience", []),
        "factors": [],
        "lessons": [],
        "trainings": [],
        "texts": [(opening, text) for text in (key, fact.get("title"), fact.get("summary"))],
    }
    for event in history[1:]:
        if opening["occurred"] <= event["occurred"] <= as_of:
            _apply(event, case)
    case["texts"] += [(opening, text) for text in (*case["audience"], *case["trainings"])]
    told = opening["recorded"]
    happened = instant(fact["as_of"]) if fact.get("as_of") else opening["occurred"]
    known = instant(fact["known_at"]) if fact.get("known_at") else told
    case["moment"] = min(happened, told, as_of), min(known, told, known_at)
    case["now"] = deal_known(events, fact["deal"], as_of, known_at)
    case["then"] = deal_known(events, fact["deal"], *case["moment"])
    case["changes"] = _changes(events, case, as_of, known_at)
    return case


def _apply(event: Raw, case: Found) -> None:
    kind, fact = event["kind"], event["payload"]
    if kind == "case.factor_noted":
        case["factors"].append((fact["factor"], fact.get("tendency"), fact.get("text")))
        case["texts"] += [(event, fact["factor"]), (event, fact.get("text"))]
    elif kind == "case.lesson_noted":
        case["lessons"].append(fact["text"])
        case["texts"].append((event, fact["text"]))
    elif kind == "case.addressed":
        case["audience"] = fact["audience"]
    elif kind == "case.linked" and fact["training"] not in case["trainings"]:
        case["trainings"].append(fact["training"])
    elif kind == "case.withdrawn" and case["withdrawn"] is None:
        case["withdrawn"] = event["occurred"]


def _history(events: list[Raw], deal: str, as_of: int, known_at: int) -> list[Raw]:
    history = believed(of_stream(events, deal), known_at)
    if not history or effect_of(history[0]) > as_of:
        return []
    return [event for event in history if effect_of(event) <= as_of]


def deal_known(events: list[Raw], deal: str, as_of: int, known_at: int) -> Found | None:
    """Say what is known of the deal of a case; None where it is not there."""
    closing = closing_at(events, deal, as_of, known_at)
    if closing is None:
        return None
    history = _history(events, deal, as_of, known_at)
    customer = closing["customer"] and customer_at(events, closing["customer"], as_of, known_at)
    return {
        "outcome": closing["outcome"],
        "closed": closing["closed"][0],
        "process": closing["process"],
        "version": closing["process_version"],
        "stage": closing["stage"],
        "owner": closing["owner"],
        "because": closing["because"],
        "competitor": closing["competitor"],
        "segment": customer["segment"] if customer else None,
        "products": _products(events, deal, as_of, known_at),
        "named": {
            event["payload"]["competitor"]
            for event in history
            if event["kind"] == "deal.competitor_named"
        },
        "buyer": [
            event["payload"]
            for event in history
            if event["kind"] == "deal.interview_held"
            and closing["closed"][0] is not None
            and event["occurred"] >= closing["closed"][0]
        ],
        "events": len(history),
        "contacts": len([e for e in history if e["kind"] == "deal.contact_logged"]),
        "objections": len([e for e in history if e["kind"] == "deal.objection_raised"]),
    }


def _products(events: list[Raw], deal: str, as_of: int, known_at: int) -> list[str]:
    """Name the products of the lines agreed last, else of the last offer that had any."""
    agreed: list[Any] | None = None
    offers: dict[str, Any] = {}
    last: list[Any] = []
    for event, state in replay(events, deal, known_at):
        if effect_of(event) > as_of or event["event_id"] in state["irregular"]:
            continue
        kind, fact = event["kind"], event["payload"]
        if kind == "deal.line_items_agreed":
            agreed = fact["lines"]
        elif kind in GIVES_LINES:
            before = [] if kind == "deal.quote_drafted" else offers.get(fact["quote"], [])
            offers[fact["quote"]] = fact.get("lines") or before
            last = offers[fact["quote"]] or last
    return sorted({line["product"] for line in (last if agreed is None else agreed)})


def _changes(
    events: list[Raw], case: Found, as_of: int, known_at: int
) -> list[tuple[int, str]]:
    then, now = (
        {event["event_id"]: event for event in _history(events, case["deal"], *moment)}
        for moment in (case["moment"], (as_of, known_at))
    )
    found = []
    for event in (*then.values(), *now.values()):
        if event["event_id"] in then and event["event_id"] in now:
            continue
        if event["event_id"] in then:
            change = "taken_back"
        elif effect_of(event) > case["moment"][0]:
            change = "happened_since"
        else:
            change = "told_since"
        found.append((event["position"], change))
    return sorted(found)


def _fits(
    events: list[Raw], case: Found, asked: dict[str, Any], as_of: int, known_at: int
) -> bool:
    nothing = ("outcome", "process", "stage", "segment", "because", "competitor")
    deal = case["now"] or {
        **dict.fromkeys(nothing),
        "named": set(),
        "products": [],
        "buyer": [],
    }
    for name in ("outcome", "process", "stage", "segment"):
        if asked[name] is not None and deal[name] != asked[name]:
            return False
    reasons = {deal["because"], *(factor[0] for factor in case["factors"])}
    named, products = deal["named"] | {deal["competitor"]}, deal["products"]
    for said in deal["buyer"]:
        reasons |= {*said.get("reasons", [])}
        named |= {said.get("competitor")}
    return (
        asked["reason"] in (None, *reasons)
        and asked["competitor"] in (None, *named)
        and asked["product"] in (None, *products)
        and asked["training"] in (None, *case["trainings"])
        and (not case["audience"] or asked["audience"] in (None, *case["audience"]))
        and _has_words(events, case, asked["words"], as_of, known_at)
    )


def _has_words(
    events: list[Raw], case: Found, words: str | None, as_of: int, known_at: int
) -> bool:
    """Look for each word in every text; note where each of them stands."""
    case["found"] = set()
    missing = set(_plain(words or "").split())
    wanted = frozenset(missing)
    for event, text in (*case["texts"], *_texts(events, case, as_of, known_at)):
        here = {word for word in wanted if word in _plain(text or "")}
        missing -= here
        if here:
            case["found"].add(event["position"])
    return not missing


def _texts(
    events: list[Raw], case: Found, as_of: int, known_at: int
) -> Iterator[tuple[Raw, str]]:
    names: dict[str, list[str]] = {}
    deal = case["now"]
    if deal is not None:
        version = processes_of(events)[deal["process"], deal["version"]]
        for each in (*version["stages"], *version.get("loss_reasons", ())):
            for one in (each, *each.get("tasks", ())):
                names.setdefault(one["key"], []).extend((one["name_en"], one["name_zh"]))
    for event in _history(events, case["deal"], as_of, known_at):
        for text in _strings(event["payload"]):
            for said in (text, *names.get(text, ())):
                yield event, said


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
