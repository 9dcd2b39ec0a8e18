"""What is refused, as problem details (RFC 9457): a status to act on, a sentence to show."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from orderdesk.models import REFUSED_BY
from salesflow.errors import (
    AlreadyRecordedError,
    BusyError,
    ConcurrentChangeError,
    DisconnectedError,
    InputError,
    NotFoundError,
    RuleError,
    SalesflowError,
)

__all__ = ["answer_problems"]

PROBLEM = "application/problem+json"
AGAIN = {"Retry-After": "1"}
STATUS: dict[type[SalesflowError], tuple[int, str]] = {
    InputError: (400, "This can never be right"),
    NotFoundError: (404, "There is no such thing at that moment"),
    ConcurrentChangeError: (409, "Somebody else was first"),
    AlreadyRecordedError: (422, "The key of another request"),
    RuleError: (422, "A rule refuses this"),
    BusyError: (503, "Try again"),
    DisconnectedError: (503, "Try again"),
    SalesflowError: (500, "The log cannot be used"),
}
"""Status and title, by the class that says what a caller would do next."""


def answer_problems(app: FastAPI) -> None:
    """Answer every refusal as a problem: of the log, of the tables, of the web framework."""

    @app.exception_handler(SalesflowError)
    def of_the_log(_: Request, error: SalesflowError) -> JSONResponse:
        known = next(kind for kind in type(error).__mro__ if kind in STATUS)
        status, title = STATUS[known]
        return _problem(status, title, str(error), AGAIN if status == 503 else None)

    @app.exception_handler(IntegrityError)
    def of_the_tables(_: Request, error: IntegrityError) -> JSONResponse:
        said = str(error.orig)
        sentences = (text for name, text in REFUSED_BY.items() if name in said)
        return _problem(409, "The tables refuse this", next(sentences, "it is no longer so"))

    @app.exception_handler(RequestValidationError)
    def of_a_body(_: Request, error: RequestValidationError) -> JSONResponse:
        return _problem(400, "This is not what was asked for", _sentence(error.errors()))

    @app.exception_handler(HTTPException)
    def of_the_web(_: Request, error: HTTPException) -> JSONResponse:
        return _problem(error.status_code, "Not here", str(error.detail), error.headers)


def _problem(
    status: int,
    title: str,
    detail: str,
    headers: Any = None,  # noqa: ANN401
) -> JSONResponse:
    content = {"title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, headers, media_type=PROBLEM)


def _sentence(errors: Sequence[Any]) -> str:
    """Return each field with what is wrong about it."""
    named = ((".".join(map(str, each["loc"][1:])), each["msg"]) for each in errors)
    told = (f"{name}: {said}" if name else said for name, said in named)
    return "; ".join(told).replace("Value error, ", "")
