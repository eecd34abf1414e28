"""The one place that turns what went wrong into HTTP: exception → status, problem+json for programs, a page for people.

What is not allowed and what is not there look the same from outside (404); the audit log tells them apart.
"""


class SignInRequired(Exception):  # noqa: N818 - an answer to the visitor, not a failure
    """Sign in first. Pages redirect to /login, the API answers 401."""


class ForbiddenError(Exception):
    """Your role does not allow this. Ask your lab manager if you need it."""
