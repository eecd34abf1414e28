"""What the agent tells a technician, in French and in English: what is wrong, then what to do with one's hands.

A problem the server names by its code (`ingest.protocol.Problem`, or the code of a refused slide) has its sentence
here; one that has none is told in the server's own words.
"""

from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    FR = "fr"
    EN = "en"


def language_from(environ: Mapping[str, str]) -> Language:
    """The language of the workstation; French unless it says English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return Language.EN if value.lower().startswith("en") else Language.FR
    return Language.FR


class Words:
    """The sentences in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        return SENTENCES[key][self.language].format(**values)

    def problem(self, code: str | None, detail: str) -> str:
        """The sentence for a code of the server, else the server's own `detail`."""
        key = f"problem-{code}"
        return self(key, detail=detail) if key in SENTENCES else self("problem-other", detail=detail)

    def refusal(self, code: str | None, reason: str | None) -> str:
        """Why a slide was refused and what to do about it; `reason`: the server's own, in the agent's language."""
        key = f"refusal-{code}"
        return self(key if key in SENTENCES else "refusal-other", why=f" ({reason})" if reason else "")


def _both(fr: str, en: str) -> dict[Language, str]:
    return {Language.FR: fr, Language.EN: en}


SENTENCES: dict[str, dict[Language, str]] = {
    # while it works
    "hashing": _both("Lecture", "Reading"),
    "sending": _both("Envoi", "Sending"),
    "preparing": _both("Préparation sur le serveur", "Being prepared by the server"),
    "retrying": _both(
        "{why} Nouvel essai dans {seconds:.0f} s ; rien n'est perdu.",
        "{why} Trying again in {seconds:.0f} s; nothing is lost.",
    ),
    # how it ended
    "ready": _both("{name} : prête à être lue.", "{name}: ready to be read."),
    "ready-known": _both(
        "{name} : déjà sur la plateforme, prête à être lue ; rien n'a été renvoyé.",
        "{name}: already on the platform and ready to be read; nothing was sent again.",
    ),
    "still-preparing": _both(
        "{name} : bien reçue, encore en préparation. Vous pouvez fermer cette fenêtre.",
        "{name}: safely received, still being prepared. You may close this window.",
    ),
    "unmatched": _both(
        "{name} : aucun cas ne porte le numéro {accession}. La lame attend en Réception : vérifiez le numéro sur "
        "l'étiquette, puis rattachez-la à son cas.",
        "{name}: no case has the number {accession}. The slide is waiting at Reception: check the number on its "
        "label, then attach it to its case.",
    ),
    "unmatched-unnamed": _both(
        "{name} : envoyée sans numéro de cas. La lame attend en Réception : rattachez-la à son cas, "
        "ou donnez le numéro avec --accession la prochaine fois.",
        "{name}: sent without a case number. The slide is waiting at Reception: attach it to its case, "
        "or give the number with --accession next time.",
    ),
    "refused": _both("{name} : refusée. {why}", "{name}: refused. {why}"),
    "not-sent": _both("{name} : pas envoyée. {why}", "{name}: not sent. {why}"),
    # before anything is sent
    "missing-file": _both(
        "Ce fichier n'existe pas. Vérifiez le chemin et que le disque est branché.",
        "There is no such file. Check the path, and that the disk is plugged in.",
    ),
    "no-slides": _both(
        "Ce dossier ne contient aucune lame d'un format connu.",
        "There is no slide of a known format in this folder.",
    ),
    "left": _both(
        "{name} : ces fichiers ne font partie d'aucune lame et n'ont pas été envoyés : {names}",
        "{name}: these files are no part of a slide and were not sent: {names}",
    ),
    "incomplete": _both(
        "Il manque des fichiers de cette lame : {names}. Copiez-les à côté des autres, ou exportez la lame de nouveau.",
        "Files of this slide are missing: {names}. Copy them beside the others, or export the slide again.",
    ),
    "unfit-set": _both(
        "Les fichiers de cette lame ne peuvent pas être envoyés ensemble ({detail}).",
        "The files of this slide cannot be sent together ({detail}).",
    ),
    "not-a-file": _both("Ce n'est pas un fichier ordinaire.", "This is not an ordinary file."),
    "empty-file": _both(
        "Ce fichier est vide. Attendez la fin de la numérisation, ou numérisez la lame de nouveau.",
        "This file is empty. Wait until the scan is over, or scan the glass again.",
    ),
    "unreadable-file": _both(
        "Ce fichier ne peut pas être lu ({detail}). Vérifiez le disque et vos droits sur le fichier.",
        "This file cannot be read ({detail}). Check the disk, and that you may read the file.",
    ),
    "still-changing": _both(
        "Le fichier change pendant l'envoi. Attendez la fin de la numérisation, puis recommencez.",
        "The file changes while it is being sent. Wait until the scan is over, then start again.",
    ),
    "key-file-missing": _both(
        "Le fichier de la clé, {path}, ne peut pas être lu ({detail}). Demandez-le à la personne qui gère la "
        "plateforme.",
        "The key file, {path}, cannot be read ({detail}). Ask the person who manages the platform for it.",
    ),
    "key-file-bad": _both(
        "Le fichier {path} ne contient pas de clé de scanner (une seule ligne qui commence par « iain_ »).",
        "The file {path} holds no scanner key (a single line that begins with “iain_”).",
    ),
    "key-file-open": _both(
        "Attention : d'autres comptes de ce poste peuvent lire la clé ({path}). Protégez-la : chmod 600 {path}",
        "Warning: other accounts of this computer can read the key ({path}). Protect it: chmod 600 {path}",
    ),
    "bad-server": _both(
        "L'adresse du serveur, {server}, doit commencer par http:// ou https://.",
        "The server's address, {server}, must begin with http:// or https://.",
    ),
    "bad-ca-file": _both(
        "Le certificat {path} ne peut pas être lu ({detail}).",
        "The certificate {path} cannot be read ({detail}).",
    ),
    "clear-text": _both(
        "Attention : {server} n'est pas chiffré (http). La clé et les lames circulent en clair sur le réseau.",
        "Warning: {server} is not encrypted (http). The key and the slides cross the network in clear.",
    ),
    # the server cannot be reached, or said no
    "problem-unreachable": _both(
        "Le serveur ne répond pas. Vérifiez le câble réseau et l'adresse.",
        "The server does not answer. Check the network cable and the address.",
    ),
    "untrusted": _both(
        "Le certificat du serveur n'est pas reconnu. N'envoyez rien ; appelez le service informatique.",
        "The server's certificate is not trusted. Send nothing; call the IT department.",
    ),
    "not-our-server": _both(
        "Cette adresse ne répond pas comme la plateforme de lames. Vérifiez --server.",
        "This address does not answer like the slide platform. Check --server.",
    ),
    "problem-busy": _both("Le serveur est occupé ou redémarre.", "The server is busy or restarting."),
    "gave-up": _both(
        "{why} Ce qui est arrivé est gardé : relancez la même commande, l'envoi reprendra là où il s'est arrêté.",
        "{why} What arrived is kept: run the same command again and it goes on where it stopped.",
    ),
    "interrupted": _both(
        "Interrompu. Ce qui est arrivé est gardé : relancez la même commande pour continuer.",
        "Interrupted. What arrived is kept: run the same command again to go on.",
    ),
    "problem-other": _both("Le serveur a répondu : {detail}", "The server answered: {detail}"),
    "problem-key-refused": _both(
        "Le serveur refuse la clé de ce scanner. Rien n'a été envoyé ; demandez une nouvelle clé à la personne qui "
        "gère la plateforme.",
        "The server refuses this scanner's key. Nothing was sent; ask the person who manages the platform for a new "
        "key.",
    ),
    "problem-too-large": _both(
        "Le fichier est plus gros que ce que le serveur accepte. Prévenez la personne qui gère la plateforme.",
        "The file is larger than the server accepts. Tell the person who manages the platform.",
    ),
    "problem-too-many-uploads": _both(
        "Trop d'envois de ce scanner sont inachevés. Terminez-les d'abord : relancez leurs commandes.",
        "Too many uploads of this scanner are unfinished. Finish them first: run their commands again.",
    ),
    "problem-disk-full": _both(
        "Le disque du serveur est plein. Prévenez la personne qui gère le serveur ; gardez la lame sur ce poste.",
        "The server's disk is full. Tell the person who manages the server; keep the slide on this computer.",
    ),
    "problem-store-failed": _both(
        "Le serveur n'arrive pas à écrire sur son disque. Prévenez la personne qui gère le serveur.",
        "The server cannot write to its disk. Tell the person who manages the server.",
    ),
    "problem-file-damaged": _both(
        "Le fichier a changé pendant l'envoi, ou a été abîmé en chemin. Attendez la fin de la numérisation, puis "
        "recommencez.",
        "The file changed while it was being sent, or was damaged on the way. Wait until the scan is over, then "
        "start again.",
    ),
    "problem-files-missing": _both(
        "Des fichiers de la lame ne sont pas arrivés ({detail}). Relancez la même commande.",
        "Some files of the slide have not arrived ({detail}). Run the same command again.",
    ),
    # why a slide was refused once it had arrived
    "refusal-other": _both(
        "La plateforme n'a pas pu préparer la lame. Numérisez-la de nouveau ; si cela se répète, prévenez la personne "
        "qui gère la plateforme.{why}",
        "The platform could not prepare the slide. Scan the glass again; if it happens again, tell the person who "
        "manages the platform.{why}",
    ),
    "refusal-not-a-slide": _both(
        "Ce fichier n'est pas une lame d'un format connu. Choisissez le fichier que le scanner a écrit.",
        "This file is no slide of a known format. Choose the file that the scanner wrote.",
    ),
    "refusal-damaged": _both(
        "Le fichier est incomplet ou abîmé. Vérifiez que la numérisation s'est terminée, puis numérisez la lame de "
        "nouveau.{why}",
        "The file is incomplete or damaged. Check that the scan came to its end, then scan the glass again.{why}",
    ),
    "refusal-unsupported": _both(
        "La plateforme ne lit pas encore cette sorte de fichier. Prévenez la personne qui la gère, et gardez le "
        "fichier.{why}",
        "The platform does not read this kind of file yet. Tell the person who manages it, and keep the file.{why}",
    ),
    "refusal-unreadable": _both(
        "Le fichier n'a pas pu être lu malgré plusieurs essais. Numérisez la lame de nouveau.{why}",
        "The file could not be read in several tries. Scan the glass again.{why}",
    ),
}
