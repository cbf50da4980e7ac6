"""What the doctor answers with."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at; `remedy` is empty where all is well."""

    subject: str
    status: Status
    detail: str
    remedy: str = ""
