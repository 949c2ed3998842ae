"""Mutated records, the same ones for the same seed: values, keys, types, nesting, numbers, times, bytes.

A record is mutated as a value (a JSON object, or the fields of a line) and then, sometimes, as text. What JSON writers
refuse to write (`1e999`, a key twice, a lone surrogate) stands in the value as `Text`, and is put in as it is.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

DEEP = (30, 150, 199, 200, 201, 500, 1_000, 5_000, 60_000)
NUMBERS = (
    *("0", "-0", "-1", "1", "255", "65535", "65536", "70000", "2147483648", "9223372036854775807"),
    *("9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e999", "-1e999", "1e-400", "0.1e1"),
    *(
        "1E400",
        "123456789012345678901234567890",
        "1" + "0" * 400,
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "1.",
    ),
    *("0x10", "1_000", "1.7976931348623157e309", "4.9e-324"),
)
TIMES = (
    *("0001-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "1601-01-01T00:00:00Z", "1899-12-31T23:59:59.999Z"),
    *("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+14:00", "2038-01-19T03:14:08Z"),
    *("2262-04-11T23:47:16.854775807Z", "9999-12-31T23:59:59-14:00", "20260-03-02T05:00:00Z", "294247-01-10T04:00:54Z"),
    *("2026-02-30T00:00:00Z", "2026-03-02T24:00:00Z", "2026-03-02T05:00:60Z", "2026-03-02", "2026-03-02T05:00:00"),
    *("2026-03-02T05:00:00+99:99", "2026-03-02T05:00:00 +0200", "2026-03-02 05:00:00 GMT", "2026-03-02T05:00:00 (BC)"),
    *("infinity", "-infinity", "epoch", "now", "today", "NaT", "null", "", " "),
    *("29/Nov/2026:05:10:00 +0000", "01/Jan/0001:00:00:00 +0000", "31/Dec/9999:23:59:59 -1400", "1/1/1"),
    *("29/Nov/20260:05:10:00 +0000", "29/Nov/1969:05:10:00 +0000", "32/Foo/2026:05:10:00 +0000", "+infinity"),
    *("0", "-1", "1", "-62135596800", "1772427600", "1772427600.123456", "1772427600000", "1772427600000000"),
    *("1772427600000000000", "253402300799", "253402300800", "9223372036854775807", "-9223372036854775808", "1e18"),
    *(
        "133852752000000000",
        "116444736000000000",
        "116444735999999999",
        "0.000001",
        "1e300",
        "NaN",
        "Infinity",
        "1e999",
    ),
)
TEXTS = (
    *("", " ", "\t", "-", ".", "null", "true", "0", "${HOME}", "$", "$.a", "$[*]", "*", "**", "?", "/", "../..", "~"),
    *(
        "'; drop table x; --",
        '"',
        "'",
        "''",
        '\\"',
        "\\",
        "`id`",
        "$(id)",
        "%s%n",
        "{{ x }}",
        "{% raw %}",
        "{0}",
        "#{x}",
    ),
    *("read_csv('/etc/passwd')", '$."a"."b"', "a.b.c", 'a"b', "a'b", "[0]", "$['x']", "date=0001-01-01", "C:\\x\\y"),
    *(
        "\x1b]0;pwned\x07\x1b[2J",
        "\u202eabc",
        "\ufeff",
        "\u0000",
        "a\u0000b",
        "\u00e9",
        "e\u0301",
        "\U0001f600",
        "\u2028",
    ),
    *(
        "=1+1",
        "@SUM(A1)",
        "<script>",
        "x" * 3_000,
        "\n\r",
        "1.2.3.4, 5.6.7.8",
        "::ffff:1.2.3.4",
        "999.1.1.1",
        "fe80::1%en0",
    ),
    *("<Event><System>", "<EventData><Data Name='a'>1</Data></EventData>", "<UserData>&lol;</UserData>"),
    "<Event xmlns='e'><System><EventID>1</EventID><Channel>c</Channel><Computer>h</Computer></System></Event>",
    "<EventData>" + "<a>" * 300 + "</a>" * 300 + "</EventData>",
    "<DataItem><EventData>\x1b&#1;</EventData></DataItem>",
    *("arn:", "arn:aws:::::", "S-1-5-18", "0x0", "%%1833", "2026", "Infinity", "nan", "[]", "{}", '{"a":1}', "[1]"),
)
KEYS = (
    *(
        "",
        " ",
        ".",
        "$",
        "*",
        "[*]",
        "a.b",
        'a"b',
        "a'b",
        "a\\b",
        "a b",
        "\u0000",
        "\x1b[2J",
        "__proto__",
        "select",
        "id",
    ),
    *(
        "$.x",
        "${HOME}",
        "{{ x }}",
        "'; drop table x; --",
        "\u00e9",
        "ID",
        "_raw",
        "_event_at",
        "__types",
        "date",
        "hour",
    ),
    *("line", "r", "decoded", "x" * 300),
)
# Written into the text as they are: what a JSON writer would not write.
RAW = (
    *NUMBERS,
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\q"', "'x'", "tru", "nul", "undefined", "", "{", "[", "}", "]"),
    *("[1,]", '{"a":1,}', "{a:1}", "//x\n1", "\x00", '"\t"', "True"),
)
_TOKEN = re.compile(r'"\\u0001(\d+)\\u0001"')


class Text:
    """What stands in a value and is written as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


class Mutator:
    """Makes mutated records of templates. `times` are the dotted paths of clocks, which are changed more often."""

    def __init__(self, seed: object, times: tuple[str, ...] = ()) -> None:
        self.random = random.Random(repr(seed))
        self._times = [tuple(path.replace('"', "").split(".")) for path in times]
        self._values: list[Callable[[], Any]] = [
            lambda: self.random.choice(TEXTS),
            lambda: self.random.choice(TEXTS),
            lambda: self.random.choice(TIMES),
            lambda: Text(self.random.choice(RAW)),
            lambda: Text(self.random.choice(NUMBERS)),
            lambda: None,
            lambda: self.random.choice((True, False)),
            lambda: self.random.choice(
                ([], {}, [[]], [{}], [None], {"": {"": ""}}, {"a": [1, "x", None]}, [1, "1", {}])
            ),
            lambda: {self.random.choice(KEYS): self.random.choice(TEXTS), self.random.choice(KEYS): 1},
            lambda: self.random.randrange(-(2**70), 2**70),
            lambda: self.random.random() * 10 ** self.random.randrange(-300, 300),
            lambda: "".join(chr(self.random.randrange(0x20, 0x2FF)) for _ in range(self.random.randrange(40))),
        ]

    def records(self, templates: list[Any], count: int) -> Iterator[bytes]:
        """Yield mutated records: of JSON objects as JSON, of lines (lists of values) as lines; none has a line end."""
        for _ in range(count):
            template = self.random.choice(templates)
            text = self._json(template) if isinstance(template, dict) else self._line(template)
            if self.random.random() < 0.12:
                text = self._bytes(text)
            text = text.replace(b"\n", b" ").replace(b"\r", b" ").strip()
            yield text or b"x"

    def _json(self, template: dict[str, Any]) -> bytes:
        record = json.loads(json.dumps(template))
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3, 6))):
            self._change(record)
        texts: list[str] = []

        def kept(value: object) -> str:
            assert isinstance(value, Text)
            texts.append(value.text)
            return f"\x01{len(texts) - 1}\x01"

        text = json.dumps(record, default=kept, ensure_ascii=self.random.random() < 0.5)
        text = _TOKEN.sub(lambda found: texts[int(found[1])], text)
        if self.random.random() < 0.06:
            text = self._with_key_twice(text)
        return text.encode("utf-8", "surrogatepass")

    def _change(self, record: dict[str, Any]) -> None:
        if self._times and self.random.random() < 0.3:
            path = self.random.choice(self._times)
            held: Any = record
            for step in path[:-1]:
                held = held.get(step) if isinstance(held, dict) else None
            if isinstance(held, dict):
                value: Any = self.random.choice(TIMES)
                held[path[-1]] = Text(value) if self.random.random() < 0.3 else value
                return
        held = record
        while True:
            keys = list(held) if isinstance(held, dict) else list(range(len(held)))
            if not keys:
                break
            key = self.random.choice(keys)
            if not isinstance(held[key], dict | list) or self.random.random() < 0.3:
                break
            held = held[key]
        act = self.random.random()
        if not keys or act < 0.15:
            self._added(held)
        elif act < 0.25:
            del held[key]
        elif act < 0.32:
            depth = self.random.choices(DEEP, (40, 20, 9, 9, 9, 6, 4, 2, 1))[0]
            opening, closing = self.random.choice((("[", "]"), ('{"a":', "}"), ('{"":', "}"), ('[{"x":[', "]}]")))
            held[key] = Text(opening * depth + "1" + closing * depth)
        elif act < 0.40:
            held[key] = self.random.choice(([held[key]], {"a": held[key]}, str(held[key]), json.dumps(str(held[key]))))
        else:
            held[key] = self.random.choice(self._values)()

    def _added(self, held: Any) -> None:
        value = self.random.choice(self._values)()
        if isinstance(held, dict):
            held[self.random.choice(KEYS)] = value
        else:
            held.append(value)

    def _with_key_twice(self, text: str) -> str:
        keys = re.findall(r'"([A-Za-z@]{1,30})":', text)
        if not keys:
            return text
        key, value = self.random.choice(keys), json.dumps(self.random.choice((1, "x", None, [], {}, "${HOME}")))
        at = text.find(f'"{key}":')
        return f'{text[:at]}"{key}": {value}, {text[at:]}'

    def _line(self, values: list[str]) -> bytes:
        changed = list(values)
        for _ in range(self.random.choice((0, 1, 1, 2, 4))):
            at = self.random.randrange(len(changed) or 1)
            act = self.random.random()
            if act < 0.1 and changed:
                del changed[at]
            elif act < 0.2:
                changed.insert(at, self.random.choice(TEXTS))
            elif changed:
                pool = self.random.choice((TEXTS, TIMES, NUMBERS, NUMBERS))
                changed[at] = self.random.choice(pool)
        return " ".join(changed).encode("utf-8", "surrogatepass")

    def _bytes(self, text: bytes) -> bytes:
        data = bytearray(text)
        act = self.random.random()
        if act < 0.35 and data:
            for _ in range(self.random.choice((1, 1, 3, 20))):
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        elif act < 0.55:
            del data[self.random.randrange(len(data) + 1) :]
        elif act < 0.7:
            at = self.random.randrange(len(data) + 1)
            data[at:at] = self.random.choice(
                (b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf")
            )
        elif act < 0.74:  # a mark begins a text, and a bracket a document: of this line alone
            begin = (b"{", b"[", b"[[", b"{}", b'{"a":', b'{"Records":[', b"{x", b"")
            data[:0] = self.random.choice((b"\xef\xbb\xbf", b"")) + self.random.choice(begin)
        elif act < 0.8:
            data = bytearray(self.random.randbytes(self.random.randrange(1, 200)))
        elif act < 0.9:
            data += self.random.choice((b"}", b"{}", b",", b" {}", b"]", b"null", b"/*", bytes(data)))
        else:
            data = bytearray(
                self.random.choice((b"null", b"1", b"[]", b"{}", b'""', b'{"":{}}', b"[[", b"NaN", b"\x00"))
            )
        return bytes(data)
