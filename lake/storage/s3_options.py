"""How a bucket is reached and used: plain values, which settings make and clients take."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class AwsAccess:
    """How AWS, or a store that speaks S3, is reached. Credentials are those of the standard chain, never part of it.

    `endpoint_url` is S3's alone (an S3-compatible store); other services use AWS_ENDPOINT_URL_<SERVICE>. With
    `role_arn` the chain's credentials assume that role (and `external_id`), again whenever they expire.
    `addressing_style` is auto, path or virtual. Times in seconds; `attempts` counts the first one.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    addressing_style: str = "auto"
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    attempts: int = 8


@dataclass(frozen=True)
class S3Options:
    """How a bucket is used: access, encryption (`AES256` or `aws:kms`, with a key), and a folder of this machine.

    `scratch` holds what a step prepares, copies of receipts, and the lock between processes of this machine.
    `conditional_writes` says whether the store keeps If-Match and If-None-Match; None finds out.
    """

    access: AwsAccess = field(default_factory=AwsAccess)
    scratch: Path = Path(".headwater/scratch")
    encryption: str | None = None
    kms_key_id: str | None = None
    conditional_writes: bool | None = None
