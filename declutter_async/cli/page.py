"""The page that shows photos before and after: one file that needs nothing from anywhere else. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import quote

import attrs


@attrs.frozen(kw_only=True)
class Pair:
    """One photo, before and after: paths relative to the page, and how long it took (seconds)."""

    title: str
    before: str
    after: str
    generation_id: str
    seconds: float


@attrs.frozen(kw_only=True)
class Summary:
    """What it took: photos asked for, delivered and spent; photos left; requests made; seconds."""

    photos: int
    delivered: int
    spent: int
    balance: int | None
    requests: int
    seconds: float


_FIGURE = Template("""
<li class="pair">
  <h2>$title</h2>
  <div class="sides">
    <figure><img src="$before" alt="$title, before" loading="lazy"><figcaption>Before</figcaption></figure>
    <figure><img src="$after" alt="$title, after" loading="lazy"><figcaption>After</figcaption></figure>
  </div>
  <p class="facts"><span>$seconds s</span> <code>$generation_id</code></p>
</li>""")


def render_page(pairs: Sequence[Pair], summary: Summary) -> str:
    """The whole page, as HTML."""
    template = Template(files("declutter_async.cli").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        photos=summary.photos,
        delivered=summary.delivered,
        spent=summary.spent,
        balance="?" if summary.balance is None else summary.balance,
        requests=summary.requests,
        seconds=f"{summary.seconds:.0f}",
        pairs="".join(_figure(pair) for pair in pairs),
    )


def _figure(pair: Pair) -> str:
    return _FIGURE.substitute(
        title=escape(pair.title),
        before=escape(quote(pair.before)),
        after=escape(quote(pair.after)),
        seconds=f"{pair.seconds:.1f}",
        generation_id=escape(pair.generation_id),
    )
