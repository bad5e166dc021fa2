"""A mail as named numbers."""

from mailflow.core.rules import Hit, Mood, Place
from mailflow.core.triage_features import AttachmentWords, Material, count_features


def hit(cue, start=0, place=Place.BODY, mood=Mood.ACTUAL):
    return Hit(f"en-{cue}", cue, place, start, start + 3, "abc", mood)


def features(hits, body="one two three", subject="", attachments=()):
    return count_features(Material("en", subject, body, attachments), hits)


def test_a_cue_in_a_question_is_another_feature():
    found = features([hit("blocked"), hit("slow", mood=Mood.QUESTION)])
    assert found["blocked"] == 1.0
    assert "slow" not in found
    assert found["slow~"] == 1.0


def test_a_supposed_cue_marks_the_mail():
    assert features([hit("blocked", mood=Mood.SUPPOSED)])["supposed"] == 1.0


def test_counts_rise_slowly_and_stop():
    assert features([hit("blocked")] * 2)["blocked"] == 1.3
    assert features([hit("blocked")] * 9)["blocked"] == 2.2


def test_moods_are_no_cues():
    assert "mood_question" not in features([hit("mood_question")])


def test_the_subject_counts_by_itself():
    assert features([hit("blocked", place=Place.SUBJECT)])["subject:blocked"] == 1.0


def test_pairs_meet_in_the_mail_and_near_each_other():
    near = features([hit("scope_all", 0), hit("blocked", 50)])
    far = features([hit("scope_all", 0), hit("blocked", 500)])
    assert near["scope_all&blocked"] == far["scope_all&blocked"] == 1.0
    assert near["scope_all+blocked"] == 1.0
    assert "scope_all+blocked" not in far


def test_shape():
    found = features([], '- open it\n- save it\nWhy "so"?!', "?", (AttachmentWords("a.png"),))
    assert found["shape:list_lines"] > 0
    assert found["shape:quoted"] == 0.5
    assert found["shape:asked_at_end"] == 1.0
    assert found["shape:subject_asked"] == 1.0
    assert found["shape:attachments"] == 1.0
    assert found["shape:no_subject"] == 0.0


def test_the_model_reads_attachment_names():
    assert Material("en", "S", "B", (AttachmentWords("e.log"),)).written == "S\nB\n[e.log]"
