"""Logs of our processes: one event per line, its facts as ``name=value``."""

import json
import logging
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",
}


class LineFormatter(logging.Formatter):
    """``2025-01-01T12:00:00Z info tuner.leader.loop trial pruned job=job_… trial=3``."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line; a traceback follows on its own lines."""
        facts = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        head = [self.formatTime(record), record.levelname.lower(), record.name, record.getMessage()]
        text = " ".join(head + [f"{name}={_quoted(value)}" for name, value in facts.items()])
        return text + "\n" + self.formatException(record.exc_info) if record.exc_info else text


def configure(level: str) -> None:
    """Send the logs of this process to stderr, from `level` on."""
    import time

    formatter = LineFormatter()
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its messages at this level are about each migration step; ours say what matters.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=\n') else text
