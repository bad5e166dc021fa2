"""A certificate authority for one test run, and server certificates signed by it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of the authority (`ca`) and of the server `localhost` (`certificate`, `key`)."""

    ca: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority and a certificate for the name 'localhost' alone, not for 127.0.0.1.

    So that one server shows both: the right name connects, the address does not.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise FileNotFoundError("openssl")
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    key_of_ca = folder / "ca.key"
    new = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    _run(
        *new.split(),
        *("-keyout", key_of_ca, "-out", made.ca, "-subj", "/CN=Authority of a test run"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    _run(
        *new.split(),
        *("-keyout", made.key, "-out", made.certificate, "-subj", "/CN=localhost"),
        *("-CA", made.ca, "-CAkey", key_of_ca),
        *("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"),
    )
    return made


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
