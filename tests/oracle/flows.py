"""The flow of the pipeline, naively: replay every deal and write down each change of cell.

Opening and closing are not added up from movements: they are what stands at those moments,
read off every deal anew. So the books balance here only if they balance indeed. By team a cell
is that of the team its owner is in; a change of team takes each deal that the owner has.
"""

from decimal import Decimal
from typing import Any

from oracle.beliefs import Raw, effect_of
from oracle.deals import State, deal_at, deals_of, processes_of, replay
from oracle.groups import groups_of
from oracle.teams import Stay, reps_of, stays_of, stream_of

__all__ = ["balance_at", "flow_at", "movements_of"]

MOVES = {
    "deal.won": "won",
    "deal.lost": "lost",
    "deal.disqualified": "disqualified",
    "deal.reopened": "reopened",
    "deal.migrated": "migrated",
    "deal.merged": "merged",
    "deal.unmerged": "unmerged",
}
PLACE = ("process", "process_version", "stage", "outcome")
FAR = "9999-12-31"
EVER = 2**62

Cell = dict[str, Any]
Processes = dict[tuple[str, int], dict[str, Any]]
Scope = dict[str, Any]
"""What a leg must be: outcome, and perhaps process, stage, owner, team, currency, category,
closes_from, closes_before; `by` names the attribute that groups the books. An `exchange`
converts amounts by the rate of the instant `end`."""
Books = dict[tuple[Any, Any], dict[str, Any]]
Sums = tuple[int, Decimal, Decimal]
Movement = tuple[int, str, str, Cell | None, Cell]


def flow_at(
    events: list[Raw],
    as_of: int,
    known_at: int,
    *,
    period: tuple[int, int],
    scope: Scope,
    as_known_then: bool,
) -> Books:
    """Give the books by (group, currency); a movement is its sums and the events behind it."""
    closing = min(period[1] - 1, as_of)
    opening = min(period[0] - 1, closing)
    known_then = min(opening, known_at) if as_known_then else known_at
    now, then = (Placing(events, scope, as_of, known) for known in (known_at, known_then))
    books: Books = {}
    stood = _cells_at(events, opening, known_then)
    _add_balance(books, "opening", [then.at(cell, opening) for cell in stood], scope)
    stands = _cells_at(events, closing, known_at)
    _add_balance(books, "closing", [now.at(cell, closing) for cell in stands], scope)
    for effect, kind, event, left, entered in _all_movements(events, known_at):
        at, what = (effect, kind) if effect > opening else (opening, "restated")
        if effect <= closing:
            _post(books, what, event, now.at(left, at), now.at(entered, at), scope)
    for effect, _, event, left, entered in _all_movements(events, known_then):
        if effect <= opening:
            sides = now.at(entered, opening), now.at(left, opening)
            _post(books, "restated", event, *sides, scope)
    for cell in stood:
        event = _behind(then.stays(cell["owner"]), now.stays(cell["owner"]), opening)
        _post(books, "restated", event, then.at(cell, opening), now.at(cell, opening), scope)
    _reorganise(books, events, now, (opening, closing, known_at), scope)
    return {key: found for key, found in books.items() if _says_something(found)}


def _reorganise(
    books: Books,
    events: list[Raw],
    placing: "Placing",
    within: tuple[int, int, int],
    scope: Scope,
) -> None:
    """Take what each rep has along at each change of team."""
    opening, closing, known_at = within
    for at, event, rep in placing.changes(opening, closing):
        for cell in _cells_at(events, at - 1, known_at):
            if stream_of(cell["owner"] or "") == rep:
                sides = placing.at(cell, at - 1), placing.at(cell, at)
                _post(books, "reorganised", event, *sides, scope)


class Placing:
    """In whose team a cell is at an instant; in nobody's where teams are not asked about."""

    def __init__(self, events: list[Raw], scope: Scope, as_of: int, known_at: int) -> None:
        self._asked = scope.get("by") == "team" or scope.get("team") is not None
        self._team_of = groups_of(events, "team", as_of, known_at)
        self._stays = {
            rep: stays_of(events, rep, EVER, known_at)
            for rep in (reps_of(events) if self._asked else ())
        }

    def at(self, cell: Cell | None, at: int) -> Cell | None:
        if cell is None:
            return None
        team = self._team_of({"rep": cell["owner"], "at": at}) if self._asked else None
        return {**cell, "team": team}

    def stays(self, owner: str | None) -> list[Stay]:
        return self._stays.get(stream_of(owner or ""), [])

    def changes(self, after: int, upto: int) -> list[tuple[int, str, str]]:
        """Give when somebody came somewhere else, by which event, and who."""
        return [
            (at, event, rep)
            for rep, stays in self._stays.items()
            for at, _, event in stays[1:]
            if after < at <= upto
        ]


def _behind(then: list[Stay], now: list[Stay], at: int) -> str:
    """Name the event that put somebody where they were, or the one that stands no more."""
    here, there = (
        [stay for stay in stays if stay[0] <= at][-1:] or stays[:1] for stays in (now, then)
    )
    return (here if here and here[0] not in then else there or [(0, None, "")])[0][2]


def balance_at(
    events: list[Raw], as_of: int, known_at: int, scope: Scope
) -> dict[tuple[Any, Any], Sums]:
    """Read off every deal what stands inside the scope at a moment."""
    placing = Placing(events, scope, as_of, known_at)
    cells = [placing.at(cell, as_of) for cell in _cells_at(events, as_of, known_at)]
    return _balance(cells, scope)


def _balance(cells: list[Cell | None], scope: Scope) -> dict[tuple[Any, Any], Sums]:
    found: dict[tuple[Any, Any], Sums] = {}
    for cell in cells:
        if cell is not None and _inside(cell, scope):
            cell = _in_one(cell, scope)
            key = _key(cell, scope)
            found[key] = _plus(found.get(key), cell, 1)
    return found


def _cells_at(events: list[Raw], as_of: int, known_at: int) -> list[Cell]:
    states = (deal_at(events, stream, as_of, known_at) for stream in deals_of(events))
    return [_cell(state) for state in states if state is not None]


def _all_movements(events: list[Raw], known_at: int) -> list[Movement]:
    streams = deals_of(events)
    return [it for stream in streams for it in movements_of(events, stream, known_at)]


def movements_of(events: list[Raw], stream: str, known_at: int) -> list[Movement]:
    """Give every movement believed at an instant: effect, kind, event, cell left, entered."""
    found: list[Movement] = []
    processes, before = processes_of(events), None
    for event, state in replay(events, stream, known_at):
        effect, id = effect_of(event), event["event_id"]
        after = _cell(state)
        if before is None:
            found.append((effect, "created", id, None, after))
        else:
            here = before
            for kind, there in _steps(event, before, after, processes):
                found.append((effect, kind, id, here, there))
                here = there
        before = after
    return found


def _steps(
    event: Raw, left: Cell, entered: Cell, processes: Processes
) -> list[tuple[str, Cell]]:
    """Amount, currency, expected close, owner, stage: in the order of the specification.

    Category and probability change by themselves only where the deal stays in its place.
    """
    stays = all(left[name] == entered[name] for name in PLACE)
    steps: list[tuple[str, Cell]] = []
    here = dict(left)
    for kind, changes in _changes(left, entered, stays=stays):
        if any(here[name] != value for name, value in changes.items()):
            here.update(changes)
            steps.append((kind, dict(here)))
    if not stays:
        steps.append((_kind_of_move(event, left, processes), dict(entered)))
    return steps


def _changes(left: Cell, entered: Cell, *, stays: bool) -> list[tuple[str, Cell]]:
    """Name every kind of change there may be, in order; many of them change nothing."""
    more = "increased" if entered["amount"] >= left["amount"] else "decreased"
    pushed = (entered["close"] or FAR) > (left["close"] or FAR)
    money: list[tuple[str, Cell]] = [
        (more, {"amount": entered["amount"]}),
        ("redenominated", {"currency": entered["currency"]}),
    ]
    if (left["currency"] is None) != (entered["currency"] is None):
        money = [(more, {"amount": entered["amount"], "currency": entered["currency"]})]
    forecast: list[tuple[str, Cell]] = [
        ("recategorised", {"category": entered["category"]}),
        ("reweighted", {"probability": entered["probability"]}),
    ]
    return [
        *money,
        ("pushed" if pushed else "pulled_in", {"close": entered["close"]}),
        *(forecast if stays else []),
        ("transferred", {"owner": entered["owner"]}),
    ]


def _kind_of_move(event: Raw, left: Cell, processes: Processes) -> str:
    if event["kind"] in MOVES:
        return MOVES[event["kind"]]
    process = processes.get((left["process"], left["process_version"]), {})
    stages = process.get("stages", [])
    keys = [stage["key"] for stage in stages]
    target = event["payload"]["target"]
    for stage in stages:
        if stage["key"] == target and stage.get("category", "open") in (
            "won",
            "lost",
            "disqualified",
        ):
            return str(stage["category"])
    if not keys:
        return "advanced"
    here = keys.index(left["stage"]) if left["stage"] in keys else -1
    there = keys.index(target) if target in keys else -1
    return "advanced" if there >= here else "returned"


def _cell(state: State) -> Cell:
    amount, currency = state["amount"] or (Decimal(0), None)
    return {
        "process": state["process"],
        "process_version": state["process_version"],
        "stage": state["stage"],
        "outcome": state["standing"],
        "owner": state["owner"],
        "currency": currency,
        "amount": amount,
        "close": state["expected_close"],
        "category": state["forecast_category"],
        "probability": state["probability"],
    }


def _inside(cell: Cell, scope: Scope) -> bool:
    for name in ("outcome", "process", "stage", "owner", "team", "currency", "category"):
        if scope.get(name) is not None and cell[name] != scope[name]:
            return False
    close = cell["close"]
    if scope.get("closes_from") and (close is None or close < scope["closes_from"]):
        return False
    return not (
        scope.get("closes_before") and (close is None or close >= scope["closes_before"])
    )


def _in_one(cell: Cell, scope: Scope) -> Cell:
    """Give it in the currency asked for, at the rate of the end; without one it has none."""
    if scope.get("exchange") is None:
        return cell
    money = None if cell["currency"] is None else (cell["amount"], cell["currency"])
    money = scope["exchange"].convert(money, end=scope["end"], event=None, closing=None, of=0)
    amount, currency = money or (Decimal(0), None)
    return {**cell, "amount": amount, "currency": currency}


def _key(cell: Cell, scope: Scope) -> tuple[Any, Any]:
    by = scope.get("by")
    group = None if by is None else cell[by]
    return ((cell["process"], group) if by == "stage" else group, cell["currency"])


def _plus(sums: Sums | None, cell: Cell, sign: int) -> Sums:
    deals, amount, weighted = sums or (0, Decimal(0), Decimal(0))
    worth = sign * cell["amount"]
    return deals + sign, amount + worth, weighted + worth * cell["probability"]


def _add_balance(books: Books, name: str, cells: list[Cell | None], scope: Scope) -> None:
    for key, sums in _balance(cells, scope).items():
        _book(books, key)[name] = sums


def _post(
    books: Books, kind: str, event: str, left: Cell | None, entered: Cell | None, scope: Scope
) -> None:
    for cell, sign in ((left, -1), (entered, 1)):
        if cell is not None and _inside(cell, scope):
            cell = _in_one(cell, scope)
            by_event = _book(books, _key(cell, scope))["movements"].setdefault(kind, {})
            by_event[event] = _plus(by_event.get(event), cell, sign)


def _book(books: Books, key: tuple[Any, Any]) -> dict[str, Any]:
    nothing: Sums = (0, Decimal(0), Decimal(0))
    return books.setdefault(key, {"opening": nothing, "closing": nothing, "movements": {}})


def _says_something(book: dict[str, Any]) -> bool:
    """Drop events whose legs cancel, kinds without events and books without anything."""
    for kind, by_event in list(book["movements"].items()):
        left = {event: sums for event, sums in by_event.items() if any(sums)}
        totals = [sum(column) for column in zip(*left.values(), strict=True)]
        if left:
            book["movements"][kind] = (tuple(totals), sorted(left))
        else:
            del book["movements"][kind]
    return bool(any(book["opening"]) or any(book["closing"]) or book["movements"])
