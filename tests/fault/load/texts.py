"""Texts that attack what carries them: escaping, collations, logs, terminals, SQL, size limits.

Every text that is meant to arrive begins with a token, `[k:source/tenant/channel/id]`, by which the vendor's truth is
matched to the history. No provider's escaping touches it: it has no `<`, no quote and no control character.
"""

from __future__ import annotations

import hashlib
import random

FORGED_LINE = "forged-line"  # begins a line in hostile texts and keys; a log that shows it so was injected into

HOSTILE = (
    "订单已发货，请查收 🎉",
    "👩‍👩‍👧‍👦 family, flags 🇨🇳🇩🇪, skin 👍🏽, 𝕆𝕦𝕥𝕣𝕚𝕕𝕖𝕣 𠜎𠜱𠝹",
    "\u202eright to left override\u202c and \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "zero\u200bwidth\u200djoin\ufeffmark and soft\u00adhyphen",
    "combining: Z\u0351\u036b\u0343\u036a\u0302a\u0301\u0323l\u0334\u0353g\u0321\u032do\u0335",
    "controls \u0001\u0002\u0007\b\u000b\u001b[31mred\u001b[0m \u007f \u0085 \u2028 \u2029 end",
    "tabs\tand\r\nlines\n\n\nand trailing blanks   ",
    '<at user_id="all">everyone</at> hello',
    '< at user_id=all ></ at> <AT id=all></AT> <\u200bat user_id="all">x</at>',
    "<attach> stays, <b>bold</b> stays, &lt;at user_id=all&gt; stays",
    "<script>alert(document.cookie)</script><img src=x onerror=alert(1)>",
    "'; DROP TABLE notification_records; -- ",
    '" OR "1"="1"; UPDATE outbox SET payload = NULL; #',
    "\\' \\\" \\\\ \\0 \\x00 %00 %n %s %d {} {0} ${jndi:ldap://127.0.0.1/x} {{7*7}} <%= 7*7 %>",
    "first\n" + FORGED_LINE + ' level=error msg="nothing was sent"',
    "first\r\n" + FORGED_LINE + '\r\n{"level":"error","msg":"forged"}',
    "\n\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\n",
    '{"msg_type":"text","content":{"text":"json in a text"}}',
    "../../../../etc/passwd | $(id) `id` ; id && id",
    "\ufffd replacement, \ufffe and \uffff non-characters, \U0010ffff the last one",
    "**bold** _it_ ~~no~~ [link](https://example.com) `code` | a | b |\n|---|---|",
)

TITLES = ("订单 1001 · New order", "⚠️ alert <at id=all></at>", "title\nwith a line", "t" * 200, '"quoted" \\ title')

# Around the id of a dedupe key. Collations take the pairs for equal; a byte-wise comparison doesn't.
KEY_PAIRS = (
    ("Order-", "order-"),
    ("café-", "cafe-"),
    ("🎉-", "🔥-"),
    ("ß-", "ss-"),
    ("Ａ-", "A-"),
    ("ij-", "ĳ-"),
)
KEY_FORMS = (
    "order-{}",
    "{}",
    "日程:{}:提醒",
    "{}'; DROP TABLE outbox; -- ",
    '"{}" \\ % _ `x`',
    "{}\n" + FORGED_LINE + " level=error",
    "\u202e{}",
    "{}\u0301",
    "a/b?c=d&e={}#f",
)
# White space in Unicode's sense that is trimmed from keys, and two characters that look like it and are not.
TRIMMED = (" ", "\t", "\n", "\u0085", "\u00a0", "\u3000", "\u2009")
KEPT = ("\u200b", "\u001f")


def token(source: str, tenant: str, channel: str, key_id: str) -> str:
    return f"[k:{source}/{tenant}/{channel}/{key_id}]"


def hostile(rng: random.Random) -> str:
    return " ".join(rng.sample(HOSTILE, rng.choice((1, 1, 1, 2, 3))))


def filler(size: int, rng: random.Random) -> str:
    """A text of about `size` bytes in UTF-8."""
    unit = rng.choice(("x", "é", "订", "🎉"))
    return unit * (size // len(unit.encode()))


def visible_hash(text: str) -> str:
    """What must arrive at the vendor, as a hash: every `<` counts as `＜`, which providers may put for it."""
    return hashlib.sha256(text.replace("<", "＜").encode("utf-8", "surrogatepass")).hexdigest()
