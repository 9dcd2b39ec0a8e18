"""The service: deals in the log, orders in tables of its own, one transaction for both.

    python -m orderdesk.setup && uvicorn orderdesk.app:app

Endpoints are plain functions (`def`): FastAPI runs each in a thread, which is all that
salesflow asks of a web framework.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import Session as Rows
from sqlalchemy.orm import sessionmaker

from orderdesk.bodies import AdvanceBody, Body, ContactBody, DealBody, OrderBody, readable
from orderdesk.models import Order, Product, User, digest_of
from orderdesk.problems import answer_problems
from salesflow import STANDARD, Customer, Deal, Funnel, SalesFlow, Session
from salesflow.errors import ConcurrentChangeError, NotFoundError

__all__ = ["app", "database_url"]

THREADS = 40
"""In how many threads FastAPI runs endpoints; each may want a connection."""


def database_url() -> str:
    """Return where log and tables lie; salesflow's command line reads the same variable."""
    return os.environ.get("SALESFLOW_DB", "sqlite:///orderdesk.db")


class Desk(NamedTuple):
    """What every request works with, opened once."""

    flow: SalesFlow
    rows: sessionmaker[Rows]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the log and the tables before the first request, close them after the last one."""
    try:
        opened = SalesFlow(database_url(), shared=True, create=False)
    except NotFoundError as error:
        raise RuntimeError(f"{error}; run python -m orderdesk.setup first") from None
    with opened as flow:
        engine = create_engine(flow.log.database.url, pool_size=THREADS, max_overflow=0)
        app.state.desk = Desk(flow, sessionmaker(engine))
        yield
        engine.dispose()


app = FastAPI(title="Order desk", lifespan=lifespan)
answer_problems(app)


# Who asks, and what everybody says: a key for each request, a moment for each question.


def the_desk(request: Request) -> Desk:
    """Return what was opened at the start."""
    desk: Desk = request.app.state.desk
    return desk


def the_user(
    desk: Annotated[Desk, Depends(the_desk)],
    authorization: Annotated[str | None, Header()] = None,
) -> str:
    """Return who has sent the token; nobody else can act in that name."""
    scheme, _, token = (authorization or "").partition(" ")
    with desk.rows() as rows:
        known = rows.scalar(select(User.id).where(User.token_digest == digest_of(token)))
    if known is None or scheme.lower() != "bearer":
        wanted = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(401, "send the header Authorization: Bearer and your token", wanted)
    return known


class Command(NamedTuple):
    """A request that records something: whose it is, and how it is known again."""

    desk: Desk
    actor: str
    key: str
    path: str
    response: Response

    def record(
        self, body: Body, function: Callable[[Session, Rows], object]
    ) -> dict[str, object]:
        """Run a function once for this key, rows and facts in one transaction.

        The answer is made of the receipt alone, so that a retry gets the same one. Without a
        `version` it is tried again when somebody else was first; with one it is refused.
        """
        receipt = self.desk.flow.run(
            function,
            actor=self.actor,
            command_id=f"{self.actor}/{self.key}",
            fingerprint=f"{self.path} {body.model_dump_json()}",
            attempts=100 if body.version is None else 1,
            engine=self.desk.rows,
        )
        assert receipt is not None, "every function that is run here records something"
        if receipt.again:
            self.response.headers["Idempotent-Replayed"] = "true"
        return {"deal": receipt.id_of(Deal), "position": receipt.last}


def the_command(
    desk: Annotated[Desk, Depends(the_desk)],
    actor: Annotated[str, Depends(the_user)],
    idempotency_key: Annotated[str, Header(min_length=1, max_length=100)],
    request: Request,
    response: Response,
) -> Command:
    """Return what a request that records needs. Headers are bytes, and people write UTF-8."""
    key = idempotency_key.encode("latin-1").decode("utf-8", "replace")
    return Command(desk, actor, key, request.url.path, response)


def the_moment(as_of: str | None = None, known_at: str | None = None) -> dict[str, Any]:
    """Return both sides of the moment that is asked about; left out, each means now."""
    return {"as_of": readable(as_of), "known_at": readable(known_at)}


Commanded = Annotated[Command, Depends(the_command)]
Asked = Annotated[Desk, Depends(the_desk)]
At = Annotated[dict[str, Any], Depends(the_moment)]
SIGNED_IN = [Depends(the_user)]


# Recording. Rules of the business are those of the deal; nothing here repeats one.


@app.post("/deals", status_code=201)
def open_deal(body: DealBody, command: Commanded) -> dict[str, object]:
    """Take on a prospect, who may be new."""

    def work(s: Session, _: Rows) -> None:
        customer = body.customer and Customer.register(
            name=body.customer, occurred_at=body.occurred_at
        )
        deal = Deal.open(
            STANDARD,
            title=body.title,
            customer=s.add(customer) if customer else None,
            owner=body.owner or command.actor,
            amount=body.amount,
            occurred_at=body.occurred_at,
        )
        s.add(deal)

    return command.record(body, work)


@app.post("/deals/{id}/contacts", status_code=201)
def log_contact(id: UUID, body: ContactBody, command: Commanded) -> dict[str, object]:
    """Note that we talked to the customer."""
    return command.record(
        body,
        lambda s, _: _deal(s, id, body).log_contact(
            channel=body.channel,
            direction=body.direction,
            summary=body.summary,
            occurred_at=body.occurred_at,
        ),
    )


@app.post("/deals/{id}/advance", status_code=201)
def advance(id: UUID, body: AdvanceBody, command: Commanded) -> dict[str, object]:
    """Move the deal to its next stage, if what that asks for is met."""
    return command.record(
        body,
        lambda s, _: _deal(s, id, body).advance(
            because=body.because, occurred_at=body.occurred_at
        ),
    )


@app.post("/deals/{id}/orders", status_code=201)
def take_order(id: UUID, body: OrderBody, command: Commanded) -> dict[str, object]:
    """Take the order that wins the deal: its row, the stock and the fact, or none of them."""

    def work(s: Session, rows: Rows) -> None:
        order = Order(number=body.number, deal=id, sku=body.sku, quantity=body.quantity)
        order.taken_by = command.actor
        less = update(Product).where(Product.sku == body.sku).returning(Product.sku)
        if rows.scalar(less.values(stock=Product.stock - body.quantity)) is None:
            raise NotFoundError(f"there is no product {body.sku!r}")
        rows.add(order)
        _deal(s, id, body).win(body.total, because=body.number, occurred_at=body.occurred_at)

    return command.record(body, work)


def _deal(s: Session, id: UUID, body: Body) -> Deal:
    """Load a deal; refuse when it is not as the client has seen it."""
    deal = s.get(Deal, id)
    if body.version is not None and deal.version != body.version:
        raise ConcurrentChangeError(
            f"deal {id} is at version {deal.version}, and you have seen {body.version};"
            " look at it again"
        )
    return deal


# Asking, at any past moment.


@app.get("/deals/{id}", dependencies=SIGNED_IN)
def get_deal(id: UUID, desk: Asked, at: At) -> dict[str, object]:
    """Show one deal as it was at a moment."""
    deal = desk.flow.get(Deal, id, **at)
    return {
        "deal": id,
        "version": deal.version,
        "title": deal.title,
        "customer": _name(desk, deal.customer_id, at),
        "owner": deal.owner,
        "stage": deal.stage,
        "outcome": deal.outcome,
        "amount": deal.amount and str(deal.amount),
    }


def _name(desk: Desk, customer: UUID | None, at: dict[str, Any]) -> str | None:
    """Return a customer's name; a deal may name one that was not registered by then."""
    if customer is None:
        return None
    with suppress(NotFoundError):
        return desk.flow.get(Customer, customer, **at).name
    return None


@app.get("/deals/{id}/history", dependencies=SIGNED_IN)
def get_history(id: UUID, desk: Asked, known_at: str | None = None) -> list[dict[str, object]]:
    """Show who did what, when it happened and when it became known."""
    return [
        {
            "position": event.position,
            "kind": event.fact.kind,
            "actor": event.actor,
            "occurred_at": event.occurred_at,
            "recorded_at": event.recorded_at,
        }
        for event in desk.flow.history(id, known_at=readable(known_at))
    ]


@app.get("/funnel", dependencies=SIGNED_IN)
def get_funnel(desk: Asked, at: At, owner: str | None = None) -> dict[str, Any]:
    """Show the pipeline at a moment; the answer says at which, to the event."""
    return desk.flow.ask(Funnel(owner=owner), **at).to_dict()


@app.get("/products/{sku}", dependencies=SIGNED_IN)
def get_product(sku: str, desk: Asked) -> dict[str, object]:
    """Show how much is left."""
    with desk.rows() as rows:
        product = rows.get(Product, sku)
    if product is None:
        raise NotFoundError(f"there is no product {sku!r}")
    return {"sku": product.sku, "stock": product.stock}


@app.get("/ready")
def ready(desk: Asked) -> dict[str, int]:
    """Say that log and database answer, for whoever balances the load."""
    return {"position": desk.flow.log.head().position}
