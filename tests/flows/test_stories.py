"""Whole stories over real IMAP and SMTP, with the real triage: who received what, header by header."""

from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import Inbound, OutboxMail
from mailflow.core.messages import Address
from mailflow.daemon import Daemon
from mailflow.demo.servers import EmbeddedSmtp
from mailflow.desk import Desk
from tests.factories_desk import DeskFactory, MovableClock
from tests.flows.office import (
    ALICE,
    CLAIRE,
    PAUL,
    SUPPORT,
    SYLVIE,
    TOM,
    Office,
    Sent,
    addresses,
    answer,
    write,
)
from tests.servers.boxes import Box

PDF = b"%PDF-1.4\n" + bytes(range(256))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 60


@dataclass(frozen=True)
class Story:
    """What the three write, in one language."""

    client: Address
    subject: str
    report: str
    steps: str
    agent: str
    more: str
    takes: str
    gives_back: str
    resolves: str
    yes: str
    greeting: str
    closed: str


FRENCH = Story(
    client=CLAIRE,
    subject="Export des factures",
    report="""\
Bonjour,

L'export des factures fournisseurs vers Excel ne donne plus rien depuis hier : le fichier arrive,
mais il est vide, alors que trente factures sont affichées à l'écran. Toute l'équipe comptable est
gênée pour la clôture. Aucun message d'erreur ne s'affiche.

Merci d'avance,
Claire Martin
""",
    steps="""\
Bonjour,

Voici les étapes pour reproduire :
1. Ouvrir le menu Factures fournisseurs
2. Choisir la période de février
3. Cliquer sur Exporter vers Excel
4. Le fichier s'ouvre, vide

Claire Martin
""",
    agent="Bonjour Claire,\n\nNous reproduisons le problème. Voici la marche à suivre en attendant.",
    more="Merci, le guide nous aide. Voici une copie d'écran.",
    takes="#affecter Sylvie\n#note cliente pressée, mot de passe interne ROUGE",
    gives_back="#priorité 4 la marche à suivre permet de travailler\n#affecter Alice",
    resolves="#résoudre\nBonjour,\n\nLa correction est en place depuis ce matin.\n\n#note corrigé en base, ticket ROUGE",
    yes="Bonjour,\n\nOui, c'est résolu, tout fonctionne. Merci !\n\nClaire",
    greeting="Bonjour",
    closed="est close",
)
ENGLISH = Story(
    client=TOM,
    subject="Export of supplier invoices",
    report="""\
Hello,

The export of supplier invoices to Excel has given nothing since yesterday: the file arrives, but it
is empty, although thirty invoices are shown on the screen. The whole accounting team is held up.
No error message is shown.

Regards,
Tom Baker
""",
    steps="""\
Hello,

Steps to reproduce:
1. Open the menu Supplier invoices
2. Choose the period February
3. Click Export to Excel
4. The file opens, empty

Tom Baker
""",
    agent="Hello Tom,\n\nWe can reproduce the problem. Here is what to do in the meantime.",
    more="Thank you, the guide helps us. Here is a screenshot.",
    takes="#assign Sylvie\n#note customer in a hurry, internal password ROUGE",
    gives_back="#priority 4 the guide lets them work\n#assign Alice",
    resolves="#resolve\nHello,\n\nThe correction is in place since this morning.\n\n#note mended in the database, ROUGE",
    yes="Hello,\n\nYes, it is solved, everything works. Thank you!\n\nTom",
    greeting="Hello",
    closed="is closed",
)


class RealOffice(Office):
    """The office over real servers: mails come in over IMAP, go out over SMTP."""

    def __init__(self, desk: Desk, clock: MovableClock, box: Box, smtp: EmbeddedSmtp) -> None:
        super().__init__(desk, clock)
        self._box, self._smtp = box, smtp
        self._daemon = Daemon(desk)

    def receive(self, *mails: bytes) -> list[Sent]:
        self.clock.advance(minutes=1)
        self._box.deliver(*mails)
        before = len(self._smtp.accepted)
        assert self._daemon.run_once() == len(mails)
        new = [self._known(each) for each in self._smtp.accepted[before:]]
        self.sent += new
        return new


@pytest.fixture
def real_office(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp
) -> Callable[[Box], RealOffice]:
    """An office that reads a box and sends to a server of its own."""

    def make(box: Box) -> RealOffice:
        clock = MovableClock()
        desk = flow_desk_factory(clock=clock, imap=box.section(), smtp={"port": smtp_server.port})
        return RealOffice(desk, clock, box, smtp_server)

    return make


def play(office: Office, story: Story) -> None:
    """Play the story from the first mail to the confirmed closing."""
    client = story.client
    office.receive(write(client, story.subject, story.report, cc=PAUL.address))
    asked = office.last("request_information")
    office.receive(answer(asked, client, story.steps))
    guide = [("guide.pdf", "application/pdf", PDF)]
    office.receive(answer(office.last("agent_new"), ALICE, story.agent, files=guide))
    screen = [("écran.png", "image/png", PNG)]
    office.receive(answer(office.last("answer"), client, story.more, files=screen))
    office.receive(answer(office.last("agent_reply"), ALICE, story.takes))
    office.receive(answer(office.last("agent_new", SYLVIE), SYLVIE, story.gives_back))
    office.receive(answer(office.last("agent_new", ALICE), ALICE, story.resolves))
    office.receive(answer(office.last("resolution"), client, story.yes))


CLIENTS_MAILS = [
    "request_information",
    "registration",
    "answer",
    "priority_changed",
    "resolution",
    "closed",
]
AGENTS_MAILS = {
    ALICE: [
        "agent_new",  # registered
        "agent_reply",  # the client answers the agent
        "agent_transcript",  # handed over
        "agent_new",  # and back
        "agent_transcript",  # resolved
        "agent_reply",  # confirmed
    ],
    SYLVIE: ["agent_new", "agent_transcript", "agent_reply"],
}
IN_PERSON = {"answer", "resolution"}
SECRETS = ("ROUGE", ALICE.address, SYLVIE.address, "mailflow")


def check_clients_mails(office: Office, story: Story) -> None:
    client = story.client
    mails = [each for each in office.sent if client.address in each.recipients]
    assert [each.kind for each in mails] == CLIENTS_MAILS
    reference = office.ticket().reference or ""
    theirs = [mail for mail in inbound_ids(office) if mail.endswith(f"@{client.domain}>")]
    opening = theirs[0]
    root = mails[0].ids("References")[-1]
    for each in mails:
        person = each.kind in IN_PERSON
        name = "Alice Agent (Support)" if person else "Support"
        assert str(each.mail["From"].addresses[0].display_name) == name
        assert addresses(each, "From") == addresses(each, "Reply-To") == [SUPPORT.address]
        assert addresses(each, "To") == [client.address]
        assert addresses(each, "Cc") == [PAUL.address]
        assert each.recipients == (client.address, PAUL.address)
        tag = "" if each.kind == "request_information" else f" [{reference}]"
        assert each["Subject"] == f"Re: {story.subject}{tag}"
        assert each["In-Reply-To"] in theirs
        assert each.ids("References")[0] == opening
        assert root in each.ids("References")
        assert each["In-Reply-To"] in each.ids("References")
        assert (each["Auto-Submitted"] is None) == person
        assert (each["X-Auto-Response-Suppress"] is None) == person
        assert each.text.lstrip().startswith(story.greeting)
        assert "#" not in each.text
        for words in SECRETS:
            assert words not in each.everything, (each.kind, words)
    by_kind = {each.kind: each for each in mails}
    assert by_kind["answer"].files() == {"guide.pdf": PDF}
    assert not by_kind["resolution"].files()
    assert story.closed in by_kind["closed"].text
    assert by_kind["closed"]["In-Reply-To"] == theirs[-1]


def check_agents_mails(office: Office, story: Story, agent: Address) -> None:
    mails = [each for each in office.sent if agent.address in each.recipients]
    assert [each.kind for each in mails] == AGENTS_MAILS[agent]
    first = mails[0]
    clients = {
        i for each in office.sent if each.kind in CLIENTS_MAILS for i in each.ids("References")
    }
    for each in mails:
        assert addresses(each, "From") == addresses(each, "Reply-To") == [SUPPORT.address]
        assert addresses(each, "To") == [agent.address]
        assert each["Cc"] is None
        assert each["Subject"] == f"[{office.ticket().reference}] {story.subject}"
        assert (each["Auto-Submitted"] or "").startswith("auto-")
        assert not set(each.ids("References")) & clients  # threads apart
        if each is not first:
            assert each["In-Reply-To"] == first["Message-ID"]
            assert each.ids("References")[0] == first["Message-ID"]


def inbound_ids(office: Office) -> list[str]:
    with office.desk.database.read() as session:
        rows = session.scalars(select(Inbound.message_id).order_by(Inbound.id)).all()
    return [each for each in rows if each]


@pytest.mark.parametrize("story", [FRENCH, ENGLISH], ids=["French", "English"])
@pytest.mark.parametrize(
    "server", ["pymap_box", pytest.param("dovecot_box", marks=pytest.mark.dovecot)]
)
def test_from_first_mail_to_confirmed_closing(
    request: pytest.FixtureRequest,
    real_office: Callable[[Box], RealOffice],
    server: str,
    story: Story,
) -> None:
    office = real_office(request.getfixturevalue(server))
    play(office, story)
    check_clients_mails(office, story)
    check_agents_mails(office, story, ALICE)
    check_agents_mails(office, story, SYLVIE)
    ticket = office.ticket()
    assert (len(office.tickets()), ticket.state, ticket.priority) == (1, "closed", 4)
    assert ticket.registered_at is not None
    assert ticket.agent == ALICE.address
    shown = next(e for e in office.sent if e.kind == "agent_reply" and "écran.png" in e.files())
    assert shown.files()["écran.png"] == PNG
    with office.desk.database.read() as session:
        statuses = session.scalars(select(OutboxMail.status)).all()
        stored = {row.message_id: row.content for row in session.scalars(select(OutboxMail))}
    assert set(statuses) == {"sent"}
    for each in office.sent:  # what the database keeps is what the readers got
        kept = stored[each["Message-ID"] or ""]
        assert kept is not None
        assert message_from_bytes(kept, policy=default)["Subject"] == each["Subject"]
