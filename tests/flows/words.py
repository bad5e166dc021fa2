"""What clients write in the flow tests."""

FULL_FR = """\
Bonjour,

Dans le module Facturation, le bouton Exporter ne fonctionne plus : impossible d'exporter les
factures du mois.

Étapes pour reproduire :
1. Ouvrir le module Facturation
2. Choisir le mois de février
3. Cliquer sur Exporter

Message d'erreur : "Erreur 500 : export impossible"

Cordialement,
Claire Martin
"""
FULL_EN = """\
Hello,

In the invoicing module the Export button no longer works: the invoices of the month cannot be
exported.

Steps to reproduce:
1. Open the invoicing module
2. Choose February
3. Click Export

Error message: "Error 500: export failed"

Kind regards,
Tom Baker
"""
STOPPED_FR = """\
Bonjour,

Depuis 8 h 45, plus personne ne peut se connecter au service : toute la société est bloquée, plus
aucun utilisateur ne peut travailler.

Pour reproduire : ouvrir la page de connexion, saisir identifiant et mot de passe, cliquer sur
« Se connecter ».
Message affiché : « Erreur 503 : service indisponible ».

Cordialement,
Claire Martin
"""
STOPPED_EN = """\
Hello,

Since 8:45 nobody in the company can log in to the service any more: nobody can work, all users
are blocked.

To reproduce: open the login page, enter user name and password, click Sign in.
Message shown: "Error 503: service unavailable".

Kind regards,
Tom Baker
"""
QUESTION_FR = (
    "Bonjour,\n\nComment puis-je ajouter un utilisateur dans le service ?\n\nMerci\nClaire\n"
)
QUESTION_EN = "Hello,\n\nHow do I add a user to the service?\n\nThanks\nTom\n"
NO_STEPS_FR = """\
Bonjour,

L'export des factures ne donne plus rien depuis hier : le fichier est vide. Message d'erreur :
« Erreur 12 : fichier vide ».

Claire
"""
BARE_FR = "Bonjour,\n\nÇa ne marche plus depuis hier, pouvez-vous regarder ?\n\nClaire\n"
STEPS_FR = "Voici.\n\nPour reproduire : ouvrir la liste, choisir un mois, cliquer sur le bouton.\n"
TRAINING_EN = "Hello,\n\nCould you organise a training session for our new colleagues?\n\nTom\n"
OTHER_FR = """\
Bonjour,

Rien à voir : dans le module Stocks, le total est faux.
Pour reproduire : ouvrir le module Stocks, lire le total.
Erreur affichée : « total incohérent ».

Claire
"""
GERMAN = """\
Guten Tag,

der Export der Rechnungen im Modul Rechnung funktioniert seit gestern nicht mehr, die Datei ist
leer und niemand von uns kann damit arbeiten. Können Sie uns bitte helfen?

To reproduce: Modul öffnen, Export klicken. Es erscheint die Meldung "Error 7".

Mit freundlichen Grüßen
Hans Meier
"""
