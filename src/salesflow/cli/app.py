"""The command line put together: the first word, its options and what it lists."""

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version as version_of
from importlib.util import find_spec
from inspect import cleandoc
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.cli.imports.command_table import EXPORTS, IMPORTS, MadeCommand
from salesflow.errors import InputError
from salesflow.projections.homes import QUESTION_HOMES, question_homes

__all__ = [
    "COMMANDS",
    "CommandGroup",
    "CommandHome",
    "LazyGroup",
    "ThingCommand",
    "app",
    "call",
    "installed",
]


# Every command there is and where it lives; each is loaded when it is called, not before.
#
# A list of commands is shown with the first sentence of each one's docstring, read from its
# source, so that `salesflow --help` loads neither the engine nor a database. To add a command,
# write a function `@with_context` in a module of this package and name it here. Those of
# systems and event logs are a line each in `imports.command_table`.

HOME: Final = "salesflow.cli."


class ThingCommand(NamedTuple):
    """A command of an aggregate, or one that lists, shows or tells of things of its kind."""

    home: str
    """Module and class of the aggregate."""
    method: str
    """The command of the aggregate, or one of `ABOUT`."""
    prepared: str = ""
    """Where it says what completes what was typed, by what the engine answers."""


ABOUT: Final = {
    "list": "List those there are, as of any moment.",
    "show": "Show how one stood at a moment.",
    "history": "List every event of one: when, by whom and what.",
}
"""Commands that are there for all things with a key, and what they do."""


class CommandGroup(NamedTuple):
    """Commands under one word: functions and questions by their homes, or further groups."""

    help: str
    commands: "Mapping[str, CommandHome]"


CommandHome: TypeAlias = str | ThingCommand | MadeCommand | CommandGroup
"""Where a command lives, or what it is made of."""


def _of(home: str, *methods: str) -> dict[str, ThingCommand]:
    """Name commands of an aggregate as its methods are called, with hyphens."""
    return {each.replace("_", "-"): ThingCommand(home, each) for each in methods}


def _in(module: str, *functions: str) -> dict[str, str]:
    """Name commands of a module as its functions are called."""
    return {each: f"{HOME}{module}:{each}" for each in functions}


DOMAIN: Final = "salesflow.domain."
DEAL: Final = f"{DOMAIN}deal:Deal"
CUSTOMER: Final = f"{DOMAIN}customer:Customer"
TEAM: Final = f"{DOMAIN}team:Team"
REP: Final = f"{DOMAIN}rep:Rep"
PROCESS: Final = f"{DOMAIN}process:SalesProcess"
TRAINING: Final = f"{DOMAIN}training:Training"
GOAL: Final = f"{DOMAIN}goal:Goal"
FIGURES: Final = f"{DOMAIN}figures:Figures"
PLAN: Final = f"{DOMAIN}incentive_plan:IncentivePlan"
STATEMENT: Final = f"{DOMAIN}statement:Statement"
CONTEST: Final = f"{DOMAIN}contest:Contest"
EVIDENCE: Final = f"{HOME}recording.evidence"
GOALS: Final = f"{HOME}recording.goals"
REVIEWS: Final = f"{HOME}recording.reviews"
DUE: Final = f"{REVIEWS}:DUE"
FEEDBACK: Final = f"{HOME}recording.feedback:FEEDBACK_RECEIVED"
ASSIGNED: Final = f"{HOME}recording.trainings:TRAINING_ASSIGNED"
COMPLETED: Final = f"{HOME}recording.trainings:TRAINING_COMPLETED"
SALES: Final = f"{HOME}recording.sale_notes"
REVIEW: Final = f"{DOMAIN}review:Review"
CASE: Final = f"{DOMAIN}case:Case"
IMPROVEMENT: Final = f"{DOMAIN}improvement:Improvement"
ALERT: Final = f"{DOMAIN}alert:Alert"
PEOPLE_CHANGED: Final = f"{SALES}:PEOPLE_CHANGED"
PEOPLE: Final = f"{HOME}recording.people_notes"
GRANTED: Final = f"{PEOPLE}:AWARD_GRANTED"
WATCHED: Final = f"{HOME}recording.alert:WATCHED"
IMPROVED: Final = f"{HOME}recording.improvement:IMPROVED"


ASK: Final = CommandGroup("Ask a question at any past moment.", QUESTION_HOMES)

COMMANDS: Final = CommandGroup(
    "Record what happened, ask as of any moment: an event-sourced sales process engine.",
    {
        "demo": f"{HOME}demo:demo",
        "import": CommandGroup(
            "Import what another system recorded.",
            {
                "table": f"{HOME}imports.commands:table",
                **IMPORTS,
                "rates": f"{HOME}imports.rates:import_file",
                "ecb": f"{HOME}imports.rates:import_ecb",
            },
        ),
        "pull": CommandGroup(
            "Fetch an export from the interface of a system into a folder.",
            _in("imports.pulls", "zoho", "fxiaoke"),
        ),
        "export": CommandGroup(
            "Export the log, read tables and histories for other tools.",
            {
                "log": f"{HOME}exports.log:export_log",
                "tables": f"{HOME}exports.tables:export_tables",
                "lake": f"{HOME}admin.lake:export",
                **EXPORTS,
            },
        ),
        "ask": ASK,
        "deal": CommandGroup(
            "Look at deals at any past moment, and record what happens to one.",
            {
                "list": QUESTION_HOMES["deals"],
                **_in("deal.commands", "show", "history"),
                "replay": f"{HOME}deal.commands:replay_deal",
                **_of(
                    DEAL,
                    *("open", "assign_owner", "change_customer", "log_contact"),
                    *("state_intent", "identify_need", "confirm_budget"),
                    *("map_decision_process", "propose_solution", "complete_task"),
                    *("advance", "advance_to", "return_to", "forecast", "agree_line_items"),
                    *("draft_quote", "issue_quote", "revise_quote", "accept_quote"),
                    *("reject_quote", "withdraw_quote", "expire_quote"),
                    *("agree_terms", "raise_objection", "resolve_objection"),
                    *("name_competitor", "add_collaborator", "remove_collaborator"),
                    *("post_message", "hold_meeting", "request_help", "give_help"),
                    *("hand_over", "acknowledge_handover", "identify_committee_member"),
                    *("observe_stance", "remove_committee_member"),
                    *("win", "lose", "disqualify", "reopen", "amend_contract"),
                    *("issue_invoice", "receive_payment", "give_refund", "deliver_service"),
                    *("place_repeat_order", "send_survey", "tag_feedback"),
                    *("follow_up_feedback", "hold_interview"),
                    *("migrate", "merge_into", "unmerge_from"),
                ),
                "receive-feedback": ThingCommand(DEAL, "receive_feedback", FEEDBACK),
                # Those of which more is said once they are recorded.
                "assign-owner": ThingCommand(DEAL, "assign_owner", PEOPLE_CHANGED),
                "add-collaborator": ThingCommand(DEAL, "add_collaborator", PEOPLE_CHANGED),
                "remove-collaborator": ThingCommand(
                    DEAL, "remove_collaborator", PEOPLE_CHANGED
                ),
                "win": ThingCommand(DEAL, "win", f"{SALES}:SOLD"),
                "amend-contract": ThingCommand(DEAL, "amend_contract", f"{SALES}:SOLD"),
                "issue-invoice": ThingCommand(DEAL, "issue_invoice", f"{SALES}:INVOICED"),
                "receive-payment": ThingCommand(
                    DEAL, "receive_payment", f"{SALES}:MONEY_RECEIVED"
                ),
                "give-refund": ThingCommand(DEAL, "give_refund", f"{SALES}:REFUND_GIVEN"),
            },
        ),
        "customer": CommandGroup(
            "Look at customers, and record what becomes known of one.",
            _of(
                CUSTOMER,
                *(*ABOUT, "register", "qualify", "mark_loyal"),
                *("add_person", "update_person", "erase_person", "merge_into", "unmerge"),
            ),
        ),
        "team": CommandGroup(
            "Teams of reps.",
            _of(TEAM, *ABOUT, "form", "rename", "appoint_lead", "release_lead"),
        ),
        "rep": CommandGroup(
            "Reps: the teams they are in, and how they develop.",
            {
                **_of(REP, *ABOUT, "join", "move", "leave", "rejoin", "promote"),
                **_of(REP, "agree_career_plan"),
                "assess-skill": ThingCommand(REP, "assess_skill", f"{PEOPLE}:SKILL_ASSESSED"),
                "grant-award": ThingCommand(REP, "grant_award", GRANTED),
                "assign-training": ThingCommand(REP, "assign_training", ASSIGNED),
                "complete-training": ThingCommand(REP, "complete_training", COMPLETED),
            },
        ),
        "training": CommandGroup(
            "Trainings: what is offered, to whom it is assigned, who completed it.",
            {
                **_of(TRAINING, *ABOUT, "offer", "revise", "retire"),
                "assign": ThingCommand(REP, "assign_training", ASSIGNED),
                "complete": ThingCommand(REP, "complete_training", COMPLETED),
            },
        ),
        "goal": CommandGroup(
            "Goals: set them, check in, revise them.",
            {
                **_of(GOAL, *ABOUT),
                "set": ThingCommand(GOAL, "set", f"{GOALS}:GOAL_SET"),
                "revise": ThingCommand(GOAL, "revise", f"{GOALS}:GOAL_REVISED"),
                **_of(GOAL, "lock", "check_in", "abandon"),
            },
        ),
        "figure": CommandGroup(
            "Figures from outside, such as a market share.",
            {
                "list": f"{HOME}recording.listings:list_figures",
                "show": f"{HOME}recording.listings:show_figure",
                "history": f"{HOME}recording.listings:figure_history",
                "report": ThingCommand(FIGURES, "report", f"{GOALS}:FIGURE_REPORTED"),
            },
        ),
        "plan": CommandGroup(
            "Incentive plans: what reps are paid for.",
            {
                **_of(PLAN, *ABOUT, "publish", "supersede", "retire"),
                "acknowledge": ThingCommand(PLAN, "acknowledge", f"{PEOPLE}:PLAN_ACKNOWLEDGED"),
            },
        ),
        "statement": CommandGroup(
            "Commission statements: issued, disputed, corrected.",
            {
                **_of(STATEMENT, *ABOUT),
                "issue": ThingCommand(STATEMENT, "issue", f"{EVIDENCE}:STATEMENT_ISSUED"),
                **_of(STATEMENT, "dispute", "dispute_missing_sale", "answer_dispute"),
                "correct": ThingCommand(STATEMENT, "correct", f"{PEOPLE}:STATEMENT_CORRECTED"),
            },
        ),
        "contest": CommandGroup(
            "Contests over a metric and a period.",
            {
                **_of(CONTEST, *ABOUT),
                "open": ThingCommand(CONTEST, "open", f"{PEOPLE}:CONTEST_OPENED"),
                "decide": ThingCommand(CONTEST, "decide", f"{EVIDENCE}:CONTEST_DECIDED"),
            },
        ),
        "award": CommandGroup(
            "Awards that are no money.",
            {
                "list": f"{HOME}recording.listings:list_awards",
                "grant": ThingCommand(REP, "grant_award", GRANTED),
            },
        ),
        "review": CommandGroup(
            "Reviews: figures fixed at a moment, findings, actions.",
            {
                **_of(REVIEW, *ABOUT),
                "open": ThingCommand(REVIEW, "open", f"{REVIEWS}:REVIEW_OPENED"),
                **_of(REVIEW, "record_finding"),
                "agree-action": ThingCommand(REVIEW, "agree_action", DUE),
                **_of(REVIEW, "complete_action", "drop_action"),
                "carry-over-action": ThingCommand(REVIEW, "carry_over_action", DUE),
                "close": ThingCommand(REVIEW, "close_review"),
            },
        ),
        "case": CommandGroup(
            "Won and lost cases to learn from.",
            {
                **_of(CASE, *ABOUT),
                "publish": ThingCommand(CASE, "publish", f"{REVIEWS}:CASE_PUBLISHED"),
                **_of(CASE, "note_factor", "note_lesson", "address", "link", "withdraw"),
            },
        ),
        "improvement": CommandGroup(
            "Changes of process or strategy that are tried.",
            {
                **_of(IMPROVEMENT, *ABOUT),
                "propose": ThingCommand(IMPROVEMENT, "propose", IMPROVED),
                "correct": ThingCommand(IMPROVEMENT, "correct", IMPROVED),
                **_of(IMPROVEMENT, "stagger", "start", "conclude"),
            },
        ),
        "alert": CommandGroup(
            "Alerts over figures of questions; `ask alerts` says what is raised.",
            {
                **_of(ALERT, *ABOUT, "retire"),
                "define": ThingCommand(ALERT, "define", WATCHED),
                "revise": ThingCommand(ALERT, "revise", WATCHED),
                "evaluate": f"{HOME}recording.alert:evaluate",
            },
        ),
        "outbox": CommandGroup(
            "Tell other systems of what is recorded, and of what changed.",
            {
                **_in("outbox.commands", "deliver", "status"),
                "list": f"{HOME}outbox.commands:list_waiting",
                **_in("outbox.commands", "dead", "resend", "skip"),
                **_in("outbox.forgetting", "forget"),
                **_in("outbox.reports", "report", "reports", "due"),
            },
        ),
        "log": f"{HOME}admin.log:log",
        "check": f"{HOME}admin.check:check",
        **_in("admin.status", "status", "rebuild", "backup"),
        **_in("exports.log", "restore", "digest"),
        **_in("admin.project", "project", "sql"),
        "upgrade": f"{HOME}admin.lake:upgrade",
        "retract": f"{HOME}admin.retract:retract",
        "clock": CommandGroup("The clock behind the log.", _in("admin.status", "accept")),
        "process": CommandGroup(
            "The published sales processes.",
            {
                "list": f"{HOME}admin.process:list_processes",
                "show": f"{HOME}admin.process:show_process",
                **_of(PROCESS, "history", "publish", "publish_version", "retire"),
            },
        ),
        "rates": CommandGroup(
            "Exchange rates, for reports in one currency.",
            {
                "publish": f"{HOME}imports.rates:publish",
                "list": f"{HOME}imports.rates:list_rates",
            },
        ),
        "version": f"{HOME}admin.status:version",
    },
)


class LazyGroup(TyperGroup):
    """A group that lists its commands without loading them."""

    group: CommandGroup = COMMANDS

    def __init__(self, **named: Any) -> None:  # noqa: ANN401 - as Typer
        super().__init__(**named)
        self.commands = {name: _Listed(name, home) for name, home in self._listed().items()}

    def _listed(self) -> Mapping[str, CommandHome]:
        return question_homes() if self.group is ASK else self.group.commands

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401 - a private class of Typer
        args: list[str],
    ) -> tuple[str | None, Any, list[str]]:
        """Load the command that is called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _loaded(name, self._listed()[name]) if name else command, rest


REQUIRED: Final = re.compile(r"\[(?!OPTIONS)[A-Z_]+\]")
"""How an argument is written that need not be typed."""


BELOW_NOTHING: Final = re.compile(r"-\.?[0-9]").match
"""Whether what is typed is a number below 0, and no option: none begins with a digit."""


class OneValueEach(TyperCommand):
    """A command that refuses an option which takes one value and is given several."""

    def collect_usage_pieces(
        self,
        ctx: Any,  # noqa: ANN401 - a private class of Typer
    ) -> list[str]:
        """Write what is typed, or else stands in a file of input, as what is required."""
        pieces = super().collect_usage_pieces(ctx)
        if all(each.name != "input_file" for each in self.params):
            return pieces
        return [f"{{{each[1:-1]}}}" if REQUIRED.fullmatch(each) else each for each in pieces]

    def parse_args(
        self,
        ctx: Any,  # noqa: ANN401 - a private class of Typer
        args: list[str],
    ) -> list[str]:
        """Count the options before they are read: of several values the last would win.

        A number below 0 where an argument stands, as in `statement correct … -500`, is one.
        """
        args = _with_numbers(args, self.params)
        _, _, given = self.make_parser(ctx).parse_args([*args])
        for option, times in Counter(map(_flag_of, given)).items():
            if option and times > 1:
                often = "twice" if times == 2 else f"{times:,} times"
                raise InputError(f"{option} is given {often} and takes one value; give it once")
        return super().parse_args(ctx, args)


def _with_numbers(args: Sequence[str], parameters: Sequence[object]) -> list[str]:
    """Let numbers below 0 be arguments and no options: all arguments are put behind a `--`.

    What follows an option that takes a value is its value, whatever it begins with.
    """
    valued = {
        flag
        for each in parameters
        if isinstance(each, TyperOption) and not each.is_flag
        for flag in each.opts
    }
    options: list[str] = []
    arguments: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            arguments += rest
        elif arg.startswith("-") and len(arg) > 1 and not BELOW_NOTHING(arg):
            options.append(arg)
            if arg in valued:
                options += islice(rest, 1)
        else:
            arguments.append(arg)
    return [*options, "--", *arguments] if any(map(BELOW_NOTHING, arguments)) else [*args]


def _flag_of(parameter: object) -> str:
    """Name an option that takes one value; nothing for flags, arguments and lists."""
    if not isinstance(parameter, TyperOption) or parameter.multiple or parameter.is_flag:
        return ""
    return parameter.opts[-1]


class _Listed(TyperCommand):
    """A command as it stands in a list: a name, and a help that is read when it is shown."""

    def __init__(self, name: str, home: CommandHome) -> None:
        super().__init__(name)
        self._home = home

    @property
    def help(self) -> str:
        if isinstance(self._home, CommandGroup | MadeCommand):
            return self._home.help
        if isinstance(self._home, ThingCommand):
            return _help_of_thing(self._home)
        return _help_of(self._home)

    @help.setter
    def help(self, _: str | None) -> None:
        """Let Typer set what is read anyway."""


@cache
def _help_of(home: str) -> str:
    """Read the docstring of a function or class from its source, without loading it.

    Where an installed package hands in what is not written down there, its home is named.
    """
    module, _, name = home.partition(":")
    try:
        spec = find_spec(module)
    except ImportError:
        spec = None
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return cleandoc(ast.get_docstring(node) or "")
    return f"Is handed in as {home}."


def _help_of_thing(command: ThingCommand) -> str:
    """Read the docstring of a command of an aggregate, which a base of it may hold."""
    if command.method in ABOUT:
        return ABOUT[command.method]
    from salesflow.cli.recording.helps import help_text

    module, _, name = command.home.partition(":")
    classes: dict[str, ast.ClassDef] = {}
    for more in _classes_near(module):
        classes |= more
        found = _method(classes, name, command.method)
        if found is not None:
            return help_text(ast.get_docstring(found) or "")
    return f"Is a command of {command.home}."


@cache
def _classes_near(module: str) -> list[dict[str, ast.ClassDef]]:
    """Read the classes of a module from its source, then those of the modules beside it."""
    file = Path(str(getattr(find_spec(module), "origin", "")))
    bodies = (
        ast.parse(each.read_text(encoding="utf-8")).body
        for each in (file, *sorted(file.parent.glob("*.py")))
    )
    return [{n.name: n for n in body if isinstance(n, ast.ClassDef)} for body in bodies]


def _method(
    classes: Mapping[str, ast.ClassDef], name: str, method: str
) -> ast.FunctionDef | None:
    """Find a method of a class, or of the bases that are known."""
    if name not in classes:
        return None
    for node in classes[name].body:
        if isinstance(node, ast.FunctionDef) and node.name == method:
            return node
    bases = (base.id for base in classes[name].bases if isinstance(base, ast.Name))
    found = (_method(classes, base, method) for base in bases)
    return next((each for each in found if each is not None), None)


def _loaded(name: str, home: CommandHome) -> Any:  # noqa: ANN401 - a private class of Typer
    if isinstance(home, CommandGroup):
        return _group(name, home)
    found = _at_home(name, home) if isinstance(home, str) else _made(name, home)
    if isinstance(found, type):
        from salesflow.cli.ask import command_of

        found = command_of(found)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name, cls=OneValueEach)(found)
    return get_command(alone)


def _at_home(name: str, home: str) -> Any:  # noqa: ANN401 - whatever is there
    module, _, attribute = home.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name}, which is {home}, cannot be loaded: {error}") from error


def _made(name: str, home: ThingCommand | MadeCommand) -> Any:  # noqa: ANN401 - as Typer takes it
    """Make the command of an aggregate, or of a system or a format."""
    if isinstance(home, MadeCommand):
        made = _at_home(name, home.maker)(home.of)
        made.__doc__ = home.help
        return made
    from salesflow.cli.recording.commands import command_of_aggregate
    from salesflow.cli.recording.things import command_about

    kind = _at_home(home.method, home.home)
    if home.method in ABOUT:
        return command_about(kind, home.method, ABOUT[home.method])
    prepared = _at_home(home.method, home.prepared) if home.prepared else None
    return command_of_aggregate(kind, home.method, prepared)


def _group(name: str, group: CommandGroup) -> LazyGroup:
    cls = type("LazyGroup", (LazyGroup,), {"group": group})
    made: LazyGroup = cls(name=name, help=group.help, no_args_is_help=True)
    return made


app = typer.Typer(
    name="salesflow",
    cls=LazyGroup,
    help=COMMANDS.help,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def call(arguments: Sequence[str]) -> object:
    """Run one command line, and return its exit code or what its command returned.

    Raises:
        typer.TyperException: when it is used wrongly.
    """
    return get_command(app).main([*arguments], prog_name="salesflow", standalone_mode=False)


def installed() -> str:
    """Say the version installed, and the schema it writes."""
    return f"salesflow {version_of('salesflow')} (schema {SCHEMA_VERSION})"


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(installed())
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version."),
]


@app.callback()
def root(*, version: Version = False) -> None:
    """Take what stands before the first command."""
    del version
