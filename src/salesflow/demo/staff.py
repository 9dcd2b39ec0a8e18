"""Who sells in the simulated house: its teams, and who joins, moves between them and leaves.

Teams here are what reports count by. A rep's deals come from the region of `REPS` throughout,
also after a move.
"""

from datetime import date, datetime, timedelta
from typing import Final

from salesflow.demo.agenda import START, ZONE, Life
from salesflow.demo.office import MANAGERS, Office
from salesflow.demo.world import REPS, DemoRep
from salesflow.domain import rep as reps
from salesflow.domain.team import Team, team_id

__all__ = ["staff_lives"]


PEOPLE: Final = "hr-01"
TEAMS: Final = {"east": ("East", "华东团队"), "south": ("South", "华南团队")}
NAMES: Final = {
    "east-01": "周岚",
    "east-02": "陈立群",
    "east-03": "何静",
    "east-04": "许航",
    "south-01": "梁川",
    "south-02": "罗敏仪",
    "south-03": "黄岳",
    "south-04": "邓晴",
}
HIRED_BEFORE: Final = timedelta(days=20)
"""How long before the first day a contract is signed."""

MOVES: Final = REPS[3]
"""The rep who goes over to the other team in the middle of 2025."""
MOVE_AGREED = datetime(2025, 6, 16, 15, 30, tzinfo=ZONE)
MOVE_HOLDS = date(2025, 7, 1)
RENAMED = datetime(2025, 12, 18, 10, 0, tzinfo=ZONE)
NEW_NAME: Final = ("South and Southwest", "华南及西南团队")
NEW_NAME_HOLDS = date(2026, 1, 1)


def staff_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Give how the teams will come about and change, and from when."""
    return [
        (START, _form_teams(office)),
        *((_signed(rep), _join(office, rep)) for rep in REPS),
        (MOVE_AGREED, _move(office)),
        (RENAMED, _rename(office)),
    ]


def _first_day(rep: DemoRep) -> datetime:
    return datetime.combine(rep.since, datetime.min.time(), ZONE)


def _signed(rep: DemoRep) -> datetime:
    return max(START, _first_day(rep).replace(hour=11) - HIRED_BEFORE)


def _form_teams(office: Office) -> Life:
    with office.session(PEOPLE) as session:
        for key, (english, chinese) in TEAMS.items():
            session.add(
                Team.form(key, name_en=english, name_zh=chinese, occurred_at=START.date())
            )
    yield from ()


def _join(office: Office, rep: DemoRep) -> Life:
    """Take a rep in: those of the first day at once, the others from a day that is ahead."""
    first_day = _first_day(rep)
    ahead = first_day > office.clock.now
    with office.session(PEOPLE) as session:
        session.add(
            reps.Rep.join(
                rep.id,
                team=rep.team,
                name=NAMES[rep.id],
                effective_from=first_day if ahead else None,
                occurred_at=None if ahead else first_day,
            )
        )
    yield from ()


def _move(office: Office) -> Life:
    with office.session(MANAGERS[MOVES.team]) as session:
        rep = session.get(reps.Rep, reps.rep_id(MOVES.id))
        rep.move("south", because="充实华南团队 / the south grows", effective_from=MOVE_HOLDS)
    yield from ()


def _rename(office: Office) -> Life:
    english, chinese = NEW_NAME
    with office.session(PEOPLE) as session:
        team = session.get(Team, team_id("south"))
        team.rename(name_en=english, name_zh=chinese, effective_from=NEW_NAME_HOLDS)
    yield from ()
