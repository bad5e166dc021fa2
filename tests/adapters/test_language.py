"""The language of short and long texts."""

import pytest

from mailflow.adapters.language import detect_language


@pytest.mark.parametrize(("text", "hint", "language"), [
    ("", None, "und"),
    ("12345 !!", None, "und"),
    ("", "fr-FR", "fr"),  # nothing to read: the hint decides
    ("merci", None, "fr"),
    ("thanks", None, "en"),
    ("Plus personne ne peut se connecter depuis ce matin.", "en", "fr"),  # the text outweighs it
    ("Bonjour, l'export PDF échoue avec le message « base verrouillée ».", None, "fr"),
    ("Hello, the export fails with the message 'database locked'.", None, "en"),
    ("Wir können uns seit heute früh nicht mehr anmelden.", None, "de"),
    ("No podemos entrar en la aplicación desde esta mañana.", None, "es"),
    ("Non riusciamo più ad accedere al programma da stamattina.", None, "it"),
    ("Wij kunnen sinds vanochtend niet meer inloggen.", None, "nl"),
    ("Não conseguimos entrar no sistema desde hoje de manhã.", None, "pt"),
    ("Nie możemy się zalogować od dzisiaj rana", None, "pl"),  # by lingua
    ("Экспорт не работает", None, "ru"),
    ("Експорт не працює, і ми чекаємо", None, "uk"),
    ("エクスポートできません", None, "ja"),
    ("无法导出文件", None, "zh"),
    ("내보내기가 안 됩니다", None, "ko"),
    ("blocage export https://www.the-and-of-to.example/of/the/and", "fr", "fr"),  # links do not count
])  # fmt: skip
def test_language(text: str, hint: str | None, language: str) -> None:
    assert detect_language(text, hint) == language
