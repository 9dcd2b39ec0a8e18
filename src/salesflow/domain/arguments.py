"""Arguments of public methods: what is given in a wrong type is an InputError that names it.

Commands and methods say by their annotations what they take. They are not checked on the way
in, which would cost every command; when one fails with an error of Python's own, its arguments
are looked at, and the one that it does not take, or that is of a wrong type, is named. Where
none is wrong the error stays what it was, since then the fault is not the caller's.
"""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import wraps
from itertools import islice
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin
from uuid import UUID

from salesflow.domain.alike_names import perhaps
from salesflow.domain.values import shown
from salesflow.domain.wording import MONEY, shortened
from salesflow.errors import ArgumentError, InputError, SalesflowError

__all__ = [
    "called",
    "ensure_callable",
    "ensure_id",
    "ensure_time",
    "guarded",
    "guarded_host",
    "internal",
    "miscalled",
    "require_reason",
    "wrong_argument",
]


ClassT = TypeVar("ClassT", bound=type)
MethodT = TypeVar("MethodT", bound=Callable[..., object])
ReturnT = TypeVar("ReturnT")

ACTS = "and acts before it returns; pass a plain function (def)"
PROMISING = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)
"""Functions that do nothing when called, unless somebody goes on with what they give."""

RAW = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, OSError)
"""What Python itself says of values it cannot work with."""

OUT_OF_BOUNDS = (ArithmeticError, UnicodeError, ValueError)
"""What it says of values of the right type that are too large, or no number, or no text."""

TAKEN_FOR: dict[object, tuple[type, ...]] = {Decimal: (Decimal, int, str), float: (float, int)}
"""What is read as a type beside its own instances."""


def guarded(cls: ClassT) -> ClassT:
    """Let the public methods of a class name an argument that is unknown, wrong or missing."""
    return _guard(cls, alone=True)


def guarded_host(cls: ClassT) -> ClassT:
    """Do the same for a class that calls functions of the host, whose errors stay their own."""
    return _guard(cls, alone=False)


def internal(method: MethodT) -> MethodT:
    """Leave a method of such a class as it is: this package alone calls it."""
    method.is_internal = True  # type: ignore[attr-defined]
    return method


def require_reason(because: str | None, what: str) -> str:
    """Return a reason that says something.

    Raises:
        InputError: when it is blank.
    """
    if because is None or not str(because).strip():
        raise InputError(f"{what} needs a reason; say why")
    return because


def ensure_id(id: object) -> None:
    """Refuse what is given for the id of something new and is none; None says that it has none.

    Raises:
        InputError: saying what it is.
    """
    if not (id is None or isinstance(id, UUID)):
        raise InputError(f"{shown(id)} is not an id; pass a UUID")


def ensure_time(when: object) -> None:
    """Refuse what is neither a datetime nor a date.

    Raises:
        InputError: saying what it is.
    """
    if not isinstance(when, date):
        raise InputError(f"{shown(when)} is no time; pass an aware datetime, or a date")


def ensure_callable(function: object, what: str, *given: str) -> None:
    """Refuse what cannot be called with what will be given, or would only promise to act.

    Raises:
        InputError: saying what is given to it.
    """
    text = f"{what} is called with {' and '.join(given) or 'nothing'}"
    if not callable(function):
        raise InputError(f"{text}; pass a function, not {shown(function)}")
    if any(kind(function) for kind in PROMISING):
        raise InputError(f"{text} {ACTS}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some that are built in do not say what they take
    try:
        signature.bind(*given)
    except TypeError as error:
        name = shown(getattr(function, "__name__", "it"))[1:-1]
        raise InputError(f"{text}; {name}{signature} does not take that") from error


def called(function: Callable[..., ReturnT], what: str, given: Mapping[str, object]) -> ReturnT:
    """Call a function of the host with what is given, by position; its errors stay its own.

    Raises:
        InputError: when it does not take that, or would only promise to act.
    """
    try:
        returned = function(*given.values())
    except TypeError as error:
        trace = error.__traceback__
        if trace is not None and trace.tb_next is None:  # it was not even entered
            ensure_callable(function, what, *given)
        raise
    if returned is None:  # nearly always
        return returned
    if isinstance(returned, types.CoroutineType):
        returned.close()
        raise InputError(f"{what} is called with {' and '.join(given)} {ACTS}")
    if isinstance(returned, types.GeneratorType | types.AsyncGeneratorType):
        ensure_callable(function, what, *given)
    return returned


def wrong_argument(
    function: Callable[..., object], args: Iterable[object], named: Mapping[str, object]
) -> str | None:
    """Return which argument of a call is of a wrong type; None when all may be right."""
    signature = _evaluated(function)
    given = signature.bind(*args, **named).arguments
    for name, value in given.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        annotation = parameter.annotation
        if annotation is Self:
            owner = next(iter(given.values()))
            annotation = owner if isinstance(owner, type) else type(owner)
        values = value if parameter.kind is parameter.VAR_POSITIONAL else (value,)
        for each in values if annotation is not parameter.empty else ():
            if not _fits(each, annotation):
                way_out = _way_out(each, annotation)
                return f"{name} is {shown(each)}, not {_type_name(annotation)}{way_out}"
    return None


def _evaluated(function: Callable[..., object]) -> inspect.Signature:
    """Return a signature with its annotations, of which some may be written as texts."""
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # of a type that is imported for type checkers alone
        return inspect.signature(function)


def _guard(cls: ClassT, *, alone: bool) -> ClassT:
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and (alone or name != "__init__"):
            continue
        called = f"{cls.__name__}.{name}".removesuffix(".__init__")
        if getattr(getattr(member, "__func__", member), "is_internal", False):
            continue
        if isinstance(member, types.FunctionType):
            setattr(cls, name, _guarded(member, called, alone=alone))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(_guarded(member.__func__, called, alone=alone)))
    return cls


def _guarded(function: Callable[..., Any], called: str, *, alone: bool) -> Callable[..., Any]:
    @wraps(function)
    def guarded_call(*args: object, **named: object) -> object:
        try:
            return function(*args, **named)
        except SalesflowError:
            raise
        except RAW as error:
            mistaken = miscalled(function, args, named)
            if mistaken is not None:
                raise ArgumentError(f"{_named(called, args)}: {mistaken}") from None
            wrong = wrong_argument(function, args, named)
            if wrong is not None:
                raise InputError(f"{_named(called, args)}: {wrong}") from error
            if alone and isinstance(error, OUT_OF_BOUNDS):
                has_text = isinstance(error, ValueError)
                text = shown(str(error))[1:-1] if has_text else "a number that is out of bounds"
                raise InputError(f"{_named(called, args)}: {text}") from error
            raise

    return guarded_call


def _named(called: str, args: Sequence[object]) -> str:
    """Call a method as its caller does: after the class of its object."""
    if not args:
        return called
    owner = args[0]
    cls = owner if isinstance(owner, type) else type(owner)
    _, dot, method = called.partition(".")
    return f"{cls.__name__}.{method}" if dot else called


def _fits(value: object, annotation: object) -> bool:
    """Return whether a value may be what an annotation says; true where that is not known."""
    annotation = _plain(annotation)
    origin, within = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is type(None):
        return value is None
    if isinstance(annotation, TypeVar):
        return annotation.__bound__ is None or _fits(value, annotation.__bound__)
    if origin is Annotated:
        return _fits(value, within[0])
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in within)
    if origin is Literal:
        return value in within if isinstance(value, str | int) else False
    if origin is type:
        bound = within[0].__bound__ if isinstance(within[0], TypeVar) else within[0]
        return isinstance(value, type) and (
            not isinstance(bound, type) or issubclass(value, bound)
        )
    if isinstance(origin, type):
        return _fits_generic(value, origin, within)
    if not isinstance(annotation, type) or annotation is object:
        return True
    if getattr(annotation, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(annotation) if name[0] != "_")
    if annotation is date:  # which a datetime is by its class, and not by what it says
        return isinstance(value, date) and not isinstance(value, datetime)
    return isinstance(value, TAKEN_FOR.get(annotation, annotation))


def _fits_generic(value: object, origin: type, within: tuple[object, ...]) -> bool:
    if not issubclass(origin, Iterable):
        return isinstance(value, origin)
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        return False
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    return not isinstance(value, Collection) or all(_fits(each, within[0]) for each in value)


def _way_out(value: object, annotation: object) -> str:
    """Return how to write what is wanted, where that is not plain."""
    if isinstance(value, type) and _fits_instance(value, annotation):
        return f"; write {value.__name__}()"
    return f"; write {MONEY}" if "Money" in _type_name(annotation).split() else ""


def _fits_instance(cls: type, annotation: object) -> bool:
    """Return whether an instance of a class would have fitted."""
    annotation = _plain(annotation)
    wanted = [get_origin(annotation) or annotation, *get_args(annotation)]
    return any(isinstance(each, type) and issubclass(cls, each) for each in wanted)


def _plain(annotation: object) -> object:
    """Return a generic model of pydantic without its parameters."""
    generic = getattr(annotation, "__pydantic_generic_metadata__", {})
    return generic.get("origin") or annotation


def _type_name(annotation: object) -> str:
    annotation = _plain(annotation)
    if annotation is None or annotation is type(None):
        return "None"
    origin, within = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(within[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(each) for each in within)
    if origin is Literal:
        return " or ".join(map(repr, within))
    if isinstance(annotation, TypeVar):
        return _type_name(annotation.__bound__) if annotation.__bound__ else annotation.__name__
    if isinstance(origin, type) and issubclass(origin, Iterable) and within:
        return f"{origin.__name__} of {_type_name(within[0])}"
    if origin is type:
        return f"a class of {_type_name(within[0])}"
    if origin is not None:
        return _type_name(origin)
    return getattr(annotation, "__name__", str(annotation))


# What is said of a call whose arguments a method does not take: which, and what it takes.

PLACED = inspect.Parameter.POSITIONAL_OR_KEYWORD


def miscalled(
    method: Callable[..., object], args: Sequence[object], named: Mapping[str, object]
) -> str | None:
    """Return which arguments a method does not take or does not get; None when they all fit.

    What does not fit is never entered, so an error within a method is not taken for it.
    """
    signature = inspect.signature(method)
    try:
        signature.bind(*args, **named)
    except TypeError:
        pass
    else:
        return None
    if not args:
        return "it is called on no object; call it on one"
    known = [each for each in islice(signature.parameters.values(), 1, None) if _is_one(each)]
    takes, by_place = [each.name for each in known], [p.name for p in known if p.kind is PLACED]
    unknown, given = [name for name in named if name not in takes], len(args) - 1
    if unknown and not _has(signature, inspect.Parameter.VAR_KEYWORD):
        return f"{_unknown(unknown, takes)}; {_takes(takes)}"
    if given > len(by_place) and not _has(signature, inspect.Parameter.VAR_POSITIONAL):
        return _too_many(given, by_place, [name for name in takes if name not in by_place])
    passed = {*by_place[:given], *named}
    missing = [p.name for p in known if p.default is p.empty and p.name not in passed]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return f"{_listed(missing)} {verb} missing; {_takes(takes)}"
    twice = [name for name in by_place[:given] if name in named]
    return f"{_listed(twice)} is given by place and by name; give it once"


def _is_one(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _has(signature: inspect.Signature, kind: object) -> bool:
    return any(each.kind is kind for each in signature.parameters.values())


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _unknown(names: Sequence[str], known: Sequence[str]) -> str:
    texts = [f"{shortened(name)}{perhaps(name, known)}" for name in names]
    return f"there is no argument {' and no '.join(texts)}"


def _too_many(given: int, by_place: Sequence[str], by_name: Sequence[str]) -> str:
    if not by_place:
        if not by_name:
            return "it takes no arguments"
        return f"name each argument, as in {by_name[0]}=…; {_takes(by_name)}"
    most = f"at most {len(by_place)} by place ({', '.join(by_place)})"
    if not by_name:
        return f"{given} arguments are given; it takes {most}"
    others = ", ".join(by_name)
    return f"{given} arguments are given; it takes {most}, and by name {others}"


def _takes(names: Collection[str]) -> str:
    return f"it takes {', '.join(names)}" if names else "it takes none"
