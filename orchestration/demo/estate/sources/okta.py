"""Okta System Log events of the estate, as `GET /api/v1/logs` returns them.

Layout: Okta's LogEvent (https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/): a fixed
envelope, open `debugContext.debugData`, one or more `target`s. Geography and AS of an event are those of its address,
so they agree with the GeoIP databases of `context.reference`. Names and messages are those of Okta's event type
catalogue (https://developer.okta.com/docs/reference/api/event-types/); adding a type is one line in `KINDS`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from orchestration.demo.estate.company import Company, Person, identifier
from orchestration.demo.estate.events import Event, Record, dump, utc_millis, uuid4
from orchestration.demo.estate.networks import PLACES, Place

UNMAPPED = "system.feature.ea_auto_enroll"


@dataclass(frozen=True, slots=True)
class Kind:
    """One event type. `target` is what it acts on: "app", "user", "group", "factor", "policy" or ""."""

    name: str
    weight: float
    message: str
    target: str = ""
    failures: tuple[float, str] = (0.0, "")
    severity: str = "INFO"
    admin: bool = False


KINDS: tuple[Kind, ...] = (
    Kind("user.authentication.sso", 34, "User single sign on to app", "app", (0.01, "UNAUTHORIZED")),
    Kind("policy.evaluate_sign_on", 17, "Evaluation of sign-on policy", "policy"),
    Kind(
        "user.authentication.auth_via_mfa",
        10,
        "Authentication of user via MFA",
        "factor",
        (0.05, "INVALID_CREDENTIALS"),
    ),
    Kind("user.session.start", 10, "User login to Okta", "", (0.08, "INVALID_CREDENTIALS")),
    Kind("system.push.send_factor_verify_push", 6, "Send push for Okta Verify", "factor"),
    Kind("user.authentication.verify", 6, "Verify user identity", "", (0.02, "VERIFICATION_ERROR")),
    Kind("user.session.end", 5, "User logout from Okta"),
    Kind("app.oauth2.token.grant.access_token", 5, "OAuth2 access token is granted", "app"),
    Kind(
        "user.mfa.okta_verify.deny_push",
        0.2,
        "User rejected Okta push verify",
        "factor",
        (1.0, "USER_REJECTED"),
        "WARN",
    ),
    Kind("user.account.update_password", 0.8, "User update password for Okta", "user"),
    Kind("user.account.lock", 0.3, "Max sign in attempts exceeded", "user", (1.0, "LOCKED_OUT"), "WARN"),
    Kind("user.account.reset_password", 0.4, "User reset password for Okta", "user", admin=True),
    Kind("user.mfa.factor.activate", 0.6, "Enroll new factor", "factor"),
    Kind("user.mfa.factor.deactivate", 0.2, "Reset factor for user", "factor", (0.0, ""), "WARN"),
    Kind("user.lifecycle.create", 0.3, "Create Okta user", "user", admin=True),
    Kind("user.lifecycle.activate", 0.3, "Activate Okta user", "user", admin=True),
    Kind("user.lifecycle.deactivate", 0.15, "Deactivate Okta user", "user", admin=True),
    Kind("user.lifecycle.suspend", 0.05, "Suspend Okta user", "user", admin=True),
    Kind("group.user_membership.add", 0.9, "Add user to group membership", "group", admin=True),
    Kind("group.user_membership.remove", 0.5, "Remove user from group membership", "group", admin=True),
    Kind("application.user_membership.add", 0.9, "Add user to application membership", "app", admin=True),
    Kind("user.account.privilege.grant", 0.05, "Grant user privilege", "user", admin=True),
    Kind("system.api_token.create", 0.03, "Create API token", "", admin=True),
    Kind("policy.rule.update", 0.05, "Update policy rule", "policy", admin=True),
    Kind("security.threat.detected", 0.2, "Request from suspicious actor", "", (1.0, "THREAT"), "WARN"),
    Kind(UNMAPPED, 0.1, "Early access feature auto-enrolled", "", admin=True),
)
BY_NAME = {kind.name: kind for kind in KINDS}


SOURCE = "okta_system_log"
_APPS = (
    "Workday",
    "Salesforce",
    "Epic Portal",
    "AWS IAM Identity Center",
    "Slack",
    "Zoom",
    "GlobalProtect VPN",
    "Okta Dashboard",
)
_AGENTS = (
    (
        "CHROME",
        "Mac OS 14.3.1 (Sonoma)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/122.0.0.0 Safari/537.36",
    ),
    (
        "EDGE",
        "Windows 11",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/122.0.0.0 Safari/537.36 Edg/122.0.0.0",
    ),
    ("SAFARI", "iOS", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"),
)


@cache
def geography(place: Place) -> Record:
    """The `geographicalContext` of a place."""
    return {
        "city": place.city,
        "state": place.state,
        "country": place.country,
        "postalCode": place.postal,
        "geolocation": {"lat": place.latitude, "lon": place.longitude},
    }


class OktaFeed:
    """Builds LogEvents; `published` is the moment itself, delivery order is the moment it was stored."""

    def __init__(self, company: Company, rng: random.Random) -> None:
        self.company, self.rng = company, rng
        self.weights = list(accumulate(kind.weight for kind in KINDS))
        self.administrator = company.person("ingrid.solberg")

    def event(self, at: float, arrived: float) -> Event:
        """One background event of a type drawn by weight."""
        kind = self.rng.choices(KINDS, cum_weights=self.weights)[0]
        person = self.administrator if kind.admin else self.rng.choice(self.company.people)
        place, address = self.where(person)
        if kind.name == "security.threat.detected":
            place, address = PLACES["scanner"], PLACES["scanner"].address(1 + self.rng.randrange(40))
        share, reason = kind.failures
        return self.wrap(
            self.record(kind, person, place, address, at, reason if self.rng.random() < share else ""), at, arrived
        )

    def wrap(self, record: Record, at: float, arrived: float) -> Event:
        """The record as an event."""
        return Event(SOURCE, at, arrived, dump(record), record["uuid"], record["eventType"])

    def where(self, person: Person) -> tuple[Place, str]:
        """A network the person usually works from, and the address there."""
        draw = self.rng.random()
        if draw < 0.55 and person.commutes:
            return PLACES[person.office], PLACES[person.office].address(1 + self.rng.randrange(20))
        if draw < 0.85:
            return person.home, person.home_address
        return PLACES["vpn"], PLACES["vpn"].address(1 + self.rng.randrange(8))

    def record(
        self,
        kind: Kind,
        person: Person,
        place: Place,
        address: str,
        at: float,
        failure: str = "",
        agent: int | None = None,
        app: str = "",
    ) -> Record:
        """One LogEvent; `failure` is the outcome's reason, "" for success; `agent` picks the user agent,
        `app` the application; both are drawn when not given."""
        rng = self.rng
        browser, system, raw = _AGENTS[agent if agent is not None else int(person.workstation[-1]) % 2]
        request = f"aZ{rng.getrandbits(100):025x}"
        session = "idx" + identifier(f"{person.username}/{int(at) // 28800}", 22)
        denied = kind.name in ("security.threat.detected", "policy.evaluate_sign_on") and failure
        where = geography(place)
        data: dict[str, Any] = {
            "requestId": request,
            "dtHash": f"{rng.getrandbits(256):064x}",
            "requestUri": "/idp/idx/challenge/answer" if kind.target == "factor" else "/api/v1/authn",
            "threatSuspected": str(kind.severity == "WARN").lower(),
            "url": "/idp/idx/challenge/answer?",
        }
        if kind.name == "user.session.start":
            data["behaviors"] = "{New Geo-Location=NEGATIVE, New Device=NEGATIVE, New IP=NEGATIVE, Velocity=NEGATIVE}"
        if kind.name == "user.account.privilege.grant":
            data["privilegeGranted"] = "Application administrator (all)"
        return {
            "actor": {
                "id": person.okta_id,
                "type": "User",
                "alternateId": person.email,
                "displayName": person.name,
                "detailEntry": None,
            },
            "client": {
                "userAgent": {"rawUserAgent": raw, "os": system, "browser": browser},
                "zone": "null",
                "device": "Mobile" if browser == "SAFARI" else "Computer",
                "id": None,
                "ipAddress": address,
                "geographicalContext": where,
            },
            "device": None,
            "authenticationContext": {
                "authenticationProvider": "FACTOR_PROVIDER" if kind.target == "factor" else None,
                "credentialProvider": "OKTA_CREDENTIAL_PROVIDER" if kind.target == "factor" else None,
                "credentialType": None,
                "issuer": None,
                "interface": None,
                "authenticationStep": 0,
                "rootSessionId": session,
                "externalSessionId": session,
            },
            "displayMessage": kind.message,
            "eventType": kind.name,
            "outcome": {
                "result": ("DENY" if denied else "FAILURE") if failure else "SUCCESS",
                "reason": failure or None,
            },
            "published": utc_millis(at),
            "securityContext": {
                "asNumber": place.asn,
                "asOrg": place.organisation.lower(),
                "isp": place.organisation.lower(),
                "domain": ".",
                "isProxy": place.name in ("hostile", "scanner"),
            },
            "severity": kind.severity,
            "debugContext": {"debugData": data},
            "legacyEventType": "core." + kind.name.replace(".", "_"),
            "transaction": {"type": "WEB", "id": request, "detail": {}},
            "uuid": uuid4(rng),
            "version": "0",
            "request": {
                "ipChain": [
                    {
                        "ip": address,
                        "geographicalContext": where,
                        "version": "V6" if ":" in address else "V4",
                        "source": None,
                    }
                ]
            },
            "target": self._targets(kind, person, app),
        }

    def _targets(self, kind: Kind, person: Person, app: str) -> list[Record] | None:
        other = self.rng.choice(self.company.people) if kind.admin else person
        user = _target("User", other.okta_id, other.email, other.name)
        if kind.target == "app":
            app = app or self.rng.choice(_APPS)
            return [_target("AppInstance", "0oa" + identifier(app, 17), app, app), user]
        if kind.target == "group":
            group = self.rng.choice(("Claims Readers", "Portal Users", "Contractors", "On-call"))
            return [user, _target("UserGroup", "00g" + identifier(group, 17), "unknown", group)]
        if kind.target == "factor":
            return [
                _target("AuthenticatorEnrollment", "pfd" + identifier(other.username, 17), "unknown", "Okta Verify"),
                user,
            ]
        if kind.target == "policy":
            return [
                _target(
                    "PolicyEntity",
                    "00p" + identifier("default", 17),
                    "00p" + identifier("default", 17),
                    "Default Policy",
                )
            ]
        return [user] if kind.target == "user" else None


def _target(kind: str, uid: str, alternate: str, name: str) -> Record:
    return {"id": uid, "type": kind, "alternateId": alternate, "displayName": name, "detailEntry": None}
