"""What `python -m minigpt bugs --json` prints."""

FIELDS = {
    "bugs": (
        "list of objects: one for each bug",
        {
            "bug": "string: what goes wrong",
            "where": "string: the cache that is broken, or the function in minigpt that is changed",
            "code": "string: the class that takes the cache's place, or the change as a diff",
            "cache": "string or null: the cache that shows it (null: no text does, a check does)",
            "rule": "string or null: who sees whom, in the model that shows it",
            "story": "string or null: the shortest text that shows it, step by step",
            "check": "string or null: the check of the suite that notices it, where no story does",
            "token": "integer or null: the first wrong one, from 0, padding included (null: none, or the check tells)",
            "off": "number or null: the largest difference of a logit from the right one's (null: none to compare)",
            "says": "string: an error that it raises, or what the check says",
            "report": "string or null: the address of a public report of the same mistake",
            "reported": "string or null: what went wrong there",
        },
    ),
}
