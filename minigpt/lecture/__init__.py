"""The hour's lecture, one page made of the notebooks: no code unless it is the point, and nothing is fetched.

`hour` reads what is told when, from the table in the notebooks' README. `notebook` reads a section of a notebook,
`slides` makes slides of it, `opening` writes those before and after, and `deck` puts all on one page with reveal.js.
"""
