"""The words of a client's yes and no, French and English.

Patterns are for text in lower case, without accents, with straight apostrophes. Where a phrase
could mean two things it stands under the one that closes nothing.
"""
# ruff: noqa: E501 - a line is a family of phrases; cut up they read worse

import re

_FR_THING = r"(?:le |ce |notre |mon |l'|cet |la |cette )?(?:probleme|souci|incident|bug|anomalie|blocage|erreur|point|sujet|panne|message(?: d'erreur)?)"
_EN_THING = r"(?:the |this |our |my |that )?(?:problem|issue|incident|bug|error|ticket|case|matter)"

# --- the client has not tried: neither yes nor no ---------------------------------------------
UNTRIED = re.compile(
    r"(?:\b|(?=n't\b))(?:"
    r"(?:pas|point|rien)(?: encore| toujours)?(?: pu| eu)?(?: le temps| l'occasion)?"
    r"(?: encore)?(?: de| d'| re)? ?(?:tester|teste|essayer|essaye|verifier|verifie|valider|valide"
    r"|regarder|regarde|controler|controle)\w*"
    r"|pas eu (?:le temps|l'occasion)"
    r"|(?:not|n't|never)(?: yet)?(?: had| been able to| managed to| got)?"
    r"(?: (?:a|the) chance to| time to| to)? ?"
    r"(?:test|tested|try|tried|check|checked|verify|verified|confirm|look at|looked)\b(?: it)?(?: yet)?"
    r"|not had (?:a |the )?(?:chance|time)"
    r"|(?:je|on|nous) (?:vais |allons |va )?(?:re)?(?:teste|tester|testons|testerai|testera|testerons"
    r"|essaie|essaye|essayer|essaierai|verifie|verifier|verifierai|verifions|regarde|regarder"
    r"|controle|valider|validerai|reviens|reviendrai|fais le test|fais un test)\b"
    r"|(?:i|we)(?:'ll| will| shall| am going to|'m going to| are going to|'re going to)"
    r" (?:\w+ )?(?:test|try|check|verify|confirm|look|let|get back|come back|see|keep)\w*"
    r"|let me (?:test|try|check|verify|see|confirm)|(?:testing|checking) (?:it |this |now)"
    r"|je vous (?:dis|tiens|confirme(?:rai)?|redis)\b(?! que| la| le| bien)|tiens au courant"
    r"|en (?:cours|attente) de|keep you posted|let you know|get back to you"
    r")"
)

# --- no ---------------------------------------------------------------------------------------
_FR_WORKS = r"(?:re)?(?:marche|marchent|fonctionne|fonctionnent|tourne|demarre|passe|passent|repond|ouvre|charge|imprime)"
_DONE = r"(?:regle|resolu|corrige|repare|solutionne|fixe|bon|ok|fonctionnel|operationnel|termine|retabli)"
_EN_DONE = r"(?:fixed|solved|resolved|working|work|ok|okay|good|done|corrected|repaired|right)"
NO = re.compile(
    r"(?:\b|(?=n't\b))(?:"
    rf"(?:ca |cela |ce |c'|tout |rien )?(?:ne |n'|n')?{_FR_WORKS}e?s? "
    r"(?:malheureusement |helas )?(?:toujours |encore |vraiment |a nouveau |non )?(?:pas|plus)\b"
    r"(?! (?:mal|si mal))"
    rf"|(?:toujours |encore )?(?:pas|point)(?: encore| toujours| totalement| completement| du tout| vraiment| tout a fait)* "
    rf"{_DONE}e?s?\b"
    rf"|(?:toujours|encore)(?: aussi| completement)? (?:en panne|hs|en erreur|bloque|plante|ko|pas|la|present"
    r"|impossible|le cas|le meme|la meme|ce|cette|cet|l'erreur|des?|un|une|indisponible|inaccessible"
    r"|casse|lent)\w*"
    r"|rien (?:n'a |ne )?(?:change|marche|fonctionne|evolue|regle)\w*|aucun(?:e)? (?:changement|amelioration|effet)"
    r"|(?:meme|memes) (?:probleme|erreur|souci|message|resultat|constat|symptome|blocage)\w*"
    r"|(?:persiste|subsiste|demeure|perdure|recommence|reapparait|reapparu|est revenu|sont revenu)\w*"
    r"|(?:se reproduit|se produit)(?: toujours| encore| a nouveau)"
    r"|(?:replante|rebloque|retombe en panne|retombe)\w*|\bko\b|en echec|sans (?:succes|effet|amelioration)"
    r"|(?:je |on |nous )?(?:ne |n')(?:peux|peut|pouvons|arrive|arrivons|parviens|parvient) (?:toujours |encore )?(?:pas|plus)"
    r"|(?:je |on |nous )refuse\w*|ne (?:confirme|valide) pas|desaccord"
    rf"|(?:not|n't|never)(?: yet| really| fully| completely| entirely| been| quite| at all)* {_EN_DONE}\b(?: yet)?"
    r"|still (?:not |n't )?(?:broken|down|failing|fails|failed|blocked|stuck|the same|there|happening|happens|"
    r"an issue|a problem|present|occurring|occurs|wrong|unable|doesn't|does not|don't|do not|isn't|can't|"
    r"cannot|can not|getting|get|got|seeing|see|having|have|has|facing|experiencing|crash\w*|slow|open|"
    r"unavailable|impossible|not|no|an error|persists)\b(?: \w+)?"
    r"|same (?:\w+ )?(?:problem|issue|error|message|result|thing|behaviou?r|symptom)\w*"
    r"|(?:problem|issue|error|bug|it) (?:still )?(?:persists|remains|is back|came back|has come back|reappeared|is still)\w*"
    r"|(?:does not|doesn't|did not|didn't|do not|don't|won't|will not|can't|cannot|can not|couldn't) (?:\w+ )?"
    r"(?:work|help|fix|solve|resolve|change|log|open|connect|print|access|start|load|send|confirm)\w*"
    r"|no (?:change|improvement|difference|luck|effect|success)\b|nothing (?:has )?changed|to no avail|unresolved|non resolue?"
    r"|(?:fails|failing|failed) again|happened again|happening again|broke again|failed"
    r"|^(?:helas |malheureusement |desole |unfortunately |sadly |sorry )?(?:non|no|nope|not at all|pas du tout|absolument pas|negatif|negative)\b"
    r"(?! (?:more|longer|problem|issue|worries|merci|thanks|thank|need|further|other|error|soucis?|probleme))"
    r")"
)

# --- yes --------------------------------------------------------------------------------------
_WELL = r"(?:bien|parfaitement|correctement|tres bien|normalement|nickel|impeccable|a merveille|sans probleme|sans souci|de nouveau|a nouveau|maintenant|desormais|enfin)"
YES_FR = re.compile(
    r"\b(?:"
    r"plus (?:aucun|d'|de|le|la|l'|les|ce|cette|cet) ?(?:moindre |message d')?(?:probleme|erreur|souci|bug|blocage|message|anomalie|lenteur|panne)s?(?: d'erreur)?"
    r"|(?:n'|ne )(?:apparait|apparaissent|se produit|se produisent|s'affiche|survient|avons|ai|a|y a|est) plus "
    r"(?:aucun |d'|de |le |la |l'|ce |cette |cet |les |ces )?(?:probleme|erreur|souci|bug|blocage|message|anomalie|lenteur|present|la)\w*"
    rf"|{_FR_THING} (?:(?:ne |n')?(?:apparait|se produit|se presente|s'affiche|survient) plus)"
    r"|(?:erreur|probleme|message|souci|bug) (?:a )?(?:bien )?(?:disparu)e?s?|(?:a|ont) (?:bien )?disparu"
    rf"|(?:c'est|tout est|cela est|est|sont|semble-t-il) (?:donc |desormais |maintenant |bien |enfin |a present |completement |entierement |totalement |deja |tout )*"
    rf"(?:regle|resolu|corrige|repare|solutionne|retabli|operationnel|fonctionnel|rentre dans l'ordre|revenu a la normale|en ordre)(?:e|s|es|le|les)?\b"
    r"|c'est (?:donc |tout |desormais |maintenant )?(?:bon|ok|nickel|parfait|impeccable|en ordre|rentre dans l'ordre)\b"
    r"|tout est (?:bon|ok|nickel|parfait|en ordre|rentre dans l'ordre)"
    r"|(?:a|ont) (?:bien |ete )+(?:regle|resolu|corrige|repare|retabli)e?s?|a (?:regle|resolu|corrige) (?:le|notre|mon) (?:probleme|souci)"
    rf"|{_FR_THING}s? (?:est |bien |desormais |donc )*(?:regle|resolu|corrige|solutionne|clos)e?s?\b"
    rf"|(?:ca|cela|tout|ce|l'\w+|la (?!moitie)\w+|le (?!contournement)\w+|les \w+|il|elle|et|qui) (?:re)?(?:marche|fonctionne|tourne|remarche|refonctionne)(?:nt)?(?: tout)?(?: {_WELL})*"
    rf"|(?:remarche|refonctionne|fonctionne)(?:nt)? {_WELL}"
    r"|(?:vous pouvez|tu peux|on peut|merci de|ok pour|d'accord pour|bon pour|pouvez donc) (?:bien |donc )?(?:la |le |de |)?(?:clore|cloturer|fermer|cloture|fermeture|clos|solder)(?: (?:l'incident|l'appel|(?:le|ce|cet|la|du|de) ?\w*))?(?: \w*ticket)?"
    r"|(?:peut|peuvent) (?:donc )?etre (?:clos|ferme|cloture)e?s?|ticket a (?:clore|cloturer|fermer)|a cloturer"
    r"|(?:je |nous )(?:vous )?(?:confirme|valide|confirmons|validons)(?: bien| donc)?(?: que)?(?: (?:la|le|votre|cette))?(?: (?:bonne )?(?:resolution|correction|cloture|solution|fonctionnement|bon fonctionnement|retour a la normale|correctif))?(?: (?:du |de l'|de la |de )(?:incident|probleme|ticket|anomalie))?"
    r"|(?:ok|valide|bon) (?:pour|de) (?:moi|nous|mon cote|notre cote)|(?:resolution|correction|solution) (?:est )?(?:validee|confirmee|ok)"
    r"|^(?:oui|ouais|affirmatif|regle|resolu|valide|confirme|corrige)\b"
    r"|tout (?:est )?(?:rentre dans l'ordre|marche|fonctionne)|retour a la normale|retrouve l'acces"
    r"|(?:ai|avons|a) (?:bien )?(?:retrouve|recupere) (?:l'|mon |notre |l' )?acces"
    r")"
)
_EN_WELL = r"(?:now|again|fine|well|perfectly|properly|correctly|great|as expected|like a charm|as it should|normally|for us|for me|here|ok|okay)"
YES_EN = re.compile(
    r"\b(?:"
    rf"(?:it|its|that|this|everything|all|the (?!workaround)\w+|the (?!workaround)\w+ (?!workaround)\w+|which|they|and)(?:'s| is| are| has| have)? ?(?:now |all |been |finally |definitely |indeed |completely |fully |back |up and )*(?:works|worked|working|running)(?: {_EN_WELL})*"
    rf"|(?:works|working|worked) {_EN_WELL}(?: {_EN_WELL})*|^work(?:s|ed)\b"
    rf"|(?:it|that|this|everything|all|{_EN_THING})(?:'s| is| are| has| was)? ?(?:now |all |been |finally |indeed |completely |fully |definitely |already )*(?:fixed|solved|resolved|sorted|sorted out|corrected|in order|back to normal|gone)\b(?: (?:the|our|my) (?:problem|issue|error)\b| it\b)?"
    rf"|^(?:fixed|solved|resolved|sorted|confirmed|all (?:good|set|fixed|sorted|clear|done)|(?:problem|issue) (?:solved|fixed|resolved|gone))\b"
    r"|(?:that|this|it|your fix|the fix|your solution|the solution|the patch) (?:has |did |just |indeed )?(?:fixed|solved|resolved|did the trick|did it|worked|works)(?: (?:it|the (?:problem|issue)|our (?:problem|issue)|my (?:problem|issue)))?"
    r"|(?:it's|it is|everything is|everything's|all is|all) (?:all )?(?:ok|okay|fine|good|set|back to normal|in order)(?: (?:now|again))?|(?:i'm|i am|we're|we are) (?:now )?(?:all set|all good|good now|ok now|okay now|fine now|good again|up and running)"
    r"|(?:error|problem|issue|message|it)(?: message)? (?:no longer|does not|doesn't) (?:appears?|occurs?|happens?|shows?)(?: up)?(?: any ?more)?"
    r"|no (?:more|further) (?:\w+ )?(?:problems?|issues?|errors?|crashes)|no longer (?:\w+ ){0,3}(?:problem|issue|error|happens|happening|occurs|appears|get|see|have)\w*(?: (?:the|that|this) (?:problem|issue|error|message))?"
    r"|(?:without|with no) (?:any )?(?:problems?|issues?|errors?|trouble)|(?:error|problem|issue|message) (?:has |is )?(?:gone|disappeared|vanished|went away|gone away)"
    r"|(?:you (?:can|may)|please|feel free to|go ahead and|ok to|okay to|happy to|good to|we can|let's) (?:now |please |also |have you )?close(?: (?:it|this|the|that|off|out))*(?: (?:ticket|case|issue|request|incident))?(?: \w*-\d\S*)?"
    r"|(?:ticket|case|issue|incident|it|this) (?:can|may) (?:now )?be closed"
    r"|(?:i|we) (?:can |hereby |do )?confirm(?:ed)?(?: (?:that|the fix|the solution|the resolution|your fix|resolution|closure))*"
    r"|(?:ok|okay|good|fine|approved) (?:for|with|from|on) (?:me|us|our side|my side|our end|my end)"
    r"|^(?:yes|yep|yeah|affirmative)\b"
    r")"
)
YES_ANY = re.compile(r"^(?:ok )?(?:oui|yes)$|^(?:fixed|solved|resolu|regle|valide)$")

# --- what leaves a yes open -------------------------------------------------------------------
DOUBT = re.compile(
    r"\b(?:mais|par contre|cependant|toutefois|neanmoins|pourtant|sauf|excepte|hormis|en revanche|or|sinon|sous reserve"
    r"|but|however|except|although|though|yet|unless|apart from|other than|besides"
    r"|si|s'il|s'ils|lorsque|quand|des que|une fois|apres|if|when|once|whether|until|as soon as|after|before"
    r"|semble\w*|sembler\w*|parai\w+|on dirait|apparemment|a priori|peut[- ]etre|normalement ca|probablement|je pense|je crois|il me semble|j'espere|esper\w+|presque|quasi\w*|partiel\w*|en partie|a moitie|pour l'instant|pour le moment|jusqu'ici|provisoire\w*|temporaire\w*|plus ou moins|devrait|devraient"
    r"|seems?|appears?|apparently|maybe|perhaps|probably|possibly|might|i think|we think|i guess|hopefully|hope|almost|nearly|partly|partially|for now|so far|at the moment|for the moment|temporar\w+|should|would|could|more or less|mostly|intermittent\w*"
    r"|parfois|de temps en temps|aleatoire\w*|sometimes|occasionally|randomly"
    r"|demain|plus tard|ce soir|cet apres-midi|semaine prochaine|lundi|mardi|mercredi|jeudi|vendredi|tomorrow|later|tonight|next week|monday|tuesday|wednesday|thursday|friday|soon|bientot"
    r"|reste\w*|il faut|il faudrait|aimerai\w*|voudrai\w*|souhait\w*|besoin|attend\w*|autre|autres|aussi|egalement|par ailleurs|d'ailleurs|en plus|nouveau probleme|nouvelle erreur|en outre|ensuite|seulement|uniquement|que pour|ne que"
    r"|remain\w*|need\w*|want\w*|wait\w*|another|other|also|additional\w*|moreover|furthermore|in addition|only|just for|one more|new"
    r"|pouvez|pourriez|pouvez-vous|pourrais|peux-tu|merci de (?!votre|vos|ton|ta|tout|l'|la |le |cette|m'avoir|nous avoir|son )|please|kindly|can you|could you|would you"
    r"|mieux|better|moitie|half|ancien\w*|premier\w*|precedent\w*|old|first|second|previous|chez moi|mon (?:poste|pc)|my (?:pc|machine|computer|laptop)|dit|disent|dites|aviez dit|affirme\w*|says?|said|told|tells|claims?|workaround|contournement|provisoire"
    r"|test\w*|essai\w*|essay\w*|verifi\w*|recette|prod|production)\b"
)
NEGATION = re.compile(
    r"\b(?:ne|n'\w+|pas|aucun|aucune|jamais|rien|ni|non|impossible|nullement|not|no|never|none|nothing|neither|nor|cannot|unable|without|sans|moins|less)\b|n't\b|\bn'"
)
TROUBLE = re.compile(
    r"\b(?:probleme|souci|erreur|panne|bug|bogue|anomalie|plant\w+|bloqu\w+|lent\w*|manqu\w+|perdu\w*|disparu\w*|incident|message|alerte|refus\w*|question\w*|faux|fausse|mauvais\w*|incorrect\w*|vide\w*"
    r"|problem\w*|issue\w*|error\w*|crash\w*|fail\w*|block\w*|slow\w*|missing|lost|stuck|broken|broke|down|wrong\w*|empty|warning|refused|unfortunately|malheureusement|helas|worse|pire|again|encore|toujours|still|plus)\b"
)

# --- politeness: says nothing about the matter ------------------------------------------------
POLITE = re.compile(
    r"\b(?:bonjour|bonsoir|salut|hello|hi|dear|cher|chere|hey|good (?:morning|afternoon|evening|day)|coucou)\b(?: (?:a (?:tous|toutes|vous|l'equipe)|monsieur|madame|messieurs|mesdames|mr|mrs|ms|team|all|everyone|there|support|l'equipe|equipe))*"
    r"|\b(?:un )?(?:grand |tres grand )?merci(?: (?:beaucoup|bcp|bien|infiniment|encore|d'avance|a (?:vous|toi|tous|toute l'equipe|l'equipe)|mille fois))*(?: (?:pour|de|d')(?: |)(?:tout|(?:votre|vos|ton|ta|tes|l'|la|le|cette|ce|son) ?\w+(?: \w+){0,3}|m'avoir \w+|nous avoir \w+|avoir \w+(?: \w+){0,2}))?"
    r"|\b(?:many |much |a lot of )?thanks?(?: you)?(?: (?:so much|very much|a lot|again|a million|all|guys|team|everyone|indeed))*(?: (?:for|to) (?:the|your|all|fixing|solving|sorting|resolving|helping|looking|taking|being|such|everyone|you|a)(?: \w+){0,6})?"
    r"|\b(?:thx|ty|tks|cheers|much appreciated|(?:really |very |highly )?appreciated?(?: (?:it|your help|the help))?|mci|cdt|cdlt|bav)\b"
    r"|\b(?:bonne|excellente|belle|tres bonne) (?:journee|soiree|fin de journee|semaine|fin de semaine|continuation|apres-midi|reception)(?: a vous| a tous)?|\bbon (?:week-end|weekend|apres-midi|courage)\b|\bbonne reception\b"
    r"|\b(?:have a )?(?:nice|great|good|lovely) (?:day|evening|weekend|week|one|afternoon|job|work|stuff)\b|\benjoy your \w+"
    r"|\b(?:bien )?cordialement\b|\b(?:bien )?a vous\b|\bsalutations(?: distinguees)?\b|\bsinceres salutations\b|\b(?:kind|best|warm|many)? ?regards\b|\bbest\b|\bsincerely(?: yours)?\b|\byours\b|\bamicalement\b|\bbien sincerement\b|\ba bientot\b|\bsee you\b"
    r"|\b(?:parfait|super|genial|top|excellent|impeccable|nickel|formidable|bravo|cool|magnifique|tres bien|perfect|great|wonderful|awesome|brilliant|fantastic|lovely|superb|good|nice|well done|bon travail|beau travail|bien joue|bien recu|c'est note|note|well received|noted|understood|compris|d'accord|entendu|ok|okay|k|oki|dac)\b"
    r"|\b(?:vous avez ete|vous etes|tu es|you (?:are|were|have been)|you're) (?:\w+ ){0,2}(?:efficaces?|rapides?|reactifs?|great|fast|quick|helpful|the best|au top|geniaux|a star|stars)\b"
    r"|\b(?:quelle|belle|super|tres bonne|excellente) (?:reactivite|efficacite|equipe)\b|\bvotre (?:aide|reactivite|efficacite|intervention|retour|reponse)\b|\bresponse was quick\b|\bthat was (?:fast|quick)\b"
)
SUBJECT = re.compile(
    r"(?:l'\w+|(?:le|la|les|ce|cet|cette|notre|nos|mon|ma|mes|the|our|my|this|these|all|tous|toutes)\b)"
)
HARMLESS = frozenset(
    """
    a au aux avec ce cet cette ces chez cote d'ici de depuis des desormais donc du en enfin et hier
    aujourd'hui ici il je j'ai l la le les lui ma mes mon moi notre nos nous on ont par pour present
    que qui sur tous tout toute toutes tres un une vous votre vos vraiment y matin midi soir jour
    maintenant deja bien parfaitement totalement completement effectivement rapidement merci oui
    poste postes pc site sites agence agences utilisateur utilisateurs collegues equipe service
    suite intervention correctif correction mise patch version action actions manipulation solution
    ticket demande dossier incident est sont ete ai avons d'un d'une
    i we it is are was has have been the this that these a an all and at by for from in of on our
    my us me side end here now today yesterday morning since thanks thank you your very well really
    finally again indeed user users everyone everybody team office site computer computers machine
    machines pc pcs laptop fix patch update solution help support case request as expected so great
    with its it's that's i'm we're yes again too much quickly
    """.split()  # noqa: SIM905 - a word list reads better so
)
GREETING = re.compile(
    r"(?:bonjour|bonsoir|salut|coucou|cher|chere|hello|hi|hey|dear|good (?:morning|afternoon|evening))\b"
)
CLOSING = re.compile(
    r"^(?:bien |tres )?(?:cordialement|a vous|sincerement|amicalement)\b|^(?:sinceres |meilleures )?salutations\b|^(?:kind|best|warm|with kind)? ?regards\b|^(?:yours|sincerely|best|cheers|cdt|cdlt|respectfully)\b"
)
