"""What the service does for whoever asks it: the one core behind the API."""

from tuner.service.core import Service

__all__ = ["Service"]
