"""Who worked with whom, naively: gather what was done on every deal, and count with loops."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any

from oracle.beliefs import Raw
from oracle.deals import deal_at, deals_of
from oracle.groups import groups_of
from oracle.sales import bookings_of, closing_at
from oracle.teams import teams_at
from oracle.together import (
    Act,
    Person,
    acts_of,
    handovers_of,
    members_of,
    requests_of,
)

__all__ = ["collaboration_in"]

DAY = 86_400_000_000
ROLES = ("economic_buyer", "decision_maker", "champion", "influencer", "user", "gatekeeper")


def collaboration_in(
    events: list[Raw],
    spans: tuple[tuple[int, int], tuple[int, int]],
    as_of: int,
    known_at: int,
    *,
    only: dict[str, str | None],
    days: int,
) -> dict[str, Any]:
    """Give all figures of the first span, and those in all of the second."""
    asked = _Asked(events, as_of, known_at, only)
    told = asked.told()
    now, before = (
        [[each for each in found if span[0] <= each["at"] < span[1]] for found in told]
        for span in spans
    )
    closed = asked.closed(spans[0], days)
    open_deals = asked.open_deals(days)
    waiting = [
        request
        for deal in open_deals
        for request in requests_of(events, deal["deal"], as_of, known_at)
        if request["answered"] is None
    ]
    return {
        "total": _total(*now),
        "total_before": _total(*before),
        "pairs": _pairs(now[0]),
        "departments": _departments(now[0], now[1]),
        "people": _people(now[0], now[1], _credits(events, closed, as_of, known_at)),
        "channels": _channels(now[0]),
        "handovers": _newest(now[2]),
        "waiting": _longest(waiting, as_of),
        "closed": _compared(closed),
        "open": _least_covered(open_deals, as_of),
    }


class _Asked:
    """What a question is narrowed to: a process, an owner, a team; None for any."""

    def __init__(
        self, events: list[Raw], as_of: int, known_at: int, only: dict[str, str | None]
    ) -> None:
        self.events, self.as_of, self.known_at, self.only = events, as_of, known_at, only
        self.team_of = groups_of(events, "team", as_of, known_at)

    def fits(self, owners: list[str | None], process: str, at: int) -> bool:
        teams = [self.team_of({"rep": owner, "at": at}) for owner in owners]
        return (
            self.only["process"] in (None, process)
            and self.only["owner"] in (None, *owners)
            and self.only["team"] in (None, *teams)
        )

    def told(self) -> tuple[list[Act], list[Act], list[Act]]:
        """Give acts, requests and handovers on the deals asked about."""
        found: tuple[list[Act], list[Act], list[Act]] = ([], [], [])
        for stream in deals_of(self.events):
            for kept, list_of in zip(found, (acts_of, requests_of, handovers_of), strict=True):
                kept += [
                    each
                    for each in list_of(self.events, stream, self.as_of, self.known_at)
                    if self.fits(
                        [each["owner"], *([each["former"]] if "former" in each else [])],
                        each["process"],
                        each["at"],
                    )
                ]
        return found

    def closed(self, span: tuple[int, int], days: int) -> list[tuple[str, str, Act]]:
        """Give the deals won and lost in a span, with their committee then."""
        found = []
        for stream in deals_of(self.events):
            closing = closing_at(self.events, stream, self.as_of, self.known_at)
            if closing is None or closing["outcome"] not in ("won", "lost"):
                continue
            at = closing["closed"][0]
            if span[0] <= at < span[1] and self.fits(
                [closing["owner"]], closing["process"], at
            ):
                members = members_of(self.events, stream, at, self.known_at)
                found.append((stream, closing["outcome"], _covered(members, at, days)))
        return found

    def open_deals(self, days: int) -> list[Act]:
        """Give the deals open at the moment, with their committee."""
        teams, found = teams_at(self.events, self.as_of, self.known_at), []
        for stream in deals_of(self.events):
            deal = deal_at(self.events, stream, self.as_of, self.known_at)
            if deal is None or deal["standing"] != "open":
                continue
            ours = self.only["team"] in (None, teams.get(deal["owner"] or ""))
            same = self.only["process"] in (None, deal["process"])
            if ours and same and self.only["owner"] in (None, deal["owner"]):
                members = members_of(self.events, stream, self.as_of, self.known_at)
                shown = {
                    "deal": stream,
                    "owner": deal["owner"],
                    "closes": deal["expected_close"],
                }
                found.append({**shown, **_covered(members, self.as_of, days)})
        return found


def _total(acts: list[Act], requests: list[Act], handovers: list[Act]) -> dict[str, Any]:
    kinds = [act["kind"] for act in acts]
    waits = [r["answered"] for r in requests if r["answered"] is not None]
    return {
        "deals": len({each["deal"] for each in (*acts, *requests, *handovers)}),
        **{kind: kinds.count(kind) for kind in ("joined", "message", "meeting")},
        "requests": (len(requests), len(waits), _spread(waits)),
        "handovers": (
            len(handovers),
            len([h for h in handovers if h["handed"]]),
            len([h for h in handovers if h["acknowledged"] is not None]),
        ),
    }


def _pairs(acts: list[Act]) -> list[tuple[Any, ...]]:
    together: dict[tuple[str, str], list[Act]] = {}
    for act in acts:
        people = [person for person, _ in act["with"] if person is not None]
        if act["kind"] == "meeting":
            pairs = [*combinations(people, 2)]
        else:
            by = act["by"][0]
            pairs = [(by, person) for person in people if by not in (None, person)]
        for one, other in pairs:
            together.setdefault((min(one, other), max(one, other)), []).append(act)
    found = []
    for pair, theirs in together.items():
        kinds = [act["kind"] for act in theirs]
        counts = tuple(kinds.count(k) for k in ("message", "meeting", "help", "joined"))
        found.append((*pair, len({act["deal"] for act in theirs}), *counts))
    return sorted(found, key=lambda row: (-sum(row[3:]), row[:2]))


def _sides(act: Act) -> list[Person]:
    return [*([act["by"]] if act["by"] is not None else []), *act["with"]]


def _departments(acts: list[Act], requests: list[Act]) -> list[tuple[Any, ...]]:
    names = {d for act in acts for _, d in _sides(act) if d is not None}
    found = []
    for name in names | {request["department"] for request in requests}:
        theirs = [a for a in acts if name is not None and name in [d for _, d in _sides(a)]]
        asked = [request for request in requests if request["department"] == name]
        waits = [r["answered"] for r in asked if r["answered"] is not None]
        kinds = [act["kind"] for act in theirs]
        people = {p for a in theirs for p, d in _sides(a) if d == name and p is not None}
        joined = [a for a in theirs if a["kind"] == "joined" and a["with"][0][1] == name]
        helped = [a for a in theirs if a["kind"] == "help" and a["by"][1] == name]
        deals = {each["deal"] for each in (*theirs, *asked)}
        found.append(
            (
                name, len(deals), len(people), len(joined), kinds.count("message"),
                kinds.count("meeting"), len(helped), len(asked), len(waits), _spread(waits),
            )
        )  # fmt: skip
    return sorted(found, key=lambda row: (-row[7], -row[1], row[0] or ""))


def _people(
    acts: list[Act], requests: list[Act], credits: dict[str | None, Decimal]
) -> list[tuple[Any, ...]]:
    names = {p for act in acts for p, _ in _sides(act) if p is not None}
    names |= {r["by"] for r in requests if r["by"] is not None}
    names |= {r["answerer"] for r in requests if r["answered"] is not None and r["answerer"]}
    found = []
    for name in names | credits.keys():
        theirs = [a for a in acts if name is not None and name in [p for p, _ in _sides(a)]]
        asked = [r for r in requests if name is not None and r["by"] == name]
        answered = [r for r in requests if r["answered"] is not None and r["answerer"] == name]
        waits = [r["answered"] for r in answered if name is not None]
        wrote = [a for a in theirs if a["kind"] == "message" and a["by"][0] == name]
        met = [a for a in theirs if a["kind"] == "meeting"]
        helped = [a for a in theirs if a["kind"] == "help" and a["by"][0] == name]
        known = [
            (a["at"], a["position"], d)
            for a in theirs
            for p, d in _sides(a)
            if p == name and d is not None
        ]
        last = max(known, key=lambda each: each[:2])[2] if known else None
        found.append(
            (
                name, last, len({each["deal"] for each in (*theirs, *asked)}), len(wrote),
                len(met), len(asked), len(helped), len(waits), _spread(waits),
                credits.get(name, Decimal(0)),
            )
        )  # fmt: skip
    return sorted(found, key=lambda row: (-row[2], -row[9], row[0] or ""))


def _channels(acts: list[Act]) -> list[tuple[Any, ...]]:
    sent = [act for act in acts if act["kind"] == "message"]
    found = [
        (
            channel,
            len([act for act in sent if act["channel"] == channel]),
            len({act["deal"] for act in sent if act["channel"] == channel}),
        )
        for channel in {act["channel"] for act in sent}
    ]
    return sorted(found, key=lambda row: (-row[1], row[0] or ""))


def _newest(handovers: list[Act]) -> list[tuple[Any, ...]]:
    return [
        (
            h["position"], h["deal"], h["at"], h["former"], h["owner"],
            *(h["handed"] or (None, 0, 0, 0)), h["acknowledged"],
        )
        for h in sorted(handovers, key=lambda each: (-each["at"], -each["position"]))
    ]  # fmt: skip


def _longest(requests: list[Act], as_of: int) -> list[tuple[Any, ...]]:
    return [
        (
            r["position"], r["deal"], r["at"], r["by"], r["department"],
            Decimal(as_of - r["at"]) / DAY,
        )
        for r in sorted(requests, key=lambda each: (each["at"], each["position"]))
    ]  # fmt: skip


def _credits(
    events: list[Raw], closed: list[tuple[str, str, Any]], as_of: int, known_at: int
) -> dict[str | None, Decimal]:
    """Add up the shares of the deals won: those of the last booking of a win."""
    found: dict[str | None, Decimal] = {}
    for stream, outcome, _ in closed:
        if outcome != "won":
            continue
        wins = [
            booking
            for booking in bookings_of(events, stream, known_at)
            if booking[1] in ("won", "unmerged") and booking[0] <= as_of
        ]
        last = {(b[3], b[4], b[5]) for b in wins if b[2] == wins[-1][2]}
        for _, person, part in last:
            found[person] = found.get(person, Decimal(0)) + part
    return found


def _covered(members: dict[str, Act], at: int, days: int) -> Act:
    recent = [
        m for m in members.values() if m["met"] is not None and m["met"] >= at - days * DAY
    ]
    stances = [m["stance"] for m in members.values()]
    return {
        "members": len(members),
        "contacted": len(recent),
        "supporters": stances.count("supporter"),
        "opponents": stances.count("opponent"),
        "roles": {role for m in members.values() for role in m["roles"]} - {"other"},
    }


def _compared(closed: list[tuple[str, str, Act]]) -> dict[str, Any]:
    shares: dict[str, Any] = {}
    means: dict[str, Any] = {}
    sides = [[c for _, outcome, c in closed if outcome == side] for side in ("won", "lost")]
    known = [[c for c in side if c["members"]] for side in sides]
    shares["committee_known"] = [(len(k), len(s)) for k, s in zip(known, sides, strict=True)]
    tests: dict[str, Any] = {
        "several_contacted": lambda c: c["contacted"] > 1,
        "everybody_contacted": lambda c: c["contacted"] == c["members"],
        "has_supporter": lambda c: c["supporters"] > 0,
        "has_opponent": lambda c: c["opponents"] > 0,
        **{f"has_{role}": lambda c, role=role: role in c["roles"] for role in ROLES},
    }
    for name, holds in tests.items():
        shares[name] = [(len([c for c in side if holds(c)]), len(side)) for side in known]
    for name, number in (
        ("members", lambda c: c["members"]),
        ("contacted", lambda c: c["contacted"]),
        ("roles_filled", lambda c: len(c["roles"])),
    ):
        means[name] = [_mean([number(c) for c in side]) for side in known]
    return {"deals": tuple(map(len, sides)), "shares": shares, "means": means}


def _least_covered(deals: list[Act], as_of: int) -> dict[str, Any]:
    today = as_of // DAY

    def order(deal: Act) -> tuple[Any, ...]:
        closes = deal["closes"]
        late = closes is None or _day(closes) < today
        return deal["contacted"], late, closes or "x", deal["members"], deal["deal"]

    rows = [
        (
            d["deal"], d["owner"], d["closes"], d["members"], d["contacted"], d["supporters"],
            d["opponents"],
            tuple(role for role in ROLES if d["members"] and role not in d["roles"]),
        )
        for d in sorted(deals, key=order)
    ]  # fmt: skip
    contacted = [deal["contacted"] for deal in deals]
    return {"rows": rows, "few": (contacted.count(0), contacted.count(1))}


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()


def _spread(times: list[int]) -> tuple[Decimal, ...] | None:
    """Give median, mean and 90th percentile in days."""
    if not times:
        return None
    times = sorted(times)

    def at(share: Fraction) -> Fraction:
        place = share * (len(times) - 1)
        low = int(place)
        high = min(low + 1, len(times) - 1)
        return times[low] + (times[high] - times[low]) * (place - low)

    found = (at(Fraction(1, 2)), Fraction(sum(times), len(times)), at(Fraction(9, 10)))
    return tuple(_decimal(each / DAY) for each in found)


def _mean(numbers: list[int]) -> tuple[Decimal, int] | None:
    if not numbers:
        return None
    return _decimal(Fraction(sum(numbers), len(numbers))), len(numbers)


def _decimal(exact: Fraction) -> Decimal:
    return Decimal(exact.numerator) / Decimal(exact.denominator)
