"""Whether the service may be reached from beyond this machine."""

from ipaddress import ip_address

from tuner.errors import TunerError
from tuner.settings import Settings


class ExposureRefused(TunerError):
    """The service would be open to the network without a token."""

    hint = "Set TUNER_API_TOKEN to a long random text, or bind 127.0.0.1."

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} can be reached from other machines, and no API token is set.")
        self.host = host


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond loopback without a token.

    Raises:
        ExposureRefused: every client of the network could submit jobs.
    """
    if token_of(settings) is None and not is_loopback(settings.host):
        raise ExposureRefused(settings.host)


def token_of(settings: Settings) -> str | None:
    """The API token; an empty one, as an unset variable in a compose file gives it, is none."""
    return settings.api_token.get_secret_value() or None if settings.api_token else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; a name other than localhost may mean anything."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
