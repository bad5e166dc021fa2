"""Structured logs for the operator: ids and reasons, never bodies or secrets."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from mailflow.settings import Logging

log: Any = structlog.get_logger("mailflow")

_SECRET_WORDS = ("password", "secret", "token", "authorization")


def _hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "…"
    return event


def set_up_logs(settings: Logging) -> None:
    """Send logs to standard error, as text for a person or as JSON lines."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    as_json = settings.format == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # rich ones show mail bodies
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hide_secrets,
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then, not now
        cache_logger_on_first_use=False,
    )
