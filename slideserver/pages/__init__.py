"""The pages for people, rendered on the server: each works as a document and as a form before any script runs.

Handlers are thin: they read the address, call `sharing`, and hand plain values to a template. What the pages call
things is in `words`, dates and figures in `moments`, who has which page in `navigation`.
"""

from fastapi import APIRouter

from slideserver.pages import (
    account,
    audit,
    cases,
    certificate,
    claims,
    consultations,
    deposit,
    entrance,
    guest,
    intake,
    links,
    members,
    objections,
    scanners,
    shares,
    slides,
    why,
)

router = APIRouter(include_in_schema=False)
for part in (
    entrance,
    account,
    members,
    cases,
    certificate,
    slides,
    consultations,
    links,
    guest,
    intake,
    claims,
    deposit,
    scanners,
    shares,
    audit,
    objections,
    why,
):
    router.include_router(part.router)
