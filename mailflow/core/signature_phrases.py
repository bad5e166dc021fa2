# ruff: noqa: E501 -- a table of phrases: wrapping them would not make them plainer
"""Words of signatures, mobile footers, disclaimers and gateway banners."""

# A line of its own that closes a mail, lower case, without punctuation.
CLOSINGS = (
    # French
    "cordialement", "bien cordialement", "très cordialement", "cordialement vôtre", "cdlt",
    "cdt", "cdlmt", "crdlt", "bien à vous", "bien à toi", "salutations", "meilleures salutations",
    "sincères salutations", "salutations distinguées", "amicalement", "amitiés", "sincèrement",
    "bien sincèrement", "respectueusement", "bien respectueusement", "à bientôt", "bonne journée",
    "bonne soirée", "bonne réception", "bonne fin de journée", "très bonne journée",
    "belle journée", "excellente journée", "je vous souhaite une bonne journée",
    "bonne journée à vous", "bon week-end", "bonne continuation", "bien amicalement", "slts",
    "bien cdlt", "cordiales salutations", "mes salutations", "bonne fin de semaine",
    "avec mes remerciements", "bien confraternellement", "à votre disposition",
    "cordialement et merci", "cordialement merci", "cdmt", "bonne journee", "bonne soiree",
    "veuillez agréer mes salutations distinguées", "dans l'attente de votre retour",
    # English
    "regards", "best regards", "kind regards", "warm regards", "warmest regards", "best",
    "all the best", "best wishes", "sincerely", "yours sincerely", "sincerely yours",
    "yours faithfully", "yours truly", "many regards", "with best regards", "with kind regards",
    "kindest regards", "cheers", "br", "kr", "rgds", "brgds", "have a nice day",
    "have a good day", "have a great day", "best rgds", "respectfully", "cordially", "yours",
    "take care", "with regards", "very best regards", "good day", "thanks and regards",
    "thanks & regards", "thanks and best regards", "thank you and best regards",
    "thank you and kind regards", "regards and thanks", "thx & rgds", "many thanks and regards",
    # German
    "mit freundlichen grüßen", "mit freundlichen grüssen", "freundliche grüße", "viele grüße",
    "beste grüße", "liebe grüße", "mfg", "vg", "lg", "schöne grüße", "herzliche grüße", "gruß",
    "freundliche grüsse", "beste grüsse", "viele grüsse", "mit besten grüßen", "hochachtungsvoll",
    # Spanish, Italian, Portuguese
    "saludos", "un saludo", "saludos cordiales", "atentamente", "un cordial saludo",
    "cordialmente", "cordiali saluti", "distinti saluti", "saluti", "un saluto",
    "cordialità", "buona giornata", "atenciosamente", "cumprimentos", "com os melhores "
    "cumprimentos", "att", "abraço", "abraços", "melhores cumprimentos", "muchas gracias y un saludo",
    # Dutch and the North
    "met vriendelijke groet", "met vriendelijke groeten", "vriendelijke groeten", "groeten",
    "mvg", "hartelijke groet", "groet", "med venlig hilsen", "venlig hilsen", "mvh", "hilsen",
    "med vennlig hilsen", "vennlig hilsen", "med vänliga hälsningar", "vänliga hälsningar",
    "hälsningar", "ystävällisin terveisin", "terveisin", "bästa hälsningar", "bedste hilsner",
    # Slavic
    "pozdrawiam", "z poważaniem", "с уважением", "s pozdravem", "с наилучшими пожеланиями",
)  # fmt: skip

# Thanks close a mail too, but are kept unless a signature block follows.
THANKS = (
    "merci", "merci d'avance", "merci beaucoup", "merci par avance", "avec mes remerciements",
    "en vous remerciant", "en vous remerciant par avance", "mille mercis", "merci bien",
    "merci à vous", "thanks", "thank you", "many thanks", "thanks in advance", "thx", "ty",
    "thanks a lot", "thank you very much", "thanks again", "thank you in advance", "danke",
    "vielen dank", "besten dank", "gracias", "muchas gracias", "grazie", "grazie mille", "obrigado",
    "obrigada", "bedankt", "alvast bedankt", "tak", "takk", "tack", "kiitos", "dziękuję", "спасибо",
)  # fmt: skip

# The footer of a phone or a mail program: the start of the line; a short rest may follow.
MOBILE_STARTS = (
    r"sent (?:from|via|with|using|by) (?:my|the|an?|outlook|yahoo|proton|gmail|mail|samsung|huawei"
    r"|iphone|ipad|android|blackberry|windows|spark|front|zoho|mobile|typeapp|typemail|aquamail"
    r"|bluemail|blue|airmail|myMail|nine|edison|superhuman|newton|canary|tutanota|tuta|fairemail"
    r"|k-9|thunderbird|acompli|polymail|mailbird|postbox|hey|missive|shortwave|em client|workspace"
    r"|fastmail|icloud|orange|free|hubspot|cell|smartphone|galaxy|xperia|nokia|redmi|xiaomi|oppo"
    r"|honor|oneplus|pixel|motorola|htc|lg|t-mobile|verizon|telephone|webmail|surface|boxer"
    r"|maildroid|cloudmagic|trebuchet|protonmail|[A-Z])",
    r"get outlook for (?:ios|android|mac)",
    r"get (?:bluemail|typeapp|mailbird|edison|aqua ?mail|type ?mail)",
    r"download (?:outlook|edison|spark)",
    r"envoy[ée]e? (?:de|depuis|à partir d(?:e|u|['’])|avec|via|par|grâce à|du|d['’])",
    r"t[ée]l[ée]charge[rz] outlook pour",
    r"obtenir outlook pour", r"obtenez outlook pour", r"provenance\s?: (?:courrier|mail)",
    r"gesendet (?:von|mit|über|aus)", r"von meinem (?:iphone|ipad|samsung|android|handy|smartphone)",
    r"hol(?:en sie sich)? outlook f[üu]r", r"outlook für (?:ios|android) beziehen",
    r"diese nachricht wurde von meinem",
    r"enviado (?:desde|do|de|a partir d[oe]|por|via|con|com)", r"obtener outlook para",
    r"obter o outlook para", r"mandado desde",
    r"inviato (?:da|dal|con|tramite|dallo)", r"scarica outlook per", r"ottieni outlook per",
    r"verzonden (?:vanaf|met|via|vanuit|door)", r"verstuurd vanaf", r"outlook voor (?:ios|android)",
    r"download outlook voor", r"sendt (?:fra|med|via)", r"hent outlook til", r"få outlook for",
    r"skickat från", r"skickades från", r"hämta outlook för", r"lähetetty", r"hanki outlook",
    r"wysłan[eo] z", r"pobierz outlook", r"отправлено (?:из|с)", r"отправлено от",
    r"загрузить outlook", r"发自我的", r"从我的.{1,20}发送", r"發自我的", r"從我的.{1,20}傳送",
    r"iphoneから送信", r"odesláno z", r"dapatkan outlook", r"gönderen", r"trimis de pe",
    r"iphone'umdan gönderildi", r"enviat des", r"από το", r"στάλθηκε από",
    r"my(?: |)mail\b.{0,20}app", r"sendt fra",
)  # fmt: skip

# A paragraph that begins like this is a legal notice, an antivirus footer or the like.
DISCLAIMERS = (
    r"(?:\W{0,8}(?:avertissement|disclaimer|confidentialit(?:é|y)(?: notice)?|notice of "
    r"confidentiality|avis de confidentialité|mention de confidentialité|clause de "
    r"confidentialité|legal (?:notice|disclaimer)|mentions légales|important notice|"
    r"vertraulichkeitshinweis|aviso legal|avvertenza|confidencialidad|privileged)"
    r"\s?(?:[:\-–—.*]|$|\s(?:this|ce|le|les|cet|the)))",
    r"(?:this|the information (?:contained )?in this|the contents? of this|any information in this)"
    r"\s(?:e-?mail|message|communication|transmission|electronic)\b.{0,220}\b(?:confidential|intended"
    r"|privileged|virus|scanned|recipient)",
    r"the information (?:transmitted|contained|in this).{0,120}(?:confidential|intended|privileged)",
    r"ce (?:message|mail|courriel|courrier|e-?mail|document|mél)\b.{0,250}\b(?:confidentiel|destin"
    r"|strictement|réservé|virus|à l'attention|à l'intention)",
    r"cet? (?:e-?mail|email|envoi|e-mail|message électronique)\b.{0,250}\b(?:confidentiel|destin"
    r"|réservé|(?:anti)?virus)",
    r"les? informations? (?:contenues?|transmises?|figurant).{0,200}(?:confidentiel|destin|réservé)",
    r"le (?:contenu|présent) .{0,20}(?:de ce|message|courriel|mail)\b.{0,160}(?:confidentiel|destin)",
    r"si vous (?:n['’]êtes pas (?:le|les) destinataire|avez reçu ce|recevez ce|n['’]êtes pas destin)",
    r"if you (?:are not the (?:intended|named)|have received this (?:e-?mail|message)|received this"
    r" (?:e-?mail|message) (?:in|by) error)",
    r"toute (?:utilisation|diffusion|publication|modification).{0,120}(?:interdite|autorisée|message)",
    r"l['’]int[ée]grit[ée] de ce message", r"internet ne permet(?:tant)? pas d['’]assurer",
    r"l['’]absence de virus dans ce", r"garanti sans virus", r"sans virus\.\s?www", r"virus-?free\b",
    r"this (?:e-?mail|message) (?:has been|was) (?:checked|scanned)", r"virenfrei",
    r"diese (?:e-?mail|nachricht)\b.{0,160}(?:vertraulich|viren|bestimmt|adressat)",
    r"der inhalt dieser e-?mail", r"este (?:mensaje|correo|e-?mail).{0,200}(?:confidencial|destinat)",
    r"esta (?:mensagem|e-?mail).{0,200}(?:confidenc|destinat)",
    r"(?:le informazioni contenute|questo messaggio|questa e-?mail).{0,200}(?:riservat|confidenzial"
    r"|destinatari)", r"dit (?:e-?mail)?bericht.{0,200}(?:vertrouwelijk|bestemd)",
    r"de informatie (?:in dit|verzonden).{0,160}(?:vertrouwelijk|bestemd)",
    r"\W{0,6}(?:please )?(?:consider|think (?:of|about)|save) the environment",
    r"\W{0,6}p?\s?(?:please )?(?:don['’]t|do not) print this",
    r"\W{0,6}p?\s?(?:merci de )?(?:pensez|pensons|penser|pense) à l['’]environnement",
    r"\W{0,6}p?\s?(?:avant d['’]imprimer|n['’]imprimez|préservez l['’]environnement|préservons)",
    r"\W{0,6}(?:before printing|avant d'imprimer)", r"afin de (?:respecter|préserver) l['’]environnement",
    r"\W{0,6}p?\s?(?:adoptez l['’]éco|devez-vous vraiment imprimer|faut-il imprimer)",
    r"_{2,}\s?this email has been", r"notice\s?: this e-?mail",
    r"registered (?:in england|office|address)\b", r"company (?:registration|registered)\b.{0,5}(?:no|n)",
    r"s(?:iège|iege) social\s?:", r"click here to (?:report|unsubscribe)",
    r"you (?:are receiving|received) this (?:message|e-?mail) because (?:you are|you're) subscribed",
    r"to unsubscribe from this group", r"pour (?:vous|se) désinscrire", r"you received this message"
    r" because you are subscribed",
    r"mailing list\b", r".{1,60} mailing list\s*$",
    r"ce message et (?:toutes )?(?:les|ses) (?:éventuelles )?pièces",
    r"this (?:message|e-?mail) and any (?:attachments?|files?)",
)  # fmt: skip

# What gateways put above a mail that comes from outside.
BANNERS = (
    r"\W{0,6}(?:external|externe|extern|ext)\W{0,6}(?:(?:e-?mail|mail|sender|message|courriel)\W{0,4})?$",
    r"\W{0,12}(?:caution|warning|attention|alert|notice|important|vorsicht|achtung|external"
    r"(?: e-?mail| sender)?|externe|prudence|avertissement|security)\b"
    r"(?=.{0,250}\b(?:e-?mails?|mails?|messages?|courriels?|sender|expéditeur|absender|nachricht)\b)"
    r"(?=.{0,250}(?:originated|outside|external|extérieur|externe|extern|unknown sender|"
    r"expéditeur inconnu|außerhalb|untrusted))",
    r"\W{0,6}this (?:e-?mail|message) (?:has been |was )?(?:originated|sent|came|comes|is|received)"
    r"\s?(?:from )?(?:an? |the )?(?:outside|external|someone outside)",
    r"\W{0,6}(?:ce|cet) (?:message|mail|e-?mail|courriel) (?:provient|vient|a été envoyé|émane)"
    r".{0,40}(?:extérieur|externe|hors de)",
    r"\W{0,6}(?:ce|cet) (?:message|mail|e-?mail|courriel) (?:est|a été).{0,60}(?:extérieur|externe)",
    r"\W{0,6}expéditeur externe", r"\W{0,6}(?:mail|message|courriel|e-?mail) externe\b",
    r"\W{0,6}(?:e-?mail|message) from (?:an )?external", r"\W{0,6}external (?:e-?mail|sender)\b",
    r"\W{0,6}do not click (?:on )?(?:any )?(?:links|on links)", r"\W{0,6}ne cliquez (?:pas|sur aucun)",
    r"\W{0,6}n['’]ouvrez pas (?:les|de)\b.{0,40}pièces",
    r"\W{0,6}some people who received this (?:message|e-?mail) don['’]t often get",
    r"\W{0,6}you don['’]t often get e-?mail from", r"\W{0,6}vous n['’](?:obtenez|recevez) pas souvent",
    r"\W{0,6}certaines personnes qui ont reçu ce message", r"\W{0,6}sie erhalten nicht (?:oft|häufig)",
    r"\W{0,6}learn why this is important", r"\W{0,6}découvrez pourquoi (?:cela|ceci) est important",
    r"\W{0,6}(?:la )?prudence est de (?:mise|rigueur)", r"\W{0,6}diese e-?mail (?:kommt|stammt|wurde) "
    r"(?:von )?(?:extern|außerhalb)",
    r"\W{0,6}soyez (?:vigilants?|prudents?)\b.{0,80}(?:liens?|pièces|expéditeur)",
    r"\W{0,6}please (?:report|use caution)\b.{0,80}(?:link|attachment|suspicious)",
    r"\W{0,6}zjqcmqryfpfpt", r"\W{0,6}this message is from an external sender",
)  # fmt: skip
