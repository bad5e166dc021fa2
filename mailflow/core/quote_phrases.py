# ruff: noqa: E501 -- a table of phrases: wrapping them would not make them plainer
"""Words by which mail programs announce a quoted or forwarded mail, in many languages.

Sources: the programs themselves (Outlook, Gmail, Apple Mail, Thunderbird, Yahoo, Zoho, Zimbra,
Roundcube, Lotus Notes and webmails of providers), read in mails that they sent.
"""

# Words that an attribution begins with ("On … wrote:"), lower case.
ATTRIBUTION_STARTS = (
    "on", "le", "am", "um", "el", "il", "in data", "il giorno", "op", "em", "a", "den", "på",
    "w dniu", "dnia", "dne", "dňa", "at", "ngày", "vào", "στις", "v", "le", "d.", "à", "em",
    "la data de", "pe data de", "quoting", "selon", "zitat von", "citando", "citado por", "envoyé",
    "sent", "von", "from", "de", "da", "van", "fra", "från", "*from", "*de", "kl", "no dia",
    "no", "dia", "date", "ti", "ke", "ma", "pe", "la", "su", "to", "pada", "tir.", "man.", "ons.", "tor.",
    "fre.", "lør.", "søn.", "mån", "tis", "tors", "lör", "sön",
)  # fmt: skip

# Verbs of writing, lower case: one of these makes a line that has a date or an address an
# attribution.
WROTE = (
    r"wrote", r"writes", r"sent", r"said", r"a\s+[ée]crit", r"[ée]crit", r"a\s+envoy[ée]",
    r"a\s+r[ée]pondu", r"schrieb", r"geschrieben", r"schreibt", r"escribi[óo]", r"ha\s+escrito",
    r"escreveu", r"ha\s+scritto", r"scrive", r"scriveva", r"schreef", r"geschreven", r"skrev",
    r"skreiv", r"kirjoitti", r"napisał(?:\(a\)|a)?", r"pisze", r"napsal(?:\(a\)|a)?",
    r"napísal(?:\(a\)|a)?", r"пишет", r"писал", r"написал(?:\(а\)|а)?", r"написав(?:\(ла\))?",
    r"写道", r"寫道", r"写了", r"のメール", r"書きました", r"作成", r"작성", r"đã\s+viết", r"yazd[ıi]",
    r"yazm[ıi]ş", r"írta", r"έγραψε", r"a\s+scris", r"va\s+escriure", r"je\s+napisao", r"כתב",
    r"menulis", r"пише", r"ha\s+escrit", r"je\s+napisala", r"님이", r"napsala", r"folgendes",
    r"rašė", r"rakstīja", r"kirjutas", r"idatzi\s+du", r"escribio",
)  # fmt: skip

# Days and months, as an attribution without a leading word begins with one.
DAY_NAMES = (
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "monday", "tuesday", "wednesday", "thursday",
    "friday", "saturday", "sunday", "lun", "mar", "mer", "jeu", "ven", "sam", "dim", "lundi",
    "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche", "mo", "di", "mi", "do", "fr",
    "sa", "so", "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag",
    "lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo", "mié", "jue", "vie",
    "sáb", "dom", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica",
    "gio", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag", "ma",
    "wo", "vr", "za", "zo", "segunda", "terça", "quarta", "quinta", "sexta", "seg", "ter", "qua",
    "qui", "sex", "tir", "man", "ons", "tor", "tors", "fre", "lør", "søn", "mån", "tis", "lör",
    "sön", "pe", "ti", "ke", "to", "la", "su", "pon", "wt", "śr", "czw", "pt", "sob", "niedz",
    "пн", "вт", "ср", "чт", "пт", "сб", "вс", "понедельник", "вторник", "среда", "четверг",
    "пятница", "суббота", "воскресенье",
)  # fmt: skip

# Labels of a copied header block, lower case → what they hold.
HEADER_LABELS = {
    "from": (
        "from", "de", "von", "da", "van", "fra", "från", "od", "от", "发件人", "寄件者", "寄件人",
        "差出人", "보낸 사람", "lähettäjä", "mittente", "remitente", "expéditeur", "expediteur",
        "absender", "afzender", "kimden", "feladó", "från", "nadawca", "отправитель", "от кого",
        "desde", "remetente", "odesílatel", "από", "gönderen", "de la", "từ",
    ),
    "sent": (
        "sent", "envoyé", "envoye", "envoyé le", "gesendet", "enviado", "enviado el",
        "enviado em", "enviada", "enviada em", "inviato", "verzonden", "verstuurd", "sendt",
        "skickat", "lähetetty", "wysłano", "wysłane", "отправлено", "发送时间", "寄件日期",
        "傳送時間", "送信日時", "보낸 날짜", "odesláno", "elküldve", "gönderildi", "trimis",
        "enviat el", "message du", "envoi", "envoyée", "sent at", "sent on", "已发送",
    ),
    "date": (
        "date", "datum", "fecha", "data", "dato", "päiväys", "päivämäärä", "дата", "日期", "日時",
        "date d'envoi", "am", "tarih", "dátum", "ngày", "le", "sent date",
    ),
    "to": (
        "to", "à", "a", "an", "para", "aan", "til", "till", "vastaanottaja", "do", "кому", "收件人",
        "收件者", "宛先", "받는 사람", "per", "destinataire", "destinataires", "destinatario", "komu",
        "kime", "címzett", "către", "adresat", "pour", "empfänger", "đến",
    ),
    "cc": (
        "cc", "copie à", "copie", "copia", "kopie", "kopia", "kopi", "ccn", "c.c.", "cci", "bcc",
        "копия", "抄送", "副本", "kopio", "dw", "참조",
    ),
    "subject": (
        "subject", "objet", "sujet", "betreff", "asunto", "oggetto", "onderwerp", "assunto",
        "emne", "ämne", "aihe", "temat", "тема", "主题", "主旨", "件名", "제목", "předmět", "konu",
        "tárgy", "subiect", "assumpte", "θέμα", "chủ đề", "predmet",
    ),
    "other": (
        "reply-to", "répondre à", "reply to", "antwort an", "importance", "priority", "priorité",
        "pièces jointes", "pièce jointe", "attachments", "anlagen", "priorität", "message-id",
        "sensitivity", "wichtigkeit", "adjuntos", "allegati", "organisation", "cc:", "importancia",
        "references", "in-reply-to", "categories", "catégories", "signed by", "signé par",
    ),
}  # fmt: skip

# What stands between dashes above a quoted mail.
ORIGINAL_MESSAGE = (
    "original message", "message d'origine", "message original", "message initial",
    "ursprüngliche nachricht", "originalnachricht", "ursprüngliche mail", "antwort nachricht",
    "mensaje original", "messaggio originale", "messaggio originario", "oorspronkelijk bericht",
    "origineel bericht", "mensagem original", "oprindelig meddelelse", "oprindelig besked",
    "original meddelelse", "ursprungligt meddelande", "originalmeddelande",
    "opprinnelig melding", "original melding", "alkuperäinen viesti", "wiadomość oryginalna",
    "oryginalna wiadomość", "исходное сообщение", "исходное письмо", "оригинальное сообщение",
    "原始邮件", "原始郵件", "邮件原件", "元のメッセージ", "원본 메시지", "původní zpráva",
    "původní e-mail", "eredeti üzenet", "orijinal mesaj", "mesaj original", "αρχικό μήνυμα",
    "reply message", "message de réponse", "message précédent", "réponse", "mail original",
    "original email", "original mail", "courriel original", "e-mail d'origine",
    "mail d'origine", "courrier original", "tin nhắn gốc", "missatge original", "reply",
    "reply separator", "message reçu", "received message", "e-mail original",
)  # fmt: skip

# What stands above a forwarded mail, with dashes around it or at the start of its own line.
FORWARDED_MESSAGE = (
    "forwarded message", "forwarded mail", "forwarded email", "forwarded by", "forward message",
    "begin forwarded message", "start of forwarded message", "fwd", "message transféré",
    "courriel transféré", "mail transféré", "message transmis", "message réexpédié",
    "message réacheminé", "transféré par", "réacheminé par", "transmis par", "fait suivre par",
    "début du message réexpédié", "début du message transféré", "message transferé",
    "début du message transmis", "weitergeleitete nachricht", "weitergeleitete e-mail",
    "weitergeleitet von", "anfang der weitergeleiteten nachricht", "mensaje reenviado",
    "mensaje remitido", "inicio del mensaje reenviado", "reenviado por", "messaggio inoltrato",
    "inizio messaggio inoltrato", "inizio del messaggio inoltrato", "inoltrato da",
    "doorgestuurd bericht", "begin doorgestuurd bericht", "doorgestuurd door",
    "mensagem encaminhada", "mensagem reencaminhada", "início da mensagem reencaminhada",
    "encaminhado por", "videresendt meddelelse", "videresendt besked", "videresendt melding",
    "start på videresendt besked", "vidarebefordrat meddelande", "vidarebefordrat brev",
    "edelleenlähetetty viesti", "välitetty viesti", "wiadomość przekazana",
    "przekazana wiadomość", "treść przekazanej wiadomości", "пересылаемое сообщение",
    "пересланное сообщение", "перенаправленное сообщение", "начало переадресованного сообщения",
    "转发邮件", "转发的邮件", "转发邮件信息", "轉寄郵件", "转发的信息", "転送されたメッセージ",
    "전달된 메시지", "přeposlaná zpráva", "továbbított üzenet", "iletilmiş mesaj",
    "mesaj redirecționat", "προωθημένο μήνυμα", "missatge reenviat",
)  # fmt: skip

# Before the subject of a forwarded mail.
FORWARD_PREFIXES = (
    "fw", "fwd", "tr", "trans", "wg", "i", "rv", "rif", "enc", "vs", "doorst", "pd", "vb", "tr",
    "res-fwd", "fs", "vl", "转发", "轉寄", "transf", "転送", "fwd:", "reenv", "пересл",
)  # fmt: skip

# Before the subject of an answer.
REPLY_PREFIXES = (
    "re", "ré", "aw", "antw", "rép", "rep", "r", "res", "sv", "odp", "ynt", "vá", "回复", "回覆",
    "答复", "ha", "atb", "na", "bls", "отв", "ответ", "réf", "ref",
)  # fmt: skip
