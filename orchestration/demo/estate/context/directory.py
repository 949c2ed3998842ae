"""The directory's snapshots: who somebody is, by every name that logs use, before and after a change.

Columns are those of `reference.identities`; lists are separated by `;`. Between the two snapshots Peter Osei changes
from Clinical Operations to Information Technology, Katya Brandt's contract ends, and Noah Lindgren is hired.
"""

from __future__ import annotations

from orchestration.demo.estate.company import AD_DOMAIN, DNS_DOMAIN, SERVICE_DEPARTMENT, Company, Person
from orchestration.demo.estate.timeline import Timeline, utc

COLUMNS = (
    "uid",
    "username",
    "full_name",
    "emails",
    "uids",
    "usernames",
    "domain",
    "title",
    "department",
    "manager",
    "employment_type",
    "is_privileged",
    "groups",
    "office",
    "status",
    "hired_at",
    "left_at",
    "tags",
)
DATABASE_ADMINISTRATORS, DOMAIN_ADMINISTRATORS = "Database Administrators", "Domain Admins"
SERVER_OPERATORS, WEB_ADMINISTRATORS, HELP_DESK = "Server Operators", "Web Administrators", "Helpdesk Operators"
CHANGED, LEFT, JOINED = "peter.osei", "katya.brandt", "noah.lindgren"
NEW_DEPARTMENT = "Information Technology"
_GROUPS = {
    "marcus.oyelaran": (DATABASE_ADMINISTRATORS,),
    "theo.marchetti": (DOMAIN_ADMINISTRATORS, SERVER_OPERATORS),
    "ingrid.solberg": ("Identity Administrators",),
    "ruth.adeyemi": ("Cloud Administrators",),
    "jonas.albrecht": (WEB_ADMINISTRATORS,),
    "priyanka.raman": (HELP_DESK,),
    "svc-backup": ("Backup Operators",),
}
_PRIVILEGED = frozenset(
    {DATABASE_ADMINISTRATORS, DOMAIN_ADMINISTRATORS, SERVER_OPERATORS, WEB_ADMINISTRATORS}
    | {"Identity Administrators", "Cloud Administrators", "Backup Operators"}
)
_MANAGERS = {
    "Finance": "Helen Marsh",
    "Information Technology": "Ingrid Solberg",
    "Engineering": "Ruth Adeyemi",
    "Clinical Operations": "Amara Diallo",
    SERVICE_DEPARTMENT: "Theo Marchetti",
}
Row = tuple[str, ...]


def snapshots(company: Company, timeline: Timeline) -> dict[float, list[Row]]:
    """Return the directory at each of its moments (epoch seconds), whole."""
    before, after = timeline.directories
    everybody = (*company.people, *company.others, *company.services)
    return {
        before: [_row(person, timeline, False) for person in everybody if person.username != JOINED],
        after: [_row(person, timeline, True) for person in everybody],
    }


def employee(person: Person) -> str:
    """The employee number, e.g. E01101: the directory's own id of a person."""
    return "E0" + person.sid.rpartition("-")[2]


def groups_of(person: Person) -> tuple[str, ...]:
    """The groups of the directory that a person is in."""
    operators = (WEB_ADMINISTRATORS,) if person.title == "Site Reliability Engineer" else ()
    return (*_GROUPS.get(person.username, ()), *operators, person.department)


def is_privileged(person: Person) -> bool:
    """Whether a group of the person administers something."""
    return bool(_PRIVILEGED.intersection(groups_of(person)))


def _row(person: Person, timeline: Timeline, after: bool) -> Row:
    department = NEW_DEPARTMENT if after and person.username == CHANGED else person.department
    left = after and person.username == LEFT
    groups = [department if group == person.department else group for group in groups_of(person)]
    service = person.department == SERVICE_DEPARTMENT
    hired = timeline.directory_changed if person.username == JOINED else timeline.start - 400 * 86_400
    return (
        employee(person),
        person.username,
        person.name,
        person.email,
        ";".join(filter(None, (person.sid, person.okta_id))),
        f"{AD_DOMAIN}\\{person.username};{person.username}@{DNS_DOMAIN}",
        AD_DOMAIN,
        person.title,
        department,
        _MANAGERS.get(department, "Miriam Stone"),
        "service account" if service else "contractor" if person.username == LEFT else "employee",
        str(is_privileged(person)).lower(),
        ";".join(groups),
        "" if service else person.office,
        "terminated" if left else "active",
        "" if service else utc(hired),
        utc(timeline.directory_changed) if left else "",
        "service-account" if service else "",
    )
