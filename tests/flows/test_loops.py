"""Two machines that write to each other come to rest: over a day, at most ten mails each."""

import pytest

from mailflow.core.messages import Address
from tests.flows.conftest import OpenOffice
from tests.flows.office import CLAIRE, SUPPORT, Office, answer, write
from tests.flows.words import FULL_FR

MOST = 10
OTHER_DESK = """\
[[organisation]]
name = "The other desk"
domains = ["support.example", "client.example"]
"""


def to_client(office: Office, address: str) -> int:
    return sum(address in each.recipients for each in office.post.taken)


def test_two_desks_that_answer_each_other_stop_at_once(open_office: OpenOffice) -> None:
    ours = open_office("ours")
    theirs = open_office(
        "theirs",
        organisations=OTHER_DESK,
        support={"address": "helpdesk@client.example", "name": "Helpdesk"},
    )
    post = ours.receive(write(Address("Helpdesk", "helpdesk@client.example"), "Panne", FULL_FR))
    for _ in range(24 * 6):  # a day in steps of ten minutes
        to_them = [m.content for m in post if "helpdesk@client.example" in m.recipients]
        back = theirs.receive(*to_them) if to_them else theirs.later(minutes=10)
        to_us = [m.content for m in back if SUPPORT.address in m.recipients]
        post = ours.receive(*to_us) if to_us else ours.later(minutes=10)
    assert to_client(ours, "helpdesk@client.example") <= MOST
    assert to_client(theirs, SUPPORT.address) <= MOST


@pytest.mark.parametrize(
    "text",
    [
        "Merci de votre message, nous y répondrons dans les meilleurs délais.",  # says nothing
        FULL_FR,  # the worst: each answer reads like a new, complete problem
        "Je ne suis pas là.",  # short, and no header to tell
    ],
)
@pytest.mark.parametrize("threaded", [True, False])
def test_a_responder_without_any_header_is_answered_ten_times_at_most(
    office: Office, text: str, threaded: bool
) -> None:
    post = office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    for number in range(24 * 6):
        own = [mail for mail in post if CLAIRE.address in mail.recipients]
        replies = [
            answer(
                mail,
                CLAIRE,
                text,
                quote=False,
                threaded=threaded,
                subject=None if threaded else f"Votre message {number}",
            )
            for mail in own
        ]
        post = office.receive(*replies) if replies else office.later(minutes=10)
    assert to_client(office, CLAIRE.address) <= MOST


def test_a_storm_of_bounces_is_told_to_the_agents_once(registered: Office) -> None:
    sent = registered.last("registration")
    before = len(registered.post.taken)
    bounces = [
        write(
            Address("Mail Delivery System", "mailer-daemon@mx.client.example"),
            "Undelivered Mail Returned to Sender",
            "This is the mail system. I'm sorry to have to inform you that your message could "
            f"not be delivered.\n\n<{CLAIRE.address}>: 550 5.1.1 user unknown\n\n"
            f"Message-ID: {sent['Message-ID']}\n",
            headers=(
                ("Auto-Submitted", "auto-replied"),
                ("In-Reply-To", sent["Message-ID"] or ""),
                ("Return-Path", "<>"),
            ),
        )
        for _ in range(60)
    ]
    registered.receive(*bounces)
    assert len(registered.post.taken) - before <= 1
    assert to_client(registered, "mailer-daemon@mx.client.example") == 0
