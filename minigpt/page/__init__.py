"""The page: the bundled model in a browser tab, with a cache and without, in five scenes.

One HTML file that needs neither a server nor a network. Its parts are written here as they are read: `engine/` computes
(no DOM), `shell/` is what all scenes share, `scenes/` are what a lecturer shows; `build` joins them.
"""
