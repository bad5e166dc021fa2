"""May an automatic mail go to this sender? Machines never get one."""

from dataclasses import dataclass

from mailflow.core.messages import InboundMessage, MessageClass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether we may answer, and why; the reason is stored with the mail."""

    answer: bool
    reason: str


def may_answer(message: InboundMessage, own_addresses: frozenset[str]) -> Verdict:
    """Say whether `message` is one that may be answered automatically at all.

    Source: RFC 3834 section 2; RFC 5230 section 4.6.
    """
    if message.message_class is not MessageClass.PERSON:
        return Verdict(False, f"{message.message_class.value}: {message.class_reason}")
    if message.sender is None:
        count = len(message.senders)
        return Verdict(False, "no sender to answer" if not count else f"{count} senders in From")
    address = message.sender.address
    if "@" not in address:
        return Verdict(False, f"the sender's address is not one that can be answered: {address}")
    if address in own_addresses:
        return Verdict(False, "sent by ourselves")
    local = address.rpartition("@")[0]
    if local in _NEVER_ANSWERED or local.startswith(_NEVER_ANSWERED_PREFIXES):
        return Verdict(False, f"{address} is the address of a machine")
    return Verdict(True, "written by a person")


def may_send_more(address: str, sent_today: int, daily_cap: int) -> Verdict:
    """Say whether `address` may get one more automatic mail.

    `sent_today` counts the automatic mails that it got in the last 24 hours. The cap ends any
    loop that the classes did not see. Source: RFC 3834 section 2.
    """
    if sent_today >= daily_cap:
        return Verdict(
            False, f"{address} had {sent_today} automatic mails in 24 hours; the cap is {daily_cap}"
        )
    return Verdict(True, f"{sent_today} automatic mails in 24 hours")


_NEVER_ANSWERED = frozenset(
    {"mailer-daemon", "postmaster", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply"}
    | {"do_not_reply", "bounce", "bounces"}
)
_NEVER_ANSWERED_PREFIXES = (
    *("noreply-", "noreply+", "no-reply-", "no-reply+"),
    *("ne-pas-repondre", "nepasrepondre", "bounce+", "bounces+"),
)
