"""Text of others where it could act: on a terminal, in JSON that a terminal shows, in a spreadsheet."""

import json
import re

# Control characters, marks of direction, and characters without a width: what moves, hides or turns other text.
_ACTS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# https://owasp.org/www-community/attacks/CSV_Injection; the wide forms are read as the narrow ones.
FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def shown(text: str, lines: bool = False) -> str:
    r"""Return a text as a terminal may have it: `\x1b` stands for an escape; with `lines`, line breaks stay."""
    return _ACTS.sub(lambda found: "\n" if lines and found[0] == "\n" else _escaped(found[0]), text)


def shown_json(text: str) -> str:
    r"""Return a JSON text of the same value that a terminal may have: `\u009b` stands for what is inside of strings."""
    return _ACTS.sub(lambda found: "\n" if found[0] == "\n" else _json_escaped(found[0]), text)


def no_formula(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula: `'` is put before one. Numbers stay numbers."""
    return f"'{text}" if re.match(FORMULA, text) and not re.match(NUMBER, text) else text


def _escaped(character: str) -> str:
    code = ord(character)
    wide = f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else wide)


def _json_escaped(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
