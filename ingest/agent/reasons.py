"""Why a slide was not sent, or not taken, and what to do with one's hands: a sentence for each code in both languages.

`problem-…` is what the server answered, or that it did not (`ingest.protocol.Problem` and the client's own codes);
`trouble-…` what the agent itself met on the workstation; `refusal-…` what the platform said of the slide once it had
arrived. No code has two of them.
"""

from collections.abc import Mapping


def both(fr: str, en: str) -> Mapping[str, str]:
    """The sentence in French and in English."""
    return {"fr": fr, "en": en}


REASONS: Mapping[str, Mapping[str, str]] = {
    # the server cannot be reached, or said no
    "problem-unreachable": both(
        "Le serveur ne répond pas. Vérifiez le câble réseau et l'adresse.",
        "The server does not answer. Check the network cable and the address.",
    ),
    "problem-untrusted": both(
        "Le certificat du serveur n'est pas reconnu. N'envoyez rien ; appelez le service informatique.",
        "The server's certificate is not trusted. Send nothing; call the IT department.",
    ),
    "problem-not-our-server": both(
        "Cette adresse ne répond pas comme la plateforme de lames. Vérifiez l'adresse du serveur (--server).",
        "This address does not answer like the slide platform. Check the server's address (--server).",
    ),
    "problem-busy": both("Le serveur est occupé ou redémarre.", "The server is busy or restarting."),
    "problem-other": both("Le serveur a répondu : {detail}", "The server answered: {detail}"),
    "problem-key-refused": both(
        "Le serveur refuse la clé de ce scanner. Rien n'a été envoyé ; demandez une nouvelle clé à la personne qui "
        "gère la plateforme.",
        "The server refuses this scanner's key. Nothing was sent; ask the person who manages the platform for a new "
        "key.",
    ),
    "problem-too-large": both(
        "Le fichier est plus gros que ce que le serveur accepte. Prévenez la personne qui gère la plateforme.",
        "The file is larger than the server accepts. Tell the person who manages the platform.",
    ),
    "problem-signed-out": both(
        "Votre session est terminée. Reconnectez-vous, puis déposez le même fichier : l'envoi reprendra là où il s'est "
        "arrêté.",
        "Your session is over. Sign in again, then drop the same file: sending goes on where it stopped.",
    ),
    "problem-quota-exceeded": both(
        "La place réservée à votre centre sur la plateforme est pleine. Gardez la lame sur ce poste et prévenez la "
        "personne qui gère la plateforme.",
        "The room that your centre has on the platform is full. Keep the slide on this computer and tell the person "
        "who manages the platform.",
    ),
    "problem-too-many-uploads": both(
        "Trop d'envois de ce scanner sont inachevés. Laissez-les se terminer, puis réessayez.",
        "Too many uploads of this scanner are unfinished. Let them come to their end, then try again.",
    ),
    "problem-disk-full": both(
        "Le disque du serveur est plein. Prévenez la personne qui gère le serveur ; gardez la lame sur ce poste.",
        "The server's disk is full. Tell the person who manages the server; keep the slide on this computer.",
    ),
    "problem-store-failed": both(
        "Le serveur n'arrive pas à écrire sur son disque. Prévenez la personne qui gère le serveur.",
        "The server cannot write to its disk. Tell the person who manages the server.",
    ),
    "problem-file-damaged": both(
        "Le fichier a changé pendant l'envoi, ou a été abîmé en chemin. Attendez la fin de la numérisation, puis "
        "recommencez.",
        "The file changed while it was being sent, or was damaged on the way. Wait until the scan is over, then "
        "start again.",
    ),
    "problem-files-missing": both(
        "Des fichiers de la lame ne sont pas arrivés ({detail}). Renvoyez la lame.",
        "Some files of the slide have not arrived ({detail}). Send the slide again.",
    ),
    # what the agent met on the workstation
    "trouble-missing-file": both(
        "Ce fichier n'existe pas. Vérifiez le chemin et que le disque est branché.",
        "There is no such file. Check the path, and that the disk is plugged in.",
    ),
    "trouble-not-a-file": both(
        "Ce n'est pas un fichier ordinaire. Choisissez le fichier que le scanner a écrit.",
        "This is not an ordinary file. Choose the file that the scanner wrote.",
    ),
    "trouble-empty-file": both(
        "Ce fichier est vide. Attendez la fin de la numérisation, ou numérisez la lame de nouveau.",
        "This file is empty. Wait until the scan is over, or scan the glass again.",
    ),
    "trouble-no-slides": both(
        "Ce dossier ne contient aucune lame d'un format connu. Choisissez le dossier où le scanner écrit.",
        "There is no slide of a known format in this folder. Choose the folder that the scanner writes to.",
    ),
    "trouble-unreadable-file": both(
        "Ce fichier ne peut pas être lu ({detail}). Vérifiez le disque et vos droits sur le fichier.",
        "This file cannot be read ({detail}). Check the disk, and that you may read the file.",
    ),
    "trouble-still-changing": both(
        "Le fichier change encore. Attendez la fin de la numérisation ; si le scanner est arrêté, numérisez la lame "
        "de nouveau.",
        "The file is still changing. Wait until the scan is over; if the scanner has stopped, scan the glass again.",
    ),
    "trouble-incomplete-file": both(
        "Le fichier est incomplet ou abîmé ({detail}). Vérifiez que la numérisation ou la copie s'est terminée ; sinon "
        "numérisez la lame de nouveau.",
        "The file is incomplete or damaged ({detail}). Check that the scan or the copy came to its end; if it did not, "
        "scan the glass again.",
    ),
    "trouble-incomplete-set": both(
        "Il manque des fichiers de cette lame : {detail}. Copiez-les à côté des autres, ou exportez la lame de "
        "nouveau.",
        "Files of this slide are missing: {detail}. Copy them beside the others, or export the slide again.",
    ),
    "trouble-incomplete-series": both(
        "De cette série DICOM, il n'y a que des images annexes ({detail}). Exportez toute la série, avec l'image de la "
        "lame elle-même.",
        "Of this DICOM series there are only pictures beside the slide ({detail}). Export the whole series, with the "
        "picture of the slide itself.",
    ),
    "trouble-unfit-set": both(
        "Les fichiers de cette lame ne peuvent pas être envoyés ensemble ({detail}). Exportez la lame de nouveau, "
        "dans un dossier à elle.",
        "The files of this slide cannot be sent together ({detail}). Export the slide again, into a folder of its own.",
    ),
    "trouble-folder-missing": both(
        "Ce dossier surveillé n'existe pas. Vérifiez que le disque est branché et le partage réseau connecté.",
        "This watched folder does not exist. Check that the disk is plugged in and the network share is connected.",
    ),
    "trouble-folder-unreadable": both(
        "Ce dossier surveillé ne peut pas être lu ({detail}). Donnez au compte du service le droit de le lire.",
        "This watched folder cannot be read ({detail}). Give the service's account the right to read it.",
    ),
    "trouble-queue-rebuilt": both(
        "La file d'attente de ce poste était abîmée : elle a été mise de côté et refaite d'après les dossiers. Rien "
        "n'est perdu ; faites vérifier le disque de ce poste ({detail}).",
        "This computer's queue was damaged: it was set aside and made anew from the folders. Nothing is lost; have "
        "this computer's disk checked ({detail}).",
    ),
    "trouble-queue-unwritable": both(
        "La file d'attente ne peut pas être écrite ({detail}). Libérez de la place sur le disque de ce poste.",
        "The queue cannot be written ({detail}). Free some room on this computer's disk.",
    ),
    "trouble-not-deleted": both(
        "La lame est sur la plateforme, mais ses fichiers n'ont pas pu être rangés ({detail}). Fermez le programme "
        "qui les tient ouverts, puis rangez-les à la main.",
        "The slide is on the platform, but its files could not be put away ({detail}). Close the program that holds "
        "them open, then put them away by hand.",
    ),
    "trouble-not-as-sent": both(
        "Le fichier de ce poste n'est plus celui que la plateforme a reçu, sans que rien n'y ait été écrit : il est "
        "gardé. Faites vérifier le disque de ce poste.",
        "This computer's file is no longer what the platform received, although nothing was written to it: it is kept. "
        "Have this computer's disk checked.",
    ),
    # why a slide was refused once it had arrived
    "refusal-other": both(
        "La plateforme n'a pas pu préparer la lame. Numérisez-la de nouveau ; si cela se répète, prévenez la personne "
        "qui gère la plateforme.{why}",
        "The platform could not prepare the slide. Scan the glass again; if it happens again, tell the person who "
        "manages the platform.{why}",
    ),
    "refusal-not-a-slide": both(
        "Ce fichier n'est pas une lame d'un format connu. Choisissez le fichier que le scanner a écrit ; si c'est bien "
        "lui, ouvrez-le dans le programme du scanner, ou numérisez la lame de nouveau.{why}",
        "This file is no slide of a known format. Choose the file that the scanner wrote; if this is it, open it in "
        "the scanner's program, or scan the glass again.{why}",
    ),
    "refusal-damaged": both(
        "Le fichier est incomplet ou abîmé. Vérifiez que la numérisation s'est terminée, puis numérisez la lame de "
        "nouveau.{why}",
        "The file is incomplete or damaged. Check that the scan came to its end, then scan the glass again.{why}",
    ),
    "refusal-unsupported": both(
        "La plateforme ne lit pas encore cette sorte de fichier. Prévenez la personne qui la gère, et gardez le "
        "fichier.{why}",
        "The platform does not read this kind of file yet. Tell the person who manages it, and keep the file.{why}",
    ),
    "refusal-unreadable": both(
        "Le fichier n'a pas pu être lu malgré plusieurs essais. Numérisez la lame de nouveau.{why}",
        "The file could not be read in several tries. Scan the glass again.{why}",
    ),
}
