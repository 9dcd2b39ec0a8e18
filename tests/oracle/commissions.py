"""What a plan pays a rep, naively: after each event, everything is figured from the beginning.

Written from the words of the specification. What is paid is a function of what has accrued;
a line is what is paid after an event less what was paid before it. Credits of a sale are a
list; whatever lowers the sale takes the latest ones first, inside their windows. Everything is
a fraction until the total of an accrual (and each SPIFF of a credit) is rounded to cents.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

from oracle.beliefs import Raw, believed, effect_of, moment, of_stream
from oracle.customers import since_at, survivors_at
from oracle.deals import deal_at, deals_of, replay
from oracle.products import parts_of_wins
from oracle.rates import Asked, Exchange
from oracle.sales import bookings_of
from oracle.teams import stays_of, stream_of

__all__ = [
    "beside_in",
    "due_in",
    "estimates_in",
    "issued_in",
    "payable_in",
    "plan_of",
    "statement_lines",
    "team_of",
]

PLANS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a11")
Plan = dict[str, Any]
Line = tuple[str, Decimal, Decimal]
"""The event, what was credited by it, and what it pays."""
NOTHING = Fraction(0)
MILLION = 1_000_000


def plan_of(raw: list[Raw], key: str, as_of: int, known_at: int) -> list[Plan]:
    """Give the versions of a plan that were published by a moment."""
    history = believed(of_stream(raw, str(uuid5(PLANS, key))), known_at)
    there = [e for e in history if e["occurred"] <= as_of and e["kind"] == "plan.published"]
    return sorted((e["payload"]["plan"] for e in there), key=_number)


def _number(version: Plan) -> int:
    return int(version.get("version", 1))


def team_of(raw: list[Raw], rep: str, at: int, as_of: int, known_at: int) -> str | None:
    """Say in which team a rep was at an instant; before the first one, in that."""
    del as_of
    stays = stays_of(raw, stream_of(rep), 2**62, known_at)
    before = [stay for stay in stays if stay[0] <= at]
    return (before[-1] if before else stays[0])[1] if stays else None


def statement_lines(
    raw: list[Raw], key: str, rep: str, as_of: int, known_at: int
) -> list[tuple[int, Line]]:
    """Give every line that a plan ever paid a rep, each with its instant."""
    versions = plan_of(raw, key, as_of, known_at)
    happened = _happened(raw, as_of, known_at)
    shares = _shares(raw, rep, as_of, known_at)
    world = (raw, versions, rep, shares, (as_of, known_at), _sold(raw, as_of, known_at))
    found: list[tuple[int, Line]] = []
    before: dict[Any, tuple[Fraction, Decimal]] = {}
    for number, each in enumerate(happened, 1):
        after = _paid(happened[:number], world)
        for accrual in sorted({*before, *after}, key=str):
            was = before.get(accrual, (NOTHING, Decimal(0)))
            now = after.get(accrual, (NOTHING, Decimal(0)))
            if was != now:
                credited = _decimal(now[0] - was[0])
                found.append((each[0], (each[2], credited, now[1] - was[1])))
        before = after
    return found


Happened = tuple[int, int, str, str, list[Any]]
"""When, at which position, which event, of which deal, and what it booked or received."""


def _happened(raw: list[Raw], as_of: int, known_at: int) -> list[Happened]:
    events = {event["event_id"]: event for event in raw}
    found: list[Happened] = []
    for deal in deals_of(raw):
        booked: dict[str, list[Any]] = {}
        at: dict[str, int] = {}
        for each in bookings_of(raw, deal, known_at):
            effect, kind, event, role, _, _, amount, currency, *_, credited = each
            if role == "owner" and effect <= as_of and events[event]["occurred"] <= as_of:
                order = event if kind == "repeated" else None
                booked.setdefault(event, []).append(((credited, order), kind, amount, currency))
                at[event] = effect
        for event, when, back in _given_back(raw, deal, as_of, known_at):
            booked.setdefault(event, []).append((None, "returned", *back))
            at[event] = when
        for event, what in booked.items():
            found.append((at[event], events[event]["position"], event, deal, what))
        found += _received(raw, deal, as_of, known_at)
    return sorted(found, key=lambda each: each[:2])


def _received(raw: list[Raw], deal: str, as_of: int, known_at: int) -> Iterator[Happened]:
    """Give every invoice and every payment of a deal."""
    history = believed(of_stream(raw, deal), known_at)
    for fact in history:
        at, is_late = fact["occurred"], fact["occurred"] < history[0]["occurred"]
        about = fact["kind"] in ("deal.invoice_issued", "deal.payment_received")
        if about and at <= as_of and not is_late:
            money = fact["payload"]["amount"]
            kind = "invoiced" if "invoice" in fact["kind"] else "paid"
            what = [(None, kind, Decimal(money["amount"]), money["currency"])]
            yield at, fact["position"], fact["event_id"], deal, what


def _given_back(
    raw: list[Raw], deal: str, as_of: int, known_at: int
) -> Iterator[tuple[str, int, tuple[Decimal, str]]]:
    """Give all that went back to a customer, whether it was sold or came in beyond that."""
    for fact, state in replay(raw, deal, known_at):
        counts = fact["event_id"] not in state["irregular"] and fact["occurred"] <= as_of
        if fact["kind"] == "deal.refund_given" and counts:
            money = fact["payload"]["amount"]
            back = -Decimal(money["amount"]), money["currency"]
            yield fact["event_id"], fact["occurred"], back


def _shares(raw: list[Raw], rep: str, as_of: int, known_at: int) -> dict[Any, Fraction]:
    """Give the rep's part of every sale."""
    found: dict[Any, dict[tuple[str, str], Fraction]] = {}
    for deal in deals_of(raw):
        for each in bookings_of(raw, deal, known_at):
            effect, kind, event, role, person, share, *_, credited = each
            order = event if kind == "repeated" else None
            if person == rep and effect <= as_of:
                parts = found.setdefault((deal, (credited, order)), {})
                parts[role, person] = Fraction(share)
    return {sale: sum(parts.values(), NOTHING) for sale, parts in found.items()}


def _sold(raw: list[Raw], as_of: int, known_at: int) -> dict[Any, dict[str, Any]]:
    """Give of every win which part each product is, and whether its customer was none before.

    A repeat order has no lines of its own, and is no first sale.
    """
    into, since = survivors_at(raw, as_of, known_at), since_at(raw, as_of, known_at)
    places = {event["event_id"]: event["position"] for event in raw}
    wins: dict[str, list[tuple[int, int, str]]] = {}
    found: dict[Any, dict[str, Any]] = {}
    for deal in deals_of(raw):
        parts = parts_of_wins(raw, deal, known_at)
        for each in bookings_of(raw, deal, known_at):
            effect, kind, event, role, *_, customer, _, credited = each
            if kind != "repeated":
                products = parts.get(credited, {})
                found[deal, (credited, None)] = {"products": products, "new": False}
            if kind == "won" and role == "owner" and customer is not None and effect <= as_of:
                win = (effect, places[event], deal)
                wins.setdefault(str(into.get(customer, customer)), []).append(win)
    for customer, sold in wins.items():
        at, _, deal = min(sold)
        day = moment(at).date().isoformat()
        found[deal, (at, None)]["new"] = since.get(customer, day) >= day
    return found


def beside_in(
    raw: list[Raw], key: str, rep: str, as_of: int, known_at: int
) -> list[tuple[int, Decimal]]:
    """Give what events paid, or took back, of what was credited in periods before their own.

    Of what each changed, that which is of its own period comes first: the rest is beside it.
    """
    versions = plan_of(raw, key, as_of, known_at)
    happened = _happened(raw, as_of, known_at)
    shares = _shares(raw, rep, as_of, known_at)
    world = (raw, versions, rep, shares, (as_of, known_at), _sold(raw, as_of, known_at))
    found: list[tuple[int, Decimal]] = []
    before: dict[Any, list[dict[str, Any]]] = {}
    for number, each in enumerate(happened, 1):
        after = _credits(happened[:number], world)
        first = _first_of_period(versions, moment(each[0]).date())
        own = [
            now if now is not None and now["day"] >= first else was
            for sale, credits in after.items()
            for was, now in _side_by_side(before.get(sale, []), credits)
        ]
        there = [credit for credits in after.values() for credit in credits]
        paid = [
            sum((amount for _, amount in _totals(credits).values()), Decimal(0))
            for credits in (there, [credit for credit in own if credit is not None])
        ]
        found.append((each[0], paid[0] - paid[1]))
        before = after
    return found


def _side_by_side(before: list[Any], after: list[Any]) -> Iterator[tuple[Any, Any]]:
    for place, credit in enumerate(after):
        yield (before[place] if place < len(before) else None), credit


def _first_of_period(versions: list[Plan], day: date) -> date:
    first, period = day.replace(day=1), versions[0].get("period", "month") if versions else ""
    if period == "quarter":
        return first.replace(month=(day.month - 1) // 3 * 3 + 1)
    return first.replace(month=1) if period == "year" else first


def _paid(happened: list[Happened], world: Any) -> dict[Any, tuple[Fraction, Decimal]]:  # noqa: ANN401
    """Give of each accrual what was credited by now and what is paid for it."""
    return _totals([c for each in _credits(happened, world).values() for c in each])


def _credits(happened: list[Happened], world: Any) -> dict[Any, list[dict[str, Any]]]:  # noqa: ANN401
    """Give the credits of each sale by now."""
    raw, versions, rep, shares, (as_of, known_at), sold = world
    credits: dict[Any, list[dict[str, Any]]] = {}
    levels: dict[Any, dict[str, Fraction]] = {}
    for number, (at, _, event, deal, what) in enumerate(happened):
        upto = [each for each in happened[: number + 1] if each[3] == deal]
        sales = list(dict.fromkeys(w[0] for each in upto for w in each[4] if w[0] is not None))
        for sale in sales:
            share = shares.get((deal, sale), NOTHING)
            if not share:
                continue
            team = team_of(raw, rep, sale[0], as_of, known_at)
            mode = _mode(versions, sale[0])
            mine = credits.setdefault((deal, sale), [])
            booked = {w[3] for each in upto for w in each[4] if w[0] == sale}
            earlier = _kept_of(credits, deal, sale)
            counts = {
                currency: _not_paid_yet(
                    _counted(upto, sales, sale, currency, mode),
                    _paid_before(world, earlier, sale, share, currency),
                )
                for currency in sorted(each for each in booked if each is not None)
            }
            about = {"team": team, "share": share, **sold.get((deal, sale), {})}
            about["earlier"] = earlier
            mine_by_now = levels.setdefault((deal, sale), {})
            _lower(world, mine, mine_by_now, counts, (at, what))
            _raise(world, mine, mine_by_now, counts, (at, what, about))
        del event
    return credits


def _kept_of(credits: dict[Any, list[dict[str, Any]]], deal: str, sale: Any) -> list[Any]:  # noqa: ANN401
    """Give what is still paid for wins of the deal before this one."""
    won, order = sale
    if order is not None:
        return []
    wins = [key for key in credits if key[0] == deal and key[1][1] is None and key[1][0] < won]
    return [c for key in wins for c in credits[key] if c["left"] > 0 and c["version"]]


def _paid_before(
    world: Any,  # noqa: ANN401
    earlier: list[dict[str, Any]],
    sale: tuple[int, str | None],
    share: Fraction,
    currency: str,
) -> Fraction:
    """Say how much of a sale was paid with earlier wins, in its currency, of the whole."""
    day, paid = moment(sale[0]).date(), NOTHING
    for credit in earlier:
        rate = _rate(world, credit["currency"], currency, day)
        if rate is not None:
            paid += credit["left"] * credit["share"] * rate
    return _millionths(paid / share)


def _not_paid_yet(counted: Fraction, paid: Fraction) -> Fraction:
    if not paid:
        return counted
    return counted - paid if counted > paid else min(counted, NOTHING)


def _lower(
    world: Any,  # noqa: ANN401
    mine: list[dict[str, Any]],
    levels: dict[str, Fraction],
    counts: dict[str, Fraction],
    happened: tuple[int, list[Any]],
) -> None:
    """Take back what of a sale counts no more."""
    at, what = happened
    for currency, counted in counts.items():
        level = levels.get(currency, NOTHING)
        if counted < level:
            swaps = len({w[3] for w in what}) > 1 and what[0][1] == "amended"
            before = [credit["left"] for credit in mine]
            taken = _take(world, mine, at, currency, level - counted, swaps)
            if what[0][1] == "amended":
                _note_cuts(mine, before, currency)
            left = [c["left"] for c in mine if c["currency"] == currency]
            levels[currency] = level - taken if any(left) or level <= 0 else counted


def _raise(
    world: Any,  # noqa: ANN401
    mine: list[dict[str, Any]],
    levels: dict[str, Fraction],
    counts: dict[str, Fraction],
    happened: tuple[int, list[Any], dict[str, Any]],
) -> None:
    """Credit what of a sale did not count before."""
    at, what, about = happened
    for currency, counted in counts.items():
        level = levels.get(currency, NOTHING)
        more = counted - max(level, NOTHING)
        if more > 0 and what[0][1] == "amended":
            more = _restored(world, mine, currency, more, about)
        if more > 0:
            before = [*about["earlier"], *mine]
            mine.append(_credit(world, at, currency, more, about, before))
        levels[currency] = max(level, counted)


def _note_cuts(credits: list[dict[str, Any]], before: list[Fraction], currency: str) -> None:
    """Stack what an amendment took: of its own currency first, the latest credit first."""
    last = 1 + max((n for credit in credits for n, _ in credit["cuts"]), default=0)
    alike = [n for n, c in enumerate(credits) if c["currency"] == currency]
    others = [n for n, c in enumerate(credits) if c["currency"] != currency]
    for number in [*alike[::-1], *others[::-1]]:
        cut = before[number] - credits[number]["left"]
        if cut:
            credits[number]["cuts"].append((last, cut))
            last += 1


def _restored(
    world: Any,  # noqa: ANN401
    credits: list[dict[str, Any]],
    currency: str,
    more: Fraction,
    about: dict[str, Any],
) -> Fraction:
    """Credit again what amendments took, as of the day it was first credited; give the rest."""
    while more:
        cut = [c for c in credits if c["currency"] == currency and c["cuts"]]
        if not cut:
            return more
        credit = max(cut, key=lambda each: each["cuts"][-1][0])
        number, amount = credit["cuts"].pop()
        again = min(amount, more)
        if amount > again:
            credit["cuts"].append((number, amount - again))
        more -= again
        before = [*about["earlier"], *credits]
        credits.append(_credit(world, credit["at"], currency, again, about, before))
    return more


def _mode(versions: list[Plan], at: int) -> str:
    day = moment(at).date().isoformat()
    started = [version for version in versions if version["starts"] <= day]
    return str((started or versions[:1])[-1]["terms"].get("crediting", "closing"))


def _counted(
    upto: list[Happened],
    sales: list[Any],
    sale: tuple[int, str | None],
    currency: str,
    mode: str,
) -> Fraction:
    booked = {
        each: sum(
            (Fraction(w[2]) for h in upto for w in h[4] if w[0] == each and w[3] == currency),
            NOTHING,
        )
        for each in sales
    }
    if mode == "closing":
        return booked[sale]
    kinds = ("invoiced", "refunded") if mode == "invoice" else ("paid", "returned")
    came = sum(
        (
            Fraction(w[2])
            for each in upto
            for w in each[4]
            if w[3] == currency and w[1] in kinds and w[2] is not None
        ),
        NOTHING,
    )
    for other in sales[: sales.index(sale)]:
        came -= max(booked[other], NOTHING)
    return max(min(came, booked[sale]), NOTHING)


def _rate(world: Any, currency: str, target: str, day: date) -> Fraction | None:  # noqa: ANN401
    raw, _, _, _, (as_of, known_at), _ = world
    exchange = Exchange(raw, Asked(target, "fixed", day), as_of, known_at)
    return exchange._rate(currency, target, day)


def _credit(
    world: Any,  # noqa: ANN401
    at: int,
    currency: str,
    amount: Fraction,
    about: dict[str, Any],
    before: list[dict[str, Any]],
) -> dict[str, Any]:
    _, versions, rep, *_ = world
    day, share, team = moment(at).date(), about["share"], about["team"]
    started = [version for version in versions if version["starts"] <= day.isoformat()]
    version = started[-1] if started else None
    if version is not None:
        reps, teams = version.get("reps", []), version.get("teams", [])
        if (reps or teams) and rep not in reps and team not in teams:
            version = None
    rate = None
    if version is not None:
        rate = _rate(world, currency, version["currency"], day)
        version = None if rate is None else version
    paid = {key for credit in before if credit["left"] > 0 for key in credit["bonuses"]}
    spiffs, bonuses = [], {}
    for spiff in version["terms"].get("spiffs", []) if version else []:
        part = _part_for(spiff, about, day.isoformat())
        if part:
            if spiff.get("rate"):
                spiffs.append((part, Fraction(spiff["rate"])))
            if spiff["key"] not in paid:
                bonuses[spiff["key"]] = Fraction(spiff.get("bonus", 0)) * share
    return {
        "day": day, "currency": currency, "left": amount, "share": share, "rate": rate,
        "version": version, "spiffs": spiffs, "bonuses": bonuses, "versions": versions,
        "at": at, "cuts": [],
    }  # fmt: skip


def _part_for(spiff: dict[str, Any], about: dict[str, Any], day: str) -> Fraction:
    """Say which part of a sale a SPIFF is for that is credited on a day."""
    if not spiff.get("first_day", "0") <= day <= spiff.get("last_day", "9"):
        return NOTHING
    if spiff.get("customers") == "new" and not about.get("new"):
        return NOTHING
    if "product" not in spiff:
        return Fraction(1)
    return Fraction(about.get("products", {}).get(spiff["product"], 0))


def _take(
    world: Any,  # noqa: ANN401
    credits: list[dict[str, Any]],
    at: int,
    currency: str,
    lost: Fraction,
    swaps: bool,
) -> Fraction:
    """Take from the latest credits what was lost; give how much of it could be taken."""
    day, rest = moment(at).date(), lost
    alike = [credit for credit in credits if credit["currency"] == currency]
    others = [] if swaps else [credit for credit in credits if credit["currency"] != currency]
    for credit in [*alike[::-1], *others[::-1]]:
        window = credit["version"] and credit["version"]["terms"].get("clawback_days")
        closed = window is not None and (day - credit["day"]) > timedelta(days=window)
        if rest <= 0 or credit["left"] <= 0 or (closed and not swaps):
            continue
        rate = _rate(world, currency, credit["currency"], day)
        if rate is None:
            continue
        wanted = rest if rate == 1 else _millionths(rest * rate)
        taken = min(credit["left"], wanted)
        credit["left"] -= taken
        rest -= rest if taken == wanted else _millionths(taken / rate)
    return lost - max(rest, NOTHING)


def _worth(credit: dict[str, Any]) -> Fraction:
    part = credit["left"] * credit["share"]
    return Fraction(part) if credit["rate"] == 1 else _millionths(part * credit["rate"])


def _totals(credits: list[dict[str, Any]]) -> dict[Any, tuple[Fraction, Decimal]]:
    found: dict[Any, tuple[Fraction, Decimal]] = {}
    there = [credit for credit in credits if credit["version"] is not None]
    for accrual in {_accrual(credit) for credit in there}:
        mine = [credit for credit in there if _accrual(credit) == accrual]
        base = sum(map(_worth, mine), NOTHING)
        paid = _cents(_accrued(mine))
        for credit in mine:
            for part, rate in credit["spiffs"]:
                of_part = _worth(credit)
                of_part = of_part if part == 1 else _millionths(of_part * part)
                paid += _cents(of_part * rate)
            if credit["left"] > 0:
                paid += sum(map(_cents, credit["bonuses"].values()), Decimal(0))
        found[accrual] = (base, paid)
    return found


def _accrual(credit: dict[str, Any]) -> tuple[int, date]:
    """Name the accrual of a credit: the version that began it, and its first day."""
    version, versions = credit["version"], credit["versions"]
    day: date = credit["day"]
    first = day.replace(day=1)
    if version.get("period", "month") == "quarter":
        first = first.replace(month=(day.month - 1) // 3 * 3 + 1)
    if version.get("period", "month") == "year" or version["terms"].get("accrual") == (
        "year_to_date"
    ):
        first = first.replace(month=1)
    while date.fromisoformat(version["starts"]) > first and version.get("continues"):
        older = [
            each
            for each in versions
            if _number(each) < _number(version) and each["starts"] <= version["starts"]
        ]
        if not older:
            break
        version = older[-1]
    return _number(version), max(first, date.fromisoformat(version["starts"]))


def _accrued(credits: list[dict[str, Any]]) -> Fraction:
    """Say what rates pay for all that accrued, version after version."""
    paid = reached = NOTHING
    for number in sorted({_number(credit["version"]) for credit in credits}):
        mine = [credit for credit in credits if _number(credit["version"]) == number]
        terms = mine[0]["version"]["terms"]
        more = sum(map(_worth, mine), NOTHING)
        gain = _by_rates(terms, reached + more) - _by_rates(terms, reached)
        if "cap" in terms:
            gain = max(min(gain, Fraction(terms["cap"]) - paid), NOTHING)
        paid, reached = paid + gain, reached + more
    return paid


def _by_rates(terms: dict[str, Any], accrued: Fraction) -> Fraction:
    """Pay a small step after the other, from one edge of a band to the next."""
    quota = Fraction(terms.get("quota", 0))
    edges = {NOTHING, accrued}
    edges |= {Fraction(tier["starts_at"]) for tier in terms.get("tiers", [])}
    edges |= {Fraction(terms["threshold"])} if "threshold" in terms else set()
    edges |= {Fraction(each["starts_at"]) * quota for each in terms.get("accelerators", [])}
    edges |= {Fraction(each["ends_at"]) * quota for each in terms.get("decelerators", [])}
    if terms.get("tiers_pay") == "retroactive":
        return accrued * _rate_at(terms, accrued)
    steps = sorted(edge for edge in edges if edge <= accrued)
    return sum(((b - a) * _rate_at(terms, a) for a, b in pairwise(steps)), NOTHING)


def _rate_at(terms: dict[str, Any], accrued: Fraction) -> Fraction:
    if accrued < Fraction(terms.get("threshold", 0)):
        return NOTHING
    rate, quota = Fraction(terms["rate"]), Fraction(terms.get("quota", 0))
    for tier in terms.get("tiers", []):
        if Fraction(tier["starts_at"]) <= accrued:
            rate = Fraction(tier["rate"])
    factor = Fraction(1)
    for slow in reversed(terms.get("decelerators", [])):
        if accrued < Fraction(slow["ends_at"]) * quota:
            factor = Fraction(slow["factor"])
    for fast in terms.get("accelerators", []):
        if Fraction(fast["starts_at"]) * quota <= accrued:
            factor = Fraction(fast["factor"])
    return rate * factor


def _millionths(amount: Fraction) -> Fraction:
    return Fraction(round(amount * MILLION), MILLION)


def _cents(amount: Fraction) -> Decimal:
    return Decimal(round(amount * 100)) / 100


def _decimal(amount: Fraction) -> Decimal:
    """Write a fraction of whole millionths of millionths."""
    return Decimal(round(amount * 10**12)).scaleb(-12)


def payable_in(
    raw: list[Raw], key: str, rep: str, months: list[tuple[date, date]], at: tuple[int, int]
) -> list[tuple[Decimal, Decimal]]:
    """Give what is paid out in months that follow one another, and the draw then left."""
    as_of, known_at = at
    lines = statement_lines(raw, key, rep, as_of, known_at)
    versions = plan_of(raw, key, as_of, known_at)
    beside = beside_in(raw, key, rep, as_of, known_at)
    balance, found = Decimal(0), []
    for first, last in months:
        inside = [line for when, line in lines if first <= moment(when).date() <= last]
        earned = sum((line[2] for line in inside), Decimal(0))
        earlier = [paid for when, paid in beside if first <= moment(when).date() <= last]
        draw, guarantee = due_in(raw, versions, rep, (first, last), known_at)
        so_far = earned
        if guarantee:
            so_far += max(guarantee - earned + sum(earlier, Decimal(0)), Decimal(0))
        advanced = max(draw - so_far, Decimal(0)) if draw else Decimal(0)
        recovered = min(balance, max(so_far - draw, Decimal(0)))
        balance += advanced - recovered
        found.append((so_far + advanced - recovered, balance))
    return found


def due_in(
    raw: list[Raw], versions: list[Plan], rep: str, days: tuple[date, date], known_at: int
) -> tuple[Decimal, Decimal]:
    """Share a draw and a guarantee out over the days on which the plan was for the rep."""
    stays = stays_of(raw, stream_of(rep), 2**62, known_at)
    count = (days[1] - days[0]).days + 1
    draw = guarantee = NOTHING
    for number in range(count):
        day = days[0] + timedelta(days=number)
        end = _end_of(day)
        started = [each for each in versions if each["starts"] <= day.isoformat()]
        if not started:
            continue
        team = None
        if stays:
            here = [stay for stay in stays if stay[0] <= end]
            if not here or here[-1][1] is None:
                continue
            team = here[-1][1]
        version = started[-1]
        reps, teams = version.get("reps", []), version.get("teams", [])
        if (reps or teams) and rep not in reps and team not in teams:
            continue
        draw += Fraction(version["terms"].get("draw", 0)) / count
        guarantee += Fraction(version["terms"].get("guarantee", 0)) / count
    return _cents(draw), _cents(guarantee)


def _end_of(day: date) -> int:
    return ((day - date(1970, 1, 1)).days + 1) * 86_400_000_000 - 1


def issued_in(raw: list[Raw], as_of: int, known_at: int) -> list[dict[str, Any]]:
    """Give the statements that were issued by a moment."""
    return [
        event["payload"]["figures"]
        for event in raw
        if event["kind"] == "statement.issued"
        and event["recorded"] <= known_at
        and effect_of(event) <= as_of
    ]


def estimates_in(
    raw: list[Raw], key: str, deal: str, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Say what an open deal would pay each of those who have a part of it, by one plan."""
    state = deal_at(raw, deal, as_of, known_at)
    if state is None or state["outcome"] != "open" or state["standing"] == "merged":
        return None
    versions = plan_of(raw, key, as_of, known_at)
    if state["amount"] is None or not versions:
        return {}
    amount, currency = state["amount"]
    found: dict[str, Any] = {}
    for rep, share in _parts_of(raw, deal, state["owner"], as_of, known_at).items():
        happened = _happened(raw, as_of, known_at)
        shares = _shares(raw, rep, as_of, known_at)
        sale = (as_of, None)
        win = (as_of, 2**62, "win", deal, [(sale, "won", amount, currency)])
        mine = {**shares, (deal, sale): share}
        world = (raw, versions, rep, mine, (as_of, known_at), _sold(raw, as_of, known_at))
        before, after = _paid(happened, world), _paid([*happened, win], world)
        credited, paid = NOTHING, Decimal(0)
        for accrual in after:
            was = before.get(accrual, (NOTHING, Decimal(0)))
            credited += after[accrual][0] - was[0]
            paid += after[accrual][1] - was[1]
        number = [v for v in versions if v["starts"] <= moment(as_of).date().isoformat()]
        if number:
            version = number[-1]
            there = _rate(world, currency, version["currency"], moment(as_of).date())
            figures = (_decimal(credited), paid) if there is not None else (None, None)
            found[rep] = (_number(version), _decimal(share), *figures)
    return found


def _parts_of(
    raw: list[Raw], deal: str, owner: str | None, as_of: int, known_at: int
) -> dict[str, Fraction]:
    """Give everybody's part of a deal as it stands."""
    shares: dict[str, Fraction] = {}
    history = believed(of_stream(raw, deal), known_at)
    for event in history:
        early = event["occurred"] < history[0]["occurred"]
        if effect_of(event) > as_of or event["occurred"] > as_of or early:
            continue
        fact = event["payload"]
        if event["kind"] == "deal.collaborator_joined":
            shares[fact["person"]] = Fraction(fact.get("credit", 0))
        if event["kind"] == "deal.collaborator_left":
            shares.pop(fact["person"], None)
    rest = max(1 - sum(shares.values(), NOTHING), NOTHING)
    if owner is not None:
        shares[owner] = shares.get(owner, NOTHING) + rest
    return {rep: share for rep, share in shares.items() if share}
