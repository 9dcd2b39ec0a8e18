"""What is paid in difference of issued statements, naively: what is owed less what was said.

Written from the words of the specification. A statement never changes. For every booking that
its period rests on, what is known now, less what the statement said of it and what any other
has settled of it, is owed by the next one. What somebody agreed on (a correction by hand, or a
dispute that was accepted for an amount) is owed in the same way: as long as it is believed.
"""

from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from oracle.beliefs import Raw, believed, effect_of, instant, moment, of_stream, retracted
from oracle.commissions import Line, beside_in, due_in, plan_of, statement_lines

__all__ = ["Issued", "Owed", "Told", "issued_to", "statements_in"]

NOTHING = Decimal(0)
AGREED = ("corrected", "dispute")
At = tuple[int, int]
Days = tuple[date, date]


class Issued(NamedTuple):
    """A statement as it was issued, and what became of it by the moment."""

    event: str
    figures: dict[str, Any]
    days: Days
    agreed: list[tuple[str, str, Decimal]]
    """What was agreed on: the event, whether by a correction or a dispute, and how much."""
    disputes: list[tuple[int, int, str | None, str | None, Decimal | None]]
    """Of each line: the how manieth, why, the outcome, and what was agreed."""


class Owed(NamedTuple):
    """A difference: of which statement, event and reason, and how much."""

    first_day: date
    event: str
    reason: str
    amount: Decimal
    settled_in: date | None = None


class Told(NamedTuple):
    """What a statement says at a moment."""

    lines: list[Line]
    differences: list[Owed]
    payable: Decimal
    balance: Decimal
    agreed: Decimal
    since: list[Owed]
    disputes: list[tuple[int, int, str | None, str | None, Decimal | None]]


def issued_to(raw: list[Raw], key: str, rep: str, at: At) -> list[Issued]:
    """Give the statements of a plan that a rep was issued by a moment, by their days."""
    as_of, known_at = at
    found: list[Issued] = []
    for opening in raw:
        if opening["kind"] != "statement.issued":
            continue
        history = believed(of_stream(raw, opening["stream"]), known_at)
        figures = opening["payload"]["figures"]
        if not history or effect_of(history[0]) > as_of:
            continue
        if (figures["plan"], figures["rep"]) == (key, rep):
            days = (
                date.fromisoformat(figures["first_day"]),
                date.fromisoformat(figures["last_day"]),
            )
            happened = [e for e in history[1:] if opening["occurred"] <= e["occurred"] <= as_of]
            found.append(Issued(opening["event_id"], figures, days, *_became(happened)))
    return sorted(found, key=lambda each: each.days)


def _became(happened: list[Raw]) -> tuple[list[Any], list[Any]]:
    agreed: list[tuple[str, str, Decimal]] = []
    disputes: list[list[Any]] = []
    for event in happened:
        fact, kind = event["payload"], event["kind"]
        amount = None if fact.get("amount") is None else Decimal(fact["amount"])
        if kind == "statement.corrected" and amount is not None:
            agreed.append((event["event_id"], "corrected", amount))
        mine = [each for each in disputes if each[0] == fact.get("line")]
        if kind == "statement.line_disputed":
            disputes.append([fact["line"], len(mine) + 1, fact.get("because"), None, None])
        if kind == "statement.dispute_answered" and mine and mine[-1][3] is None:
            mine[-1][3:] = [fact["outcome"], amount]
            if fact["outcome"] == "accepted" and amount is not None:
                agreed.append((event["event_id"], "dispute", amount))
    return agreed, [tuple(each) for each in sorted(disputes, key=lambda each: each[:2])]


class _Ledger:
    """What one rep is paid by one plan, as known at a moment."""

    def __init__(self, raw: list[Raw], key: str, rep: str, at: At) -> None:
        self.raw, self.rep, self.at = raw, rep, at
        self.events = {event["event_id"]: event for event in raw}
        self.versions = plan_of(raw, key, *at)
        self.lines = statement_lines(raw, key, rep, *at)
        self.issued = issued_to(raw, key, rep, at)
        guarantees = any(version["terms"].get("guarantee") for version in self.versions)
        self.beside = beside_in(raw, key, rep, *at) if guarantees else []

    def of(self, days: Days) -> list[Line]:
        """Give the lines of some days."""
        return [line for when, line in self.lines if days[0] <= _day(when) <= days[1]]

    def of_earlier(self, days: Days) -> Decimal:
        """Give what some days pay, or take back, of what was credited in earlier periods."""
        mine = [paid for when, paid in self.beside if days[0] <= _day(when) <= days[1]]
        return sum(mine, NOTHING)

    def due(self, days: Days) -> tuple[Decimal, Decimal]:
        """Give the draw and the guarantee of some days."""
        return due_in(self.raw, self.versions, self.rep, days, self.at[1])

    def settled(self, statement: Issued) -> list[tuple[dict[str, Any], date]]:
        """Give what any statement paid in difference of one, and in which."""
        return [
            (line, other.days[0])
            for other in self.issued
            for line in other.figures.get("differences", [])
            if line["first_day"] == statement.days[0].isoformat()
        ]

    def owed(self, statement: Issued) -> list[Owed]:
        """Give what of a statement is still to be paid, or to be taken back."""
        right: dict[str, Decimal] = {}
        for event, _, amount in self.of(statement.days):
            right[event] = right.get(event, NOTHING) + amount
        earned = sum(right.values(), NOTHING)
        _, guarantee = self.due(statement.days)
        own = earned - self.of_earlier(statement.days)
        added = max(guarantee - own, NOTHING) if guarantee else NOTHING
        owed = {**right, statement.event: added}
        said = [(line["event_id"], line["amount"]) for line in _lines(statement)]
        said.append((statement.event, statement.figures.get("guaranteed", "0")))
        reasons: dict[str, str] = {}
        for event, reason, amount in statement.agreed:
            owed[event], reasons[event] = amount, reason
        for line, _ in self.settled(statement):
            said.append((line["event_id"], line["amount"]))
            if line["reason"] in AGREED:
                reasons[line["event_id"]] = line["reason"]
        for event, amount in said:
            owed[event] = owed.get(event, NOTHING) - Decimal(amount)
        return [
            Owed(
                statement.days[0],
                event,
                reasons.get(event) or self._reason(statement, event, event in right),
                amount,
            )
            for event, amount in owed.items()
            if amount
        ]

    def _reason(self, statement: Issued, event: str, is_known: bool) -> str:
        if event == statement.event:
            return "changed"
        found = self.events[event]
        stream = of_stream(self.raw, found["stream"])
        known = [each for each in stream if each["recorded"] <= self.at[1]]
        if not is_known and retracted(found, known):
            return "retracted"
        then = instant(statement.figures["known_at"])
        for each in self.issued:  # what was paid in difference was known by then
            if any(
                (line["first_day"], line["event_id"]) == (statement.days[0].isoformat(), event)
                for line in each.figures.get("differences", [])
            ):
                then = instant(each.figures["known_at"])
        return "late" if found["recorded"] > then else "changed"

    def unpaid(self, days: Days) -> list[Owed]:
        """Give what the statement of some days pays of earlier ones, how long ago they be."""
        earlier = [each for each in self.issued if each.days[0] < days[0]]
        return [owed for each in earlier for owed in self.owed(each)]


def _lines(statement: Issued) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = statement.figures.get("lines", [])
    return found


def _day(at: int) -> date:
    return moment(at).date()


def statements_in(raw: list[Raw], key: str, rep: str, months: list[Days], at: At) -> list[Told]:
    """Give the statements of months that follow one another, as known at a moment."""
    ledger, found, balance = _Ledger(raw, key, rep, at), [], NOTHING
    begun = False
    for days in months:
        issued = next((each for each in ledger.issued if each.days == days), None)
        before = balance if issued is None else _balance_before(issued)
        more = ledger.unpaid(days) if issued is None else _paid(issued)
        sold = sum((line[2] for line in ledger.of(days)), NOTHING)
        due, owed = ledger.due(days), sum((each.amount for each in more), NOTHING)
        earlier = ledger.of_earlier(days)
        sold -= earlier
        payable, after = _settled((sold, owed + earlier), due, before)
        since = [] if issued is None else _since(ledger, issued)
        agreed = sum((each.amount for each in since if each.reason in AGREED), NOTHING)
        told = Told(
            lines=ledger.of(days),
            differences=more,
            payable=payable + agreed,
            balance=after,
            agreed=agreed,
            since=since,
            disputes=[] if issued is None else issued.disputes,
        )
        if issued is not None:  # others may be issued afterwards for what lies before
            start = balance if begun else before
            balance = start + _figure(issued, "advanced") - _figure(issued, "recovered")
        else:  # a month that was skipped paid nothing of earlier ones; the next one issued does
            balance = _settled((sold, earlier), due, before)[1]
        begun = begun or issued is not None
        found.append(told)
    return found


def _settled(
    earned: tuple[Decimal, Decimal], due: tuple[Decimal, Decimal], before: Decimal
) -> tuple[Decimal, Decimal]:
    """Give what is paid out by a draw and a guarantee, and the draw that is left then."""
    draw, guarantee = due
    so_far = (max(earned[0], guarantee) if guarantee else earned[0]) + earned[1]
    added = max(draw - so_far, NOTHING) if draw else NOTHING
    kept = min(before, max(so_far - draw, NOTHING))
    return so_far + added - kept, before + added - kept


def _figure(statement: Issued, name: str) -> Decimal:
    return Decimal(statement.figures.get(name, "0"))


def _balance_before(statement: Issued) -> Decimal:
    left = _figure(statement, "draw_balance")
    return left - _figure(statement, "advanced") + _figure(statement, "recovered")


def _paid(statement: Issued) -> list[Owed]:
    return [
        Owed(
            date.fromisoformat(line["first_day"]),
            line["event_id"],
            line["reason"],
            Decimal(line["amount"]),
        )
        for line in statement.figures.get("differences", [])
    ]


def _since(ledger: _Ledger, statement: Issued) -> list[Owed]:
    first, paid = statement.days[0], ledger.settled(statement)
    found = [
        Owed(first, line["event_id"], line["reason"], Decimal(line["amount"]), settled_in)
        for line, settled_in in paid
    ]
    return [*found, *ledger.owed(statement)]
