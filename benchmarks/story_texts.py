"""What the clients, agents and operators of the played tickets write."""

PROBLEM = {
    "fr": (
        "L'export des factures échoue",
        "Bonjour,\n\nDans le module Facturation, l'export des factures échoue depuis ce matin.\n"
        "Pour reproduire : ouvrir Facturation, choisir le mois de mars, cliquer sur Exporter.\n"
        "Message affiché : « Erreur 500 : export impossible ».\n\nCordialement",
    ),
    "en": (
        "The invoice export fails",
        "Hello,\n\nIn the Billing module the export of invoices has failed since this morning.\n"
        "To reproduce: open Billing, choose the month of March, click on Export.\n"
        'Message shown: "Error 500: export not possible".\n\nRegards',
    ),
}
BLOCKED = {
    "fr": (
        "Plus personne ne peut se connecter",
        "Bonjour,\n\nDepuis 8 h 45, plus aucun utilisateur de la société ne peut se connecter au "
        "service : tout le monde est bloqué.\nPour reproduire : ouvrir la page de connexion, "
        "saisir identifiant et mot de passe, cliquer sur « Se connecter ».\n"
        "Message affiché : « Erreur 503 : service indisponible ».\n\nCordialement",
    ),
    "en": (
        "Nobody can log in any more",
        "Hello,\n\nSince 8:45 no user of the company can log in to the service: everybody is "
        "blocked.\nTo reproduce: open the login page, type name and password, click on Log in.\n"
        'Message shown: "Error 503: service unavailable".\n\nRegards',
    ),
}
VAGUE = {
    "fr": ("Export des factures", "Bonjour,\n\nL'export des factures ne marche plus.\n\nMerci"),
    "en": ("Invoice export", "Hello,\n\nThe export of invoices does not work.\n\nThanks"),
}
TRAINING = {
    "fr": (
        "Formation des nouveaux arrivants",
        "Bonjour,\n\nPourriez-vous organiser une formation d'une demi-journée pour apprendre à "
        "trois nouveaux collègues à utiliser le service ?\n\nCordialement",
    ),
    "en": (
        "Training for new colleagues",
        "Hello,\n\nCould you please organise a half-day training course to teach three new "
        "colleagues how to use the service?\n\nRegards",
    ),
}
SAYS = {
    "details": {
        "fr": PROBLEM["fr"][1],
        "en": PROBLEM["en"][1],
    },
    "more": {
        "fr": "Bonjour,\n\nLe message s'affiche aussi pour le mois de février.",
        "en": "Hello,\n\nThe message is shown for the month of February as well.",
    },
    "yes": {
        "fr": "Bonjour,\n\nOui, c'est résolu, vous pouvez clore le ticket. Merci !",
        "en": "Hello,\n\nYes, it is solved, you can close the ticket. Thank you!",
    },
    "resolve": {
        "fr": "#résoudre\n\nBonjour,\n\nLe service d'export a été redémarré.",
        "en": "#resolve\n\nHello,\n\nThe export service was restarted.",
    },
    "wait": {
        "fr": "#attente\n\nBonjour,\n\nPouvez-vous réessayer demain ?",
        "en": "#wait\n\nHello,\n\nCould you please try again tomorrow?",
    },
    "answer": {
        "fr": "Bonjour,\n\nNous regardons cela.",
        "en": "Hello,\n\nWe are looking into it.",
    },
    "priority 2": {"fr": "#priorité 2 clôture en retard", "en": "#priority 2 closing is late"},
    "priority 4": {"fr": "#priorité 4 un seul poste", "en": "#priority 4 one desk only"},
    "close": {"fr": "#close force doublon", "en": "#close force duplicate"},
    "spam": {"fr": "#spam", "en": "#spam"},
}
