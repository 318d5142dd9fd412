"""Two caches that the package doesn't have, added as CONTRIBUTING.md says: test_new_caches.py runs the suite with them.

As a plugin of pytest (`-p new_caches`) it has them registered before the tests are collected.
"""


def pytest_collection():
    """Not sooner: conftest.py wants to be the first to import the package."""
    from blocks import BLOCKS

    from minigpt.cache import CACHES
    from minigpt.measure.forms.caches import FORMS

    for name, (kind, form, _, _) in BLOCKS.items():
        CACHES[name], FORMS[name] = kind, form

    from minigpt.museum.bugs import bug  # the proof, on which it stands, lists the caches

    for name, (_, _, what, broken) in BLOCKS.items():
        bug(name, what)(broken)
