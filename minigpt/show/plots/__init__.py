"""The figures, one a file, each drawn from a run. The same run draws the same bytes.

A figure is a function of plain data and a theme (by default LIGHT) that returns a `Picture`, which a notebook shows by
itself. The function that makes its data stands in the same file. `all` lists every figure of `figures/`.
"""
