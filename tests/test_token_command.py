"""The token command of docs/mailboxes.md, against a token service on loopback."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "docs/examples/oauth2_token.py"


class TokenService(BaseHTTPRequestHandler):
    """Gives a token for the refresh token 'old', with a new refresh token; else refuses."""

    def do_POST(self) -> None:
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = fields.get("refresh_token") == ["old"]
        answer = {"access_token": "tok-1", "refresh_token": "new"} if good else {"error": "nope"}
        self.send_response(200 if good else 400)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), TokenService) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


def settings(folder: Path, url: str, *, revoked: bool = False) -> Path:
    path = folder / "token.json"
    fields = {"grant_type": "refresh_token", "refresh_token": "gone" if revoked else "old"}
    path.write_text(json.dumps({"url": url, "fields": fields}), "utf-8")
    path.chmod(0o600)
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_prints_the_token_and_keeps_the_new_refresh_token(tmp_path: Path, url: str) -> None:
    path = settings(tmp_path, url)
    done = run(path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "tok-1\n", "")
    assert json.loads(path.read_text("utf-8"))["fields"]["refresh_token"] == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_refusal_is_explained(tmp_path: Path, url: str) -> None:
    done = run(settings(tmp_path, url, revoked=True))
    assert done.returncode == 1 and done.stdout == ""
    assert '400: {"error": "nope"}' in done.stderr


def test_settings_that_others_can_read_are_refused(tmp_path: Path, url: str) -> None:
    path = settings(tmp_path, url)
    path.chmod(0o644)
    done = run(path)
    assert done.returncode == 1 and f"chmod 600 {path}" in done.stderr


def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    done = run(settings(tmp_path, "http://127.0.0.1:1/token"))
    assert done.returncode == 1 and "127.0.0.1:1" in done.stderr


def test_wrong_use(tmp_path: Path) -> None:
    assert run().returncode == 2
