"""What looks a little like the incident and is somebody's work: the background that a product has to tell apart.

Each step is planted and labelled, so that what is known of it at its time can be checked: administrators on the servers
they administer, also installing a service there; the help desk on other people's workstations; service accounts; NTLM
of devices that know nothing better; a first logon on a server without any tag; a traveller with enough time for the
way; a new hire; a scanner that a list has named for weeks and that never gets in; one VPN address with two holders.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from orchestration.demo.estate.company import AD_DOMAIN, Company, Host, Person
from orchestration.demo.estate.context.cmdb import FIRST_HOLDER, LEASED_ADDRESS, SECOND_HOLDER
from orchestration.demo.estate.context.directory import CHANGED, JOINED, LEFT
from orchestration.demo.estate.events import Event
from orchestration.demo.estate.networks import PLACES, Place
from orchestration.demo.estate.sources.okta import BY_NAME, OktaFeed
from orchestration.demo.estate.sources.okta import SOURCE as OKTA
from orchestration.demo.estate.sources.windows import SOURCE as WINDOWS
from orchestration.demo.estate.sources.windows import WindowsFeed
from orchestration.demo.estate.sources.windows_events import (
    Draft,
    NtlmAccount,
    failed_logon,
    logon,
    ntlm_logon,
    service_installed,
    special_logon,
)
from orchestration.demo.estate.stories.incident import Planted
from orchestration.demo.estate.timeline import Timeline

STORY = "routine"
_PRINTER = "10.50.0.21"  # an address that no inventory knows
_PERSONAL, _REMOTE, _NETWORK = "2", "10", "3"  # logon types
# share of the span | step | who | to which server | logon type | from: an address, or nothing for the own workstation
_VISITS = (
    (0.06, "administrator_logon", "marcus.oyelaran", "LKS-PCIDB01", _NETWORK, ""),
    (0.12, "administrator_logon", "marcus.oyelaran", "LKS-PCIDB02", _REMOTE, ""),
    (0.22, "administrator_logon", "marcus.oyelaran", "LKS-PCIDB01", _REMOTE, ""),
    (0.70, "administrator_logon", "marcus.oyelaran", "LKS-PCIDB03", _REMOTE, ""),
    (0.86, "administrator_logon", "marcus.oyelaran", "LKS-PCIDB01", _REMOTE, ""),
    (0.18, "web_administrator_logon", "jonas.albrecht", "LKS-WEB01", _REMOTE, ""),
    (0.42, "web_administrator_logon", "jonas.albrecht", "LKS-WEB02", _REMOTE, ""),
    (0.73, "web_administrator_logon", "jonas.albrecht", "LKS-APP02", _NETWORK, ""),
    (0.05, "service_account_logon", "svc-backup", "LKS-FS01", _NETWORK, "10.30.2.10"),
    (0.30, "service_account_logon", "svc-backup", "LKS-APP05", _NETWORK, "10.30.2.10"),
    (0.56, "service_account_logon", "svc-backup", "LKS-PCIDB02", _NETWORK, "10.30.2.10"),
    (0.28, "first_logon", LEFT, "LKS-APP04", _REMOTE, ""),
    (0.79, "first_logon", "priyanka.raman", "LKS-FS02", _NETWORK, ""),
    (0.82, "new_hire_logon", JOINED, "LKS-FS02", _NETWORK, ""),
    (0.35, "before_the_move", CHANGED, "LKS-FS01", _NETWORK, ""),
    (0.72, "after_the_move", CHANGED, "LKS-FS01", _NETWORK, ""),
    (0.40, "first_holder", FIRST_HOLDER, "LKS-FS01", _NETWORK, LEASED_ADDRESS),
    (0.60, "second_holder", SECOND_HOLDER, "LKS-FS01", _NETWORK, LEASED_ADDRESS),
    (0.90, "no_holder", FIRST_HOLDER, "LKS-FS01", _NETWORK, LEASED_ADDRESS),
)
# share | step | who | where | event type | why it fails, empty for success
_SIGN_INS = (
    (0.10, "travel_from", "lucia.ferrante", "dublin", "user.session.start", ""),
    (0.71, "travel_to", "lucia.ferrante", "home-lisbon", "user.session.start", ""),
    (0.20, "evening_sign_in", "dana.whitfield", "home-boston", "user.session.start", ""),
    (0.75, "after_leaving", LEFT, "home-austin", "user.session.start", "INVALID_CREDENTIALS"),
    (0.33, "before_the_hire", JOINED, "boston", "user.session.start", ""),
)
SCANNED = 6  # accounts that the scanner tries


def plan(company: Company, okta: OktaFeed, windows: WindowsFeed, timeline: Timeline) -> list[Planted]:
    """All of it as a plan."""
    planted = [
        _windows(timeline.at(share), step, windows, _visit(company, windows, *visit)) for share, step, *visit in _VISITS
    ]
    for share, step, username, place, event_type, failure in _SIGN_INS:
        person = company.person(username)
        planted.append(_okta(timeline.at(share), step, okta, person, PLACES[place], event_type, failure))
    planted += _service(company, windows, timeline.at(0.47))
    planted += _help_desk(company, windows, timeline)
    planted += _old_devices(company, windows, timeline)
    return planted + list(_scanner(company, okta, windows, timeline.at(0.25)))


def _windows(at: float, step: str, feed: WindowsFeed, draft: Draft) -> Planted:
    return Planted(at, WINDOWS, STORY, step, partial(feed.wrap, draft))


def _visit(company: Company, feed: WindowsFeed, username: str, server: str, kind: str, address: str) -> Draft:
    person, host = company.person(username), company.server(server)
    client = "" if address else person.workstation
    address = address or company.workstations[username].address
    return logon(feed.scene, host, person, kind, address, feed.scene.logon_id(), client or "-")


def _okta(
    at: float, step: str, feed: OktaFeed, person: Person, place: Place, event_type: str, failure: str, number: int = 9
) -> Planted:
    def build(at: float, arrived: float) -> Event:
        record = feed.record(BY_NAME[event_type], person, place, place.address(number), at, failure, agent=0)
        return feed.wrap(record, at, arrived)

    return Planted(at, OKTA, STORY, step, build)


def _service(company: Company, feed: WindowsFeed, at: float) -> Iterator[Planted]:
    """An administrator logs on to his server and installs what the company installs everywhere."""
    s, host, person = feed.scene, company.server("LKS-APP03"), company.person("theo.marchetti")
    session, program = s.logon_id(), "C:\\Program Files\\Larkspur\\Agent\\lkupdate.exe"
    client = company.workstations[person.username]
    step = "service_by_administrator"
    yield _windows(at, step, feed, logon(s, host, person, _REMOTE, client.address, session, client.name))
    yield _windows(at + 2, step, feed, special_logon(s, host, person, session))
    yield _windows(at + 70, step, feed, service_installed(s, host, person, "LarkspurUpdate", program))


def _help_desk(company: Company, feed: WindowsFeed, timeline: Timeline) -> Iterator[Planted]:
    helper, s = company.person("priyanka.raman"), feed.scene
    client = company.workstations[helper.username]
    called = [host for host in company.workstations.values() if host.layout == "nxlog"][10:40:10]
    for share, host in zip((0.41, 0.52, 0.63), called, strict=True):
        draft = logon(s, host, helper, _REMOTE, client.address, s.logon_id(), client.name)
        yield _windows(timeline.at(share), "help_desk_logon", feed, draft)


def _old_devices(company: Company, feed: WindowsFeed, timeline: Timeline) -> Iterator[Planted]:
    """Printers that scan to a folder with a session key, and a session that names nobody and so has none."""
    s, scan = feed.scene, company.person("svc-scan")
    account = NtlmAccount(scan.username, AD_DOMAIN, scan.sid)
    for share in (0.21, 0.45, 0.66):
        draft = ntlm_logon(s, company.server("LKS-FS01"), account, _PRINTER, s.logon_id(), "SCANPRO-4")
        yield _windows(timeline.at(share), "old_device_logon", feed, draft)
    nobody = NtlmAccount("ANONYMOUS LOGON", "NT AUTHORITY", "S-1-5-7", 0, "NTLM V1")
    draft = ntlm_logon(s, company.server("LKS-FS02"), nobody, _PRINTER, s.logon_id(), "SCANPRO-4")
    yield _windows(timeline.at(0.34), "anonymous_logon", feed, draft)


def _scanner(company: Company, okta: OktaFeed, windows: WindowsFeed, at: float) -> Iterator[Planted]:
    """Passwords that are tried from a network that everybody knows: nothing but failures."""
    place, web = PLACES["scanner"], _first(company, "web server")
    for number, person in enumerate(company.people[20 : 20 + SCANNED]):
        moment = at + number * 20.0
        yield _okta(
            moment, "scanner_failure", okta, person, place, "user.session.start", "INVALID_CREDENTIALS", number + 1
        )
        draft = failed_logon(windows.scene, web, person.username, AD_DOMAIN, place.address(number + 1))
        yield _windows(moment + 5, "scanner_failure", windows, draft)


def _first(company: Company, role: str) -> Host:
    return company.with_role(role)[0]
