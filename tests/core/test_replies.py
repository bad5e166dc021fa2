"""New text, quote, signature and forwarded mail, on lines alone: no MIME, no HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.forwards import parse_forwarded, parse_mailbox
from mailflow.core.lines import Line, Mark
from mailflow.core.messages import Address
from mailflow.core.replies import Context, Reply, split_reply
from mailflow.core.signatures import find_signature, is_closing, is_name

REPLY = Context("Re: Export", is_reply=True, sender_name="Claire Martin")
FIRST = Context("Export", sender_name="Claire Martin")
FORWARD = Context("TR: Export", is_reply=True)


def cut(text: str, context: Context = REPLY, marks: dict[int, Mark] | None = None) -> Reply:
    lines = text.split("\n")
    marked = [Line(t, (marks or {}).get(n, Mark.NONE)) for n, t in enumerate(lines)]
    return split_reply(marked, context)


HEADERS = "De : Support <s@desk.example>\nEnvoyé : lundi\nÀ : Claire\nObjet : Export\n\nBonjour"


@pytest.mark.parametrize(("text", "new"), [
    ("", ""),  # nothing at all
    ("Oui.", "Oui."),  # nothing to cut
    ("Oui.\n\nLe 5 mars 2024 à 09:12, Support <s@d.example> a écrit :\nBonjour", "Oui."),
    ("Oui.\n\nOn Tue, Apr 11, 2017 at 10:07 PM John\n\n<\nmailto:j@x.example\n> wrote:\nHi", "Oui."),
    ("Oui.\n\n" + HEADERS, "Oui."),
    ("Oui.\n\nMessage d'origine\n\n" + HEADERS, "Oui."),  # no dashes, but a block below
    ("Le message d'origine\n\nest perdu.", "Le message d'origine\n\nest perdu."),
    ("Message d'origine\n\nperdu", "Message d'origine\n\nperdu"),  # no block below: prose
    ("Oui.\n\n-----Original Message-----\n\nHi", "Oui."),
    ("Oui.\n\n-----Original Message-----", "Oui."),  # nothing below it
    ("Oui.\n---- On Tue, 5 Mar 2024 s@d.example wrote ----\nHi", "Oui."),
    ("Oui On Tue, Mar 5, 2024 at 9:12 AM s@d.example wrote:\n> Hi", "Oui"),  # shares the line
    ("Voir a@b.example\nLe 5 mars 2024 à 9:12, S <s@d.example> a écrit :\n> Hi", "Voir a@b.example"),
    ("Oui.\n2011/4/7 Nathan <s@d.example>\n\n> Hi", "Oui."),  # no verb, no colon
    ("Oui.\nQuoting Support <s@d.example>:\n\n> Hi", "Oui."),  # Horde
    ("Oui.\nSelon le support :\n\n> Hi", "Oui."),
    ("Selon le support :\nc'est normal", "Selon le support :\nc'est normal"),
    ("Support wrote:\n> Hi\n\nOui.", "Oui."),
    ("> Hi", ""),  # a reply of nothing but a quote
    ("a > b\n> c", "a > b"),
    ("> Quelle version utilisez-vous sur ce poste de la comptabilité et depuis\n"
     "quand ?\n> Merci\nla 4.2", "la 4.2"),  # a gateway wrapped the quote
    ("> see\nhttp://x.example/a\n> b\nOui", "Oui"),  # a link broken out of the quote
    ("> Une question assez longue pour que sa ligne dépasse la limite de largeur\nOui\n> b", "Oui"),
    ("> a\noui\n> b", "oui"),  # short lines are not wrapped
    ("Oui.\n\nEnvoyé de mon iPhone\n\nBonjour", "Oui."),  # below a footer lies the quote
    ("Oui.\n\nEnvoyé de mon iPhone\n\nCe message est confidentiel et destiné à X\n\nx", "Oui."),
    ("Envoyé de mon iPhone\n\nBonjour", "Bonjour"),  # written below one's own footer
    ("Oui.\nEnvoyé de mon iPhone\n> x", "Oui."),
    ("Oui.\nEnvoyé de mon iPhone\ny compris hier", "Oui.\nEnvoyé de mon iPhone\ny compris hier"),
    ("Oui.\n\n====\n\n" + HEADERS, "Oui."),
    ("Oui.\n\n-----\n\n-- \nClaire", "Oui."),
    ("EXTERNAL EMAIL\n\nOui.", "Oui."),
    ("[EXTERNAL]", "[EXTERNAL]"),  # nothing but a banner
    ("CAUTION: external sender\nDo not click any links\n-----\nOui.", "Oui."),  # no blank line
    ("[EXTERNAL]\nOui, la 4.2.", "Oui, la 4.2."),
    ("> a\n\n[EXTERNAL]", "[EXTERNAL]"),
    ("[EXTERNAL]\n\n" * 5 + "Oui.", "[EXTERNAL]\n\nOui."),  # four are enough
    ("[EXTERNAL]\nDo not click any links\nBonjour, oui.", "Bonjour, oui."),
    ("> a\n\n> b\nOui", "Oui"),
    ("Oui.\nEnvoyé de mon iPhone", "Oui."),
    ("Oui\n-----\n", "Oui\n-----"),
    ("On" + " word" * 100 + "\nmore", "On" + " word" * 100 + "\nmore"),  # far too long
    ("On\na\nb\nc\nd\ne\nf", "On\na\nb\nc\nd\ne\nf"),
    ("John wrote\nsomething else\nmore", "John wrote\nsomething else\nmore"),
    ("Le a@b.example est :\nx", "Le a@b.example est :\nx"),
    ("Oui\n\nFrom: a@b.example\nSubject: x\nFrom: c@d.example\nhello", "Oui"),
    ("Oui\n\nFrom: a@b.example\nTo: x\n\nhello", "Oui\n\nFrom: a@b.example\nTo: x\n\nhello"),
    ("Oui\n\nSent: Monday\nTo: X\nSubject: Y\n\nz", "Oui"),
    ("Oui\n\nDe : S\nEnvoyé : x\nÀ : y\nObjet : z\n\n> Bonjour\n\nEt ceci.", "Oui\n\nEt ceci."),
    ("Oui\n\nSent from my " + "very " * 15 + "phone", "Oui\n\nSent from my " + "very " * 15 + "phone"),
])  # fmt: skip
def test_new_text(text: str, new: str) -> None:
    assert cut(text).new_text == new


@pytest.mark.parametrize(("text", "context", "new", "sender"), [
    ("FYI\n\n" + HEADERS, FORWARD, "FYI\n\n" + HEADERS, "s@desk.example"),
    (HEADERS, FIRST, HEADERS, "s@desk.example"),  # nothing written above, no reply
    ("Voir ci-dessous\n\n" + HEADERS, FIRST, "Voir ci-dessous\n\n" + HEADERS, "s@desk.example"),
    ("Oui\n\n" + HEADERS, FIRST, "Oui", None),  # no sign of a forward
    ("FYI\n\n-----Message d'origine-----\nperdu", FORWARD, "FYI", None),  # no block: a quote
    ("FYI\n\n-----Message d'origine-----", FORWARD, "FYI", None),
    ("FYI\n\n---- Forwarded message ----\nno headers", REPLY,
     "FYI\n\n---- Forwarded message ----\nno headers", None),
    ("> ---- Forwarded message ----\n> From: a@b.example\n> Date: 1\n>\n> x\n\nok", REPLY,
     "> ---- Forwarded message ----\n> From: a@b.example\n> Date: 1\n>\n> x\n\nok", "a@b.example"),
    ("> Hi", FIRST, "> Hi", None),  # quoted, yet no reply: kept
])  # fmt: skip
def test_forwarded(text: str, context: Context, new: str, sender: str | None) -> None:
    reply = cut(text, context)
    assert reply.new_text == new
    original = reply.forwarded.sender if reply.forwarded else None
    assert (original.address if original else None) == sender


def test_html_marks_decide_where_the_text_does_not() -> None:
    """Marks: a quote, a signature, a quote behind an attribution, an answer in colour."""
    assert cut("Oui\nQuelle version ?", marks={1: Mark.QUOTED}).new_text == "Oui"
    assert cut("Oui\n\nClaire", marks={2: Mark.SIGNATURE}).signature == "Claire"
    assert cut("Oui\nClaire\naussi", marks={1: Mark.SIGNATURE}).new_text == "Oui\naussi"
    text = "Le 5 mars 2024 à 9:12, S <s@d.example> a écrit :\nBonjour\n\nOui"
    assert cut(text, marks={1: Mark.QUOTED}).new_text == "Oui"
    assert cut("x\n" + text, marks={0: Mark.QUOTED}).new_text == "Bonjour\n\nOui"
    answered = "En rouge ci-dessous\n\n" + HEADERS + "\nLa 4.2"
    marks = dict.fromkeys(range(2, 8), Mark.QUOTED) | {8: Mark.ANSWER}
    assert cut(answered, marks=marks).new_text == "En rouge ci-dessous\n\nLa 4.2"
    assert cut("Voilà\n\n" + HEADERS + "\nLa 4.2", marks=marks).new_text == "Voilà"
    signed = "Oui\n\nCordialement\nClaire"
    assert cut(signed, marks={3: Mark.SIGNATURE}).new_text == "Oui"
    footer = "Oui\n\nEnvoyé de mon iPhone\nClaire\nBonjour"
    assert cut(footer, marks={3: Mark.SIGNATURE}).signature == "Envoyé de mon iPhone\nClaire"


def test_only_the_first_lines_of_a_huge_body_are_looked_at() -> None:
    huge = cut("\n".join(["x"] * 5000 + ["> y"]))
    assert huge.new_text.endswith("> y")
    wide = cut("\n".join(["x" * 700] * 500 + ["> y"]))
    assert wide.new_text.endswith("> y")


@pytest.mark.parametrize(("lines", "start"), [
    (["Oui", "", "-- ", "Claire"], 2),
    (["Oui", "--", "Claire"], 1),
    (["Oui", "-- ", "Je vous écris aussi que nous ne pouvons pas payer.",
      "Pouvez-vous nous aider avec cela ?"], None),  # a divider, prose below
    (["Oui", "--", "2024 INFO", "Regards,", "Claire"], 3),  # a log's dashes, then a close
    (["Oui", "__", "users mailing list", "x"], 1),
    (["Oui", "", "Cordialement"], 2),
    (["Oui", "", "Cordialement, Claire"], 2),
    (["Oui", "Cordialement,", "Claire", "PS : le poste de Jean aussi"], None),
    (["Oui", "Cordialement,", *["x"] * 20], None),  # too long for a signature
    (["Oui", "Regards", "Client Ltd", "Tel. 01 23 45 67 89",
      "We are the best shop that you can have in town."], 1),  # one slogan
    (["Oui", "", "Cordialement", "", "-- ", "Claire", "", "Envoyé de mon iPhone"], 2),
    (["Oui", "Best,", "John"], 1),
    (["Oui", "Best Buy"], None),
    (["Oui", "", "Claire Martin"], 2),
    (["Oui", "", "MARTIN Claire"], 2),
    (["Oui", "", "Claire Martin | DAF"], 2),
    (["Claire Martin", "Oui"], None),
    (["Oui", "", "Merci,", "Claire Martin", "DAF"], 2),
    (["Oui", "", "Cordialement", "", "Claire", "", "Client SAS", "12 rue Haute",
      "75002 Paris", "01 23 45 67 89"], 2),
    (["Oui", "", "Jean Petit", "12 rue Haute, 75002 Paris", "01 23 45 67 89"], 2),
    (["Oui :", "", "Jean Petit", "12 rue Haute, 75002 Paris", "01 23 45 67 89"], None),
    (["Oui", "", "- Jean Petit 01 23 45 67 89", "- Paul 01 23 45 67 88"], None),  # a list
    (["Jean Petit", "12 rue Haute, 75002 Paris", "01 23 45 67 89"], None),
    (["Oui", "", "[image: logo]", "Client SAS", "12 rue Haute", "01 23 45 67 89"], 2),
    (["Oui", "", "Cordialement", "Claire Martin", "", "01 23 45 67 89", "www.x.example"], 2),
    (["Oui", "", "Ce message est confidentiel et destiné à vous."], 2),
    ([], None),
])  # fmt: skip
def test_signature_begins(lines: list[str], start: int | None) -> None:
    assert find_signature(lines, "Claire Martin") == start


@pytest.mark.parametrize(("line", "closes"), [
    ("Bien cordialement,", True), ("Cordialement Jean Dupont", True), ("regards", True),
    ("Best practice Guide", False), ("Merci", False), ("Thanks and regards", True),
    ("Regards croisés sur la facture de mars", False),
])  # fmt: skip
def test_a_close_stands_alone(line: str, closes: bool) -> None:
    assert is_closing(line) is closes


@pytest.mark.parametrize(("line", "name"), [
    ("Claire Martin", True), ("- Jean de La Tour", True), ("claire", False), ("", False),
    ("Poste 12", False), ("Un Deux Trois Quatre Cinq", False),
])  # fmt: skip
def test_a_name_is_capitalised(line: str, name: bool) -> None:
    assert is_name(line) is name


@pytest.mark.parametrize(("text", "mailbox"), [
    ("", None),
    ("Paul <P@x.example>", Address("Paul", "p@x.example")),
    ("Paul [mailto:p@x.example]", Address("Paul", "p@x.example")),
    ("Paul Durand/CLIENT", Address("Paul Durand/CLIENT", "")),
    ("*Paul* <p@x.example<mailto:p@x.example>>", Address("Paul", "p@x.example")),
])  # fmt: skip
def test_a_mailbox_as_bodies_show_it(text: str, mailbox: Address | None) -> None:
    assert parse_mailbox(text) == mailbox


def test_a_forwarded_mail_without_headers_keeps_its_text() -> None:
    forwarded = parse_forwarded(["---- Forwarded message ----", "", "text"])
    assert (forwarded.sender, forwarded.subject, forwarded.text) == (None, "", "text")
    twice = parse_forwarded(
        ["To: a@b.example", "From: c@d.example", "Date: 1", " y", "To: x", "", "text"]
    )
    assert twice.sender == Address("", "c@d.example")
    spaced = parse_forwarded(
        ["From: c@d.example", "", "Subject: x", "", "To: a", "To: b", "", "text"]
    )
    assert (spaced.subject, spaced.text) == ("x", "text")


words = st.text("abc >-:\n@éOnLewrote0123456789", max_size=200)


@given(words, st.booleans())
def test_no_text_is_ever_lost(text: str, is_reply: bool) -> None:
    """Every word is in one of the parts, whatever the text."""
    reply = cut(text, Context("Re: x" if is_reply else "x", is_reply=is_reply))
    together = "".join((reply.new_text + reply.signature + reply.quoted).split())
    assert sorted(together) == sorted("".join(text.split()))
