"""What is answered of the catalogue."""

from typing import Any

from pydantic import Field

from tuner.views import View


class CatalogEntry(View):
    """A model, data set, loss, optimizer or anything else that a spec may name."""

    name: str
    summary: str
    source: str = ""
    hyperparameters: list[dict[str, Any]] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)


class CatalogList(View):
    """All entries of one kind."""

    entries: list[CatalogEntry]
