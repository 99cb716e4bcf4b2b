"""What is put before the council."""

from pydantic import BaseModel, Field


class Proposal(BaseModel):
    """A change somebody wants to make. Everything the service decides follows from it alone."""

    title: str = Field(min_length=1, max_length=120)
    text: str = Field(max_length=2_000)
    statute: str | None = None
    """The law it rests on, e.g. ``data-act-7``. Without one the legal agent has no opinion."""
    services: list[str] = Field(min_length=1, max_length=1_000)
    """The services it touches."""
    budget: int = Field(default=0, ge=0)
    """Euros a month."""
