"""What `python -m minigpt prove --json` prints."""

FIELDS = {
    "proved": "string: what was given",
    "versions": "object of strings: of the libraries, by name",
    "caches": (
        "list of objects: one for each cache",
        {
            "cache": "string: its name",
            "situations": (
                "list of objects: one for each situation",
                {
                    "situation": "string: its name",
                    "verdict": "string: exact, rounds, refuses, breaks, wrong (silently), or not offered",
                    "rule": "string: of who sees whom, in the model where this was seen",
                    "story": "string: the steps, up to the one that is wrong",
                    "off": "number or null: the largest difference of a logit from the uncached run's, of the step "
                    "that is wrong, or of all (null: nothing to compare)",
                    "token": "integer or null: the first wrong one, from 0, padding included (null: none)",
                    "how": "string: which step it refused, and its error, empty if none",
                    "script": "string: shows what is wrong, in a process of its own; empty if nothing is",
                },
            ),
        },
    ),
}
