"""The networks outside Larkspur Health's walls, and where they are: the truth behind the GeoIP databases.

Addresses are of documentation and benchmark ranges (RFC 5737, RFC 2544, RFC 3849), AS numbers of the documentation
range (RFC 5398), so nothing here belongs to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One network: where its users sit, and who runs it."""

    name: str
    network: str
    city: str
    state: str
    country: str
    iso: str
    postal: str
    latitude: float
    longitude: float
    asn: int
    organisation: str

    def address(self, number: int) -> str:
        """The `number`-th address of the network, 1-based (the caller stays inside it)."""
        head, _, _ = self.network.partition("/")
        if ":" in head:
            return f"{head}{number:x}"
        *front, last = head.split(".")
        return ".".join((*front, str(int(last) + number)))


# city: state | country | code | postal | latitude | longitude
_CITIES = {
    "Boston": "Massachusetts | United States | US | 02110 | 42.3584 | -71.0598",
    "Cambridge": "Massachusetts | United States | US | 02139 | 42.3647 | -71.1042",
    "Providence": "Rhode Island | United States | US | 02903 | 41.8240 | -71.4128",
    "Austin": "Texas | United States | US | 78701 | 30.2672 | -97.7431",
    "Ashburn": "Virginia | United States | US | 20147 | 39.0437 | -77.4875",
    "Portland": "Oregon | United States | US | 97204 | 45.5152 | -122.6784",
    "Dublin": "Leinster | Ireland | IE | D02 | 53.3331 | -6.2489",
    "Lisbon": "Lisbon | Portugal | PT | 1000 | 38.7167 | -9.1333",
    "Chisinau": "Chisinau | Moldova | MD | 2001 | 47.0056 | 28.8575",
    "Tbilisi": "Tbilisi | Georgia | GE | 0105 | 41.6941 | 44.8337",
}
# name | network | city | AS number | organisation
_NETWORKS = """
boston         | 198.51.100.0/25    | Boston     | 64496 | Larkspur Health
austin         | 198.51.100.128/25  | Austin     | 64496 | Larkspur Health
dublin         | 203.0.113.0/26     | Dublin     | 64496 | Larkspur Health
vpn            | 203.0.113.64/26    | Ashburn    | 64497 | Harborline Transit
cloud          | 203.0.113.128/26   | Ashburn    | 64498 | Nimbus Compute
ci             | 203.0.113.192/27   | Portland   | 64499 | Forgeline CI
vendor         | 203.0.113.224/27   | Lisbon     | 64503 | Tejo Net
home-boston    | 198.18.0.0/24      | Boston     | 64500 | Beacon Broadband
home-cambridge | 198.18.1.0/24      | Cambridge  | 64500 | Beacon Broadband
home-providence| 198.18.2.0/24      | Providence | 64500 | Beacon Broadband
home-austin    | 198.18.3.0/24      | Austin     | 64501 | Lone Star Fiber
home-dublin    | 198.18.4.0/24      | Dublin     | 64502 | Liffey Telecom
home-lisbon    | 198.18.5.0/24      | Lisbon     | 64503 | Tejo Net
home-v6        | 2001:db8:71::/48   | Boston     | 64500 | Beacon Broadband
hostile        | 192.0.2.64/26      | Chisinau   | 64510 | Bulletgrove Hosting
scanner        | 192.0.2.128/26     | Tbilisi    | 64511 | Openfield Servers
"""


def _place(line: str) -> Place:
    name, network, city, asn, organisation = (part.strip() for part in line.split("|"))
    state, country, iso, postal, latitude, longitude = (part.strip() for part in _CITIES[city].split("|"))
    where = (city, state, country, iso, postal, float(latitude), float(longitude))
    return Place(name, network, *where, int(asn), organisation)


PLACES: dict[str, Place] = {place.name: place for place in map(_place, _NETWORKS.strip().splitlines())}
HOSTILE_ADDRESS = PLACES["hostile"].address(2)
