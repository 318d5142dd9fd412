"""Tabs of a browser that show the page."""

SCENES = {  # by their keys 1 to 5, each with what brings it to its finding
    "race": "tokens=32&temperature=0&run=1",
    "grow": "step=3",
    "break_it": "",
    "memory": "",
    "forget": "",
}
LONG = 120_000  # milliseconds: a busy machine
FOUND = "() => document.querySelector('.finding:not([hidden])') && !document.querySelector('[aria-busy=true]')"


class Visitor:
    """Opens tabs. faults: the errors, the words in the console and the requests of all of them."""

    def __init__(self, chromium, address: str):
        self.chromium, self.address = chromium, address
        self.faults: list[str] = []
        self.contexts: list = []

    def __call__(self, hash: str, width: int = 1280, height: int = 720, **settings):
        """A tab at this address of the page. settings: Playwright's, as color_scheme."""
        context = self.chromium.new_context(viewport={"width": width, "height": height}, offline=True, **settings)
        self.contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(LONG)
        tab.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        tab.on("console", lambda said: self.faults.append(f"console: {said.text}"))
        tab.on("request", lambda request: self.asked(request.url))
        tab.goto(f"{self.address}#{hash}")
        return tab

    def asked(self, url: str) -> None:
        if not url.startswith((self.address, "blob:")):  # itself, and its workers' source
            self.faults.append(f"request: {url}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def found(tab) -> str:
    """The scene's finding, when nothing more is to come."""
    tab.wait_for_function(FOUND)
    return tab.text_content(".finding")
