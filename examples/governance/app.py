"""The governance service: proposals in, decisions out.

Every request is one trace. In Sentry ``POST /proposals`` is a transaction whose tree holds the
validations, the council with its agents, rounds and votes, the language model and the database.
Nothing here imports Sentry; where telemetry goes is configuration.

Run it with ``uvicorn --factory examples.governance.app:create_app``.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec
from fastapi import APIRouter, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.trace import Span
from pydantic import BaseModel, ConfigDict

import spanbridge
from examples.governance.agents import Agent, EthicsAgent, LegalAgent, OperationalAgent
from examples.governance.constitution import HASH_HEADER, constitution_hash
from examples.governance.council import Outcome, QuorumLostError, decide
from examples.governance.llm import LanguageModel
from examples.governance.principles import uphold
from examples.governance.proposal import Proposal
from examples.governance.store import Decision, DecisionStore
from spanbridge.conventions import (
    EVENT_GOVERNANCE_DECISION,
    GOVERNANCE_CONSTITUTION_HASH,
    GOVERNANCE_DECISION_ID,
    GOVERNANCE_DECISION_OUTCOME,
    GOVERNANCE_DECISION_RULE,
)
from spanbridge.instrument.fastapi import instrument_app


class DecisionView(BaseModel):
    """A decision as callers see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    outcome: Outcome
    agreement: float
    rounds: int
    constitution_hash: str


class Health(BaseModel):
    """Whether the service works, and by which constitution."""

    status: str
    constitution_hash: str
    telemetry_enabled: bool
    destinations: list[str]
    """Where telemetry goes."""


def create_app() -> FastAPI:
    """The service, set up from ``LLM_URL``, ``DATABASE_URL`` and ``CONSTITUTIONAL_HASH``."""
    spanbridge.configure()
    store = DecisionStore(os.environ.get("DATABASE_URL", "sqlite:///governance.db"))
    http = httpx.AsyncClient(base_url=os.environ.get("LLM_URL", "http://127.0.0.1:8001"))
    HTTPXClientInstrumentor.instrument_client(http)
    SQLAlchemyInstrumentor().instrument(engine=store.engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await http.aclose()
        store.engine.dispose()

    app = FastAPI(title="Governance", lifespan=lifespan)
    agents = (EthicsAgent(LanguageModel(http)), LegalAgent(), OperationalAgent())
    app.include_router(_decisions(store, agents))
    app.include_router(_health())
    app.add_exception_handler(QuorumLostError, _no_quorum)
    instrument_app(app, server_request_hook=_name_constitution)
    return app


def _name_constitution(span: Span, _: dict[str, Any]) -> None:
    # On the request's own span, so that Sentry can search transactions by it.
    span.set_attribute(GOVERNANCE_CONSTITUTION_HASH, constitution_hash())


def _decisions(store: DecisionStore, agents: Sequence[Agent]) -> APIRouter:
    router = APIRouter()

    @router.post("/proposals")
    async def propose(proposal: Proposal) -> DecisionView:
        uphold(proposal)
        verdict = await decide(agents, proposal)
        decision = Decision(
            title=proposal.title,
            outcome=verdict.outcome,
            agreement=verdict.agreement,
            rounds=verdict.rounds,
            constitution_hash=constitution_hash(),
        )
        await store.add(decision)
        trace.get_current_span().add_event(
            EVENT_GOVERNANCE_DECISION,
            {
                GOVERNANCE_DECISION_ID: str(decision.id),
                GOVERNANCE_DECISION_OUTCOME: decision.outcome,
                GOVERNANCE_DECISION_RULE: "weighted_vote",
            },
        )
        return DecisionView.model_validate(decision)

    @router.get("/decisions/{decision_id}")
    async def read(decision_id: int) -> DecisionView:
        decision = await store.get(decision_id)
        if decision is None:
            raise HTTPException(404, "There is no such decision.")
        return DecisionView.model_validate(decision)

    return router


def _health() -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health(
        expected_hash: Annotated[str | None, Header(alias=HASH_HEADER)] = None,
    ) -> Health:
        in_force, telemetry = constitution_hash(), spanbridge.status()
        return Health(
            status="ok" if expected_hash in (None, in_force) else "constitution_mismatch",
            constitution_hash=in_force,
            telemetry_enabled=telemetry.enabled,
            destinations=list(telemetry.destinations),
        )

    @router.get("/system/status")
    async def system_status() -> Response:
        return Response(msgspec.json.encode(spanbridge.status()), media_type="application/json")

    return router


async def _no_quorum(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=503)
