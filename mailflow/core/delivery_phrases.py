# ruff: noqa: E501 -- a table of phrases: wrapping them would not make them plainer
"""Words of delivery reports, in many languages and of many mail systems."""

import re

# Subjects that only mail systems write.
BOUNCE_SUBJECT = re.compile(
    r"(?:undeliver(?:able|ed)|mail (?:delivery )?(?:failed|failure|error)|delivery (?:status|failure|"
    r"has failed|report|notification|error|problem|delayed|incomplete)|returned (?:mail|to sender)"
    r"|failure notice|mail (?:could not be|not) delivered|message (?:not|could not be) delivered|"
    r"non[- ]?remis|non[- ]?d[ée]livr|non distribu|[ée]chec (?:de|d['’]) ?(?:la )?(?:remise|distribution"
    r"|l['’]?envoi|envoi|livraison|d[ée]livrance)|remise (?:impossible|retard[ée]e|diff[ée]r[ée]e)"
    r"|avis de non[- ]?(?:remise|distribution|d[ée]livrance)|notification d['’][ée]tat de remise|"
    r"message (?:non|retard[ée])|courrier (?:non|en attente)|retour (?:de|du) (?:courrier|mail|message)|"
    r"impossible de (?:remettre|distribuer)|mail system error|warning: (?:could not send|message)|"
    r"message d['’]erreur de remise|rapport de non|unzustellbar|nicht zugestellt|zustell(?:ung|fehler)"
    r"|no se (?:ha podido|puede) entregar|devuelto|mancata consegna|onbestelbaar|"
    r"niet (?:bezorgd|afgeleverd)|não (?:entregue|foi entregue)|kunde inte levereras|"
    r"delivery failure|could not deliver|unzustellbare|mailbox (?:full|unavailable)|"
    r"\bNDR\b|returned mail|mail error|error during delivery|processing error|failed mail|"
    r"(?:mail|message|e-?mail)\b.{0,120}(?:could not be|was not|not) (?:be )?delivered|non-?delivery|"
    r"mail delivery warning|automatically rejected|rejected mail|delivery failed|not deliverable|"
    r"failed delivery|undelivered|bounced? (?:mail|message)|message rejected|mail delivery (?:system|subsystem)|message delayed|delayed mail)",
    re.IGNORECASE,
)  # fmt: skip

# Texts of mail systems: what is refused for good, then what is only late.
BOUNCE_TEXT = re.compile(
    r"(?:could ?n[o']t be delivered|could not (?:be )?deliver|was(?: not|n't) delivered|were not "
    r"delivered|unable to deliver|undeliverable|delivery (?:to the following|has failed|failed|failure)"
    r"|wasn['’]t able to deliver|permanent (?:fatal )?error|failed permanently|"
    r"delivery attempts|returned (?:to sender|below|to you)|i'm afraid i|i wasn't able to|"
    r"address(?:es)? (?:failed|couldn['’]t be found|not found|had (?:permanent|fatal))|"
    r"user (?:unknown|not found|doesn't (?:exist|have))|no such (?:user|recipient|mailbox|address)|"
    r"(?:recipient|user|mailbox|address|account)(?: \S{1,80})? (?:rejected|unknown|does not exist|"
    r"doesn['’]t exist|not found|unavailable|disabled|is full|is (?:inactive|invalid))|"
    r"mailbox (?:is )?full|quota exceeded|over ?quota|relay(?:ing)? (?:access )?denied|"
    r"n['’]a pas (?:pu|été) (?:être )?(?:remis|distribu|d[ée]livr|transmis|envoy)|"
    r"n['’]ont pas (?:pu|été) (?:être )?(?:remis|distribu|d[ée]livr|transmis)|"
    r"impossible de (?:remettre|distribuer|d[ée]livrer|livrer|transmettre)|"
    r"[ée]chec (?:de|d['’]|permanent|lors)|(?:destinataire|utilisateur|adresse|bo[iî]te)(?: \S{1,80})? "
    r"(?:inconnue?|inexistante?|introuvable|refus[ée]e?|pleine|n['’]existe|est pleine)|"
    r"adresse e-?mail (?:introuvable|n['’]a pas|inexistante)|pas (?:pu )?atteindre (?:le|les) destinataire|"
    r"votre message n['’]est pas parvenu|konnte nicht zugestellt|nicht zugestellt werden|"
    r"no se (?:ha podido|pudo|puede) entregar|non (?:è stato possibile|può essere) (?:consegn|recapit)|"
    r"kon niet worden (?:bezorgd|afgeleverd)|não (?:pôde|foi possível) (?:ser )?entreg|"
    r"user not listed|not listed in (?:domino|public name)|no route (?:to|found)|"
    r"host (?:or domain name )?not found|message (?:was |has been )?(?:rejected|refused|blocked)|"
    r"this is (?:the|a) (?:mail system|mail delivery|qmail|permanent error)|smtp error|"
    r"rejected (?:by|your message)|550[ -]|5\.\d\.\d)",
    re.IGNORECASE,
)  # fmt: skip
SOUNDS_LIKE_A_PERSON = re.compile(
    r"\b(?:bonjour|bonsoir|hello|hi|dear|salut|madame|monsieur|cordialement|regards|merci|thanks|je|nous|"
    r"pouvez-vous|could you|please help|mon|notre|we|our|i am|i'm|i have)\b",
    re.IGNORECASE,
)
TEMPORARY = re.compile(
    r"(?:delayed|not yet been delivered|still (?:be )?(?:retr|trying|being)|will (?:be )?(?:retr|"
    r"continue|keep trying)|temporar(?:y|ily)|warning(?: only)?|retard[ée]e?|diff[ée]r[ée]e?|"
    r"nouvelle(?:s)? tentative|sera (?:de nouveau|encore)|n['’]a pas encore|temporaire|no action is "
    r"required|do not need to resend|you do not need|verz[öo]gert|will retry|delivery incomplete)",
    re.IGNORECASE,
)
FOR_GOOD = re.compile(
    r"(?:giving up|have failed|has failed|failed permanently|permanent|user unknown|does not exist|"
    r"could not be delivered|définitif|5\.\d\.\d|\b55\d\b)",
    re.IGNORECASE,
)
COPY_BELOW = re.compile(
    r"(?im)^.{0,40}(?:below this line is a copy|this is a copy of (?:the|your)|copy of the message|"
    r"original message(?: follows| headers)?|message headers? follow|-{3,}.{0,30}returned message|"
    r"en-t[êe]tes? (?:du message|d['’]origine)|message d['’]origine|copie (?:de votre|du) message|"
    r"transcript of session follows|unsent message below|returned message|"
    r"[-_=]{3,}\s?(?:original|message)|received:\s+(?:from|by)\s).{0,80}$"
)
