"""Larkspur Health, the fictional company whose logs the estate holds.

Here stand its people, machines and AWS accounts, and nothing about events. Everything follows from the seed. Inside
addresses are RFC 1918; those outside stand in `networks`.

Two people matter to the story of `incident`: Dana Whitfield, Finance Controller, who has never touched production, and
Marcus Oyelaran, Senior Database Administrator, who looks after the PCI database servers every week. The `others` act
only where a story says so (`routine`): what they do is known event by event.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from functools import lru_cache

from orchestration.demo.estate.networks import PLACES, Place

NAME = "Larkspur Health"
MAIL_DOMAIN = "larkspurhealth.example"
AD_DOMAIN = "LARKSPUR"
DNS_DOMAIN = "corp.larkspurhealth.example"
DOMAIN_SID = "S-1-5-21-1874309211-902276341-3350911207"
REGIONS = ("us-east-1", "eu-west-1")


_FIRST = """
Aisha Adam Bianca Bo Carla Chen Deepa Declan Elena Emeka Fatima Felix Grace Gustav Hana Hugo Imani Ivan Jada
Joon Keira Kofi Lena Luca Maya Milan Nadia Nils Olga Omar Priya Quinn Rosa Rafael Saoirse Samir Tara Tomas Uma
Vera Wes Yara
"""
_LAST = """
Abbott Acheampong Bauer Brennan Castillo Cho Dawson Desai Eriksen Farrell Fontaine Gallagher Haddad Hughes
Ibrahim Jansen Kaur Kowalski Lindqvist Mbeki Moreau Nakamura Novak Okafor Petrov Quigley Reyes Rossi Santos
Sato Tanaka Ueda Varga Walsh Yilmaz Zhou
"""
_DEPARTMENTS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("Engineering", ("Software Engineer", "Senior Software Engineer", "Site Reliability Engineer"), 70),
    ("Clinical Operations", ("Care Coordinator", "Clinical Analyst", "Nurse Educator"), 90),
    ("Customer Support", ("Support Specialist", "Support Lead"), 60),
    ("Finance", ("Accountant", "Payroll Specialist", "Financial Analyst"), 25),
    ("Human Resources", ("HR Partner", "Recruiter"), 15),
    ("Sales", ("Account Executive", "Sales Engineer"), 40),
)
_NAMED = (
    ("Dana", "Whitfield", "Finance Controller", "Finance", "boston"),
    ("Marcus", "Oyelaran", "Senior Database Administrator", "Information Technology", "boston"),
    ("Ingrid", "Solberg", "Identity Administrator", "Information Technology", "boston"),
    ("Theo", "Marchetti", "Systems Administrator", "Information Technology", "austin"),
    ("Ruth", "Adeyemi", "Cloud Platform Engineer", "Engineering", "dublin"),
)
# Who acts by the script alone, and so can join, leave, move and travel at a known moment.
_OTHERS = (
    ("Priyanka", "Raman", "Help Desk Analyst", "Information Technology", "boston"),
    ("Jonas", "Albrecht", "Web Platform Administrator", "Information Technology", "dublin"),
    ("Lucia", "Ferrante", "Account Executive", "Sales", "dublin"),
    ("Peter", "Osei", "Clinical Systems Analyst", "Clinical Operations", "boston"),
    ("Katya", "Brandt", "Data Migration Consultant", "Engineering", "austin"),
    ("Noah", "Lindgren", "Graduate Accountant", "Finance", "boston"),
)
_SERVICES = (("svc-backup", "Backup service"), ("svc-scan", "Scan to folder of old printers"))
SERVICE_DEPARTMENT = "Service accounts"


@dataclass(frozen=True, slots=True)
class Person:
    """One employee or service account: `username` is the AD and AWS session name, `email` the Okta login."""

    name: str
    username: str
    email: str
    title: str
    department: str
    office: str
    okta_id: str
    sid: str
    workstation: str
    home: Place
    home_address: str
    vpn_address: str

    @property
    def commutes(self) -> bool:
        """Whether the office is in the country of the home: who lives abroad never sits in it."""
        return self.home.iso == PLACES[self.office].iso


@dataclass(frozen=True, slots=True)
class Host:
    """One Windows machine. `layout` is how its collector writes records: "nxlog" or "created" (see `windows`)."""

    name: str
    address: str
    role: str
    owner: str
    layout: str
    security_channel: str
    guid: str

    @property
    def fqdn(self) -> str:
        """The name the records carry in `Hostname`."""
        return f"{self.name}.{DNS_DOMAIN}"


@dataclass(frozen=True)
class Company:
    """Everybody and everything; made by `found`."""

    people: tuple[Person, ...]
    workstations: dict[str, Host]
    servers: tuple[Host, ...]
    others: tuple[Person, ...] = ()
    services: tuple[Person, ...] = ()
    accounts: dict[str, str] = field(
        default_factory=lambda: {"prod": "100200300401", "pci": "100200300402", "dev": "100200300403"}
    )

    def person(self, username: str) -> Person:
        """Whoever has that username; KeyError when nobody has."""
        for person in (*self.people, *self.others, *self.services):
            if person.username == username:
                return person
        raise KeyError(username)

    def server(self, name: str) -> Host:
        """The server of that name; KeyError when there is none."""
        return {host.name: host for host in self.servers}[name]

    def with_role(self, role: str) -> tuple[Host, ...]:
        """The servers of one role, e.g. "domain controller"."""
        return tuple(host for host in self.servers if host.role == role)

    def in_department(self, department: str) -> tuple[Person, ...]:
        """The employees of one department."""
        return tuple(person for person in self.people if person.department == department)


@lru_cache(maxsize=20_000)
def identifier(text: str, length: int, alphabet: str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> str:
    """A stable identifier of `length` characters made from `text` (at most 40)."""
    number, out = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"), []
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        out.append(alphabet[index])
    return "".join(out)


def _person(number: int, first: str, last: str, title: str, department: str, office: str, rng: random.Random) -> Person:
    username = f"{first}.{last}".lower()
    homes = {"austin": ("home-austin",), "dublin": ("home-dublin", "home-lisbon")}
    around = homes.get(office, ("home-boston", "home-cambridge", "home-providence", "home-v6"))
    home = PLACES[rng.choice(around)]
    return Person(
        name=f"{first} {last}",
        username=username,
        email=f"{username}@{MAIL_DOMAIN}",
        title=title,
        department=department,
        office=office,
        okta_id="00u"
        + identifier(f"okta/{username}", 17, "0123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"),
        sid=f"{DOMAIN_SID}-{1100 + number}",
        workstation=f"LKS-WS{number:04d}",
        home=home,
        home_address=home.address(1 + number % 250),
        vpn_address=f"10.99.{number // 250}.{1 + number % 250}",
    )


def _staff(rng: random.Random) -> tuple[Person, ...]:
    people = [_person(i, *named, rng) for i, named in enumerate(_NAMED)]
    names = [(first, last) for first in _FIRST.split() for last in _LAST.split()]
    rng.shuffle(names)
    for department, titles, size in _DEPARTMENTS:
        for _ in range(size):
            first, last = names.pop()
            office = rng.choices(("boston", "austin", "dublin"), (6, 3, 2))[0]
            people.append(_person(len(people), first, last, rng.choice(titles), department, office, rng))
    return tuple(people)


def _service(number: int, username: str, purpose: str) -> Person:
    """A service account: a person of the directory without a mailbox, a desk or a home."""
    return Person(
        name=purpose,
        username=username,
        email="",
        title=purpose,
        department=SERVICE_DEPARTMENT,
        office="boston",
        okta_id="",
        sid=f"{DOMAIN_SID}-{1100 + number}",
        workstation="",
        home=PLACES["boston"],
        home_address="",
        vpn_address="",
    )


def _workstation(number: int, person: Person) -> Host:
    layout = "nxlog" if number % 5 < 2 else "created"
    channel = "security" if layout == "nxlog" and number % 5 == 1 else "Security"
    address = f"10.20.{number // 250}.{1 + number % 250}"
    guid = identifier(person.workstation, 8, "0123456789abcdef")
    return Host(person.workstation, address, "workstation", person.username, layout, channel, guid)


_SERVERS: tuple[tuple[str, str, int, str], ...] = (
    ("LKS-DC", "domain controller", 3, "10.10.1."),
    ("LKS-FS", "file server", 2, "10.10.2."),
    ("LKS-WEB", "web server", 6, "10.30.1."),
    ("LKS-APP", "application server", 8, "10.30.2."),
    ("LKS-PCIDB", "pci database server", 3, "10.60.10."),
)


def found(seed: int) -> Company:
    """Found the company: the same seed gives the same people, machines and addresses."""
    rng = random.Random(f"company/{seed}")
    people = _staff(rng)
    first = len(people)
    others = tuple(_person(first + i, *named, rng) for i, named in enumerate(_OTHERS))
    services = tuple(_service(first + len(others) + i, *named) for i, named in enumerate(_SERVICES))
    workstations = {person.username: _workstation(number, person) for number, person in enumerate((*people, *others))}
    servers = [
        Host(
            name := f"{prefix}{i:02d}",
            f"{net}{10 + i}",
            role,
            "",
            "nxlog",
            "Security",
            identifier(name, 8, "0123456789abcdef"),
        )
        for prefix, role, count, net in _SERVERS
        for i in range(1, count + 1)
    ]
    return Company(people, workstations, tuple(servers), others, services)
