"""The Okta event types of the estate, how often each happens, and how it can fail.

Names and messages are those of Okta's event type catalogue (https://developer.okta.com/docs/reference/api/event-types/).
Adding a type is one line here.
"""

from __future__ import annotations

from dataclasses import dataclass

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
