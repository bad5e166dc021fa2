#!/usr/bin/env python3
"""Print an OAuth2 access token on one line: a token command for mailflow.

Usage: oauth2_token.py SETTINGS.json

The settings hold the address of the token service and the fields that it wants, for example

  {"url": "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token",
   "fields": {"grant_type": "client_credentials", "client_id": "…", "client_secret": "…",
              "scope": "https://outlook.office365.com/.default"}}

Keep that file for the user who runs mailflow only (chmod 600). A new refresh token that the
service sends is written back to it. Needs nothing but Python.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

SECONDS = 20


def main() -> int:
    """Return 0 when a token was printed, 1 when there is none, 2 for wrong use."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    path = Path(sys.argv[1])
    settings: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if path.stat().st_mode & 0o077:
        print(f"{path} can be read by others: chmod 600 {path}", file=sys.stderr)
        return 1
    body = urllib.parse.urlencode(settings["fields"]).encode()
    try:
        with urllib.request.urlopen(settings["url"], body, timeout=SECONDS) as reply:  # noqa: S310
            answer = json.load(reply)
    except urllib.error.HTTPError as error:  # the service says why in its answer
        print(f"{settings['url']}: {error.code}: {error.read().decode()[:500]}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{settings['url']}: {error}", file=sys.stderr)
        return 1
    newer = answer.get("refresh_token")
    if newer and newer != settings["fields"].get("refresh_token"):
        settings["fields"]["refresh_token"] = newer
        _write(path, settings)
    print(answer["access_token"])
    return 0


def _write(path: Path, settings: dict[str, Any]) -> None:
    """Replace the file in one step, readable by its owner only."""
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(settings, file, indent=2)
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
