"""`vallum.acl.Rules` against the table of authorization cases, in both profiles."""

from __future__ import annotations

from typing import Any

import cases
import pytest

import vallum

CASES = cases.load("authz.json")["cases"]
NOW = 1_700_000_000

HARDENED = {
    # The rule is for the legacy profile only.
    "default-legacy: publish anything": "nomatch",
    "default: publish to $SYS is not covered by the deny": "nomatch",
    # A deny of some of the topics that a filter asks for denies the filter.
    "sub a/# vs deny a/b then allow all: passes": "deny",
    # A filter is allowed only where it is contained.
    "sub a/# vs rule a/+: the # is taken for one level": "nomatch",
    # A placeholder without a value denies.
    "placeholder missing attr is not an empty string": "deny",
    "placeholder missing attr: next filter of the rule still tried (legacy)": "deny",
    "placeholder absent cert_common_name (no TLS)": "deny",
    # A value that would add a level or a wildcard denies.
    "placeholder value with + is refused": "deny",
    "placeholder value with # is refused": "deny",
    "placeholder value with / is refused": "deny",
}
"""Where hardened answers otherwise than the reference does in legacy."""


def rules_of(case: dict[str, Any]) -> vallum.acl.Rules:
    if "acl_conf" in case:
        return vallum.acl.Rules.parse(case["acl_conf"])
    preset = case["preset"]
    offset = preset.get("expire_offset")
    return vallum.acl.Rules.preset(
        preset["rules"], expire_at=None if offset is None else NOW + offset
    )


def decide(case: dict[str, Any], profile: str) -> str:
    action = case["action"]
    return rules_of(case).decide(
        vallum.Client(**case["client"]),
        action["type"],
        case["topic"],
        qos=action["qos"],
        retain=action.get("retain", False),
        profile=profile,
        stage=case.get("stage", "rule"),
        at=NOW,
        ignore_backend_failures=case.get("ignore_backend_failures", False),
        topic_template_allow=case.get("topic_template_allow"),
    )


def with_expected(cases_: list[dict[str, Any]], profile: str) -> list[Any]:
    """Rows with the answers that are right in this profile."""
    out = []
    for parameter in cases.parameters(cases_, "name"):
        case = parameter.values[0]
        right = {case["expect"], case.get("expect_strict", case["expect"])}
        if profile == "hardened" and "profile" not in case and case["name"] in HARDENED:
            right = {HARDENED[case["name"]]}
        out.append(pytest.param(case, right, id=parameter.id))
    return out


DECIDED = [case for case in CASES if case["expect"] != "error"]
REJECTED = [case for case in CASES if case["expect"] == "error"]


@pytest.mark.parametrize(
    ("case", "right"),
    with_expected([c for c in DECIDED if c.get("profile", "legacy") == "legacy"], "legacy"),
)
def test_legacy(case: dict[str, Any], right: set[str]) -> None:
    assert decide(case, "legacy") in right


@pytest.mark.parametrize(("case", "right"), with_expected(DECIDED, "hardened"))
def test_hardened(case: dict[str, Any], right: set[str]) -> None:
    assert decide(case, "hardened") in right


@pytest.mark.parametrize("case", cases.parameters(REJECTED, "name"))
def test_rejected(case: dict[str, Any]) -> None:
    with pytest.raises(vallum.VallumError):
        # A preset in object form is read when it is asked.
        assert decide(case, "legacy") == "error"


def test_every_difference_of_hardened_is_a_row() -> None:
    assert set(HARDENED) <= {case["name"] for case in CASES}


def test_acl_error_says_where() -> None:
    with pytest.raises(vallum.AclError) as caught:
        vallum.acl.Rules.parse('{allow, all}.\n{deny, everybody, all, ["t"]}.\n')
    assert caught.value.line == 2
    assert caught.value.column > 1
    assert caught.value.expected
