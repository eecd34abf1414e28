"""What a witness says of the logs that it watches, in both languages."""

from collections.abc import Mapping

from ingest.agent.reasons import both

COSIGNER_SAYINGS: Mapping[str, Mapping[str, str]] = {
    "witness-key": both(
        "La clé publique de ce témoin, à donner au gestionnaire de la plateforme (iain witness add SITE CLÉ) :",
        "The public key of this witness, to be given to the platform's manager (iain witness add SITE KEY):",
    ),
    "witness-same": both("{site} : {size} entrées, les mêmes qu'avant.", "{site}: {size} entries, the same as before."),
    "witness-signed": both(
        "{site} : {new} nouvelles entrées s'ajoutent à ce qui était ; signé à {size} entrées.",
        "{site}: {new} new entries add to what was there; signed at {size} entries.",
    ),
    "witness-none": both("La plateforme n'a encore aucun journal à montrer.", "The platform has no log to show yet."),
    "witness-unknown": both(
        "La plateforme ne connaît pas ce témoin. Donnez sa clé au gestionnaire (iain witness add SITE CLÉ), et "
        "vérifiez "
        "l'horloge de ce poste : {key}",
        "The platform does not know this witness. Give its key to the manager (iain witness add SITE KEY), and "
        "check the "
        "clock of this machine: {key}",
    ),
    "witness-unreachable": both(
        "La plateforme n'a pas répondu ({detail}). Rien n'est perdu : le prochain passage verra tout ce qui "
        "s'est ajouté.",
        "The platform did not answer ({detail}). Nothing is lost: the next round will see all that was added.",
    ),
    "witness-next": both("Prochain passage dans {span}.", "The next round is in {span}."),
    "witness-accepted": both(
        "{site} : le témoin recommence depuis le début. Ce qu'il avait signé reste dans son archive.",
        "{site}: the witness begins anew. What it had signed stays in its record.",
    ),
    "witness-no-log": both(
        "Ce témoin n'a jamais vu de journal de {site}. Ceux qu'il connaît : {known}",
        "This witness never saw a log of {site}. Those it knows: {known}",
    ),
    "witness-bad-name": both(
        "{name} n'est pas un nom de témoin : des lettres sans accent, des chiffres, des points, des tirets.",
        "{name} is no name of a witness: plain letters, digits, dots, hyphens.",
    ),
    "witness-other-name": both(
        "Le témoin de ce poste s'appelle déjà {name}, et non {asked}. Pour en créer un autre, prenez un autre dossier "
        "(--state-folder), ou mettez {path} de côté.",
        "This machine's witness is called {name} already, and not {asked}. To make another one, take another folder "
        "(--state-folder), or put {path} aside.",
    ),
    "witness-bad-platform-key": both(
        "{key} n'est pas la clé d'une plateforme. Copiez une ligne de ce que `iain audit key` affiche.",
        "{key} is no key of a platform. Copy a line of what `iain audit key` prints.",
    ),
    # what speaks against a log
    "witness-shorter": both(
        "{site} : LE JOURNAL A RACCOURCI. Ce témoin a signé {seen} entrées, la plateforme n'en montre que {size}. Des "
        "entrées ont été retirées, ou une ancienne copie remise en place. Rien n'est signé ; la preuve est dans "
        "{evidence}. Prévenez les responsables des autres centres. Si une sauvegarde vient d'être restaurée, et "
        "que cela "
        "vous a été confirmé : iain-agent witness --accept {site}",
        "{site}: THE LOG HAS SHRUNK. This witness signed {seen} entries, the platform shows but {size}. Entries were "
        "removed, or an old copy was put back. Nothing is signed; the proof is in {evidence}. Tell the lab managers of "
        "the other centres. If a backup has just been restored, and you were assured of it: "
        "iain-agent witness --accept {site}",
    ),
    "witness-rewritten": both(
        "{site} : LE JOURNAL A ÉTÉ RÉÉCRIT. Ce que la plateforme montre n'est pas la suite des {seen} entrées que ce "
        "témoin a signées. Rien n'est signé ; la preuve est dans {evidence}. Prévenez les responsables des autres "
        "centres. Si une sauvegarde a été restaurée, et que cela vous a été confirmé : iain-agent witness "
        "--accept {site}",
        "{site}: THE LOG WAS REWRITTEN. What the platform shows does not go on from the {seen} entries that "
        "this witness "
        "signed. Nothing is signed; the proof is in {evidence}. Tell the lab managers of the other centres. If "
        "a backup "
        "was restored, and you were assured of it: iain-agent witness --accept {site}",
    ),
    "witness-gone": both(
        "{site} : LE JOURNAL A DISPARU. La plateforme ne montre plus {origin}. Noté dans {evidence}. Prévenez les "
        "responsables des autres centres.",
        "{site}: THE LOG IS GONE. The platform does not show {origin} any more. Noted in {evidence}. Tell the lab "
        "managers of the other centres.",
    ),
    "witness-renamed": both(
        "{site} : le journal se présente sous un autre nom, {told} au lieu de {known}. Ce peut être un autre "
        "journal : rien "
        "n'est signé, c'est noté dans {evidence}. Demandez au gestionnaire de la plateforme.",
        "{site}: the log goes by another name, {told} instead of {known}. It may be another log: nothing is "
        "signed, this "
        "is noted in {evidence}. Ask the platform's manager.",
    ),
    "witness-other-key": both(
        "{site} : la clé de la plateforme n'est pas celle que ce témoin connaît : {told}. Rien n'est signé, c'est noté "
        "dans {evidence}. Demandez au gestionnaire de la plateforme ce que dit `iain audit key`.",
        "{site}: the key of the platform is not the one that this witness knows: {told}. Nothing is signed, "
        "this is noted "
        "in {evidence}. Ask the platform's manager what `iain audit key` says.",
    ),
    "witness-unsigned": both(
        "{site} : le point de contrôle n'est pas signé par la plateforme. Rien n'est signé, c'est noté dans "
        "{evidence}.",
        "{site}: the checkpoint is not signed by the platform. Nothing is signed, this is noted in {evidence}.",
    ),
    "witness-nonsense": both(
        "{site} : la plateforme a répondu ce qu'aucun journal ne peut dire ({detail}). Noté dans {evidence}.",
        "{site}: the platform answered what no log can say ({detail}). Noted in {evidence}.",
    ),
    "witness-entries-missing": both(
        "{site} : la plateforme ne montre pas les entrées {first} à {last} de son journal. Rien n'est signé, "
        "c'est noté "
        "dans {evidence}. Demandez à son gestionnaire de lancer `iain audit verify`.",
        "{site}: the platform does not show the entries {first} to {last} of its log. Nothing is signed, this "
        "is noted in "
        "{evidence}. Ask its manager to run `iain audit verify`.",
    ),
    "witness-untold": both(
        "{site} : la plateforme n'a pas pris note de ce refus ({detail}) ; le prochain passage le lui redira. Ses "
        "pages n'en disent rien : prévenez les autres centres vous-même.",
        "{site}: the platform has not taken note of this refusal ({detail}); the next round tells it again. Its "
        "pages say nothing of it: tell the other centres yourself.",
    ),
    # what is wrong with its own folder
    "witness-key-lost": both(
        "La clé de ce témoin manque : {path}. Remettez-la d'une sauvegarde ; ou, pour un nouveau témoin, donnez "
        "un autre "
        "--state-folder et gardez ce dossier comme preuve.",
        "The key of this witness is missing: {path}. Put it back from a backup; or, for a new witness, give another "
        "--state-folder and keep this folder as evidence.",
    ),
    "witness-key-bad": both(
        "{path} ne contient pas la clé d'un témoin. Remettez ce fichier d'une sauvegarde.",
        "{path} does not hold the key of a witness. Put this file back from a backup.",
    ),
    "witness-record-bad": both(
        "L'archive {path} n'est pas lisible ({detail}). Remettez-la d'une sauvegarde : sans elle, ce témoin ne "
        "sait plus "
        "ce qu'il a vu.",
        "The record {path} cannot be read ({detail}). Put it back from a backup: without it this witness does not know "
        "what it saw.",
    ),
    "witness-record-other": both(
        "L'archive {path} est celle d'un autre témoin. Donnez à chaque témoin un dossier à lui.",
        "The record {path} is that of another witness. Give each witness a folder of its own.",
    ),
}
