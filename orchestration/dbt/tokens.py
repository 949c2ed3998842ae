"""The text of a model or macro without what no row depends on: comments of Jinja and SQL, and white space.

Jinja is read by Jinja's own lexer. Of SQL it is known what a text literal, a quoted name and a comment is, as DuckDB
reads them. Where the two are mixed so that one cannot say where a comment or a literal ends (`-- {{ x }}`,
`'{% if a %}'`), the text counts as it stands, with its comments.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import jinja2
from jinja2 import lexer

_JINJA = jinja2.Environment(keep_trailing_newline=True)
_COMMENTS = {lexer.TOKEN_COMMENT_BEGIN, lexer.TOKEN_COMMENT, lexer.TOKEN_COMMENT_END}
_BEGINS = {lexer.TOKEN_BLOCK_BEGIN: "{%", lexer.TOKEN_VARIABLE_BEGIN: "{{"}
_RAW = {lexer.TOKEN_RAW_BEGIN: "{% raw %}", lexer.TOKEN_RAW_END: "{% endraw %}"}
_ENDS = {lexer.TOKEN_BLOCK_END: "%}", lexer.TOKEN_VARIABLE_END: "}}"}
_SQL = re.compile(
    r"""(?P<space>\s+) | (?P<line>--[^\n]*) | (?P<comment>/\*) | (?P<loose>[(),]) | (?P<quote>[eE]?'|")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$) | (?P<word>[\w$]+) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ENDS_OF = {"'": re.compile(r"''|'"), '"': re.compile(r'""|"'), "e'": re.compile(r"''|\\.|'", re.DOTALL)}
_ESCAPED = {"''", '""'}


class Text(NamedTuple):
    """What counts of a text: as SQL, and as it stands but for Jinja's comments.

    `in_quotes` are names that it uses within quotes: what a macro of that name gives is no SQL, but part of a literal.
    """

    tokens: str
    plain: str
    in_quotes: frozenset[str]


class _Mixed(Exception):
    """Jinja stands where one cannot say in which state it leaves the SQL."""


class _Jinja(NamedTuple):
    text: str
    names: frozenset[str]
    opens_quote: bool  # it holds a text with a quote that is not closed in it: SQL is put together here

    @property
    def is_block(self) -> bool:
        return self.text.startswith("{%")


@lru_cache(maxsize=4096)  # those of a project take 0.2 s; most are the same after an edit
def read_text(text: str) -> Text:
    """Return what counts of the text of a model or macro."""
    try:
        pieces = list(_pieces(text))
    except (jinja2.TemplateSyntaxError, _Mixed):
        return Text(text, text, frozenset(re.findall(r"\w+", text)))
    plain = "".join(each if isinstance(each, str) else each.text for each in pieces)
    scan = _Scan()
    try:
        for piece in pieces:
            scan.add(piece)
        return Text(scan.text, plain, frozenset(scan.in_quotes))
    except _Mixed:
        return Text(plain, plain, frozenset(re.findall(r"\w+", text)))


def _pieces(text: str) -> Iterator[str | _Jinja]:
    """Yield stretches of SQL, and each `{{ }}` and `{% %}`; Jinja's comments are left out."""
    sql, jinja = "", list[tuple[str, str]]()
    for _, kind, value in _JINJA.lex(text):
        if kind == lexer.TOKEN_DATA:
            sql += value
        elif kind in _BEGINS:
            if sql:
                yield sql
            sql, jinja = "", [(kind, _BEGINS[kind])]
        elif kind in _ENDS:
            yield _jinja([*jinja, (kind, _ENDS[kind])])
            jinja = []
        elif kind in _RAW:  # what lies between is SQL, whatever it looks like
            if sql:
                yield sql
            sql = ""
            yield _Jinja(_RAW[kind], frozenset(), False)
        elif kind not in _COMMENTS and kind != lexer.TOKEN_WHITESPACE:
            jinja.append((kind, value))
    if jinja:
        raise _Mixed
    yield f"{sql}\n"


def _jinja(tokens: list[tuple[str, str]]) -> _Jinja:
    names = frozenset(value for kind, value in tokens if kind == lexer.TOKEN_NAME)
    odd = any(kind == lexer.TOKEN_STRING and value[1:-1].count("'") % 2 for kind, value in tokens)
    return _Jinja(" ".join(value for _, value in tokens), names, odd)


class _Scan:
    """Puts pieces together. Between two of them it is in plain SQL, or within a text literal or a quoted name."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._end: re.Pattern[str] | None = None  # what ends the literal or name that is open
        self.in_quotes: set[str] = set()

    @property
    def text(self) -> str:
        if self._end is not None:
            raise _Mixed
        return "".join(self._out).strip()

    def add(self, piece: str | _Jinja) -> None:
        if isinstance(piece, str):
            at = 0
            while at < len(piece):
                at = self._token(piece, at) if self._end is None else self._quoted(piece, at, self._end)
            return
        if self._end is not None and piece.is_block:
            raise _Mixed
        if self._end is not None or piece.opens_quote:
            self.in_quotes |= piece.names
        self._out.append(piece.text)

    def _token(self, sql: str, at: int) -> int:
        """Take one token of plain SQL; return where the next one begins."""
        found = _SQL.match(sql, at)
        assert found is not None
        kind, text, end = found.lastgroup, found.group(), found.end()
        if kind == "line" and end == len(sql):
            raise _Mixed
        if kind == "comment":
            end = _after_comment(sql, end)
        last = self._out[-1] if self._out else ""
        if kind in ("space", "line", "comment"):
            if last not in ("", " ", "(", ")", ","):
                self._out.append(" ")
            return end
        if kind == "loose" and last == " ":  # next to these no white space matters
            self._out.pop()
        if kind in ("quote", "dollar"):
            self._end = _ENDS_OF.get(text.lower()) or re.compile(re.escape(text))
        self._out.append(text)
        return end

    def _quoted(self, sql: str, at: int, ends: re.Pattern[str]) -> int:
        """Take what lies within quotes, up to their end or to the next Jinja; return where to go on."""
        for found in ends.finditer(sql, at):
            if found.group() not in _ESCAPED and not found.group().startswith("\\"):
                self._out.append(sql[at : found.end()])
                self._end = None
                return found.end()
        self._out.append(sql[at:])
        return len(sql)


def _after_comment(sql: str, at: int) -> int:
    """Return where a block comment ends; such comments may hold others."""
    depth = 1
    for found in _COMMENT_EDGE.finditer(sql, at):
        depth += 1 if found.group() == "/*" else -1
        if not depth:
            return found.end()
    raise _Mixed
