"""Hostile texts in every field that others fill in, and every page that shows them, in a real browser: does one run?

Each role walks from its first page along the links, in both languages; twice: with our policy on content, of which no
page may break a rule, and with the policy switched off, so that escaping alone must hold. The control is a page whose
texts are put in as they are: it must be noticed both ways.
"""

import html
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Route, sync_playwright
from playwright.sync_api import Error as BrowserError

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.payloads import EVALUATED, MARK, PAYLOADS
from benchmarks.torture_sharing.planting import FIELDS, plant
from benchmarks.torture_sharing.stage import Stage, stage

ROLES = ("pathologiste", "interne", "technicien", "responsable", "dpo", "administrateur")
LANGUAGES = ("fr-FR", "en-GB")
ID = re.compile(r"(?<=/)[a-z2-7]{26}(?=/|$)")
NOT_PAGES = re.compile(r"/(api|tiles|static)/|\.csv$|\.ndjson$|/logout$|/(healthz|readyz)$")
MOST_PAGES = 400
READY_MS = 30_000
WATCH = """
window.xss = (mark) => console.warn(`RAN ${mark}`);
document.addEventListener('securitypolicyviolation', (event) => {
  console.warn(`BROKE ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""
# What a reader can see or a script can read; and what no escaped text can have become.
LOOK = """() => {
  const texts = [document.title], wrong = [];
  const visit = (root) => {
    texts.push((root.documentElement ?? root).textContent ?? '');
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) visit(element.shadowRoot);
      if ('value' in element && typeof element.value === 'string') texts.push(element.value);
      for (const { name, value } of element.attributes) {
        texts.push(value);
        const address = value.replace(/[\\x00-\\x20]/g, '').toLowerCase();
        if (name.startsWith('on') || name.includes('<')) wrong.push(`${element.localName} ${name}=${value}`);
        const leads = /^(href|src|action|formaction|data|xlink:href)$/.test(name);
        if (leads && /^(javascript|vbscript|data:text)/.test(address))
          wrong.push(`${element.localName} ${name}=${value}`);
      }
    }
  };
  visit(document);
  return [texts.join('\\n'), wrong];
}"""


@dataclass
class Walk:
    """What was seen on the way."""

    cells: set[tuple[str, str]] = field(default_factory=set)
    """The letters of a field, and the number of a text, that some page showed."""
    shown: int = 0
    """The same, counted once more for each kind of page and language."""
    pages: set[tuple[str, str]] = field(default_factory=set)
    """The kinds of page walked, by language."""
    executed: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)

    def read(self, page: Page, kind: str, language: str) -> None:
        text, wrong = page.evaluate(LOOK)
        marks = {(found[2:4], found[4:7]) for found in MARK.findall(text)}
        self.cells |= marks
        self.shown += len(marks)
        self.pages.add((kind, language))
        self.executed += [f"{kind}: {each}" for each in wrong]
        self.executed += [f"{kind}: {each} was evaluated" for each in EVALUATED.findall(text)]

    def hear(self, message: ConsoleMessage) -> None:
        if message.text.startswith("RAN "):
            self.executed.append(f"{message.text} on {message.location.get('url', '')}")
        elif message.text.startswith("BROKE "):
            self.violations.append(f"{message.text} on {message.location.get('url', '')}")

    def dismiss(self, dialog: Dialog) -> None:
        self.executed.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


def kind_of(path: str) -> str:
    """An address without what names one thing among many. Filters that are set together are one kind, however many:
    each is met alone, and what they show does not depend on the others."""
    parts = urlsplit(path)
    names = sorted({pair.partition("=")[0] for pair in parts.query.split("&") if pair})
    path = re.sub(r"/[^/]*%[^/]*", "/{text}", ID.sub("{id}", parts.path))
    return path + (f"?{names[0] if len(names) == 1 else '…'}" if names else "")


@contextmanager
def visitor(browser: Browser, walk: Walk, language: str, *, guarded: bool = True) -> Iterator[BrowserContext]:
    """Somebody's browser; `guarded`: it keeps to the policy on content that the server sends."""
    context = browser.new_context(locale=language, bypass_csp=not guarded, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(READY_MS)
    context.add_init_script(WATCH)
    context.on("console", walk.hear)
    context.on("dialog", walk.dismiss)
    try:
        yield context
    finally:
        context.close()


def sign_in(context: BrowserContext, url: str, login: str, password: str) -> None:
    answer = context.request.post(
        f"{url}/login", form={"login": login, "password": password}, headers={"Origin": url}, max_redirects=0
    )
    if answer.status != 303:
        raise RuntimeError(f"{login} cannot sign in: {answer.status}")


def walk_pages(
    context: BrowserContext,
    url: str,
    starts: Sequence[str],
    walk: Walk,
    language: str,
    *,
    of_a_kind: int = 1,
    follow: bool = True,
) -> None:
    """Along the links of the pages, `of_a_kind` pages of each kind of address; without `follow`, the first ones."""
    page = context.new_page()
    waiting, known, walked = list(starts), set(starts), dict[str, int]()
    while waiting and sum(walked.values()) < MOST_PAGES:
        path = waiting.pop(0)
        kind = kind_of(path)
        if walked.get(kind, 0) >= of_a_kind:
            continue
        walked[kind] = walked.get(kind, 0) + 1
        try:
            page.goto(url + path, wait_until="load")
            _open_everything(page)
            walk.read(page, kind, language)
            found = page.eval_on_selector_all("a[href]", "all => all.map((each) => each.getAttribute('href'))")
        except BrowserError as error:
            walk.unreached.append(f"{path}: {str(error)[:200]}")
            continue
        for each in found if follow else ():
            target = urlsplit(urljoin(url + path, each))
            address = target.path + (f"?{target.query}" if target.query else "")
            ours = f"{target.scheme}://{target.netloc}" == url
            if ours and address not in known and not NOT_PAGES.search(target.path):
                known.add(address)
                waiting.append(address)
    page.close()


def control(context: BrowserContext, url: str, path: str, walk: Walk) -> None:
    """The page at `path` with its texts put in as they are."""

    def unescaped(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=html.unescape(html.unescape(answer.text())))

    page = context.new_page()
    page.route(url + path, unescaped)
    page.goto(url + path, wait_until="load")
    walk.read(page, "control", "")
    page.close()


def tour(browser: Browser, url: str, password: str, walk: Walk, language: str, plan: Plan, *, guarded: bool) -> None:
    """Every role's pages, two of a kind the first time; the first of them meets hostile addresses too."""
    of_a_kind = plan.times(2 if guarded and language == LANGUAGES[0] else 1)
    for number, login in enumerate(_logins(plan)):
        starts = ["/", *(() if number else _hostile_addresses())]
        with visitor(browser, walk, language, guarded=guarded) as context:
            sign_in(context, url, login, password)
            walk_pages(context, url, starts, walk, language, of_a_kind=of_a_kind)


def run(plan: Plan) -> Result:
    walk, loose, guarded_control, loose_control = Walk(), Walk(), Walk(), Walk()
    with stage("sqlite", plan.folder) as found, chromium() as browser:
        plant(found.database, found.centres, found.slide.id)
        url, password = found.urls[0], found.centres.password
        secret = _link(found)
        for result, guarded, languages in ((walk, True, LANGUAGES), (loose, False, LANGUAGES[:1])):
            for language in languages:
                tour(browser, url, password, result, language, plan, guarded=guarded)
                with visitor(browser, result, language, guarded=guarded) as context:
                    walk_pages(context, url, _guest(context, url, *secret), result, language)
        for result, guarded in ((guarded_control, True), (loose_control, False)):
            with visitor(browser, result, LANGUAGES[0], guarded=guarded) as context:
                sign_in(context, url, "pathologiste.caen", password)
                control(context, url, "/cases", result)
    ran = walk.executed + loose.executed
    void = [
        name
        for name, noticed in (
            ("a page of unescaped texts, under the policy on content,", guarded_control.violations),
            ("a page of unescaped texts, without a policy on content,", loose_control.executed),
        )
        if not noticed
    ]
    notes = (
        f"{len(PAYLOADS)} texts, {len(FIELDS)} fields; shown on {len(walk.pages)} kinds of page by language: "
        f"{walk.shown} text × field × kind of page, and {loose.shown} more without the policy on content",
        "pages: " + ", ".join(sorted({kind for kind, _ in walk.pages})),
        f"never shown: {', '.join(unseen_fields(walk)) or 'none'}",
        *(f"ran: {each}" for each in ran[:20]),
        *(f"broke the policy: {each}" for each in walk.violations[:20]),
        *(f"not reached: {each}" for each in walk.unreached[:20]),
    )
    return Result(
        {
            "xss.cells": len(walk.cells | loose.cells),
            "xss.executed": len(ran),
            "csp.violations": len(walk.violations),
        },
        failed=bool(ran or walk.violations) or len(walk.cells) < plan.times(1000),
        notes=notes,
        void=tuple(void),
    )


def unseen_fields(walk: Walk) -> list[str]:
    """Fields of which no page showed anything."""
    seen = {code for code, _ in walk.cells}
    return [each.name for each in FIELDS.values() if each.code not in seen]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield browser
        browser.close()


def _logins(plan: Plan) -> list[str]:
    roles = ROLES if plan.share >= 0.5 else ROLES[:1]
    return [f"{role}.caen" for role in roles] + ["pathologiste.rouen", "expert.experts"][: plan.times(2)]


def _hostile_addresses() -> list[str]:
    """Texts in addresses: a search, a page that is not there, where to go after signing in."""
    texts = [FIELDS["audit.search"].payload(number) for number in (0, 9, 66, 90, 107, 117)]
    quoted = [_quoted(text) for text in texts]
    return [
        address
        for text in quoted
        for address in (f"/cases?q={text}", f"/{text}", f"/cases/{text}", f"/intake?q={text}")
    ]


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _guest(context: BrowserContext, url: str, link_id: str, secret: str) -> list[str]:
    answer = context.request.post(
        f"{url}/l/{link_id}", form={"secret": secret}, headers={"Origin": url}, max_redirects=0
    )
    if answer.status != 303:
        raise RuntimeError(f"the guest is not admitted: {answer.status}")
    return [f"/l/{link_id}", urlsplit(answer.headers["location"]).path]


def _link(found: Stage) -> tuple[str, str]:
    made = found.link(uses=100)
    return made.id, made.secret


def _open_everything(page: Page) -> None:
    """Folded parts are unfolded; beside a slide the panel of sharing is opened."""
    if page.locator("iain-viewer").count():
        page.wait_for_selector("iain-viewer[data-ready]")
        page.keyboard.press("c")
        page.wait_for_function("document.activeElement !== document.body || true")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
