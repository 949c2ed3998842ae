"""Small binary event logs, written here: records of binary XML without templates.

After "Windows XML Event Log (EVTX) format" of libyal/libevtx: a file header, chunks of 64 KiB, records in them.
"""

import struct
import zlib

Tree = tuple[str, dict[str, str], list["Tree | str"]]  # name, attributes, children
CHUNK = 65536
WRITTEN = 133852752000000000  # FILETIME
XMLNS = "http://schemas.microsoft.com/win/2004/08/events/event"


def event(number: int, user: str = "dora") -> Tree:
    """A logon of the Security log."""
    system: list[Tree | str] = [
        ("Provider", {"Name": "Microsoft-Windows-Security-Auditing"}, []),
        ("EventID", {}, ["4624"]),
        ("TimeCreated", {"SystemTime": "2026-03-02T05:00:00.5Z"}, []),
        ("EventRecordID", {}, [str(number)]),
        ("Execution", {"ProcessID": "700", "ThreadID": "800"}, []),
        ("Channel", {}, ["Security"]),
        ("Computer", {}, ["dc1"]),
    ]
    return (
        "Event",
        {"xmlns": XMLNS},
        [("System", {}, system), ("EventData", {}, [("Data", {"Name": "TargetUserName"}, [user])])],
    )


def log(*chunks: list[Tree]) -> bytes:
    """The file of some chunks of records, numbered from 1."""
    body, first = b"", 1
    for trees in chunks:
        body += _chunk(trees, first)
        first += len(trees)
    head = b"ElfFile\0" + struct.pack("<QQQIHHHH", 0, len(chunks) - 1, first, 128, 1, 3, 4096, len(chunks))
    head += b"\0" * 76 + struct.pack("<I", 0)
    return (head + struct.pack("<I", zlib.crc32(head[:120]))).ljust(4096, b"\0") + body


def _chunk(trees: list[Tree], first: int) -> bytes:
    records, last = b"", 0
    for number, tree in enumerate(trees, first):
        last = 512 + len(records)
        records += _record(number, tree, last)
    end = first + len(trees) - 1
    head = b"ElfChnk\0" + struct.pack("<QQQQ", first, end, first, end)
    head += struct.pack("<IIII", 128, last, 512 + len(records), zlib.crc32(records)) + b"\0" * 68
    tables = b"\0" * 384
    return (head + struct.pack("<I", zlib.crc32(head[:120] + tables)) + tables + records).ljust(CHUNK, b"\0")


def _record(number: int, tree: Tree, at: int) -> bytes:
    body = b"\x0f\x01\x01\0"
    body += _element(tree, at + 24 + len(body)) + b"\0"
    body += b"\0" * (-(28 + len(body)) % 8)
    size = 28 + len(body)
    return b"**\0\0" + struct.pack("<IQQ", size, number, WRITTEN) + body + struct.pack("<I", size)


def _element(tree: Tree, at: int) -> bytes:
    """Binary XML of an element at a place of its chunk, which names are told by."""
    name, attributes, children = tree
    front, rest = bytes([0x41 if attributes else 0x01]), b""
    at += 5
    rest += _name(name, at)
    if attributes:
        listed = b""
        for left, (key, value) in zip(range(len(attributes) - 1, -1, -1), attributes.items(), strict=True):
            listed += bytes([0x46 if left else 0x06])
            listed += _name(key, at + len(rest) + 4 + len(listed)) + _text(value)
        rest += struct.pack("<I", len(listed)) + listed
    if children:
        rest += b"\x02"
        for child in children:
            rest += _text(child) if isinstance(child, str) else _element(child, at + len(rest))
        rest += b"\x04"
    else:
        rest += b"\x03"
    return front + struct.pack("<I", len(rest)) + rest


def _name(text: str, at: int) -> bytes:
    return struct.pack("<IIHH", at + 4, 0, 0, len(text)) + text.encode("utf-16-le") + b"\0\0"


def _text(text: str) -> bytes:
    return b"\x05\x01" + struct.pack("<H", len(text)) + text.encode("utf-16-le")
