"""The Traffic Light Protocol as feeds mark it: one word of the `tlp` column.

Sources: first.org/tlp (TLP 2.0: WHITE became CLEAR); STIX 2.1 section 7.2.1.4 and the OASIS extension for TLP 2.0
(identifiers of the marking definitions); the MISP taxonomy `tlp`.
"""

from collections.abc import Iterable

_WORDS = ("red", "amber+strict", "amber", "green", "clear")  # the strictest first
_MARKINGS = {
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear",
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
    "f88d31f6-486f-44da-b317-01333bde0b82": "amber",
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
    "94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
    "bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
    "55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
    "939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
    "e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}


def tlp_word(text: str) -> str | None:
    """Return the word of a mark (`TLP:WHITE`, `tlp:amber+strict`, a STIX marking definition's id); None: it is none."""
    word = text.strip().lower().rpartition("--")[2].removeprefix("tlp:").strip()
    word = _MARKINGS.get(word, word)
    word = {"white": "clear", "amber strict": "amber+strict"}.get(word, word)
    return word if word in _WORDS else None


def strictest(marks: Iterable[str]) -> str | None:
    """Return the strictest word of several marks; None when none of them is of the protocol."""
    words = {tlp_word(mark) for mark in marks}
    return next((word for word in _WORDS if word in words), None)
