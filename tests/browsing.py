"""A browser page for tests, which notes what goes wrong."""

from urllib.parse import urlsplit


class Watched:
    """A browser page that notes what goes wrong and lets no request leave the site."""

    def __init__(self, browser, address: str):
        self.address, self.troubles = address, []
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.route("**/*", self._only_inside)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        self.page.on("requestfailed", lambda r: self.troubles.append(f"request failed: {r.url}"))
        self.page.on("response", self._response)

    def _only_inside(self, route):
        url = urlsplit(route.request.url)
        inside = route.request.url.startswith(self.address) or url.scheme in ("data", "blob")
        if not inside:
            self.troubles.append(f"request that leaves the site: {route.request.url}")
        route.continue_() if inside else route.abort()

    def _console(self, message):
        if message.type == "error":
            self.troubles.append(f"console error: {message.text}")

    def _response(self, response):
        if response.status >= 400:
            self.troubles.append(f"status {response.status}: {response.url}")

    def open(self, path: str):
        """Open a page and wait until formulas are set and nothing is loading."""
        self.page.goto(self.address + path, wait_until="load")
        if self.page.locator(".math").count():
            self._wait_for_mathjax()
        self.page.wait_for_load_state("networkidle")

    def _wait_for_mathjax(self):
        for _ in range(100):
            if self.page.evaluate("() => Boolean(window.MathJax?.startup?.promise)"):
                self.page.evaluate("() => MathJax.startup.promise.then(() => true)")
                return
            self.page.wait_for_timeout(100)
        self.troubles.append("MathJax has not started after 10 s")
