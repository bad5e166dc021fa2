"""How fast triage is: `python benchmarks/triage.py`.

Figures are given as ratios to a floor measured in the same run (hashing the same mails a
thousand times), so that two machines can be compared, and as mails a second on this one.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mailflow.adapters.nlp import parse_related
from mailflow.adapters.triager import Triager, find_all_hits, read_material
from mailflow.adapters.wording import encode_meaning
from mailflow.core.messages import InboundMessage, MessageClass
from mailflow.services.train_data import Example, read_examples, shipped_training_files


def main() -> None:
    """Print start-up, the stages' speed, and the share of mails that need the parser."""
    examples = read_examples(shipped_training_files())[:400]
    floor = _per_second(lambda: _hash(examples), len(examples))
    print(f"floor: {floor:,.0f} mails/s (SHA-256 of each mail, 1,000 times)")
    _startup()
    triager = Triager.load()
    encode_meaning([examples[0].material])  # loads the encoder
    parsed = _share_parsed(triager, examples)
    print(f"mails with a sentence for the parser: {parsed:.1%}")
    _warm(triager, examples)
    rules = _per_second(
        lambda: [
            find_all_hits(triager.matchers[one.material.language], one.material) for one in examples
        ],
        len(examples),
    )
    _tell("rules (parses remembered)", rules, floor)
    encoder = _per_second(lambda: _encode(examples), len(examples))
    _tell("sentence encoder", encoder, floor)
    messages = [_as_message(one) for one in examples]
    cheap = _per_second(lambda: _first(triager, messages), len(messages))
    _tell("cheap stage (rules without parser, words, cues)", cheap, floor)
    strict = {**triager.model.thresholds, "settled": 1.01}
    thorough = Triager(triager.matchers, replace(triager.model, thresholds=strict), "thorough")
    both = _per_second(lambda: thorough.triage_many(messages), len(messages))
    _tell("both stages for every mail", both, floor)
    # the mails measured with were learned from, so the share is that of training, on unseen ones
    settled = float(triager.model.manifest["metrics"]["settled_by_cheap_stage"])
    print(f"unseen mails that need the dear stage: {1 - settled:.1%}")
    whole = 1.0 / (settled / cheap + (1.0 - settled) / both)
    _tell("whole triage at that share", whole, floor)
    parse_related.cache_clear()
    dear = _per_second(lambda: _warm(triager, examples), len(examples))
    _tell("rules with parsing", dear, floor)
    figures = {"floor": floor, "cheap": cheap, "whole": whole, "settled": settled, "parsed": parsed}
    print(json.dumps(figures))


def _startup() -> None:
    for name, code in (
        ("python", "pass"),
        ("import of spaCy", "import spacy"),
        ("start of triage", "from mailflow.adapters.triager import Triager; Triager.load()"),
    ):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        print(f"{name}: {time.perf_counter() - started:.2f} s")


def _hash(examples: Sequence[Example]) -> None:
    for one in examples:
        text = one.material.written.encode()
        for _ in range(1000):
            hashlib.sha256(text).digest()


def _warm(triager: Triager, examples: Sequence[Example]) -> None:
    for one in examples:
        find_all_hits(triager.matchers[one.material.language], one.material)


def _share_parsed(triager: Triager, examples: Sequence[Example]) -> float:
    count = 0
    for one in examples:
        before = parse_related.cache_info().misses
        find_all_hits(triager.matchers[one.material.language], one.material)
        count += parse_related.cache_info().misses > before
    return count / len(examples)


def _encode(examples: Sequence[Example]) -> None:
    for start in range(0, len(examples), 64):
        encode_meaning([one.material for one in examples[start : start + 64]])


def _first(triager: Triager, messages: Sequence[InboundMessage]) -> None:
    """Run the cheap stage alone."""
    for start in range(0, len(messages), 64):
        batch = [(one, read_material(one)) for one in messages[start : start + 64]]
        for asked in triager.ask_first(batch):
            triager.is_settled(asked)


def _as_message(one: Example) -> InboundMessage:
    material = one.material
    return InboundMessage(
        message_id=f"<{one.id}@benchmark.example>", in_reply_to=(), references=(), senders=(),
        reply_to=(), to=(), cc=(), subject=material.subject, date=None,
        language=material.language, text=material.body, new_text=material.body, signature="",
        quoted="", forwarded=None, message_class=MessageClass.PERSON, class_reason="",
        bounce=None, attachments=(), defects=(), encrypted=False,
    )  # fmt: skip


def _per_second(run: Callable[[], object], mails: float) -> float:
    started = time.perf_counter()
    run()
    return mails / (time.perf_counter() - started)


def _tell(name: str, speed: float, floor: float) -> None:
    print(f"{name}: {speed:,.0f} mails/s, {speed / floor:.3f} of the floor")


if __name__ == "__main__":
    main()
