"""How fast mailflow handles mail, as a ratio to the least that any durable program must do.

    python benchmarks/throughput.py [--mails 1000] [--runs 2]

Floor and mailflow work on the same mails (French and English, a tenth auto-replies, a seventh with
an attachment), on the same servers, in the same run, one after the other:
- the floor fetches over IMAP, parses with the standard library, commits in batches of 50, moves
  the mails, sends one canned answer for each person's mail over one connection, marks it sent;
- mailflow is `run --once` on SQLite with triage on, its models loaded beforehand. What loading
  costs is shown apart, and which share of the time each step takes.

The mails are built as mail programs build them: the headers of four servers and of a DKIM
signature, the text as plain text and as HTML.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from importlib.resources import files
from pathlib import Path
from smtplib import SMTP

from imapclient import IMAPClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mailflow import daemon
from mailflow.adapters.parse import parse_message
from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.triage_process import TriageProcess
from mailflow.config import load_config
from mailflow.daemon import Daemon
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, free_port, wait_for_port
from mailflow.desk import open_desk
from mailflow.logs import set_up_logs
from mailflow.services import outbox, process, reading
from mailflow.settings import Logging
from tests.reliability import harness
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import Dovecot, find_dovecot

BATCH = 50
SUPPORT = "support@support.example"
STYLE = "p.MsoNormal { margin: 0; font-size: 11.0pt; font-family: Calibri, sans-serif; } " * 12


def make_mails(count: int) -> list[bytes]:
    """Return mails made of the shipped labelled texts."""
    folder = files("mailflow") / "training"
    texts = []
    for name in ("fr.jsonl", "en.jsonl", "fr-2.jsonl", "en-2.jsonl"):
        texts += [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]
    return [make_mail(number, texts[number * 7 % len(texts)]) for number in range(count)]


def make_mail(number: int, text: dict[str, str]) -> bytes:
    mail = EmailMessage(policy=policy.SMTP)
    for hop in range(4):
        mail["Received"] = (
            f"from mx{hop}.brasserie-du-lac.example (mx{hop}.brasserie-du-lac.example "
            f"[192.0.2.{hop + 1}]) by in{hop}.support.example (Postfix) with ESMTPS "
            f"id 4Q{number:06d}{hop}; Mon, 02 Mar 2026 09:14:0{9 - hop} +0100 (CET)"
        )
    mail["DKIM-Signature"] = (
        "v=1; a=rsa-sha256; c=relaxed/relaxed; d=brasserie-du-lac.example; s=mail2026; "
        "h=from:to:subject:date:message-id:mime-version; "
        f"bh={'Q' * 43}=; b={'xK9' * 114}"
    )
    mail["From"] = f"Client {number} <client{number}@brasserie-du-lac.example>"
    mail["To"] = "support@support.example"
    mail["Subject"] = text["subject"].replace("\n", " ") or "(no subject)"
    mail["Message-ID"] = f"<bench-{number}@brasserie-du-lac.example>"
    mail["Date"] = "Mon, 02 Mar 2026 09:14:00 +0100"
    mail["Thread-Topic"] = "bench"
    mail["Accept-Language"] = "fr-FR, en-US"
    mail["X-Mailer"] = "Bench 1.0"
    if number % 10 == 9:
        mail["Auto-Submitted"] = "auto-replied"
    mail.set_content(text["body"])
    lines = "".join(f"<p class=MsoNormal>{escape(line)}</p>" for line in text["body"].splitlines())
    mail.add_alternative(f"<html><head><style>{STYLE}</style></head><body>{lines}</body></html>",
                         subtype="html")  # fmt: skip
    if number % 7 == 6:
        picture = b"\x89PNG" + bytes(range(256)) * 120
        mail.add_attachment(picture, maintype="image", subtype="png", filename="capture.png")
    return mail.as_bytes()


class Stopwatch:
    """Adds up the time spent in functions that do not call each other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: object, name: str, step: str) -> None:
        """Time every call of `owner.name` under `step`, from now on."""
        function = getattr(owner, name)

        def timed(*arguments: object, **named: object) -> object:
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.perf_counter() - begin
                self.seconds[step] = self.seconds.get(step, 0.0) + spent

        setattr(owner, name, timed)


STEPS = (
    (daemon, "poll", "fetch, store, move"),
    (reading, "_read_all", "parse"),
    (reading, "hold_back_floods", "count floods"),
    (reading, "_find_wanted", "look up threads"),
    (reading, "_hand_over", "hand over for triage"),
    (process, "join_triages", "wait for triage"),
    (process, "_process_all", "decide, commit"),
    (outbox, "_build_all", "write mails"),
    (SmtpGateway, "send", "SMTP"),
    (outbox, "_note_accepted", "note each acceptance"),
    (outbox, "_follow_up", "start clocks, tell agents"),
)


def floor(imap_port: int, user: str, smtp_port: int, folder: Path) -> None:
    """The least a durable program must do with each mail."""
    with (
        IMAPClient("127.0.0.1", imap_port, ssl=False) as client,
        closing(sqlite3.connect(folder / "floor.db", isolation_level=None)) as database,
        SMTP("127.0.0.1", smtp_port) as smtp,
    ):
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE mail (uid INTEGER, raw BLOB, sent INTEGER)")
        client.login(user, PASSWORD)
        client.select_folder("INBOX")
        uids = client.search()
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            answer = client.fetch(batch, ["BODY.PEEK[]"])
            database.execute("BEGIN IMMEDIATE")
            for uid in batch:
                database.execute("INSERT INTO mail VALUES (?, ?, 0)", (uid, answer[uid][b"BODY[]"]))
            database.execute("COMMIT")
            client.move(batch, "Processed")
            sent = []
            for uid in batch:
                mail = message_from_bytes(answer[uid][b"BODY[]"], policy=policy.default)
                body = mail.get_body(("plain",))
                assert body is not None and body.get_content()
                if mail["Auto-Submitted"] is None:
                    client_address = mail["From"].addresses[0].addr_spec
                    reply = (
                        f"From: {SUPPORT}\r\nTo: {client_address}\r\nSubject: Re\r\n"
                        f"Message-ID: <floor-{uid}@support.example>\r\n\r\nok\r\n"
                    )
                    smtp.sendmail(SUPPORT, [client_address], reply)
                    sent.append(uid)
            database.execute("BEGIN IMMEDIATE")
            database.executemany("UPDATE mail SET sent = 1 WHERE uid = ?", [(uid,) for uid in sent])
            database.execute("COMMIT")


def start(stack: ExitStack, folder: Path) -> tuple[int, str, int]:
    """Start IMAP (Dovecot where there is one) and the SMTP sink; return ports and user."""
    if find_dovecot() is None:
        imap_port, user = stack.enter_context(EmbeddedImap()).port, USER
    else:
        (folder / "tls").mkdir(parents=True)
        server = stack.enter_context(Dovecot(make_certificates(folder / "tls")))
        imap_port, user = server.port, server.add_user()
    smtp_port = free_port()
    (folder / "sink").mkdir()
    sink = subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.sink", str(smtp_port), str(folder / "sink")],
        cwd=Path(__file__).resolve().parents[1],
    )
    stack.callback(harness._end, sink)
    wait_for_port(smtp_port, "the SMTP sink", sink)
    return imap_port, user, smtp_port


def deliver(imap_port: int, user: str, mails: list[bytes]) -> None:
    with IMAPClient("127.0.0.1", imap_port, ssl=False) as client:
        client.login(user, PASSWORD)
        if not client.folder_exists("Processed"):
            client.create_folder("Processed")
        for begin in range(0, len(mails), 200):
            client.multiappend("INBOX", mails[begin : begin + 200])


def peak_memory(pid: int) -> float:
    """Return the most memory that a process has held, in megabytes (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def run_mailflow(config: Path, watch: Stopwatch, mails: list[bytes]) -> dict[str, float]:
    """Run `run --once` on what lies in the mailbox; return seconds and megabytes."""
    begin = time.perf_counter()
    desk = open_desk(load_config(config))
    desk.triage_apart()
    desk.triager.triage_many([parse_message(mail) for mail in mails[:20]])
    found = {"load": time.perf_counter() - begin}
    end_triage = desk.end_triage

    def measure_and_end() -> None:
        if isinstance(desk.triager, TriageProcess):
            found["triage_memory"] = peak_memory(desk.triager.pid)
        end_triage()

    desk.end_triage = measure_and_end  # type: ignore[method-assign]
    worker = Daemon(desk)
    watch.seconds.clear()
    begin = time.perf_counter()
    worker.run_once()
    found["seconds"] = time.perf_counter() - begin
    found["memory"] = peak_memory(os.getpid())
    desk.database.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="mailflow against a floor, in one run")
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args()
    set_up_logs(Logging(level="error"))
    mails = make_mails(given.mails)
    watch = Stopwatch()
    for owner, name, step in STEPS:
        watch.watch(owner, name, step)
    for run in range(1, given.runs + 1):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            imap_port, user, smtp_port = start(stack, folder)
            deliver(imap_port, user, mails)
            begin = time.perf_counter()
            floor(imap_port, user, smtp_port, folder)
            floor_seconds = time.perf_counter() - begin
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            imap_port, user, smtp_port = start(stack, folder)
            os.environ["HARNESS_PASSWORD"] = PASSWORD
            config = harness.CONFIG.format(
                imap=imap_port, smtp=smtp_port, user=user, url=f"sqlite:///{folder / 'desk.db'}"
            )
            (folder / "config.toml").write_text(config)
            (folder / "organisations.toml").write_text(harness.ORGANISATIONS)
            deliver(imap_port, user, mails)
            found = run_mailflow(folder / "config.toml", watch, mails)
            sent = len(list((folder / "sink").glob("*.eml")))
        seconds = found["seconds"]
        print(f"run {run}: {given.mails} mails, {sent} answers by mailflow")
        print(f"  floor     {given.mails / floor_seconds:8.1f} mails/s  ({floor_seconds:.2f} s)")
        print(f"  mailflow  {given.mails / seconds:8.1f} mails/s  ({seconds:.2f} s)")
        print(f"  ratio to the floor {floor_seconds / seconds:.2f}")
        for step, spent in sorted(watch.seconds.items(), key=lambda pair: -pair[1]):
            print(
                f"    {step:26} {spent / seconds:6.1%}  {1000 * spent / given.mails:6.2f} ms a mail"
            )
        print(f"  desk and models loaded in {found['load']:.2f} s")
        print(
            f"  peak memory: daemon {found['memory']:.0f} MB, "
            f"its triage process {found['triage_memory']:.0f} MB"
        )


if __name__ == "__main__":
    main()
