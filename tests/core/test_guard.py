import pytest

from mailflow.core.guard import Verdict, may_answer, may_send_more
from mailflow.core.messages import Address, MessageClass
from tests.factories import CLIENT, SUPPORT, make_message

OWN = frozenset({SUPPORT, "help@support.example"})


def test_a_person_is_answered():
    assert may_answer(make_message(), OWN) == Verdict(True, "written by a person")


@pytest.mark.parametrize("kind", [each for each in MessageClass if each is not MessageClass.PERSON])
def test_no_machine_is_answered(kind):
    message = make_message(message_class=kind, class_reason="header X")
    assert may_answer(message, OWN) == Verdict(False, f"{kind.value}: header X")


@pytest.mark.parametrize(
    ("senders", "reason"),
    [
        ((), "no sender to answer"),  # From is missing
        ((CLIENT, Address("", "b@client.example")), "2 senders in From"),
        ((CLIENT, CLIENT), "2 senders in From"),  # twice the same is not honest either
        ((Address("x", "not an address"),), "not one that can be answered"),
        ((Address("", SUPPORT),), "sent by ourselves"),  # a loop, though it looks like a person
        ((Address("", "help@support.example"),), "sent by ourselves"),  # an alias
        ((Address("", "mailer-daemon@client.example"),), "address of a machine"),
        ((Address("", "postmaster@client.example"),), "address of a machine"),
        ((Address("", "no-reply@client.example"),), "address of a machine"),
        ((Address("", "no_reply@client.example"),), "address of a machine"),
        ((Address("", "donotreply@client.example"),), "address of a machine"),
        ((Address("", "noreply-42@client.example"),), "address of a machine"),
        ((Address("", "noreply+42@client.example"),), "address of a machine"),
        ((Address("", "ne-pas-repondre@client.example"),), "address of a machine"),
        ((Address("", "bounces+ann=client@list.example"),), "address of a machine"),  # VERP
    ],
)
def test_no_answer_to(senders, reason):
    verdict = may_answer(make_message(senders=senders), OWN)
    assert not verdict.answer
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "address",
    [
        "noreplyson@client.example",  # a name that begins alike
        "bouncer@client.example",
        "ann@noreply.example",  # the domain says nothing
        "x-support@support.example",  # ends like ours
    ],
)
def test_people_with_such_names_are_answered(address):
    assert may_answer(make_message(senders=(Address("", address),)), OWN).answer


@pytest.mark.parametrize(
    ("sent", "cap", "answer"),
    [
        (0, 1, True),
        (9, 10, True),  # the tenth may still go
        (10, 10, False),
        (11, 10, False),
    ],
)
def test_the_daily_cap(sent, cap, answer):
    verdict = may_send_more("ann@client.example", sent, cap)
    assert verdict.answer is answer
    assert f"{sent} automatic mails" in verdict.reason


def test_headers_are_found_in_any_case_the_first_one_counts():
    message = make_message(headers=(("Auto-Submitted", "no"), ("AUTO-SUBMITTED", "yes")))
    assert message.header("auto-submitted") == "no"
    assert message.header("Precedence") is None
