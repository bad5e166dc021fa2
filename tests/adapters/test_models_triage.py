"""The shipped model: unharmed, quick to answer, and never silent about its doubts."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mailflow.adapters.deciders import softmax
from mailflow.adapters.forest import Forest
from mailflow.adapters.models import find_current, load_model
from mailflow.adapters.triager import MODELS, Triager, find_all_hits, read_material
from mailflow.adapters.wording import encode_meaning
from mailflow.core.messages import MessageClass
from mailflow.core.triage import Exclusion, Kind, Outcome
from mailflow.errors import ConfigError
from tests.factories_triage import make_attachment, make_message

pytestmark = pytest.mark.filterwarnings("default")  # of the language models' own libraries


@pytest.fixture(scope="module")
def triager():
    return Triager.load()


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(find_current(MODELS), tmp_path / "model")


@pytest.mark.parametrize("name", ["words.json", "weights.npz"])
def test_an_altered_file_is_refused(copied, name):
    with (copied / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        load_model(copied)


def test_a_missing_model_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="mailflow train"):
        load_model(tmp_path)


def test_another_format_is_refused(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "format": 0}))
    with pytest.raises(ConfigError, match="format"):
        load_model(copied)


def test_an_unreadable_manifest_is_refused(copied):
    (copied / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match="manifest"):
        load_model(copied)


def test_a_forest_walks_to_its_leaves():
    forest = Forest(
        feature=np.array([0, -1, -1, -1], dtype=np.int32),
        limit=np.array([0.5, 0, 0, 0], dtype=np.float32),
        low=np.array([1, 1, 2, 3], dtype=np.int32),
        high=np.array([2, 1, 2, 3], dtype=np.int32),
        value=np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32),
        roots=np.array([0, 3], dtype=np.int32),
    )
    assert forest.shares(np.array([0.2], dtype=np.float32)).tolist() == [0.75, 0.25]
    assert forest.shares(np.array([0.9], dtype=np.float32)).tolist() == [0.25, 0.75]


def test_softmax_stays_finite():
    assert softmax(np.array([1e5, 0.0])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    "language, subject, body, kind, priority",
    [
        ("en", "outage", "All our users are locked out, nobody can sign in.", "problem", 1),
        ("fr", "panne", "Plus personne ne peut se connecter, tous nos sites.", "problem", 1),
        ("en", "typo", "There is a typo in the footer, nothing else.", "problem", 4),
        ("fr", "question", "Comment ajouter un utilisateur ?", "information", 4),
        ("en", "question", "How do I add a user?", "information", 4),
    ],
)
def test_plain_cases(triager, language, subject, body, kind, priority):
    found = triager.triage(make_message(body, subject, language))
    assert (found.kind.value.value, found.priority.value) == (kind, priority)


def test_exclusion_in_plain_words(triager):
    body = "Could you train our three new colleagues? A half-day workshop would be fine."
    found = triager.triage(make_message(body, "Training"))
    assert found.kind.value is Kind.EXCLUDED
    assert found.exclusion.value is Exclusion.TRAINING
    assert found.exclusion.evidence


def test_offsets_are_those_of_the_whole_text(triager):
    body = "Nobody can sign in since 8.\nAll our sites see a white page."
    text = f"Hello\n\n{body}\n\n-- \nAnn\n> Nobody can sign in"
    found = triager.triage(make_message(body, "outage", text=text))
    spans = [one for judged in (found.kind, found.priority) for one in judged.evidence]
    assert any(one.start is not None for one in spans)
    for one in spans:
        if one.start is not None:
            assert text[one.start : one.end] == one.text


@pytest.mark.parametrize(
    "message, outcome",
    [
        (make_message("Hallo, nichts geht mehr", language="de"), Outcome.HOLD),
        (make_message("", language="und"), Outcome.HOLD),
        (make_message("x", encrypted=True), Outcome.HOLD),
        (make_message("I am away", message_class=MessageClass.AUTO_REPLY), Outcome.IGNORE),
        (make_message("news", message_class=MessageClass.LIST), Outcome.IGNORE),
    ],
)
def test_what_is_not_read(triager, message, outcome):
    assert triager.triage(message).outcome is outcome


def test_many_are_answered_in_order_and_alike(triager):
    messages = [
        make_message("How do I add a user?"),
        make_message("x", language="de"),
        make_message("The export fails."),
    ]
    many = triager.triage_many(messages)
    assert [one.outcome for one in many][1] is Outcome.HOLD
    assert many[0].kind.value == triager.triage(messages[0]).kind.value
    assert triager.triage_many([]) == []


def test_an_empty_mail_does_not_stop_it(triager):
    assert triager.triage(make_message("")).review.needed


def test_the_version_names_rules_and_model(triager):
    assert triager.version.startswith("rules-")
    assert triager.model.version in triager.version


def test_own_rules_replace_a_language(tmp_path):
    (tmp_path / "triage").mkdir()
    (tmp_path / "triage" / "en.toml").write_text(
        '[[rule]]\nid = "a"\ncue = "blocked"\npatterns = ["stuck"]\nmatches = ["stuck"]\n'
    )
    changed = Triager.load(rules_folder=tmp_path)
    assert [rule.id for rule in changed.matchers["en"].rules.rules] == ["a"]
    assert len(changed.matchers["fr"].rules.rules) > 1
    assert changed.version != Triager.load().version


@pytest.mark.parametrize(
    "attachment, kept",
    [
        (make_attachment("image001.png", size=4_000, inline=True), False),  # a signature's logo
        (make_attachment("image001.png", size=90_000, inline=True), True),  # a pasted screen
        (make_attachment("a.png", size=4_000), True),  # attached on purpose
        (make_attachment("a.log", "text/plain", 10, b"ERROR 5", inline=True), True),
    ],
)
def test_logos_are_not_read(attachment, kept):
    material = read_material(make_message("x", attachments=(attachment,)))
    assert bool(material.attachments) is kept


@pytest.mark.parametrize(
    "size, text",
    [(10, "ERROR 5"), (10**6, "")],  # a large log is not read
)
def test_small_logs_are_read(size, text):
    log = make_attachment("a.log", "text/plain", size, b"ERROR 5")
    assert read_material(make_message("x", attachments=(log,))).attachments[0].text == text


def test_a_log_that_holds_an_error_counts_as_a_screen(triager):
    matcher = triager.matchers["en"]
    body = make_message("x", attachments=(make_attachment("a.txt", "text/plain", 10, b"HTTP 503"),))
    plain = make_message(
        "x", attachments=(make_attachment("a.txt", "text/plain", 10, b"all well"),)
    )
    assert "attached_screen" in {one.cue for one in find_all_hits(matcher, read_material(body))}
    assert "attached_screen" not in {
        one.cue for one in find_all_hits(matcher, read_material(plain))
    }


def test_the_cheap_stage_decides_what_is_clear_and_spares_the_rest(triager, monkeypatch):
    encoded = []
    monkeypatch.setattr(
        "mailflow.adapters.triager.encode_meaning",
        lambda materials: encoded.extend(materials) or encode_meaning(materials),
    )
    message = make_message("How do I add a user?", "question")
    loose = replace(triager.model, thresholds={**triager.model.thresholds, "settled": 0.0})
    Triager(triager.matchers, loose, "v").triage(message)
    assert encoded == []
    strict = replace(triager.model, thresholds={**triager.model.thresholds, "settled": 1.01})
    Triager(triager.matchers, strict, "v").triage(message)
    assert [one.subject for one in encoded] == ["question"]


def test_evidence_is_short_and_telling(triager):
    body = (
        "Nobody can sign in, none of us. The whole company is blocked and all users are locked out."
    )
    for judged in (triager.triage(make_message(body, "all out")).kind,):
        assert 0 < len(judged.evidence) <= 6
        words = [one.text.lower() for one in judged.evidence if one.source == "model"]
        assert not triager.matchers["en"].rules.faint.intersection(words)
