"""Three months of tickets under a daemon that is stopped, killed and doubled at random.

What was sent is compared with a model of its own: it walks through each ticket's event log and
the moments at which a sweep ran, and says which reminders those sweeps had to send.
"""

import random
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import select

from mailflow.adapters.tables import Event, OutboxMail, Reminder, Ticket
from mailflow.core.deadlines import deadline_of
from mailflow.core.decisions import Audience, Notice, NoticeKind
from mailflow.core.reminders import next_progress_prompt, reminder_moments
from mailflow.core.tickets import Action
from mailflow.services.clock import clock_events
from mailflow.services.outbox import send_due
from mailflow.services.sweep import LATE, sweep
from mailflow.workers import worker_name
from tests.factories_desk import MovableClock
from tests.services.life import FakeGateway, new_ticket, say, step

BEGIN = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)  # a Monday; summer time, Easter, May lie ahead
END = BEGIN + timedelta(days=92)
STEP = {True: timedelta(minutes=30), False: timedelta(hours=2, minutes=20)}  # open, closed
TICKETS = 45
SECOND = timedelta(seconds=1)


class Killed(BaseException):
    """The process ends here, whatever it was doing."""


class DeadlyGateway(FakeGateway):
    """Takes mails; now and then the worker dies just before or just after."""

    def __init__(self, dice):
        super().__init__()
        self.dice = dice

    def send(self, sender, recipients, content, may_send=None):
        fate = self.dice.random()
        if fate < 0.004:
            raise Killed
        reply = super().send(sender, recipients, content)
        if fate < 0.008:
            raise Killed
        return reply


@dataclass
class World:
    """The desk, its workers, and what they did when."""

    desks: list
    clock: MovableClock
    dice: random.Random
    gateway: DeadlyGateway
    sweeps: list[datetime] = field(default_factory=list)
    kills: int = 0

    @property
    def desk(self):
        return self.desks[0]

    def work(self):
        """A turn of one worker, or of both: send, sweep, send what the sweep owes."""
        both = self.dice.random() < 0.2
        for index in range(len(self.desks)) if both else [self.dice.randrange(2)]:
            self.send(index)
            self.clock.now += SECOND
            self.sweeps.append(self.clock.now)
            sweep(self.desks[index])
            self.clock.now += SECOND
            self.send(index)

    def send(self, index):
        try:
            while send_due(self.desks[index], self.gateway):
                pass
        except Killed:
            self.kills += 1
            self.restart(index)

    def restart(self, index):
        """A new process under a new name; the claims of the old one run out in time."""
        self.desks[index] = replace(self.desks[index], worker=worker_name())

    def settle(self):
        """Let no two things happen in one second: the model has no other order than time."""
        self.clock.now += SECOND


def act(world, number):
    """Something that agent or client might do to this ticket now."""
    desk, dice = world.desk, world.dice
    with desk.database.read() as session:
        ticket = session.get_one(Ticket, number)
    dice_roll = dice.random()
    world.settle()
    if ticket.state == "incomplete":
        if dice_roll < 0.5:
            step(desk, number, "completed", Action.REGISTER, notices=REGISTRATION)
        elif dice_roll < 0.6:
            step(desk, number, "asked", Action.ASK, changes={"asked": ["steps"]})
    elif ticket.state == "abandoned":
        step(desk, number, "revived", Action.REVIVE)
    elif ticket.state == "open":
        if dice_roll < 0.25:
            say(desk, number, "#wait\nUn instant.")
        elif dice_roll < 0.5:
            say(desk, number, f"#priority {dice.choice([1, 2, 2, 3, 3, 3, 4, 4, 4])} une raison")
        elif dice_roll < 0.6:
            say(desk, number, "Nous cherchons.")
        elif dice_roll < 0.7 and ticket.priority == 1:
            say(desk, number, "#workaround\nPassez par le portail.")
        elif dice_roll < 0.8:
            say(desk, number, "#resolve\nC’est corrigé.")
        elif dice_roll < 0.82:
            say(desk, number, "#exclude training")
        else:
            step(desk, number, "client_replied", Action.CLIENT_REPLIED)
    elif ticket.state == "pending":
        step(desk, number, "resumed", Action.CLIENT_REPLIED)
    elif ticket.state == "resolved":
        if dice_roll < 0.4:
            step(desk, number, "confirmed", Action.CONFIRM)
        elif dice_roll < 0.7:
            step(desk, number, "resolution_refused", Action.REFUSE)
        elif dice_roll < 0.8:
            step(desk, number, "client_replied", Action.CLIENT_REPLIED)
        elif ticket.workaround:
            step(desk, number, "workaround_confirmed", Action.KEEP_OPEN)
            world.settle()
            change = {"old": ticket.priority, "new": 3, "reason": "workaround"}
            step(desk, number, "priority_changed", changes={"priority": 3}, data=change)
    elif ticket.state == "excluded":
        say(desk, number, "#include")
    elif ticket.state == "closed" and dice_roll < 0.3:
        step(desk, number, "reopened", Action.REOPEN)


REGISTRATION = (Notice(NoticeKind.REGISTRATION, Audience.CLIENT),)


def lower_old_ones(world):
    """No priority 1 lasts for ever: after two days it is another one, and its prompts end."""
    with world.desk.database.read() as session:
        query = select(Ticket.id).where(
            Ticket.state == "open",
            Ticket.priority == 1,
            Ticket.registered_at < world.clock.now - timedelta(days=2),
        )
        old = session.scalars(query).all()
    for number in old:
        world.settle()
        say(world.desk, number, "#priority 3 un contournement suffit")


def simulate(world):
    """Run the three months. Tickets come in the first two and a half of them."""
    dice = world.dice
    calendar = world.desk.policy_for(None).calendar
    births = sorted(BEGIN + timedelta(seconds=dice.uniform(0, 75 * 86400)) for _ in range(TICKETS))
    quiet = set()  # tickets that everybody forgets after a while
    numbers = []
    asked = []  # those that began incomplete: somebody answers even late
    down_until = BEGIN
    while world.clock.now < END:
        if world.clock.now >= down_until:
            world.work()
            fate = dice.random()
            if fate < 0.006:  # down, for minutes up to two days
                down_until = world.clock.now + timedelta(hours=dice.choice([0.2, 2, 9, 48]))
                for index in range(len(world.desks)):
                    world.restart(index)
            elif fate < 0.02:
                world.restart(dice.randrange(len(world.desks)))
        while births and births[0] <= world.clock.now:
            births.pop(0)
            world.settle()
            missing = ["steps"] if dice.random() < 0.35 else []
            priority = dice.choice([1, 2, 2, 3, 3, 4, 4])
            numbers.append(new_ticket(world.desk, priority, missing=missing))
            if missing:
                asked.append(numbers[-1])
            if dice.random() < 0.3 and priority != 1:
                quiet.add(numbers[-1])
        among = numbers[-12:] if dice.random() < 0.8 else asked
        lively = [each for each in among if each not in quiet or dice.random() < 0.1]
        lower_old_ones(world)
        for number in dice.sample(lively, min(len(lively), dice.choice([0, 0, 1]))):
            act(world, number)
        world.clock.now += STEP[calendar.is_open(world.clock.now)] * dice.uniform(0.5, 1.5)


@dataclass
class Expected:
    """What the model says: (stage, sweep) on the deadline track, prompts by sweep."""

    deadline: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    prompts: list[datetime] = field(default_factory=list)


def model(log, policy, sweeps):  # noqa: PLR0915
    """Walk through a ticket's log and the sweeps between its events."""
    expected = Expected()
    registered = next((each for each in log if each.kind == "registration_sent"), None)
    if registered is None:
        return expected
    moves = clock_events(log)
    times = sorted({each.at for each in log if is_change(each) and each.at >= registered.at})
    handled = {}  # deadline → stages sent, or passed over for more urgent ones
    told = set()  # stages sent since the last change of priority
    current = None
    prompt = None  # the one prompt that is planned
    for begin, end in zip(times, [*times[1:], END + timedelta(days=9)], strict=True):
        seen = [each for each in log if each.at <= begin]
        state = [e.data["to"] for e in seen if "to" in e.data]
        state = state[-1] if state else "open"
        if any(e.kind == "priority_changed" and e.at == begin for e in seen):
            told = set()
        found = deadline_of(moves, policy, begin)
        moments = reminder_moments(policy, found.priority, found.registered_at, found.pauses)
        due = found.due_at if state == "open" else None
        if due is not None and due != current:
            done = handled.setdefault(due, set())
            highest = max((n for n, m in enumerate(moments) if m.stage in told), default=-1)
            for number, each in enumerate(moments):
                if number <= highest and each.due_moment <= begin:
                    done.add(each.stage)
        current = due
        if due is None:
            prompt = None
            continue
        waiting = {}
        for each in moments:
            stage = next(s for s in policy.reminders[found.priority] if s.name == each.stage)
            if each.stage not in handled[due]:
                waiting[each.stage] = (each.due_moment, stage)
        names = [each.stage for each in moments]
        index = bisect_left(sweeps, begin)
        while waiting:
            first = min(moment for moment, _ in waiting.values())
            index = bisect_left(sweeps, first, index)
            if index == len(sweeps) or sweeps[index] >= end:
                break
            now = sweeps[index]
            ripe = [name for name in names if name in waiting and waiting[name][0] <= now]
            moment, stage = waiting[ripe[-1]]
            opening = held_until(policy, moment, now)
            warns = stage.at != 1.0 and now < due <= (opening or now)
            if opening is not None and stage.open_hours_only and not warns:
                for name in ripe:
                    waiting[name] = (opening, waiting[name][1])
                continue
            expected.deadline.append((ripe[-1], due, now))
            told.add(ripe[-1])
            for name in ripe:
                handled[due].add(name)
                del waiting[name]
        # progress: one prompt ahead, the next one from the sweep that sent it
        every = policy.progress_every.get(found.priority)
        if every is None:
            prompt = None
            continue
        if prompt is None or prompt > begin:
            prompt = next_progress_prompt(
                policy, found.priority, found.registered_at, begin, found.pauses
            )
        index = bisect_left(sweeps, begin)
        while prompt is not None:
            index = bisect_left(sweeps, prompt, index)
            if index == len(sweeps) or sweeps[index] >= end:
                break
            now = sweeps[index]
            opening = held_until(policy, prompt, now)
            if opening is not None:
                prompt = opening
                continue
            expected.prompts.append(now)
            prompt = next_progress_prompt(
                policy, found.priority, found.registered_at, now, found.pauses
            )
    return expected


def is_change(event):
    """Whether the clock or the prompts are planned anew: after an answer no old prompt is left."""
    return event.kind in ("registration_sent", "priority_changed", "answered") or "to" in event.data


def held_until(policy, moment, now):
    """A missed reminder is not sent by night: the opening it waits for, or None."""
    if now - moment < LATE or policy.calendar.is_within_hours(now):
        return None
    return policy.calendar.next_open(now)


@pytest.fixture(scope="module")
def world(tmp_path_factory, migrated_database):
    from tests.factories_desk import DeskFactory

    factory = DeskFactory(tmp_path_factory.mktemp("simulation"), migrated_database)
    clock = MovableClock(BEGIN)
    desks = [factory(clock=clock) for _ in range(2)]
    for desk in desks:  # a power cut is not simulated here: do not wait for the disk
        sql_event.listen(
            desk.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF")
        )
        desk.database.engine.dispose()
    dice = random.Random(20260302)
    found = World(desks, clock, dice, DeadlyGateway(dice))
    simulate(found)
    found.clock.now = END + timedelta(days=5)  # what was claimed at the end runs out, and is sent
    found.gateway.dice = random.Random(1)
    found.gateway.dice.random = lambda: 1.0
    found.work()
    yield found
    factory.close()


@pytest.fixture(scope="module")
def logs(world):
    """The event log of each ticket."""
    found = {}
    with world.desk.database.read() as session:
        for each in session.scalars(select(Event).order_by(Event.id)):
            found.setdefault(each.ticket_id, []).append(each)
    return found


def rows(world, table):
    with world.desk.database.read() as session:
        return session.scalars(select(table).order_by(table.id)).all()


def test_each_due_reminder_was_sent_once_and_no_other(world, logs):
    policy = world.desk.policy_for(world.desk.organisations[0])
    sent = {}
    for each in rows(world, Reminder):
        if each.track == "deadline" and each.status == "sent":
            sent.setdefault(each.ticket_id, []).append((each.stage, each.deadline, each.done_at))
    count = 0
    for number, log in logs.items():
        expected = model(log, policy, world.sweeps).deadline
        assert sorted(sent.get(number, [])) == sorted(expected), number
        count += len(expected)
    assert count > 40


def test_progress_prompts_came_each_working_hour(world, logs):
    policy = world.desk.policy_for(world.desk.organisations[0])
    count = 0
    for number, log in logs.items():
        expected = model(log, policy, world.sweeps).prompts
        found = [each.at for each in log if each.kind == "progress_prompted"]
        assert found == expected, number
        count += len(found)
    assert count > 40


def test_clients_were_reminded_at_the_pace_of_working_days(world, logs):
    policy = world.desk.policy_for(world.desk.organisations[0])
    tracks = {
        "missing": ({"asked", "revived"}, policy.missing_information),
        "confirmation": ({"resolved", "workaround"}, policy.confirmation),
    }
    found = Counter()
    for number, log in logs.items():
        for track, (starts, chase) in tracks.items():
            for index, start in enumerate(log):
                if start.kind not in starts:
                    continue
                ends = (
                    each.at
                    for each in log[index + 1 :]
                    if each.kind in starts
                    or each.data.get("to") not in (None, start.data.get("to"))
                )
                end = next(ends, END)
                after = [start, *(each for each in log[index + 1 :] if each.at <= end)]
                wanted = [f"{track}-{n}" for n in range(1, chase.count + 1)]
                told = [e for e in after if e.kind in ("client_reminded", "abandoned")]
                stages = [each.data.get("stage", each.kind) for each in told]
                if chase.closes:
                    wanted.append("abandoned")
                if stages[:1] == wanted[1:2]:  # an outage: the first was passed over
                    wanted = wanted[1:]
                assert stages == wanted[: len(stages)], number
                times = [start.at, *(each.at for each in told)]
                for before, now in pairwise(times):
                    earliest = policy.calendar.add_working_days(before, chase.every)
                    assert earliest - LATE <= now <= first_sweep(world, policy, earliest), number
                if len(stages) < len(wanted):
                    earliest = policy.calendar.add_working_days(times[-1], chase.every)
                    assert end <= first_sweep(world, policy, earliest), number
                found.update(stages)
    assert min(found[each] for each in ("missing-2", "abandoned", "confirmation-2")) > 0


def first_sweep(world, policy, moment):
    """The first sweep from `moment` on that may write to a client."""
    while True:
        index = bisect_left(world.sweeps, moment)
        if index == len(world.sweeps):
            return END + timedelta(days=9)
        now = world.sweeps[index]
        opening = held_until(policy, moment, now)
        if opening is None:
            return now
        moment = opening


def test_nothing_was_sent_out_of_hours_or_to_a_ticket_that_waits(world, logs):
    policy = world.desk.policy_for(world.desk.organisations[0])
    calendar = policy.calendar
    told = ("reminded", "escalated", "client_reminded", "progress_prompted")
    for number, log in logs.items():
        state = "open"
        for each in log:
            state = each.data.get("to", state)
            if each.kind not in told:
                continue
            if each.kind != "client_reminded":
                assert state == "open", number
            opened = calendar.is_within_hours(each.at) or calendar.is_within_hours(each.at - LATE)
            if not opened:
                assert "due_at" in each.data, number
                due = datetime.fromisoformat(each.data["due_at"])
                assert each.data["stage"] == "breach" or due <= calendar.next_open(each.at), number


def test_no_ticket_was_closed_in_silence(logs):
    closed = [each for log in logs.values() for each in log if each.data.get("to") == "closed"]
    assert closed
    assert all(each.actor != "mailflow" for each in closed)


def test_every_mail_went_out_once_although_workers_died(world):
    delivered = Counter(
        next(line for line in content.splitlines() if line.lower().startswith(b"message-id:"))
        for _, content in world.gateway.sent
    )
    owed = rows(world, OutboxMail)
    assert {each.status for each in owed} == {"sent"}
    assert len(delivered) == len(owed)
    twice = [each for each in owed if delivered[f"Message-ID: {each.message_id}".encode()] > 1]
    assert all(each.maybe_duplicate for each in twice)
    assert world.kills > 3


def test_each_reminder_is_one_event_and_one_mail_to_its_reader(world, logs):
    kinds = {"reminded": "agent_reminder", "escalated": "agent_escalation",
             "progress_prompted": "agent_prompt"}  # fmt: skip
    mails = {}
    for each in rows(world, OutboxMail):
        mails.setdefault((each.ticket_id, each.created_at, each.kind), []).append(each.recipient)
    for number, log in logs.items():
        for each in log:
            if each.kind in kinds:
                readers = mails.pop((number, each.at, kinds[each.kind]))
                assert len(readers) == len(set(readers)) <= 2, number
    left = [key for key in mails if key[2] in kinds.values()]
    assert left == []


def test_tickets_led_all_kinds_of_lives(world, logs):
    states = Counter(each.data.get("to") for log in logs.values() for each in log)
    assert min(states[each] for each in ("pending", "resolved", "closed", "abandoned")) > 0
    kinds = Counter(each.kind for log in logs.values() for each in log)
    wanted = ("priority_changed", "resolution_refused", "workaround", "reopened", "revived",
              "escalated", "agent_silent")  # fmt: skip
    assert [each for each in wanted if not kinds[each]] == []
