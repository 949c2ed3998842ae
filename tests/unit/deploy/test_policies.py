"""The IAM documents allow what the code asks of AWS, on what is theirs, and nothing else."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
import pytest

from tests.unit.deploy.policies import NAMES, VALUES, Request, allows, document, listed, statements, text

TOP = Path(__file__).parents[3]
LAKE, LAKE_OBJECT = "arn:aws:s3:::example-lake", "arn:aws:s3:::example-lake/prod/silver/x.parquet"
TRAIL, TRAIL_OBJECT = "arn:aws:s3:::example-trail", "arn:aws:s3:::example-trail/AWSLogs/1/CloudTrail/x.json.gz"
QUEUE = "arn:aws:sqs:eu-central-1:444455556666:example-trail-queue"
LISTING = {"s3:prefix": "prod/ledger/"}
# boto3 call → what it needs. Service Authorization Reference; a HEAD of what may not exist needs s3:ListBucket, too.
NEEDS = {
    "list_objects_v2": ["s3:ListBucket"],
    "get_object": ["s3:GetObject"],
    "head_object": ["s3:GetObject", "s3:ListBucket"],
    "put_object": ["s3:PutObject"],
    "upload_fileobj": ["s3:PutObject", "s3:AbortMultipartUpload"],
    "copy_object": ["s3:GetObject", "s3:PutObject"],
    "copy": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
    "delete_objects": ["s3:DeleteObject"],
    "delete_object": ["s3:DeleteObject"],
    "list_object_versions": ["s3:ListBucketVersions", "s3:DeleteObjectVersion"],  # to remove what it lists
    "receive_message": ["sqs:ReceiveMessage"],
    "delete_message_batch": ["sqs:DeleteMessage"],
    "change_message_visibility_batch": ["sqs:ChangeMessageVisibility"],
    "get_queue_attributes": ["sqs:GetQueueAttributes"],
    "assume_role": ["sts:AssumeRole"],
    "list_public_keys": ["cloudtrail:ListPublicKeys"],
}
_DEMO = {*(TOP / "orchestration/demo").rglob("*.py")}  # makes its buckets in a server of its own
_CLIENT = re.compile(r"client|sts|sqs|cloudtrail|\bs3\b")  # what holds a client is called so
# Of which documents each room's role is made.
WRITER = ("lake-writer", "run-logs", "assume-source-role", "cloudtrail-public-keys", "iceberg-glue")
ERASER = (*WRITER, "lake-eraser")  # only where the bucket keeps versions, and somebody has to be forgotten
SOURCE = ("source-reader", "source-queue")


@cache
def _operations() -> frozenset[str]:
    """Every name that a client of the services in use has for a request."""
    models = [botocore.session.Session().get_service_model(service) for service in ("s3", "sqs", "sts", "cloudtrail")]
    names = {botocore.xform_name(name) for each in models for name in each.operation_names}
    return frozenset(names | {"copy", "upload_file", "upload_fileobj", "download_file", "download_fileobj"})


@cache
def _nodes(path: Path) -> tuple[ast.Call | ast.Constant, ...]:
    """The calls and the constants of a file; two tests ask for those of every room."""
    return tuple(node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call | ast.Constant))


@cache
def _asked(room: str) -> frozenset[str]:
    """The boto3 calls in a room's code: method names, and names of operations given as text."""
    paths = sorted(set((TOP / room).rglob("*.py")) - _DEMO)
    return frozenset(call for path in paths for node in _nodes(path) for call in _calls(node))


def _calls(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    if node.func.attr in _operations() and _CLIENT.search(ast.unparse(node.func.value)):
        yield node.func.attr
    if node.func.attr in ("get_paginator", "_ask") and node.args and isinstance(node.args[0], ast.Constant):
        yield str(node.args[0].value)


def _permissions(*rooms: str) -> set[str]:
    return {needed for room in rooms for call in _asked(room) for needed in NEEDS[call]}


@pytest.mark.parametrize("room", ["lake", "ingest", "orchestration"])
def test_every_call_to_aws_has_a_known_permission(room: str) -> None:
    assert set() == _asked(room) - set(NEEDS), "say in NEEDS what it needs, and allow it in orchestration/deploy/iam"
    assert room != "lake" or {"put_object", "copy_object", "delete_objects", "assume_role"} <= _asked(room)


def test_the_lakes_role_may_do_what_the_lake_does() -> None:
    for action in _permissions("lake"):
        resource, context = {
            "s3:ListBucket": (LAKE, LISTING),
            "s3:ListBucketVersions": (LAKE, LISTING),
            "sts:AssumeRole": ("arn:aws:iam::444455556666:role/headwater-reader", {}),
        }.get(action, (LAKE_OBJECT, {}))
        assert allows(ERASER if "Version" in action else WRITER, Request(action, resource, context)), action


def test_an_exports_role_may_replace_and_read_back_files_under_its_prefix_alone() -> None:
    there = "arn:aws:s3:::example-exports"
    for action in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
        assert allows(["export-writer"], Request(action, f"{there}/curated/authentication/x.parquet"))
        assert not allows(["export-writer"], Request(action, f"{there}/other/x.parquet"))
        assert not allows(["export-writer"], Request(action, LAKE_OBJECT))
    assert allows(["export-writer"], Request("s3:ListBucket", there, {"s3:prefix": "curated/"}))


def test_a_sources_role_may_do_what_reading_sources_does() -> None:
    asked = _permissions("ingest") - {"cloudtrail:ListPublicKeys"}
    assert {"s3:GetObject", "sqs:DeleteMessage"} <= asked
    for action in asked:
        resource = TRAIL if action == "s3:ListBucket" else QUEUE if action.startswith("sqs:") else TRAIL_OBJECT
        assert allows(SOURCE, Request(action, resource, {"s3:prefix": "AWSLogs/1/CloudTrail/"})), action
    assert allows(WRITER, Request("cloudtrail:ListPublicKeys", "*"))


def test_every_permission_that_an_error_names_is_in_a_document() -> None:
    """`explained(problem, "s3:GetObject", …)` tells a user what to allow; then a document here must show it."""
    told = {
        node.value
        for room in ("lake", "ingest", "orchestration")
        for path in (TOP / room).rglob("*.py")
        for node in _nodes(path)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.split(":")[0] in ("s3", "sqs", "sts", "cloudtrail", "glue", "kms")
        and node.value.count(":") == 1
        and node.value.split(":")[1][:1].isupper()
        and node.value.split(":")[1].isalpha()
    } - {"s3:TestEvent"}  # a notification's name, no permission
    shown = {action for each in statements(*NAMES) for action in listed(each["Action"])}
    assert "s3:PutObject" in told
    assert set() == told - shown


@pytest.mark.parametrize(
    ("names", "request_"),
    [
        (WRITER, Request("s3:GetObject", "arn:aws:s3:::example-lake/staging/silver/x.parquet")),
        (WRITER, Request("s3:ListBucket", LAKE, {"s3:prefix": "staging/"})),
        (WRITER, Request("s3:ListBucket", LAKE)),
        (WRITER, Request("s3:DeleteBucket", LAKE)),
        (WRITER, Request("s3:PutBucketPolicy", LAKE)),
        (WRITER, Request("s3:DeleteObjectVersion", LAKE_OBJECT)),
        (WRITER, Request("s3:GetObject", TRAIL_OBJECT)),
        (WRITER, Request("sts:AssumeRole", "arn:aws:iam::444455556666:role/admin")),
        (WRITER, Request("glue:UpdateTable", "arn:aws:glue:eu-central-1:111122223333:table/finance/x")),
        (WRITER, Request("kms:Decrypt", "arn:aws:kms:eu-central-1:111122223333:key/0000-lake")),
        (SOURCE, Request("s3:PutObject", TRAIL_OBJECT)),
        (SOURCE, Request("s3:DeleteObject", TRAIL_OBJECT)),
        (SOURCE, Request("s3:GetObject", "arn:aws:s3:::example-trail/other/x")),
        (SOURCE, Request("sqs:SendMessage", QUEUE)),
        (SOURCE, Request("sqs:PurgeQueue", QUEUE)),
        (("lake-reader",), Request("s3:PutObject", LAKE_OBJECT)),
        (("lake-reader",), Request("s3:DeleteObject", LAKE_OBJECT)),
        (("tables-reader",), Request("s3:GetObject", "arn:aws:s3:::example-lake/prod/bronze/x.parquet")),
        (("tables-reader",), Request("s3:ListBucket", LAKE, {"s3:prefix": "prod/quarantine/"})),
    ],
    ids=lambda value: f"{value.action} {value.resource[-24:]}" if isinstance(value, Request) else "",
)
def test_nothing_more_is_allowed(names: tuple[str, ...], request_: Request) -> None:
    assert not allows(names, request_)


def test_readers_may_read_with_the_key_through_s3() -> None:
    through = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
    key = "arn:aws:kms:eu-central-1:111122223333:key/0000-lake"
    for name in ("lake-writer", "lake-reader", "tables-reader"):
        assert allows([name], Request("s3:GetObject", LAKE_OBJECT))
        assert allows([name], Request("s3:ListBucket", LAKE, {"s3:prefix": "prod/silver/"}))
        assert allows([name], Request("kms:Decrypt", key, through))
    assert allows(["lake-writer"], Request("kms:GenerateDataKey", key, through))
    assert not allows(["lake-reader"], Request("kms:GenerateDataKey", key, through))
    assert allows(
        ["source-queue"],
        Request(
            "kms:Decrypt",
            key.replace("111122223333", "444455556666").replace("lake", "source"),
            {"kms:ViaService": "sqs.eu-central-1.amazonaws.com"},
        ),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_well_formed_and_asks_for_no_wildcard_without_reason(name: str) -> None:
    found = document(name)
    assert {"Version", "Statement"} == set(found) and "2012-10-17" == found["Version"]
    sids = [each["Sid"] for each in found["Statement"]]
    assert len(sids) == len(set(sids)) and all(sid.isalnum() for sid in sids)
    for each in found["Statement"]:
        assert "Allow" == each["Effect"]
        assert ("Principal" in each) == name.endswith("-trust") and ("Resource" in each) != name.endswith("-trust")
        assert not [action for action in listed(each["Action"]) if "*" in action]
        open_to_all = listed(each.get("Resource", "")) == ["*"]
        # the one action that knows no resources: Service Authorization Reference, AWS CloudTrail
        assert open_to_all == (listed(each["Action"]) == ["cloudtrail:ListPublicKeys"])
        assert len(json.dumps(found, separators=(",", ":"))) < 6144  # the most a managed policy may have


def test_a_cross_account_role_asks_for_the_external_id_and_for_one_role() -> None:
    [trust] = statements("source-role-trust")
    assert {"AWS": "arn:aws:iam::111122223333:role/headwater"} == trust["Principal"]
    assert {"StringEquals": {"sts:ExternalId": VALUES["EXTERNAL_ID"]}} == trust["Condition"]


def test_a_pods_role_is_for_one_service_account() -> None:
    [trust] = statements("pod-role-trust")
    [subject] = [value for key, value in trust["Condition"]["StringEquals"].items() if key.endswith(":sub")]
    assert "system:serviceaccount:headwater:headwater" == subject
    assert "sts:AssumeRoleWithWebIdentity" == trust["Action"]


def test_the_readme_explains_every_statement_and_placeholder() -> None:
    readme = (TOP / "orchestration/deploy/README.md").read_text()
    assert [] == [name for name in NAMES if f"`{name}.json`" not in readme]
    assert [] == [each["Sid"] for each in statements(*NAMES) if each["Sid"] not in readme]
    used = {name for name in VALUES if any(f"${{{name}}}" in text(each) for each in NAMES)}
    assert set(VALUES) == used
    assert [] == [name for name in VALUES if f"`{name}`" not in readme]
