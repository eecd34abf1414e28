"""The security headers of every answer: what a browser may load, frame, send and remember.

One policy serves all pages: scripts and styles come from our own files only, never inline. The single exception is the
style element that OpenSeadragon writes into the page by itself; it is allowed by its hash, and a browser test fails
when an upgrade changes it.
"""

# SHA-256 of the style element OpenSeadragon 6.1.1 injects (its focus outline), in the form of CSP Level 3 §2.3.1.
OPENSEADRAGON_STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {OPENSEADRAGON_STYLE}",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

# A picture, opened by itself in a tab, needs nothing at all.
PICTURE_POLICY = "default-src 'none'; frame-ancestors 'none'"

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb", "browsing-topics")
)

# same-origin rather than no-referrer: under no-referrer a browser sends `Origin: null` with our own forms (Fetch
# §3.2.5), and over plain HTTP, where Sec-Fetch-Site is not sent either, the CSRF check would refuse everybody.
# Other origins learn nothing in both cases.
REFERRER_POLICY = "same-origin"

# RFC 6797; two years, the value that browsers' preload lists ask for.
STRICT_TRANSPORT_SECURITY = "max-age=63072000; includeSubDomains"


def security_headers(*, secure: bool, policy: str = CONTENT_SECURITY_POLICY) -> list[tuple[bytes, bytes]]:
    """The headers, lower case and encoded as ASGI wants them. `secure`: the site is served over TLS."""
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": REFERRER_POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": PERMISSIONS_POLICY,
    }
    if secure:
        headers["strict-transport-security"] = STRICT_TRANSPORT_SECURITY
    return [(name.encode(), value.encode()) for name, value in headers.items()]
