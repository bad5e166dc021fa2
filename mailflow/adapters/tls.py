"""One TLS context for all connections: certificates and host names are always checked."""

import ssl

from mailflow.errors import ConfigError
from mailflow.settings import Server


def client_context(settings: Server) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities, or `ca_file` where it is set."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"ca_file: cannot read certificates from {settings.ca_file}: {error}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
