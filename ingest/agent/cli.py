"""`iain-agent`: slides go from a scanner's workstation to the platform. Exit codes are those of `ingest.agent.exits`.

Options stand above the environment, the environment above the configuration file.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ingest.agent.config import Config, ConfigError, default_path, load
from ingest.agent.connection import UsageError, connect, warnings
from ingest.agent.doctor import doctor as examine_all
from ingest.agent.exits import Exit
from ingest.agent.heart import version as installed_version
from ingest.agent.messages import Language, Words, language_from
from ingest.agent.push import push as push_all
from ingest.agent.rules import After
from ingest.agent.screen import Screen
from ingest.agent.service import logging_to
from ingest.agent.service import watch as watch_all
from ingest.agent.status import retry as retry_some
from ingest.agent.status import status as tell_status
from ingest.agent.upload import Glass, Patience
from ingest.agent.witnessing import accept as accept_backup
from ingest.agent.witnessing import show_key as tell_key
from ingest.agent.witnessing import witness as witness_logs

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Fichier de configuration. / Configuration file (TOML).")
]
Server = Annotated[
    str | None, typer.Option(envvar="IAIN_SERVER", help="Adresse de la plateforme. / Address of the platform.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(envvar="IAIN_KEY_FILE", help="Fichier de la clé du scanner. / File with the scanner's key."),
]
CaFile = Annotated[
    Path | None,
    typer.Option(envvar="IAIN_CA_FILE", help="Autorité de certification de l'hôpital (PEM). / The hospital's own CA."),
]
Lang = Annotated[Language | None, typer.Option("--language", help="fr | en")]
StateFolder = Annotated[
    Path | None, typer.Option(help="Dossier où la file d'attente est gardée. / Folder that keeps the queue.")
]
Act = Callable[[Config, Screen], Exit]


@app.callback()
def agent() -> None:
    """Envoie les lames d'un scanner à la plateforme. / Sends a scanner's slides to the platform."""


@app.command()
def push(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER...",
            help="Lames, ou dossiers de lames, à envoyer. / Slides, or folders of them, to send.",
        ),
    ],
    server: Server = None,
    key_file: KeyFile = None,
    accession: Annotated[str | None, typer.Option(help="Numéro du cas. / Accession number of the case.")] = None,
    stain: Annotated[str | None, typer.Option(help="Coloration. / Stain.")] = None,
    block: Annotated[str | None, typer.Option(help="Bloc. / Block.")] = None,
    language: Lang = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Secondes d'essais sans progrès. / Seconds of trying without progress.")
    ] = 600,
    wait: Annotated[
        float, typer.Option(min=0, help="Secondes d'attente d'une lame prête. / Seconds to wait until it is ready.")
    ] = 120,
    ca_file: CaFile = None,
    config: ConfigFile = None,
) -> None:
    """Envoie des lames ; relancer la même commande reprend là où elle s'était arrêtée. / Sends slides, resumably."""

    def act(config: Config, screen: Screen) -> Exit:
        for sentence in warnings(config, screen.words):
            screen.warn(sentence)
        with connect(config, screen.words) as client:
            try:
                return push_all(client, screen, Patience(patience, wait), paths, Glass(accession, stain, block))
            except KeyboardInterrupt:
                screen.warn(screen.words("interrupted"))
                return Exit.INTERRUPTED

    _carry_out(act, config, language, {"server": server, "key_file": key_file, "ca_file": ca_file})


@app.command()
def watch(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER...", help="Dossiers où le scanner écrit. / Folders that the scanner writes to."),
    ] = None,
    server: Server = None,
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    after: Annotated[
        After | None, typer.Option(help="Les fichiers envoyés sont gardés, déplacés, supprimés. / What follows.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="Où les lames envoyées sont déplacées. / Where sent slides are moved to.")
    ] = None,
    parallel: Annotated[int | None, typer.Option(help="Lames envoyées en même temps. / Slides sent at once.")] = None,
    bandwidth_mbit: Annotated[
        float | None, typer.Option(help="Débit au plus, en Mbit/s. / Bandwidth at most, in Mbit/s.")
    ] = None,
    rest_s: Annotated[
        float | None, typer.Option(help="Secondes sans changement avant l'envoi. / Seconds at rest before it is sent.")
    ] = None,
    state_folder: StateFolder = None,
    log_file: Annotated[Path | None, typer.Option(help="Journal à écrire aussi. / A log to write, too.")] = None,
    language: Lang = None,
    config: ConfigFile = None,
) -> None:
    """Surveille des dossiers et envoie chaque lame complète. / Watches folders, sends each slide that is whole."""
    said: dict[str, object] = {
        "server": server,
        "key_file": key_file,
        "ca_file": ca_file,
        "folders": [str(each) for each in folders] if folders else None,
        "after": after,
        "archive": archive,
        "parallel": parallel,
        "bandwidth_mbit": bandwidth_mbit,
        "rest_s": rest_s,
        "state_folder": state_folder,
        "log_file": log_file,
    }

    def act(config: Config, screen: Screen) -> Exit:
        for sentence in warnings(config, screen.words):
            screen.warn(sentence)
        return watch_all(config, screen)

    _carry_out(act, config, language, said)


@app.command()
def status(state_folder: StateFolder = None, language: Lang = None, config: ConfigFile = None) -> None:
    """Dit ce qui attend, ce qui est parti, et pourquoi une lame est refusée. / Says what waits, went, was refused."""
    _carry_out(tell_status, config, language, {"state_folder": state_folder}, keep_log=False)


@app.command()
def retry(
    name: Annotated[str | None, typer.Argument(help="Nom de la lame. / Name of the slide.")] = None,
    all_slides: Annotated[bool, typer.Option("--all", help="Toutes les lames refusées. / All refused ones.")] = False,
    state_folder: StateFolder = None,
    language: Lang = None,
    config: ConfigFile = None,
) -> None:
    """Remet une lame refusée dans la file d'attente. / Puts a refused slide in the queue again."""

    def act(config: Config, screen: Screen) -> Exit:
        if (name is None) != all_slides:
            raise UsageError(screen.words("retry-what"))
        return retry_some(config, screen, name)

    _carry_out(act, config, language, {"state_folder": state_folder}, keep_log=False)


@app.command()
def doctor(
    server: Server = None,
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    state_folder: StateFolder = None,
    language: Lang = None,
    config: ConfigFile = None,
) -> None:
    """Vérifie serveur, clé, horloge, disque et dossiers. / Checks server, key, clock, disk and folders."""
    path = config or default_path()
    said: dict[str, object] = {"server": server, "key_file": key_file, "ca_file": ca_file, "state_folder": state_folder}
    _carry_out(lambda found, screen: examine_all(found, path, screen), config, language, said, keep_log=False)


@app.command()
def witness(
    server: Server = None,
    ca_file: CaFile = None,
    every: Annotated[
        float | None, typer.Option(min=0.1, max=1440, help="Recommencer toutes les N minutes. / Again every N minutes.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Nom du témoin, à sa création. / Its name, when it is made.")] = None,
    show_key: Annotated[
        bool, typer.Option("--show-key", help="Affiche seulement la clé publique. / Only tells the public key.")
    ] = False,
    platform_key: Annotated[
        str | None, typer.Option(help="Clé de la plateforme, de `iain audit key`. / Key of the platform.")
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(metavar="SITE", help="Une sauvegarde restaurée est confirmée. / A restored backup is confirmed."),
    ] = None,
    state_folder: StateFolder = None,
    log_file: Annotated[Path | None, typer.Option(help="Journal à écrire aussi. / A log to write, too.")] = None,
    language: Lang = None,
    config: ConfigFile = None,
) -> None:
    """Contresigne le journal d'audit, s'il ne fait que s'allonger. / Cosigns the audit log, if it only grows."""
    said: dict[str, object] = {
        "server": server,
        "ca_file": ca_file,
        "state_folder": state_folder,
        "log_file": log_file,
    }

    def act(config: Config, screen: Screen) -> Exit:
        if show_key:
            return tell_key(config, screen, name=name)
        if accept:
            return accept_backup(config, screen, name=name, site=accept)
        for sentence in warnings(config, screen.words):
            screen.warn(sentence)
        return witness_logs(config, screen, name=name, every_min=every, platform_key=platform_key)

    _carry_out(act, config, language, said)


@app.command()
def version() -> None:
    """La version de ce programme. / The version of this program."""
    typer.echo(installed_version())


def main() -> None:
    """The console script. The codes of `Exit` are all that it ends with."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an old console code page must not end an upload
    app()


def _carry_out(
    act: Act, path: Path | None, language: Language | None, said: Mapping[str, object], *, keep_log: bool = True
) -> None:
    """Carries out a command with what is configured, and ends the program with its code."""
    words = Words(language or language_from(os.environ))
    out, err = Console(), Console(stderr=True)
    try:
        config = load(path, {key: str(value) if isinstance(value, Path) else value for key, value in said.items()})
        words = Words(language or config.language or words.language)
        with logging_to(config.log_file if keep_log else None) as log:
            code = _answer(act, config, Screen(words, out, err, log))
    except ConfigError as error:
        Screen(words, out, err).problem(words.configured(error.sentence, error.values))
        code = Exit.USAGE
    raise typer.Exit(code)


def _answer(act: Act, config: Config, screen: Screen) -> Exit:
    try:
        return act(config, screen)
    except UsageError as error:
        screen.problem(str(error))
        return Exit.USAGE


if __name__ == "__main__":
    main()
