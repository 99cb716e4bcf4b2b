"""The decisions table.

SQLAlchemy is synchronous here, so the service calls it in a thread. The trace follows: the
``connect``, ``INSERT`` and ``SELECT`` spans stand in the request's tree, in Sentry with op ``db``.
"""

import asyncio
from datetime import UTC, datetime

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class _Base(DeclarativeBase):
    pass


class Decision(_Base):
    """What the council decided about one proposal."""

    __tablename__ = "decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    outcome: Mapped[str]
    agreement: Mapped[float]
    rounds: Mapped[int]
    constitution_hash: Mapped[str]
    decided_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class DecisionStore:
    """Keeps decisions, and makes its table unless it exists.

    Args:
        database_url: Any SQLAlchemy URL.
    """

    def __init__(self, database_url: str) -> None:
        self.engine = create_engine(database_url)
        _Base.metadata.create_all(self.engine)

    async def add(self, decision: Decision) -> None:
        """Write ``decision``; it has an id afterwards."""
        await asyncio.to_thread(self._add, decision)

    async def get(self, decision_id: int) -> Decision | None:
        """The decision with this id, if there is one."""
        return await asyncio.to_thread(self._get, decision_id)

    def _add(self, decision: Decision) -> None:
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.add(decision)

    def _get(self, decision_id: int) -> Decision | None:
        with Session(self.engine, expire_on_commit=False) as session:
            return session.get(Decision, decision_id)
