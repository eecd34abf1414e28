"""What the agent says while it works, how something ended, and what its commands answer, in both languages."""

from collections.abc import Mapping

from ingest.agent.reasons import both

SAYINGS: Mapping[str, Mapping[str, str]] = {
    # numbers
    "span-s": both("{number} s", "{number} s"),
    "span-min": both("{number} min", "{number} min"),
    "span-h": both("{number} h", "{number} hours"),
    "units": both("o ko Mo Go To", "B kB MB GB TB"),
    "decimal": both(",", "."),
    # while it works
    "hashing": both("Lecture", "Reading"),
    "sending": both("Envoi", "Sending"),
    "preparing": both("Préparation sur le serveur", "Being prepared by the server"),
    "retrying": both(
        "{why} Nouvel essai dans {seconds:.0f} s ; rien n'est perdu.",
        "{why} Trying again in {seconds:.0f} s; nothing is lost.",
    ),
    # how it ended
    "ready": both("{name} : prête à être lue.", "{name}: ready to be read."),
    "ready-known": both(
        "{name} : déjà sur la plateforme, prête à être lue ; rien n'a été renvoyé.",
        "{name}: already on the platform and ready to be read; nothing was sent again.",
    ),
    "still-preparing": both(
        "{name} : bien reçue, encore en préparation. Vous pouvez fermer cette fenêtre.",
        "{name}: safely received, still being prepared. You may close this window.",
    ),
    "unmatched": both(
        "{name} : aucun cas ne porte le numéro {accession}. La lame attend en Réception : vérifiez le numéro sur "
        "l'étiquette, puis rattachez-la à son cas.",
        "{name}: no case has the number {accession}. The slide is waiting at Reception: check the number on its "
        "label, then attach it to its case.",
    ),
    "unmatched-unnamed": both(
        "{name} : envoyée sans numéro de cas. La lame attend en Réception : rattachez-la à son cas, "
        "ou donnez le numéro avec --accession la prochaine fois.",
        "{name}: sent without a case number. The slide is waiting at Reception: attach it to its case, "
        "or give the number with --accession next time.",
    ),
    "claimed": both(
        "{name} : la même image est déjà sur la plateforme sous le numéro {other}, et vient d'être envoyée pour "
        "{accession}. Rien n'a été rangé au hasard : lisez l'étiquette de la lame, puis choisissez le bon numéro en "
        "Réception.",
        "{name}: the same picture is on the platform already under number {other}, and has just been sent for "
        "{accession}. Nothing was filed by guess: read the label of the glass, then choose the right number at "
        "Reception.",
    ),
    "refused": both("{name} : refusée. {why}", "{name}: refused. {why}"),
    "not-sent": both("{name} : pas envoyée. {why}", "{name}: not sent. {why}"),
    "left": both(
        "{name} : ces fichiers ne font partie d'aucune lame et n'ont pas été envoyés : {names}",
        "{name}: these files are no part of a slide and were not sent: {names}",
    ),
    "gave-up": both(
        "{why} Ce qui est arrivé est gardé : relancez la même commande, l'envoi reprendra là où il s'est arrêté.",
        "{why} What arrived is kept: run the same command again and it goes on where it stopped.",
    ),
    "interrupted": both(
        "Interrompu. Ce qui est arrivé est gardé : relancez la même commande pour continuer.",
        "Interrupted. What arrived is kept: run the same command again to go on.",
    ),
    # how it is set up
    "key-file-missing": both(
        "Le fichier de la clé, {path}, ne peut pas être lu ({detail}). Demandez-le à la personne qui gère la "
        "plateforme.",
        "The key file, {path}, cannot be read ({detail}). Ask the person who manages the platform for it.",
    ),
    "key-file-bad": both(
        "Le fichier {path} ne contient pas de clé de scanner (une seule ligne qui commence par « iain_ »).",
        "The file {path} holds no scanner key (a single line that begins with “iain_”).",
    ),
    "key-file-open": both(
        "Attention : d'autres comptes de ce poste peuvent lire la clé ({path}). Protégez-la : chmod 600 {path}",
        "Warning: other accounts of this computer can read the key ({path}). Protect it: chmod 600 {path}",
    ),
    "bad-server": both(
        "L'adresse du serveur, {server}, doit commencer par http:// ou https://.",
        "The server's address, {server}, must begin with http:// or https://.",
    ),
    "bad-ca-file": both(
        "Le certificat {path} ne peut pas être lu ({detail}).",
        "The certificate {path} cannot be read ({detail}).",
    ),
    "clear-text": both(
        "Attention : {server} n'est pas chiffré (http). La clé et les lames circulent en clair sur le réseau.",
        "Warning: {server} is not encrypted (http). The key and the slides cross the network in clear.",
    ),
    "config-unreadable": both(
        "Le fichier de configuration {path} ne peut pas être lu ({detail}).",
        "The configuration file {path} cannot be read ({detail}).",
    ),
    "config-encoding": both(
        "Le fichier de configuration {path} n'est pas en UTF-8. Enregistrez-le de nouveau avec cet encodage.",
        "The configuration file {path} is not saved as UTF-8. Save it again with this encoding.",
    ),
    "config-syntax": both(
        "Le fichier de configuration {path} ne peut pas être compris ({detail}). Les chemins de Windows s'écrivent "
        "entre apostrophes : 'D:\\Lames'.",
        "The configuration file {path} cannot be understood ({detail}). Paths of Windows stand between single quotes: "
        "'D:\\Slides'.",
    ),
    "config-unknown": both(
        "La configuration contient « {key} », qui n'existe pas. Les noms possibles sont : {known}.",
        "The configuration has “{key}”, which does not exist. The names are: {known}.",
    ),
    "config-value": both(
        "Configuration : {key} = {value} n'est pas possible. Il faut {wanted}.",
        "Configuration: {key} = {value} is not possible. It has to be {wanted}.",
    ),
    "config-missing": both(
        "Il manque {key}. Écrivez-le dans {path}, ou donnez --{option}.",
        "{key} is missing. Write it into {path}, or give --{option}.",
    ),
    "want-text": both("un texte entre guillemets", "a text in quotes"),
    "want-path": both("un chemin entre guillemets", "a path in quotes"),
    "want-paths": both("une liste de chemins, par exemple ['D:\\Lames']", "a list of paths, such as ['D:\\Slides']"),
    "want-after": both("keep, move ou delete", "keep, move or delete"),
    "want-language": both("fr ou en", "fr or en"),
    "want-parallel": both("un nombre entier de 1 à 8", "a whole number from 1 to 8"),
    "want-seconds": both("un nombre de secondes de 1 à 86400", "a number of seconds from 1 to 86400"),
    "want-bandwidth": both("un nombre de Mbit/s de 1 à 100000", "a number of Mbit/s from 1 to 100000"),
    "want-quiet": both(
        'une liste d\'heures, par exemple ["lun-ven 08:00-18:00"]', 'a list of hours, such as ["mon-fri 08:00-18:00"]'
    ),
    "want-open": both(
        "une heure au moins dans la semaine où les lames peuvent partir",
        "some hour of the week at which slides may be sent",
    ),
    "want-zone": both("un fuseau horaire, par exemple Europe/Paris", "a time zone, such as Europe/Paris"),
    "want-names": both(
        'un modèle fait de {{accession}}, {{block}} et {{stain}}, par exemple "{{accession}}_{{block}}_{{stain}}"',
        'a pattern of {{accession}}, {{block}} and {{stain}}, such as "{{accession}}_{{block}}_{{stain}}"',
    ),
    "want-archive": both(
        "un dossier autre que ceux qui sont surveillés, puisque les lames envoyées y sont déplacées",
        "a folder other than the watched ones, because slides that were sent are moved to it",
    ),
    # watch
    "watching": both("Surveillance commencée, pour {server} : {names}", "The watch has begun, for {server}: {names}"),
    "watch-ends": both(
        "Surveillance arrêtée. Ce qui est arrivé est gardé ; l'envoi reprendra au prochain démarrage.",
        "The watch has ended. What arrived is kept; sending goes on at the next start.",
    ),
    "watch-other": both(
        "Une autre surveillance est en marche avec le même dossier d'état, {path}. Arrêtez-la d'abord.",
        "Another watch is running with the same state folder, {path}. Stop it first.",
    ),
    "state-unusable": both(
        "Le dossier d'état {path} ne peut pas être utilisé ({detail}). Choisissez un dossier où ce compte peut écrire.",
        "The state folder {path} cannot be used ({detail}). Choose a folder that this account can write to.",
    ),
    "log-unusable": both(
        "Le journal {path} ne peut pas être écrit ({detail}). Choisissez un autre fichier.",
        "The log {path} cannot be written ({detail}). Choose another file.",
    ),
    "found": both("{name} : trouvée, {size}.", "{name}: found, {size}."),
    "arrived": both("{name} : reçue et vérifiée par la plateforme.", "{name}: received and proved by the platform."),
    "arrived-known": both(
        "{name} : déjà sur la plateforme ; rien n'a été renvoyé.",
        "{name}: already on the platform; nothing was sent again.",
    ),
    "put-back": both("{name} : sera renvoyée plus tard. {why}", "{name}: will be sent again later. {why}"),
    "goes-on": both("Le serveur répond de nouveau ; l'envoi reprend.", "The server answers again; sending goes on."),
    "trouble": both("{name} : {why}", "{name}: {why}"),
    "trouble-over": both("{name} : c'est réglé.", "{name}: this is settled."),
    "pause-quiet-hours": both(
        "Heures calmes : les lames partiront dans {span}.", "Quiet hours: slides will be sent in {span}."
    ),
    "pause-unreachable": both(
        "En pause : le serveur ne répond pas. Vérifiez le câble réseau.",
        "Paused: the server does not answer. Check the network cable.",
    ),
    "pause-key-refused": both(
        "En pause : la clé de ce scanner est refusée. Demandez une nouvelle clé.",
        "Paused: this scanner's key is refused. Ask for a new key.",
    ),
    "pause-disk-full": both(
        "En pause : le disque du serveur est plein. Prévenez la personne qui le gère.",
        "Paused: the server's disk is full. Tell the person who manages it.",
    ),
    "pause-over": both("L'envoi des lames reprend.", "Slides are sent again."),
    # status and retry
    "status-none": both(
        "Aucune lame n'est encore passée par ce poste ({path}). Démarrez « iain-agent watch ».",
        "No slide has come through this computer yet ({path}). Start “iain-agent watch”.",
    ),
    "status-running": both(
        "La surveillance est en marche ; la plateforme a eu de ses nouvelles il y a {span}.",
        "The watch is running; the platform heard of it {span} ago.",
    ),
    "status-unheard": both(
        "La surveillance est en marche, mais la plateforme n'en a pas de nouvelles. {why}",
        "The watch is running, but the platform has not heard of it. {why}",
    ),
    "status-stopped": both(
        "La surveillance est arrêtée depuis {span}. Démarrez-la : « iain-agent watch », ou le service de ce poste.",
        "The watch has been off for {span}. Start it: “iain-agent watch”, or the service of this computer.",
    ),
    "status-queued": both("À envoyer", "To be sent"),
    "status-sending": both("En cours d'envoi", "Being sent"),
    "status-arrived": both("En préparation sur la plateforme", "Being prepared by the platform"),
    "status-sent": both("Envoyées aujourd'hui", "Sent today"),
    "status-refused": both("Refusées, à reprendre", "Refused, to be seen to"),
    "status-incomplete": both("Incomplètes", "Incomplete"),
    "status-rate": both("Débit de la dernière minute", "Rate of the last minute"),
    "status-last": both("Dernière lame envoyée", "Slide sent last"),
    "status-oldest": both("La plus ancienne attend depuis", "The oldest has waited for"),
    "status-retry": both(
        "Une fois la cause réglée : iain-agent retry NOM, ou iain-agent retry --all",
        "Once the cause is gone: iain-agent retry NAME, or iain-agent retry --all",
    ),
    "retried": both("Lames remises dans la file : {number}.", "Slides put in the queue again: {number}."),
    "retried-none": both(
        "Aucune lame de ce nom n'attend. « iain-agent status » dit lesquelles attendent.",
        "No slide of this name is waiting. “iain-agent status” says which are.",
    ),
    "retry-what": both(
        "Donnez le nom d'une lame, ou --all pour toutes.", "Give the name of a slide, or --all for all of them."
    ),
    # doctor
    "config-fine": both("Configuration : {path}", "Configuration: {path}"),
    "config-none": both(
        "Pas de fichier de configuration ({path}) ; les options et l'environnement décident.",
        "No configuration file ({path}); options and environment decide.",
    ),
    "server-fine": both("Serveur : {server} répond en {span_ms} ms.", "Server: {server} answers within {span_ms} ms."),
    "server-none": both(
        'Aucun serveur n\'est nommé. Écrivez server = "https://…" dans {path}.',
        'No server is named. Write server = "https://…" into {path}.',
    ),
    "server-bad": both("Serveur {server} : {why}", "Server {server}: {why}"),
    "key-fine": both("Clé : acceptée par le serveur ({path}).", "Key: accepted by the server ({path})."),
    "key-none": both(
        "Aucun fichier de clé n'est nommé. Écrivez key_file = '…' dans {path}.",
        "No key file is named. Write key_file = '…' into {path}.",
    ),
    "key-bad": both("Clé {path} : {why}", "Key {path}: {why}"),
    "clock-fine": both("Horloge : à l'heure, à {skew} s près.", "Clock: right to within {skew} s."),
    "clock-bad": both(
        "L'horloge de ce poste est décalée de {skew} s. Réglez-la sur l'heure du réseau de l'hôpital.",
        "This computer's clock is off by {skew} s. Set it to the time of the hospital's network.",
    ),
    "disk-fine": both("Disque de {path} : {free} libres.", "Disk of {path}: {free} free."),
    "disk-low": both(
        "Disque de {path} : il ne reste que {free}. Libérez de la place, ou le scanner s'arrêtera.",
        "Disk of {path}: only {free} left. Free some room, or the scanner will stop.",
    ),
    "state-fine": both("File d'attente : {path}, en bon état.", "Queue: {path}, sound."),
    "state-damaged": both(
        "La file d'attente {path} est abîmée. Elle sera mise de côté et refaite au prochain démarrage ; faites "
        "vérifier le disque de ce poste.",
        "The queue {path} is damaged. It will be set aside and made anew at the next start; have this computer's disk "
        "checked.",
    ),
    "folder-fine": both("Dossier {path} : lisible.", "Folder {path}: readable."),
    "folder-bad": both("Dossier {path} : {why}", "Folder {path}: {why}"),
    "folder-fixed": both(
        "Dossier {path} : ce compte ne peut pas y déplacer ni supprimer de fichiers ({detail}). Donnez-lui le droit de "
        'le modifier, ou choisissez after = "keep".',
        "Folder {path}: this account cannot move or delete files there ({detail}). Give it the right to modify the "
        'folder, or choose after = "keep".',
    ),
    "archive-bad": both(
        "Le dossier {path}, où vont les lames envoyées, ne peut pas être écrit ({detail}). Donnez ce droit au compte "
        "du service.",
        "The folder {path}, where sent slides go, cannot be written to ({detail}). Give the service's account this "
        "right.",
    ),
    "folders-none": both(
        "Aucun dossier n'est surveillé. Écrivez folders = ['…'] dans {path}.",
        "No folder is watched. Write folders = ['…'] into {path}.",
    ),
    "quiet-now": both(
        "Heures calmes maintenant ({now}, {zone}) : l'envoi reprend dans {span}.",
        "Quiet hours now ({now}, {zone}): sending goes on in {span}.",
    ),
    "quiet-not": both(
        "Heure du centre : {now}, {zone} ; l'envoi est permis.", "Site's time: {now}, {zone}; sending is allowed."
    ),
    "doctor-fine": both("Tout va bien.", "All is well."),
    "doctor-bad": both("À faire : {number}.", "To be done: {number}."),
}
