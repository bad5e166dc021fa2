"""Telephone numbers and names in what clients write."""

import pytest

from mailflow.core.contacts import find_contact, find_phones


@pytest.mark.parametrize(
    "text, digits",
    [
        ("06 12 34 56 78", "0612345678"),
        ("0612345678", "0612345678"),
        ("01.23.45.67.89", "0123456789"),
        ("01-23-45-67-89", "0123456789"),
        ("06\u00a012\u00a034\u00a056\u00a078", "0612345678"),  # no-break spaces
        ("06\u202f12\u202f34\u202f56\u202f78", "0612345678"),
        ("+33 6 12 34 56 78", "+33612345678"),
        ("+33612345678", "+33612345678"),
        ("+33 (0)1 23 45 67 89", "+33123456789"),
        ("+33(0)123456789", "+33123456789"),
        ("0033 6 12 34 56 78", "+33612345678"),
        ("(+33) 6 12 34 56 78", "+33612345678"),
        ("+33 01 23 45 67 89", "+33123456789"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+1 (212) 555-0123", "+12125550123"),
        ("+49 30 901820", "+4930901820"),
        ("+32 2 555 12 12", "+3225551212"),
        ("Tél. : 01 23 45 67 89", "0123456789"),
        ("Phone: (212) 555-0123", "2125550123"),  # national elsewhere: only after such a word
        ("call me on 020 7946 0958", "02079460958"),
        ("Appelez le 09 87 65 43 21.", "0987654321"),  # full stop after it
        ("Mon numéro est le 06 12 34 56 78, merci", "0612345678"),
        ("(06 12 34 56 78)", "0612345678"),
        ("(Paul, 06 12 34 56 78)", "0612345678"),
        ("joignable au 06 12 34 56 78 jusqu'à 18h", "0612345678"),
        ("tel:0612345678", "0612345678"),
    ],
)
def test_telephone_numbers(text, digits):
    (found,) = find_phones(text)
    assert found.digits == digits
    assert text[found.start : found.end] == found.text


@pytest.mark.parametrize(
    "text",
    [
        "le 04/05/2026 à 10h30",
        "2026-05-04 10:30:00",
        "04.05.2026",
        "04 05 2026",
        "2026-05-04",
        "ticket MF-2026-000123",
        "référence 0123456789",
        "ticket 0123456789",
        "SIRET 732 829 320 00074",
        "SIRET : 73282932000074",
        "SIREN 732 829 320",
        "TVA FR 40 303 265 045",
        "IBAN FR76 3000 6000 0112 3456 7890 189",
        "1 234 567,89 €",
        "0 123 456 789 €",
        "montant 0123456789",
        "total : 01 23 45 67 89,50",
        "192.168.100.200",
        "l'adresse 10.0.0.1 ne répond plus",
        "0000000000",
        "11111111",
        "erreur 0123456789",
        "error 0x80070005",
        "Fax : 01 23 45 67 89",
        "facture n° 0123456789",
        "commande 0612345678",
        "version 10.2.3.4567",
        "0612345678901234",  # too long
        "06 12 34 56",  # too short
        "1234567890",  # national, but after no word for a telephone
        "+33 6 12 34 56",  # incomplete
        "+1 23",
        "id_0612345678",
        "https://esker.example/0612345678",
        "01/02/03/04/05",
        "01 23) 45 (67 89 01 23) 45",
        "a) 12 34) 56 78 (90",
        "",
    ],
)
def test_not_a_telephone_number(text):
    assert find_phones(text) == ()


def test_an_extension():
    (found,) = find_phones("01 23 45 67 89 poste 1234")
    assert (found.digits, found.extension) == ("0123456789", "1234")
    (found,) = find_phones("+44 20 7946 0958, ext. 12")
    assert found.extension == "12"


def test_several_numbers_in_order():
    found = find_phones("Paul 06 12 34 56 78 ou Marie 01 23 45 67 89")
    assert [each.digits for each in found] == ["0612345678", "0123456789"]


@pytest.mark.parametrize(
    "text, name, digits",
    [
        ("Contact technique : Jean Dupont, 06 12 34 56 78", "Jean Dupont", "0612345678"),
        ("Jean Dupont - 06 12 34 56 78", "Jean Dupont", "0612345678"),
        ("Vous pouvez joindre Mme Martin au 01 23 45 67 89.", "Martin", "0123456789"),
        ("Vous pouvez appeler M. Le Goff au 01 23 45 67 89", "Le Goff", "0123456789"),
        ("Technical contact: Jane Doe, +44 20 7946 0958", "Jane Doe", "+442079460958"),
        ("Please call John Smith on +1 (212) 555-0123", "John Smith", "+12125550123"),
        ("Please call John on +1 (212) 555-0123", "John", "+12125550123"),
        ("Bonjour,\n\n06 12 34 56 78 (Paul Durand)", "Paul Durand", "0612345678"),
        (
            "Notre technicien :\nPierre Le Gall\nTél : 06 12 34 56 78",
            "Pierre Le Gall",
            "0612345678",
        ),
        ("Tél : 06 12 34 56 78\nPierre Legall", "Pierre Legall", "0612345678"),
        ("Anne-Marie de la Tour : 06 12 34 56 78", "Anne-Marie de la Tour", "0612345678"),
        ("Contactez Élodie Bézier au 06 12 34 56 78", "Élodie Bézier", "0612345678"),
        ("Bonjour Paul,\nappelez-moi au 06 12 34 56 78", None, "0612345678"),
        ("06 12 34 56 78", None, "0612345678"),
        ("Jean Dupont de 06 12 34 56 78", "Jean Dupont", "0612345678"),
        ("Voir avec Paul : 06 12 34 56 78", "Paul", "0612345678"),
        ("Jean Dupont Mme Martin 06 12 34 56 78", "Martin", "0612345678"),
        ("je suis dispo au 06 12 34 56 78\nRe: Panne", None, "0612345678"),
        ("1) 01 23 45 67 89", None, "0123456789"),
        ("Lundi Matin 06 12 34 56 78", None, "0612345678"),
        (
            "Standard : 01 23 45 67 89\n\n\n" + "x" * 130 + "\nJean Dupont 06 12 34 56 78",
            "Jean Dupont",  # a number with a name goes before one without
            "0612345678",
        ),
    ],
)
def test_contact(text, name, digits):
    found = find_contact(text)
    assert (found.name, found.phone.digits) == (name, digits)


def test_fifty_numbers_are_enough():
    assert len(find_phones("06 12 34 56 78, " * 60)) == 50


def test_no_number_no_contact():
    assert find_contact("Demandez Jean Dupont, ticket MF-2026-000123") is None


def test_a_hostile_text_takes_no_time():
    for text in ("0 " * 20_000, "+" * 20_000, "Ab " * 10_000, "(" * 20_000, "01." * 10_000):
        find_contact(text + " 06 12 34 56 78")
