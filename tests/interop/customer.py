"""A customer with a browser: follows redirects, keeps cookies, and fills in the login form. No script is run."""

from html.parser import HTMLParser
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import requests


class Forms(HTMLParser):
    """The forms of a page by their action, with what their hidden fields hold."""

    def __init__(self, page):
        super().__init__()
        self.by_action = {}
        self.current = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.current = self.by_action.setdefault(attrs.get("action", ""), {})
        elif tag == "input" and attrs.get("type") == "hidden":
            self.current[attrs["name"]] = attrs.get("value", "")


def sign_in(authorization_url, redirect_uri, email, password):
    """Goes from the authorization URL to the callback, and answers the callback's URL. It is not fetched."""
    browser = requests.Session()
    browser.trust_env = False
    # Browsers count loopback as secure, and send it their Secure cookies.
    browser.cookies.set_policy(DefaultCookiePolicy(secure_protocols=("https", "http")))
    url, form, asked = authorization_url, None, False
    for _ in range(20):
        if url.startswith(redirect_uri):
            return url
        if form is None:
            answer = browser.get(url, allow_redirects=False)
        else:
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
            answer = browser.post(url, data=form, headers={"Origin": origin}, allow_redirects=False)
        if "location" in answer.headers:
            url, form = urljoin(url, answer.headers["location"]), None
            continue
        forms = Forms(answer.text).by_action
        if "/login/password" in forms and not asked:
            url, form = urljoin(url, "/login/password"), forms["/login/password"]
            form.update(email=email, password=password)
            asked = True
        elif "/consent" in forms:
            url, form = urljoin(url, "/consent"), dict(forms["/consent"], decision="allow")
        else:
            raise AssertionError(f"no way on from {answer.status_code} {url}:\n{answer.text}")
    raise AssertionError(f"the way to {redirect_uri} does not end")
