"""The CMDB's snapshots: every machine and network, what it is for, who administers it, which address it has now.

Columns are those of `reference.assets`; lists are separated by `;`. One address of the VPN belongs to Lucia Ferrante's
laptop in the first snapshot, to Peter Osei's in the second, and to nobody in the third.
"""

from __future__ import annotations

from orchestration.demo.estate.company import Company, Host
from orchestration.demo.estate.context.directory import (
    DATABASE_ADMINISTRATORS,
    DOMAIN_ADMINISTRATORS,
    HELP_DESK,
    SERVER_OPERATORS,
    WEB_ADMINISTRATORS,
)
from orchestration.demo.estate.networks import PLACES
from orchestration.demo.estate.timeline import Timeline

COLUMNS = (
    "uid",
    "name",
    "hostnames",
    "addresses",
    "type",
    "role",
    "os",
    "owner",
    "administrators",
    "department",
    "environment",
    "criticality",
    "location",
    "status",
    "tags",
)
LEASED_ADDRESS = "10.99.7.7"
FIRST_HOLDER, SECOND_HOLDER = "lucia.ferrante", "peter.osei"
# role → (as the CMDB writes it, administrators, environment, criticality, tags)
_ROLES = {
    "domain controller": ("Domain controller", (DOMAIN_ADMINISTRATORS,), "office", "critical", ("domain-controller",)),
    "file server": ("File server", (SERVER_OPERATORS, "svc-backup"), "office", "medium", ()),
    "web server": ("Web server", (WEB_ADMINISTRATORS, SERVER_OPERATORS), "production", "high", ("internet-facing",)),
    "application server": (
        "Application server",
        (WEB_ADMINISTRATORS, SERVER_OPERATORS, "svc-backup"),
        "production",
        "high",
        (),
    ),
    "pci database server": (
        "PCI database server",
        (DATABASE_ADMINISTRATORS, "marcus.oyelaran", "svc-backup"),
        "production",
        "critical",
        ("pci", "database"),
    ),
}
# name | addresses | what it is | tags
_NETWORKS = (
    ("Boston office", PLACES["boston"].network, "office network", "egress"),
    ("Austin office", PLACES["austin"].network, "office network", "egress"),
    ("Dublin office", PLACES["dublin"].network, "office network", "egress"),
    ("VPN egress", PLACES["vpn"].network, "VPN egress", "egress;vpn"),
    ("Claims platform VPC", "10.40.0.0/22", "cloud network", "cloud"),
    ("Card data VLAN", "10.60.10.0/24", "server network", "pci"),
)
Row = tuple[str, ...]


def snapshots(company: Company, timeline: Timeline) -> dict[float, list[Row]]:
    """Return the CMDB at each of its moments (epoch seconds), whole."""
    holders = (FIRST_HOLDER, SECOND_HOLDER, "")
    return {at: _inventory(company, holder) for at, holder in zip(timeline.inventories, holders, strict=True)}


def asset(host: Host) -> str:
    """The CMDB's own id of a machine, e.g. CI-LKS-PCIDB01."""
    return f"CI-{host.name}"


def _inventory(company: Company, holder: str) -> list[Row]:
    laptops = [
        _workstation(company, host, LEASED_ADDRESS if username == holder else "")
        for username, host in company.workstations.items()
    ]
    networks = [_network(number, *network) for number, network in enumerate(_NETWORKS, 1)]
    return [*map(_server, company.servers), *laptops, *networks, *_accounts(company)]


def _server(host: Host) -> Row:
    role, administrators, environment, criticality, tags = _ROLES[host.role]
    return (
        asset(host),
        host.name,
        f"{host.name};{host.fqdn}",
        host.address,
        "server",
        role,
        "Windows Server 2022",
        "theo.marchetti",
        ";".join(administrators),
        "Information Technology",
        environment,
        criticality,
        "boston",
        "in use",
        ";".join(tags),
    )


def _workstation(company: Company, host: Host, leased: str) -> Row:
    owner = company.person(host.owner)
    return (
        asset(host),
        host.name,
        f"{host.name};{host.fqdn}",
        ";".join(filter(None, (host.address, leased))),
        "laptop",
        "workstation",
        "Windows 11",
        owner.username,
        f"{owner.username};{HELP_DESK};{SERVER_OPERATORS}",
        owner.department,
        "office",
        "low",
        owner.office,
        "in use",
        "",
    )


def _network(number: int, name: str, network: str, role: str, tags: str) -> Row:
    owner = ("ingrid.solberg", "", "Information Technology", "office", "medium", "", "in use", tags)
    return (f"CI-NET{number:02d}", name, "", network, "network", role, "", *owner)


def _accounts(company: Company) -> list[Row]:
    return [_account(name, number) for name, number in company.accounts.items()]


def _account(name: str, number: str) -> Row:
    environment = "development" if name == "dev" else "production"
    owner = ("ruth.adeyemi", "", "Engineering", environment, "high", "", "in use", "pci" if name == "pci" else "")
    return (f"CI-AWS-{name}", f"aws-{name}", number, "", "cloud account", "AWS account", "", *owner)
