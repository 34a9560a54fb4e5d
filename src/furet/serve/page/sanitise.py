"""The one list of what rendered text may contain; everything else is removed, last of all."""

from __future__ import annotations

import nh3

from furet.serve.page.highlight import CLASSES

_TAGS = """
    p br hr h1 h2 h3 h4 h5 h6 blockquote ul ol li strong em s code pre figure figcaption span a
    table thead tbody tr th td details summary
""".split()  # noqa: SIM905
_CELL = {"left", "centre", "right"}


def _kept(tag: str, name: str, value: str) -> str | None:
    """The attribute's value, unless it is an address within this server: what models write has no business there."""
    return value if name != "href" or value.lower().startswith(("http://", "https://", "mailto:")) else None


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style"},
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    allowed_classes={"span": set(CLASSES), "th": _CELL, "td": _CELL},
    set_tag_attribute_values={"a": {"target": "_blank"}},
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
    attribute_filter=_kept,
    strip_comments=True,
)


def sanitised(html: str) -> str:
    """The HTML with nothing in it but text, its structure, and links that tell the other side nothing."""
    return _CLEANER.clean(html)
