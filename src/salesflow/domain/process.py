"""Sales processes: the stages a deal passes, in versions that never change.

`ProcessVersion` is the value a deal names by key and version; `SalesProcess` is the aggregate
that publishes them. A published version can be retired but never changed or retracted, so the
meaning of old deals stays what it was. Exit criteria are a closed set a machine can check on
a deal; the checking itself is the deal's.
"""

from collections.abc import Mapping, Set
from functools import cached_property, lru_cache, reduce
from operator import add
from typing import Annotated, ClassVar, Final, Literal, Self, TypeVar, assert_never, get_args
from uuid import UUID, uuid5

from pydantic import AfterValidator, Field, Strict, model_validator

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import EMPTY, OpenedState, with_item, with_member
from salesflow.domain.time import Instant
from salesflow.domain.values import (
    Flag,
    Key,
    Number,
    Reason,
    Reference,
    SafeText,
    Share,
    TextMark,
    Value,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, RuleError

__all__ = [
    "CRITERIA",
    "OUTCOME_OF_CATEGORY",
    "TASK_COMPLETED",
    "WIN_RATE",
    "Category",
    "Criterion",
    "ForecastCategory",
    "Label",
    "Outcome",
    "ProcessFact",
    "ProcessPublished",
    "ProcessRetired",
    "ProcessVersion",
    "SalesProcess",
    "Stage",
    "StageKpi",
    "VersionNumber",
    "ensure_alike",
    "process_id",
    "win_rate_of",
]


Category = Literal["open", "won", "after_sales", "lost", "disqualified"]
ForecastCategory = Literal["pipeline", "best_case", "commit", "closed", "omitted"]
Outcome = Literal["open", "won", "lost", "disqualified"]
NumberT = TypeVar("NumberT")
"""Of numbers, or of columns of them."""

WIN_RATE: Final[dict[Outcome, bool]] = {"won": True, "lost": False}
"""The outcomes that count in every win rate, and whether each of them is a win.

What was disqualified never was a chance. Factors of won and lost deals are stored: where this
changes, raise the revision of the fold `factor`.
"""


def win_rate_of(sums: Mapping[str, NumberT], nothing: NumberT) -> tuple[NumberT, NumberT]:
    """Return what was won and all that counts in a win rate, of counts or sums by outcome.

    They may be columns of many. `nothing` stands for an outcome that is not there.
    """
    won = [sums.get(outcome, nothing) for outcome, is_win in WIN_RATE.items() if is_win]
    counted = [sums.get(outcome, nothing) for outcome in WIN_RATE]
    return reduce(add, won, nothing), reduce(add, counted, nothing)


OUTCOME_OF_CATEGORY: Final[Mapping[Category, Outcome]] = {
    "won": "won",
    "lost": "lost",
    "disqualified": "disqualified",
}
"""Stage categories whose entering is an outcome; only imported processes have such stages."""

PROCESSES = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a01")
TASK_COMPLETED: Final = "task_completed:"

CRITERIA: Final[Mapping[str, tuple[str, str]]] = {
    "contact_logged": ("a contact was logged", "已有跟进记录"),
    "customer_answered": ("the customer answered", "客户已回应"),
    "customer_named": ("the customer is named", "已确定客户"),
    "intent_stated": ("purchase intent is stated", "已明确购买意向"),
    "need_identified": ("a need is identified", "已确认需求"),
    "budget_confirmed": ("the budget is confirmed", "已确认预算"),
    "decision_process_mapped": ("the decision process is mapped", "已了解购买决策过程"),
    "solution_proposed": ("a solution was proposed", "已提出解决方案"),
    "amount_known": ("the amount is known", "已有预计金额"),
    "expected_close_known": ("the expected close date is known", "已有预计成交日期"),
    "quote_issued": ("a quote was issued", "已发出报价"),
    "quote_accepted": ("a quote was accepted", "报价已被接受"),
    "terms_agreed": ("contract terms are agreed", "已商定合同条款"),
    "objections_resolved": ("no objection is open", "疑虑已解决"),
}
"""Every criterion in English and Chinese, besides `task_completed:<task>`. It may only grow."""


def _known_criterion(criterion: str) -> str:
    if criterion in CRITERIA or criterion.removeprefix(TASK_COMPLETED) not in {criterion, ""}:
        return criterion
    raise ValueError(
        Message(
            "{criterion} is not an exit criterion; there are {known} and {prefix}<task>",
            criterion=quoted(criterion),
            known=", ".join(CRITERIA),
            prefix=TASK_COMPLETED,
        )
    )


Criterion = Annotated[Reference, AfterValidator(_known_criterion), TextMark(personal=False)]
"""What must be true to move a deal forward: a key of CRITERIA or `task_completed:<task>`."""


VersionNumber = Annotated[int, Strict(), Field(ge=1, lt=2**31)]


class Label(Value):
    """A thing of a process by its key, with a name in English and in Chinese."""

    key: Key
    name_en: SafeText
    name_zh: SafeText

    def name(self, language: str = "en") -> str:
        """Return its name in English (`en`) or Chinese (`zh`)."""
        return self.name_zh if language == "zh" else self.name_en


class StageKpi(Value):
    """A figure watched in a stage, and the target it should reach."""

    metric: Key
    target: Number | None = None


class Stage(Label):
    """One step of a process; what it takes to leave it, and how long it should take."""

    category: Category = "open"
    probability: Share
    """Of winning a deal that stands here."""
    forecast_category: ForecastCategory = "pipeline"
    exit_criteria: tuple[Criterion, ...] = ()
    tasks: tuple[Label, ...] = ()
    kpis: tuple[StageKpi, ...] = ()
    max_days: Annotated[int, Strict(), Field(ge=1, le=36_500)] | None = None
    """A deal that stands here for longer is stalled."""


class OpenUnlessKnown(dict[str, Category]):
    """Categories of stages by their key."""

    def __missing__(self, _: str) -> Category:
        return "open"


class ProcessVersion(Label):
    """One immutable version of a sales process; its stages stand in order.

    Raises:
        InputError: when stages, tasks or loss reasons share a key, no stage is open, the
            qualifying stage is not an open stage, or a criterion names an unknown task.
    """

    version: VersionNumber = 1
    stages: tuple[Stage, ...]
    loss_reasons: tuple[Label, ...] = ()
    """The closed list of reasons to lose a deal; any reason will do when it is empty."""
    qualifying_stage: Key | None = None
    """From this stage on an open deal counts for sales velocity."""
    skipping_allowed: Flag = True
    returning_allowed: Flag = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        tasks = [task.key for stage in self.stages for task in stage.tasks]
        _ensure_distinct(
            "two stages of the process share the key {key}",
            [stage.key for stage in self.stages],
        )
        _ensure_distinct("two tasks of the process share the key {key}", tasks)
        _ensure_distinct(
            "two loss reasons of the process share the key {key}",
            [reason.key for reason in self.loss_reasons],
        )
        open_keys = {stage.key for stage in self.stages if stage.category == "open"}
        if not open_keys:
            raise ValueError(Message("a process needs at least one open stage"))
        if self.qualifying_stage is not None and self.qualifying_stage not in open_keys:
            raise ValueError(
                Message(
                    "the qualifying stage {stage} is not one of its open stages",
                    stage=repr(self.qualifying_stage),
                )
            )
        for stage in self.stages:
            for criterion in stage.exit_criteria:
                task = criterion.removeprefix(TASK_COMPLETED)
                if task != criterion and task not in tasks:
                    raise ValueError(
                        Message(
                            "{stage} asks for {task}, which is no task of it",
                            stage=stage.key,
                            task=quoted(task),
                        )
                    )
        return self

    @cached_property
    def by_key(self) -> Mapping[str, Stage]:
        """The stages by their key."""
        return {stage.key: stage for stage in self.stages}

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each stage in the process, from 0."""
        return {stage.key: place for place, stage in enumerate(self.stages)}

    @cached_property
    def categories(self) -> Mapping[str, Category]:
        """The category of each stage; one that this version does not know counts as open."""
        return OpenUnlessKnown({stage.key: stage.category for stage in self.stages})

    @cached_property
    def open_stages(self) -> tuple[Stage, ...]:
        """The stages a deal passes while it is open, in order."""
        return tuple(stage for stage in self.stages if stage.category == "open")

    def stage(self, key: str) -> Stage:
        """Return a stage by its key.

        Raises:
            InputError: when this version has no such stage.
        """
        found = self.by_key.get(key)
        if found is None:
            raise InputError(
                f"process {self.key!r} version {self.version} has no stage"
                f" {quoted(key)}; it has {', '.join(self.by_key)}"
            )
        return found

    def order(self, key: str) -> int:
        """Return the place of a stage in the process, from 0; -1 for an unknown one."""
        return self.places.get(key, -1)

    def steps(self, key: str, target: str) -> int:
        """Return how many places a stage lies behind another one; less than 0 before it."""
        places = self.places
        return places.get(target, -1) - places.get(key, -1)

    def is_qualifying(self, key: str) -> bool:
        """Return whether open deals in a stage count for sales velocity."""
        qualifying = self.qualifying_stage
        return qualifying is None or self.order(key) >= self.order(qualifying)

    def next_open(self, key: str) -> Stage | None:
        """Return the open stage that follows; None behind the last."""
        here, places = self.order(key), self.places
        return next((s for s in self.open_stages if places[s.key] > here), None)

    def first_of(self, *categories: Category) -> Stage | None:
        """Return the first stage of the first category that has one."""
        for category in categories:
            for stage in self.stages:
                if stage.category == category:
                    return stage
        return None

    def criterion_name(self, criterion: str, language: str = "en") -> str:
        """Return the name of a criterion in English (`en`) or Chinese (`zh`)."""
        zh = language == "zh"
        if criterion in CRITERIA:
            return CRITERIA[criterion][zh]
        key = criterion.removeprefix(TASK_COMPLETED)
        tasks = {task.key: task for stage in self.stages for task in stage.tasks}
        task = tasks[key].name(language) if key in tasks else key
        return f"任务已完成：{task}" if zh else f"task done: {task}"


def _ensure_distinct(message: str, keys: list[str]) -> None:
    twins = sorted({key for key in keys if keys.count(key) > 1})
    if twins:
        raise ValueError(Message(message, key=repr(twins[0])))


class ProcessPublished(Fact):
    """A version of a sales process became available; deals may be opened under it."""

    kind: ClassVar[str] = "process.published"
    name_zh: ClassVar[str] = "流程发布"
    is_opening: ClassVar[bool] = True
    is_cached: ClassVar[bool] = True
    retraction_error: ClassVar[str | None] = (
        "a published version cannot be retracted, deals may stand on it; retire it instead"
    )
    process: ProcessVersion


class ProcessRetired(Fact):
    """No new deal should be opened under this version; deals that stand on it stay."""

    kind: ClassVar[str] = "process.retired"
    name_zh: ClassVar[str] = "流程停用"
    process_version: VersionNumber
    because: Reason | None = None


ProcessFact = ProcessPublished | ProcessRetired


class SalesProcessState(OpenedState):
    """The versions of a sales process by now."""

    versions: Mapping[int, ProcessVersion] = EMPTY
    retired: Set[int] = frozenset()

    @property
    def latest(self) -> ProcessVersion:
        """The version published last."""
        return self.versions[max(self.versions)]

    @property
    def in_use(self) -> tuple[ProcessVersion, ...]:
        """The versions that new deals are opened under, the newest last."""
        return tuple(self.versions[n] for n in sorted(self.versions) if n not in self.retired)

    def _change(self, event: Event, _: Event) -> Message | None:
        fact: ProcessFact = event.fact  # type: ignore[assignment]
        match fact:
            case ProcessPublished(process=process):
                if process.version in self.versions:
                    return Message(
                        "version {version} was published before", version=process.version
                    )
                self.versions = with_item(self.versions, process.version, process)
            case ProcessRetired():
                self.retired = with_member(self.retired, fact.process_version)
            case _:
                assert_never(fact)
        return None


class SalesProcess(Aggregate, SalesProcessState):
    """A sales process by its key, and the versions published of it."""

    noun: ClassVar[str] = "sales process"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(ProcessFact)

    @classmethod
    def publish(cls, process: ProcessVersion, *, occurred_at: OccurredAt = None) -> Self:
        """Publish the first version of a new process; deals of the past may name it too."""
        self = cls.new(process_id(process.key))
        self._record(ProcessPublished(process=process), occurred_at)
        return self

    def publish_version(
        self, process: ProcessVersion, *, occurred_at: OccurredAt = None
    ) -> None:
        """Publish the next version; deals under older versions stay there until migrated."""
        if process.key != self.latest.key:
            raise InputError(f"{process.key!r} is not a version of {self.latest.key!r}")
        if process.version <= self.latest.version:
            raise RuleError(
                f"process {process.key!r} has published version {self.latest.version};"
                f" {process.version} cannot follow it; write {self.latest.version + 1} as its"
                " version"
            )
        self._record(ProcessPublished(process=process), occurred_at)

    def retire(self, version: int, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Take a version out of use for new deals."""
        then = self._at(occurred_at)
        if version not in then.versions:
            raise RuleError(f"version {version} of {self.latest.key!r} was never published")
        if version in then.retired:
            raise RuleError(f"version {version} of {self.latest.key!r} is retired already")
        require_reason(because, "taking a version out of use")
        self._record(ProcessRetired(process_version=version, because=because), occurred_at)

    def ensure_in_use(self, version: int, occurred: Instant | None) -> None:
        """Refuse a new deal under a version that was out of use by then (None: by now).

        Raises:
            RuleError: naming the versions that are in use.
        """
        if version not in self.retired or not any(
            isinstance(event.fact, ProcessRetired)
            and event.fact.process_version == version
            and (occurred is None or event.effective <= occurred)
            for event in self._history
        ):
            return
        left = ", ".join(str(process.version) for process in self.in_use)
        raise RuleError(
            f"version {version} of process {self.latest.key!r} is retired; no new deal is"
            f" opened under it{f', in use: {left}' if left else ''}"
        )


@lru_cache(maxsize=1024)
def process_id(key: str) -> UUID:
    """Return the stream id of a process; the same key is the same process everywhere."""
    return uuid5(PROCESSES, key)


def ensure_alike(version: ProcessVersion, published: ProcessVersion | None) -> None:
    """Refuse a version that is published as something else.

    Raises:
        InputError: when its stages or rules differ from those published.
    """
    if published is not None and published != version:
        raise InputError(
            f"process {version.key!r} version {version.version} is published as something else;"
            " publish yours as a new version"
        )
