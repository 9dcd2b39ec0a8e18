"""The case library: won and lost deals to learn from, found by what is known of them.

Answers "which deals that ended like this can we learn from, and what did people make of them?"
for any past moment. Each hit is told as its deal is known at the moment, beside what was known
when the case was published; where words were asked for, with the facts that hold them. A case
asked for by its key is told at three moments: when its deal closed, as published, and now, with
every fact that was told since or taken back. What did we know when we lost it?
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.case import CaseState
from salesflow.domain.deal.activities import CompetitorNamed
from salesflow.domain.event import Event
from salesflow.domain.time import Moment
from salesflow.domain.values import Reference
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.presentation.format import (
    NO_VALUE,
    amount_text,
    local_day,
    local_time,
    short_id,
)
from salesflow.presentation.messages import (
    Language,
    in_language,
    key_text,
    kind_name,
    say,
    word_known,
)
from salesflow.presentation.table import TableOfView
from salesflow.projections.cases.case_study import CaseStudy, CaseStudyView
from salesflow.projections.cases.case_texts import (
    CaseMatch,
    case_texts,
    deal_texts,
    matches,
    words_of,
)
from salesflow.projections.cases.case_words import CaseWords, words_in_facts, words_in_rows
from salesflow.projections.cases.library_cases import (
    CaseAtMoment,
    CaseChange,
    LibraryCase,
    PublishedCase,
    at_moments,
    buyer_side_of,
    case_reader,
    changes_since,
    library_case_of,
    products_of,
    read_cases,
    read_deal_of,
    read_deals,
)
from salesflow.projections.core.columns import HeldRows
from salesflow.projections.core.left_out import Unmet
from salesflow.projections.core.names import Names
from salesflow.projections.core.question import Limit, Question, Reader, View
from salesflow.projections.core.replaying import believed
from salesflow.projections.folds.case import CASE
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.scope import Meant, named

__all__ = ["CaseLibrary", "CaseLibraryView"]

LISTED: Final = 20
Ended = Literal["won", "lost", "disqualified"]


class CaseLibraryView(View):
    """Cases with what is known of their deals, and what people made of them."""

    population: ClassVar[str] = (
        "cases published by the moment and not withdrawn by then (withdrawn ones where they are"
        " asked for), each with its deal as it stands at the moment; stage: where the"
        " deal stood before it closed; segment: that of its customer at the moment"
    )
    formula: ClassVar[str] = (
        "a case is found where all that is asked for is so; a reason is that of the closing, a"
        " factor noted in the case or what the buyer named in an interview since the closing; a"
        " competitor is whom the deal was lost to, who was named in it or whom the buyer named"
        " there; a product is one of the agreed lines, else of the last offer; words:"
        " each stands somewhere in the facts of the deal in effect at the moment, in the names"
        " of its stages and reasons in either language, or in what people noted in the case,"
        " whatever the width and size of letters; as published = as of and as known at the"
        " moment that the case names, by default that of its publication; at closing = as of"
        " and as known at the closing"
    )
    cases: tuple[LibraryCase, ...]
    """The newest first."""
    cases_total: int
    """How many there are in all, the listed ones included."""
    then_and_now: tuple[CaseAtMoment, ...]
    """Of a case asked for by its key: its deal at three moments."""
    changes: tuple[CaseChange, ...]
    """Of a case asked for by its key: the facts that what is known now differs by."""
    study: CaseStudyView | None
    """Of a case asked for by its key: the case study of its deal as known now; None where the
    deal is open by now, or not there."""
    study_published: CaseStudyView | None
    """The same as it was known in the case."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the cases out, and of a single one all that was known of it when."""
        lay = _CasesLayout(ZoneInfo(self.timezone), language, self.names)
        listed = (
            f"{in_language('listed', language)} {len(self.cases):,}"
            f" · {in_language('in all', language)} {self.cases_total:,}"
        )
        library = lay.library(self.cases)._replace(notes=(listed, *lay.reopened(self.cases)))
        found = [
            lay.summaries(self.cases),
            lay.buyers(self.cases),
            lay.factors(self.cases),
            lay.lessons(self.cases),
            lay.matches(self.cases),
            lay.then_and_now(self.then_and_now),
            lay.changes(self.changes),
        ]
        study = [] if self.study is None else self.study.tables(language)
        return [library, *(table for table in found if table.rows), *study]

    def brief_tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay out the cases and what is to be learned from them."""
        lay = _CasesLayout(ZoneInfo(self.timezone), language, self.names)
        tables = lay.library(self.cases), lay.lessons(self.cases)
        return [tables[0], *(table for table in tables[1:] if table.rows)]


class CaseLibrary(Question[CaseLibraryView]):
    """Which won and lost deals can we learn from, and what did we know of them when?"""

    name: ClassVar[str] = "case-library"
    folds: ClassVar[tuple[str, ...]] = (
        *(CASE.name, CLOSING.name, CUSTOMER.name, STAGE_VISIT.name, TRAINING.name),
    )
    case: Reference | None = None
    """One case (its key), told as known when its deal closed, as published and now."""
    words: Reference | None = None
    """Words that all stand in the case or in what is known of its deal, in any language."""
    outcome: Ended | None = None
    """Only deals that ended so."""
    process: Reference | None = None
    """Only deals that closed under this process (its key)."""
    stage: Reference | None = None
    """Only deals that stood in this stage (its key) before they closed."""
    reason: Reference | None = None
    """Only deals closed for this reason, cases in which it is noted as a factor, or deals of
    which the buyer names it."""
    segment: Reference | None = None
    """Only deals of customers of this segment."""
    product: Reference | None = None
    """Only deals about this product."""
    competitor: Reference | None = None
    """Only deals lost to this competitor, or in which it was named, by the buyer too."""
    audience: Reference | None = None
    """Only cases meant for these people; those meant for everybody are among them."""
    training: Reference | None = None
    """Only cases that this training (its key) uses."""
    withdrawn: bool = False
    """Also cases that were withdrawn."""
    limit: Limit = LISTED
    """How many cases to list at most. Default: 20."""

    def answer(self, reader: Reader, moment: Moment) -> CaseLibraryView:
        """Find the cases at the moment.

        Raises:
            NotFoundError: when a case or a training that is named is not there at the moment.
        """
        cases = read_cases(reader, self._rows(reader))
        self._ensure_known_training(cases, reader)
        deals = read_deals(reader, [case.deal for case in cases if case.deal is not None])
        every = [
            PublishedCase(case, None if case.deal is None else deals.get(case.deal))
            for case in cases
        ]
        meant, unmet = _meant(self, words_in_rows(every))
        hits = self._searched([each for each in every if self._fits(each)], reader)
        if not hits and {self.reason, self.competitor, self.product} != {None}:
            meant, more = _meant(meant, _words_told(every, reader))
            unmet += more
        if meant != self:
            return meant.answer(reader, moment)
        listed = hits[: self.limit]
        told: dict[str, Any] = {"then_and_now": (), "changes": ()}
        told |= {"study": None, "study_published": None}
        if self.case is not None and listed:
            told = _in_full(listed[0].published, reader, moment)
        return CaseLibraryView(
            moment=moment,
            cases=tuple(_hit(each, reader) for each in listed),
            cases_total=len(hits),
            names=_named(listed, reader),
            unmet=unmet,
            **told,
        )

    def _rows(self, reader: Reader) -> HeldRows:
        rows = reader.columns(CASE)
        if self.case is not None:
            mine = rows.among("case_key", self.case)
            if not len(mine):
                known = ", ".join(sorted(rows.cells("case_key"))) or "none"
                raise NotFoundError(
                    f"there is no case {self.case!r} by then; there are {known}"
                )
            return mine
        return rows if self.withdrawn else rows.among("state", "published")

    def _ensure_known_training(self, cases: Sequence[CaseState], reader: Reader) -> None:
        """Refuse a training that is neither offered nor used by any case."""
        if self.training is None or any(self.training in case.trainings for case in cases):
            return
        known = {key for key in reader.columns(TRAINING).cells("training") if key is not None}
        if self.training not in known:
            names = ", ".join(sorted(known)) or "none"
            raise NotFoundError(f"there is no training {self.training!r}; there are: {names}")

    def _fits(self, published: PublishedCase) -> bool:
        """Return whether what stands in the rows of a case and its deal is asked for."""
        case, deal = published
        asked = {
            "outcome": self.outcome,
            "process": self.process,
            "stage": self.stage,
            "segment": self.segment,
        }
        for name, wanted in asked.items():
            if wanted is not None and (deal is None or getattr(deal, name) != wanted):
                return False
        if self.training is not None and self.training not in case.trainings:
            return False
        return self.audience is None or not case.audience or self.audience in case.audience

    def _searched(
        self, found: Sequence[PublishedCase], reader: Reader
    ) -> list["_SearchedCase"]:
        """Look for what stands in the facts of the deals alone, where it is asked for."""
        words = () if self.words is None else words_of(self.words)
        in_facts = words or {self.product, self.competitor, self.reason} != {None}
        some = found if in_facts else found[: self.limit]
        ids = [each.case.deal for each in some if each.case.deal is not None]
        streams = reader.streams(ids)
        hits = [_SearchedCase(each, (), ()) for each in found[len(some) :]]
        for each in reversed(some):
            deal = each.case.deal
            events = [] if deal is None else streams.get(deal, [])
            history = believed(events, reader)
            matching = _matches(each, history, words, reader)
            if matching is not None and self._fits_facts(each, history, reader):
                hits.insert(0, _SearchedCase(each, history, matching))
        return hits

    def _fits_facts(
        self, published: PublishedCase, history: Sequence[Event], reader: Reader
    ) -> bool:
        case, deal = published
        buyer = buyer_side_of(deal, history)
        named: set[str | None] = {
            e.fact.competitor for e in history if isinstance(e.fact, CompetitorNamed)
        }
        reasons: set[str | None] = {*buyer.reasons, *(it.factor for it in case.factors)}
        if deal is not None:
            named, reasons = {*named, deal.competitor}, {*reasons, deal.because}
        products = () if self.product is None else products_of(history, reader.processes)
        return (
            self.product in (None, *products)
            and self.competitor in (None, *named, *buyer.competitors)
            and self.reason in (None, *reasons)
        )


def _meant(asked: CaseLibrary, words: CaseWords) -> tuple[CaseLibrary, tuple[Unmet, ...]]:
    """Return what is asked for as cases have it, and the words that none of them has."""
    found = {name: getattr(asked, name) for name in words.there}
    found = {name: words.meant(name, word) for name, word in found.items() if word}
    return asked.model_copy(update=found), tuple(words.unmet(found))


def _words_told(every: Sequence[PublishedCase], reader: Reader) -> CaseWords:
    ids = [each.case.deal for each in every if each.case.deal is not None]
    streams = reader.streams(ids)

    def history_of(each: PublishedCase) -> Sequence[Event]:
        deal = each.case.deal
        return believed([] if deal is None else streams.get(deal, []), reader)

    return words_in_facts(every, history_of, reader.processes)


class _SearchedCase(NamedTuple):
    """A case that was found, its deal's history, and where the words stand."""

    published: PublishedCase
    history: Sequence[Event]
    matches: Sequence[CaseMatch]


def _matches(
    published: PublishedCase, history: Sequence[Event], words: Sequence[str], reader: Reader
) -> Sequence[CaseMatch] | None:
    """Return where words stand; None where one stands nowhere."""
    if not words:
        return ()
    deal = published.deal
    versions = (
        () if deal is None else [reader.processes.get((deal.process, deal.process_version))]
    )
    texts = [*case_texts(published.case), *deal_texts(history, versions)]
    return matches(texts, words)


def _hit(found: _SearchedCase, reader: Reader) -> LibraryCase:
    case = found.published.case
    assert case.deal is not None, "its row holds"
    then = read_deal_of(case_reader(case, reader), case.deal)
    beside = found.history, found.matches
    return library_case_of(found.published, then, beside, reader.processes)


def _in_full(published: PublishedCase, reader: Reader, moment: Moment) -> dict[str, Any]:
    """Tell all of one case."""
    case, deal = published
    return {
        "then_and_now": tuple(at_moments(case, deal, reader)),
        "changes": tuple(changes_since(case, reader)),
        "study": _study(case, reader, moment),
        "study_published": _study(case, case_reader(case, reader), moment),
    }


def _study(case: CaseState, reader: Reader, moment: Moment) -> CaseStudyView | None:
    """Return the case study of a deal at a moment; None where the deal stands open then."""
    assert case.deal is not None, "its row holds"
    here = Moment.at(
        reader.read_point.as_of,
        reader.read_point.known_at,
        position=moment.position,
        revision=moment.revision,
    )
    try:
        return CaseStudy(deal=case.deal).answer(reader, here)
    except (NotFoundError, DealClosedError):
        return None


def _named(hits: Iterable[_SearchedCase], reader: Reader) -> Names:
    """Return what reasons and factors are called by the processes of the deals."""
    return named(_reasons_in(hits), reader.processes)


def _reasons_in(hits: Iterable[_SearchedCase]) -> Iterator[Meant]:
    for (case, deal), history, _ in hits:
        if deal is not None:
            factors = [factor.factor for factor in case.factors]
            for each in (deal.because, *factors, *buyer_side_of(deal, history).reasons):
                yield Meant(deal.process, deal.process_version, each)


class _CasesLayout:
    """Writes cases for people in one language and time zone."""

    def __init__(self, zone: ZoneInfo, language: Language, names: Names) -> None:
        self._zone = zone
        self._language: Language = language
        self._names = names

    def library(self, cases: Iterable[LibraryCase]) -> TableOfView:
        """Lay out the cases: a row for each."""
        columns = (
            "Case", "Deal", "Outcome", "Outcome as published", "Stage", "Reason", "Competitor",
            "Segment", "Products", "Amount", "Closed at", "Published", "For whom", "Trainings",
        )  # fmt: skip
        rows = tuple(
            (
                each.case
                + ("" if each.state == "published" else f" ({self._word('withdrawn')})"),
                short_id(each.deal),
                each.outcome or NO_VALUE,
                each.outcome_published or NO_VALUE,
                self._stage(each),
                self._reason(each.because),
                each.competitor or NO_VALUE,
                each.segment or NO_VALUE,
                ", ".join(each.products) or NO_VALUE,
                amount_text(each.amount, each.currency),
                NO_VALUE if each.closed_at is None else local_day(each.closed_at, self._zone),
                local_day(each.published_at, self._zone),
                ", ".join(word_known(one, self._language) for one in each.audience)
                or self._word("everybody"),
                ", ".join(each.trainings) or NO_VALUE,
            )
            for each in cases
        )
        words = ("Outcome", "Outcome as published")
        return TableOfView("Case library", columns, rows, words=words)

    def reopened(self, cases: Iterable[LibraryCase]) -> Iterator[str]:
        """Yield of which cases the deal is open again: no case is closed by being told of."""
        names = [each.case for each in cases if each.outcome == "open"]
        if names:
            yield say(
                "open again, since its closing was retracted or it was reopened: the deal of"
                " {cases}",
                self._language,
                cases=", ".join(names),
            )

    def summaries(self, cases: Iterable[LibraryCase]) -> TableOfView:
        """Lay out what the cases are called and about."""
        rows = tuple(
            (each.case, each.title or NO_VALUE, each.summary or each.withdrawn_because or "")
            for each in cases
            if each.title or each.summary or each.withdrawn_because
        )
        return TableOfView("Summaries", ("Case", "Title of the case", "Summary"), rows)

    def buyers(self, cases: Iterable[LibraryCase]) -> TableOfView:
        """Lay out what buyers say the deals were decided by, beside what is said of them."""
        rows = tuple(
            (
                each.case,
                ", ".join(map(self._reason, each.buyer_reasons)) or NO_VALUE,
                ", ".join(each.buyer_competitors) or NO_VALUE,
                self._reason(each.because),
                each.competitor or NO_VALUE,
            )
            for each in cases
            if each.buyer_reasons or each.buyer_competitors
        )
        columns = ("Case", "Buyer's reason", "Buyer's competitor", "Reason", "Competitor")
        return TableOfView("What the buyers say", columns, rows)

    def factors(self, cases: Iterable[LibraryCase]) -> TableOfView:
        """Lay out what people say the deals were decided by."""
        rows = tuple(
            (
                each.case,
                self._reason(factor.factor),
                factor.tendency or NO_VALUE,
                factor.text or NO_VALUE,
            )
            for each in cases
            for factor in each.factors
        )
        columns = ("Case", "Factor", "Tendency", "Text")
        return TableOfView("Factors", columns, rows, words=("Tendency",))

    def lessons(self, cases: Iterable[LibraryCase]) -> TableOfView:
        """Lay out what is to be learned."""
        rows = tuple((each.case, lesson.text) for each in cases for lesson in each.lessons)
        return TableOfView("Lessons", ("Case", "Lesson"), rows)

    def matches(self, cases: Iterable[LibraryCase]) -> TableOfView:
        """Lay out where the words stand."""
        rows = tuple(
            (
                each.case,
                ", ".join(found.words),
                kind_name(found.kind, self._language),
                found.text,
                f"{found.position:,}",
            )
            for each in cases
            for found in each.found
        )
        columns = ("Case", "Words", "Event", "Text", "Event no.")
        return TableOfView("Where the words stand", columns, rows)

    def then_and_now(self, moments: Sequence[CaseAtMoment]) -> TableOfView:
        """Lay out what was known when, a column for each moment."""
        if not moments:
            return TableOfView("", (), ())
        heads = {"at_closing": "At closing", "as_published": "As published", "now": "Now"}
        told = [self._told(each) for each in moments]
        rows = tuple((self._word(name), *(column[name] for column in told)) for name in told[0])
        columns = ("Figure", *(heads[each.known] for each in moments))
        return TableOfView("What was known when", columns, rows)

    def _told(self, each: CaseAtMoment) -> dict[str, str]:
        closed = each.closed_at
        return {
            "Happened by": local_time(each.as_of, self._zone, exact=False),
            "Known by": local_time(each.known_at, self._zone, exact=False),
            "Outcome": self._word(each.outcome or "nothing known"),
            "Closed at": NO_VALUE if closed is None else local_day(closed, self._zone),
            "Stage": self._stage(each),
            "Reason": self._reason(each.because),
            "Lost to": each.competitor or NO_VALUE,
            "Amount": amount_text(each.amount, each.currency),
            "Owner": each.owner or NO_VALUE,
            "Events": f"{each.events:,}",
            "Activities": f"{each.contacts:,}",
            "Offers sent": f"{each.offers:,}",
            "Objections": f"{each.objections:,}",
            "Competitors": f"{each.competitors:,}",
        }

    def changes(self, changes: Iterable[CaseChange]) -> TableOfView:
        """Lay out the facts that what is known now differs by."""
        rows = tuple(
            (
                self._word(key_text(each.change, "en")),
                local_time(each.occurred_at, self._zone, exact=False),
                local_time(each.recorded_at, self._zone, exact=False),
                kind_name(each.kind, self._language),
                each.actor or NO_VALUE,
                f"{each.position:,}",
            )
            for each in changes
        )
        columns = ("Change", "Occurred", "Recorded", "Event", "Actor", "Event no.")
        return TableOfView("Known since the case was published", columns, rows)

    def _stage(self, row: LibraryCase | CaseAtMoment) -> str:
        return (row.stage_zh if self._language == "zh" else row.stage_en) or NO_VALUE

    def _reason(self, key: str | None) -> str:
        return self._names.label(key, self._language) if key else NO_VALUE

    def _word(self, word: str) -> str:
        return in_language(word, self._language)
