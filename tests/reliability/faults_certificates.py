"""Server certificates that a client must refuse, beside the right one."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificates import Certificates, make_certificates


@dataclass(frozen=True)
class FaultyCertificates:
    """Contexts of a server at 'localhost', and the authority that clients trust.

    `expired` was signed by that authority and ran out a day ago; `untrusted` is of another one.
    """

    authority: Path
    right: ssl.SSLContext
    expired: ssl.SSLContext
    untrusted: ssl.SSLContext


def make_faulty_certificates(folder: Path, made: Certificates) -> FaultyCertificates:
    """Make what is missing beside `made`, whose authority's key lies beside its certificate."""
    other = folder / "other"
    other.mkdir(parents=True)
    return FaultyCertificates(
        authority=made.ca,
        right=_context(made.certificate, made.key),
        expired=_expired(folder, made),
        untrusted=_context(*_files_of(make_certificates(other))),
    )


def _files_of(made: Certificates) -> tuple[Path, Path]:
    return made.certificate, made.key


def _expired(folder: Path, made: Certificates) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise FileNotFoundError("openssl")
    request, certificate = folder / "expired.csr", folder / "expired.pem"
    extension = folder / "expired.ext"
    extension.write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    command = [openssl, "req", "-new", "-key", made.key, "-subj", "/CN=localhost", "-out", request]
    subprocess.run(command, check=True, capture_output=True)
    sign = f"{openssl} x509 -req -days -1 -set_serial 7".split()
    sign += ["-in", str(request), "-CA", str(made.ca), "-CAkey", str(made.ca.parent / "ca.key")]
    sign += ["-extfile", str(extension), "-out", str(certificate)]
    subprocess.run(sign, check=True, capture_output=True)
    return _context(certificate, made.key)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
