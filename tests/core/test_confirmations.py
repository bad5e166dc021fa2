"""The client's yes and no, in ordinary French and English.

A wrong yes closes a ticket over the client's head, so whatever can be read in two ways is
unclear and goes to an agent.
"""

import pytest

from mailflow.core.confirmations import Answer, read_confirmation

FRENCH = {
    Answer.YES: [
        "C'est réglé, merci",
        "c’est réglé, merci !",  # typographic apostrophe
        "C'EST REGLE MERCI",  # no accents, shouted
        "Bonjour,\n\nC'est résolu.\n\nCordialement,\nJean Dupont",
        "Ça marche",
        "ça marche, merci beaucoup !",
        "Cela fonctionne à nouveau, merci.",
        "ça remarche",
        "Tout fonctionne parfaitement, merci pour votre réactivité.",
        "Tout est rentré dans l'ordre.",
        "Le problème est résolu.",
        "Problème résolu, bonne journée",
        "Le souci est bien réglé de notre côté.",
        "L'incident est clos pour nous, merci.",
        "Oui",
        "oui merci",
        "Oui, c'est bon.",
        "Oui c'est résolu, vous pouvez clore le ticket.",
        "Vous pouvez clôturer le ticket",
        "Vous pouvez fermer ce ticket, merci.",
        "OK pour clôture",
        "Ok pour clôturer, merci",
        "Je confirme la résolution de l'incident.",
        "Je vous confirme que le problème est réglé.",
        "Nous confirmons le bon fonctionnement, merci.",
        "C'est bon pour moi",
        "C'est bon, merci !",
        "C'est ok maintenant",
        "Ok pour nous.",
        "Validé pour moi",
        "Je n'ai plus d'erreur, merci.",
        "Plus aucun problème depuis ce matin, merci à vous.",
        "Nous n'avons plus le problème.",
        "Le message n'apparaît plus.",
        "L'erreur a disparu, merci pour votre aide.",
        "Super, ça fonctionne !",
        "Parfait, tout est ok. Bonne journée !",
        "Retour à la normale ce matin sur tous les postes.",
        "La facturation refonctionne bien, merci.",
        "L'import fonctionne maintenant, un grand merci à toute l'équipe.",
        "Effectivement, c'est corrigé. Merci.",
        "Merci, c'est réparé.",
        "Réglé, merci",
        "Résolu.",
        "Nous avons bien retrouvé l'accès, merci.",
        "Bonjour Paul,\nC'est tout bon, merci.\nBelle journée\nMarie",
        "Ça marche bien désormais, vous êtes très efficaces !",
        "La correction est validée.\nCordialement",
        "Impeccable, ça marche. Merci",
        "L'envoi des factures est rétabli.",
    ],
    Answer.NO: [
        "Toujours en panne",
        "Bonjour, c'est toujours en panne.",
        "Non",
        "Non, toujours pas.",
        "Non ça ne marche toujours pas",
        "ça marche pas",
        "Ça ne fonctionne pas",
        "Cela ne fonctionne toujours pas, même message d'erreur.",
        "Le problème n'est pas résolu.",
        "Le problème persiste.",
        "L'erreur persiste malheureusement",
        "Ce n'est pas réglé",
        "Pas encore réglé",
        "toujours pas résolu",
        "Même erreur qu'hier.",
        "Nous avons toujours le même problème.",
        "J'ai toujours la même erreur",
        "Rien n'a changé.",
        "Aucun changement de notre côté",
        "Aucune amélioration.",
        "Je ne peux toujours pas me connecter.",
        "On n'arrive toujours pas à imprimer.",
        "L'application est toujours bloquée, pouvez-vous regarder ?",  # a question does no harm here
        "Non, le problème est revenu.",
        "Ça recommence",
        "Le souci réapparaît ce matin.",
        "L'import est encore en erreur",
        "La page ne s'ouvre pas. Ça ne marche plus.",
        "C'est toujours HS",
        "Le correctif est sans effet.",
        "Pas du tout réglé !",
        "Toujours KO.",
    ],
    Answer.UNCLEAR: [
        "",
        "   \n",
        "Oui mais…",
        "Oui, mais seulement sur un poste",
        "oui mais c'est lent",
        "C'est réglé mais l'export est toujours lent.",  # yes and no
        "Ça marche, mais pas partout",
        "Merci",
        "Merci !",
        "Merci beaucoup pour votre aide.",
        "ok",
        "OK merci",
        "d'accord",
        "Parfait",  # praise for the answer, or for the effect?
        "Parfait, merci !",
        "Bien reçu",
        "Merci, je teste demain",
        "Ça marche, je teste demain",  # 'agreed'
        "ça marche, je vous tiens au courant",
        "Je n'ai pas encore testé",
        "Pas encore testé, désolé.",
        "Je n'ai pas eu le temps de vérifier",
        "Nous n'avons pas pu tester.",
        "Je regarde et je reviens vers vous.",
        "Nous allons vérifier",
        "Si ça marche, je vous le dirai",
        "C'est réglé ?",
        "Est-ce que c'est résolu ?",
        "C'est réglé, merci. Par contre l'export PDF plante.",
        "C'est réglé, merci. Autre question : comment créer un utilisateur ?",
        "C'est résolu. J'ai un nouveau problème avec les factures.",
        "Ça marche. L'impression affiche une erreur 500.",
        "C'est réglé pour moi. Mes collègues sont bloqués.",
        "Il semble que ce soit réglé",
        "Ça semble fonctionner",
        "A priori c'est bon",
        "Apparemment ça marche",
        "Je pense que c'est réglé.",
        "Ça marche pour l'instant",
        "ça marche parfois",
        "C'est presque réglé",
        "C'est réglé en partie",
        "Je ne pense pas que ce soit réglé",
        "Je ne suis pas sûr que ça marche",
        "Merci de corriger rapidement",  # 'merci de' asks
        "C'est bon, merci de créer aussi le compte de Paul",
        "Pouvez-vous rappeler Mme Martin ?",
        "Voici la capture demandée.",
        "Le client B est toujours concerné, le client A c'est réglé.",
        "C'est réglé sauf pour Lyon",
        "Ce sera réglé quand vous aurez livré",
        "Cela devrait être bon",
        "Non merci",
        "Pas de problème",
        "Je suis absent jusqu'au 12 mai.",
        "C'est réglé, il reste l'écran des commandes",
        "En attente de votre correctif",
        "Ça marche en test, pas en production",
        "C'est bon pour demain",
    ],
}

ENGLISH = {
    Answer.YES: [
        "Works now thanks",
        "works now, thanks!",
        "It works",
        "It works now.",
        "It's working again, thank you.",
        "Everything is working fine now, thanks a lot.",
        "Fixed, thanks",
        "It is fixed.",
        "The problem is solved.",
        "The issue has been resolved, thank you for your help.",
        "This is now resolved.",
        "Problem solved, thanks!",
        "All good now, thanks",
        "All good",
        "Yes",
        "Yes!",
        "Yes, thank you",
        "Yes, it's fixed.",
        "Yes, you can close the ticket.",
        "You can close this ticket, thanks.",
        "Please close the ticket.",
        "Please close",
        "Feel free to close the case",
        "I confirm that it works.",
        "We confirm the fix.",
        "Confirmed, thanks",
        "That fixed it, thanks!",
        "That did the trick",
        "Your fix worked, thank you very much.",
        "No more errors, thanks",
        "The error is gone.",
        "The error no longer appears.",
        "Hi Paul,\n\nWorking like a charm now.\n\nKind regards,\nJane Doe",
        "Perfect, it works again. Thanks!",
        "We're good now",
        "Everything is back to normal.",
        "Ok for me",
        "Great, it works. Have a nice day!",
        "The import works fine now.",
        "Hello,\nit is solved on our side since this morning.\nBest regards",
        "Sorted, cheers",
        "Resolved.",
        "It has been working without any issues since yesterday.",
    ],
    Answer.NO: [
        "Not fixed yet",
        "No",
        "No, it isn't.",
        "Nope",
        "It's not working",
        "It still doesn't work.",
        "Still not working",
        "still broken",
        "Still the same error",
        "Same problem here.",
        "We are still getting the error.",
        "It is not solved.",
        "The problem persists.",
        "The issue remains.",
        "It doesn't work",
        "That did not help",
        "That didn’t fix it.",
        "No change.",
        "Nothing changed on our side",
        "I still can't log in",
        "I cannot log in, could you have a look?",
        "The error is back",
        "It happened again this morning.",
        "Unfortunately it still fails.",
        "We still have the issue",
        "Not resolved",
        "isn't fixed",
        "It has not been fixed",
        "Still down!",
        "No improvement so far",
    ],
    Answer.UNCLEAR: [
        "ok",
        "Thanks!",
        "Thank you",
        "Thanks for the quick answer.",
        "Great",
        "Perfect, thank you",
        "Noted.",
        "I haven't tested yet",
        "I have not tested it yet.",
        "Not tested yet, sorry",
        "Haven't had a chance to check",
        "I will test tomorrow",
        "I'll let you know",
        "Let me check and get back to you.",
        "We are testing it now",
        "Thanks, will test tomorrow",
        "Yes but",
        "Yes, but it is slow",
        "It works, but the export fails",
        "It works except for Paris",
        "Works for me. However my colleagues are blocked.",
        "It seems to work",
        "It seems fixed",
        "I think it's fixed",
        "It works for now",
        "It works sometimes",
        "Partially fixed",
        "Almost fixed",
        "Is it fixed?",
        "Fixed?",
        "If it works I will tell you",
        "Not sure it's fixed",
        "I don't think it's fixed",
        "It should be fixed",
        "It's fixed, thanks. Another issue: the invoice screen is empty.",
        "Fixed, thanks. Also, how do I add a user?",
        "Fixed. Now the report crashes.",
        "No thanks",
        "No problem",
        "No worries",
        "Please call me back",
        "Please close the window and try again, that is what I did",
        "Once it is fixed we can close",
        "It works in test, not in production",
        "Here is the screenshot you asked for.",
        "It will be fixed when you deploy",
        "I hope it is fixed",
        "I am out of the office until Monday.",
        "Yes, I need more information",
        "It works only on my machine",
        "Who fixed it?",
        "You can close it after the release",
    ],
}


def rows(table):
    return [(text, verdict) for verdict, texts in table.items() for text in texts]


def test_there_are_enough_cases():
    assert len(rows(FRENCH)) >= 75
    assert len(rows(ENGLISH)) >= 75
    assert len(rows(FRENCH)) + len(rows(ENGLISH)) >= 150


@pytest.mark.parametrize("text, verdict", rows(FRENCH))
def test_french(text, verdict):
    found = read_confirmation(text, "fr")
    assert found.verdict == verdict, found


@pytest.mark.parametrize("text, verdict", rows(ENGLISH))
def test_english(text, verdict):
    found = read_confirmation(text, "en")
    assert found.verdict == verdict, found


# The two tables above were written together with the phrases. These came after.
HELD_OUT = [
    # the third table, written after the second had shown its mistakes
    ("Bonjour, nous avons refait le test ce matin et tout fonctionne. Merci.", "fr", "unclear"),
    ("C'est désormais résolu, merci pour le suivi.", "fr", "yes"),
    ("Le module de facturation fonctionne de nouveau, merci à toute l'équipe", "fr", "yes"),
    ("Super merci c'est ok", "fr", "yes"),
    ("Ok c'est bon merci", "fr", "yes"),
    ("Vous pouvez clore, merci.", "fr", "yes"),
    ("Nous ne rencontrons plus le problème", "fr", "unclear"),
    ("Le dossier peut être clôturé.", "fr", "yes"),
    ("Toujours le même message", "fr", "no"),
    ("Pas mieux", "fr", "not yes"),
    ("Idem", "fr", "not yes"),
    ("Non plus", "fr", "not yes"),
    ("C'est du grand n'importe quoi", "fr", "not yes"),
    ("Je ne suis pas d'accord pour clore", "fr", "not yes"),
    ("Pourquoi avoir clôturé", "fr", "not yes"),
    ("Ça marche chez Paul", "fr", "not yes"),
    ("Ça marche avec Firefox", "fr", "not yes"),
    ("C'est bon pour Paris, Lyon attend", "fr", "not yes"),
    ("C'est ok côté serveur", "fr", "not yes"),
    ("Le serveur est ok", "fr", "not yes"),
    ("Si c'est résolu vous pouvez clore", "fr", "not yes"),
    ("Le collègue dit que ça marche", "fr", "not yes"),
    ("Résolu par nos soins, votre correctif était mauvais", "fr", "not yes"),
    ("C'est réglé, mais merci de laisser ouvert", "fr", "not yes"),
    ("Vous aviez dit que c'était réglé", "fr", "not yes"),
    ("Il faut que ça marche", "fr", "not yes"),
    ("Faites que ça marche", "fr", "not yes"),
    ("Je veux que ce soit réglé ce soir", "fr", "not yes"),
    ("Quand est-ce que ça marche", "fr", "not yes"),
    ("Ça marche pô", "fr", "not yes"),
    ("Ca ne marche tjs pas", "fr", "no"),
    ("c toujours pareil", "fr", "not yes"),
    ("ça marche plus", "fr", "no"),
    ("Cela n'est pas corrigé", "fr", "no"),
    ("Votre manipulation n'a rien changé", "fr", "no"),
    ("Confirmed - you can close it.", "en", "yes"),
    ("It has been resolved, please close.", "en", "yes"),
    ("Everything works, thank you so much for the quick help", "en", "yes"),
    ("The export is working again", "en", "yes"),
    ("All sorted, thank you", "en", "yes"),
    ("I want it fixed", "en", "not yes"),
    ("Get it fixed", "en", "not yes"),
    ("It must be solved today", "en", "not yes"),
    ("Tell me when it's fixed", "en", "not yes"),
    ("My colleague says it works", "en", "not yes"),
    ("It works in Chrome", "en", "not yes"),
    ("It works on one of three machines", "en", "not yes"),
    ("You said it works", "en", "not yes"),
    ("We fixed it ourselves by rolling back", "en", "not yes"),
    ("It's as good as fixed", "en", "not yes"),
    ("hardly fixed", "en", "not yes"),
    ("never worked", "en", "not yes"),
    ("nothing works", "en", "not yes"),
    ("Nothing is working", "en", "not yes"),
    ("None of it works", "en", "not yes"),
    ("it stopped working", "en", "not yes"),
    ("not work", "en", "not yes"),
    ("Works? No.", "en", "not yes"),
    ("No, works fine", "en", "not yes"),
    ("It isn't", "en", "not yes"),
    ("The workaround works", "en", "not yes"),
    ("Why did you close it", "en", "not yes"),
    # the second table, written after the phrases
    ("Bonjour, après redémarrage tout remarche, merci.", "fr", "unclear"),
    ("Merci, problème solutionné !", "fr", "yes"),
    ("C'est nickel merci", "fr", "yes"),
    ("Nickel, merci", "fr", "unclear"),
    ("Hélas non", "fr", "no"),
    ("Malheureusement l'erreur est toujours présente.", "fr", "no"),
    ("Le bug est toujours là", "fr", "no"),
    ("Non résolu", "fr", "no"),
    ("Je valide", "fr", "yes"),
    ("Je ne valide pas", "fr", "no"),
    ("Je ne confirme pas la résolution", "fr", "no"),
    ("On ne peut pas dire que c'est réglé", "fr", "not yes"),
    ("C'est loin d'être réglé", "fr", "not yes"),
    ("C'est pire qu'avant", "fr", "not yes"),
    ("Ça marche moins bien", "fr", "not yes"),
    ("Vous pouvez clore quand ce sera réglé", "fr", "not yes"),
    ("Ne clôturez pas le ticket", "fr", "not yes"),
    ("Ne fermez pas, ça ne marche pas", "fr", "no"),
    ("Merci de ne pas clore le ticket", "fr", "not yes"),
    ("Il est hors de question de clore", "fr", "not yes"),
    ("c'est réglé de votre côté, chez nous rien ne bouge", "fr", "not yes"),
    ("Vous dites que c'est réglé, je ne vois aucune différence", "fr", "not yes"),
    ("Réglé à moitié", "fr", "not yes"),
    ("Le problème 1 est réglé, le problème 2 non", "fr", "not yes"),
    ("Ça marchait hier", "fr", "not yes"),
    ("Ça marchera mieux une fois corrigé", "fr", "not yes"),
    ("Comment savoir si c'est réglé", "fr", "not yes"),
    ("Oui j'ai toujours le problème", "fr", "not yes"),
    ("Oui, l'erreur est toujours là", "fr", "not yes"),
    ("Oui je suis disponible à 14h", "fr", "not yes"),
    ("Oui, c'est bien la bonne version", "fr", "not yes"),
    ("Oui voici la capture", "fr", "not yes"),
    ("C'est bon, j'ai reçu votre mail", "fr", "not yes"),
    ("C'est bon signe", "fr", "not yes"),
    ("Ça marche à 50 %", "fr", "not yes"),
    ("Ça marche une fois sur deux", "fr", "not yes"),
    ("Merci, le flux est reparti.", "fr", "unclear"),
    ("Je n'ai plus accès", "fr", "not yes"),
    ("Je n'ai plus d'erreur mais plus de données non plus", "fr", "not yes"),
    ("It is working, finally!", "en", "yes"),
    ("Yes it is resolved. Thank you for your support!", "en", "yes"),
    ("Works perfectly, many thanks", "en", "yes"),
    ("yes its working", "en", "yes"),
    ("ticket can be closed", "en", "yes"),
    ("Yes please", "en", "unclear"),
    ("Yes, still the same error", "en", "not yes"),
    ("Yes it is still broken", "en", "not yes"),
    ("Yes I am available at 2 pm", "en", "not yes"),
    ("Yes, here is the log", "en", "not yes"),
    ("Do not close the ticket", "en", "not yes"),
    ("Please don't close this", "en", "not yes"),
    ("Don't close it, it does not work", "en", "no"),
    ("It is far from fixed", "en", "not yes"),
    ("It's worse now", "en", "not yes"),
    ("You say it is fixed, I see no difference", "en", "not yes"),
    ("It was working yesterday", "en", "not yes"),
    ("It worked before your fix", "en", "not yes"),
    ("The first problem is solved, the second is not", "en", "not yes"),
    ("It works half of the time", "en", "not yes"),
    ("Working on it", "en", "not yes"),
    ("We are working with your colleague", "en", "not yes"),
    ("I am working from home", "en", "not yes"),
    ("How do I know if it is fixed", "en", "not yes"),
    ("That would be good", "en", "not yes"),
    ("No it isn't fixed", "en", "no"),
    ("No joy", "en", "no"),
    ("Sadly, it keeps crashing", "en", "not yes"),
    ("It is okay to wait", "en", "not yes"),
    ("Great, I'm good with Thursday", "en", "not yes"),
    ("I confirm the problem", "en", "not yes"),
    ("I confirm that I have the error", "en", "not yes"),
    ("Je confirme le problème", "fr", "not yes"),
    ("Je confirme avoir reçu votre message", "fr", "not yes"),
    ("Je vous confirme que l'incident est en cours", "fr", "not yes"),
    ("I confirm", "en", "yes"),
    ("Je confirme", "fr", "yes"),
]


@pytest.mark.parametrize("text, language, verdict", HELD_OUT)
def test_held_out(text, language, verdict):
    found = read_confirmation(text, language)
    if verdict == "not yes":  # no or unclear: an agent sees it, and nothing is closed
        assert found.verdict is not Answer.YES, found
    else:
        assert found.verdict == verdict, found


def test_another_language_counts_a_yes_in_either():
    assert read_confirmation("C'est réglé", "de").verdict is Answer.YES
    assert read_confirmation("It works now", "").verdict is Answer.YES
    assert read_confirmation("C'est réglé", "en").verdict is Answer.UNCLEAR


def test_a_no_counts_in_both_languages():
    assert read_confirmation("Still not working", "fr").verdict is Answer.NO
    assert read_confirmation("toujours en panne", "en").verdict is Answer.NO


def test_a_long_text_is_for_an_agent():
    found = read_confirmation("C'est réglé. " * 2000, "fr")
    assert (found.verdict, found.evidence_text) == (Answer.UNCLEAR, "")


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("Bonjour Monsieur Paul Durand du support,\nC'est réglé", Answer.YES),
        ("Bonjour, ici le service informatique de Lyon,\nC'est réglé", Answer.UNCLEAR),
        ("C'est réglé\ndepuis ce matin\n", Answer.YES),  # short lines are sentences
        (
            "Bonjour, je vous confirme que le problème est réglé sur tous nos\npostes, merci.",
            Answer.YES,  # a line wrapped by the mail program
        ),
        ("C'est réglé.\nCordialement,\nJean Dupont\nPS : Lyon est en panne", Answer.UNCLEAR),
        ("C'est réglé.\nJean-Paul Dupont", Answer.YES),
        ("C'est réglé.\nErreur Critique", Answer.UNCLEAR),  # no name
        ("😀", Answer.UNCLEAR),
        ("C'est réglé 😀 !!!", Answer.YES),
    ],
)
def test_the_whole_mail_is_read(text, verdict):
    found = read_confirmation(text, "fr")
    assert found.verdict is verdict, found


def test_evidence_is_in_the_clients_words():
    found = read_confirmation("Bonjour,\nC’est Réglé, MERCI !\nPaul", "fr")
    assert found.evidence_text == "C’est Réglé, MERCI !"
    assert found.reason == "says that it is solved"


def test_a_hostile_text_takes_no_time():
    for text in ("je ne " * 3000, "ca " * 6000, "a" * 20_000, "l'" * 9000, "the " * 4900):
        assert read_confirmation(text, "fr").verdict is not Answer.YES
