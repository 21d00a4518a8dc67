"""`authorization` (spec/authorization.md sections 1, 5 and 10)."""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from vallum.config.hocon.source import read_bytes
from vallum.config.models.cache import NodeCache
from vallum.config.models.section import Section, context_of, problem
from vallum.config.models.types import (
    Bool,
    CommaList,
    Duration,
    Expression,
    Int,
    Text,
    as_list,
)

UNAVAILABLE = ("built_in_database", "http", "ldap", "mongodb", "mysql", "postgresql", "redis")
"""Types of sources that are known and cannot be used in this version."""

MAX_ACL_BYTES = 64 * 1024 * 1024
"""Bytes of one acl.conf."""

DEFAULT_RULES = """\
%% Used when authorization.sources names nothing.
%% The dashboard may watch the broker.
{allow, {username, {re, "^dashboard$"}}, subscribe, ["$SYS/#"]}.
%% Nobody else may, nor listen to everything.
{deny, all, subscribe, ["$SYS/#", {eq, "#"}, {eq, "+/#"}]}.
%% Anything else is allowed in the legacy profile; in hardened, authorization.no_match decides.
{allow, {security_profile, legacy}}.
"""

_CODING = re.compile(rb"coding[:=]\s*(latin-1|iso-8859-1)", re.IGNORECASE)


class FileSource(Section):
    """`type = file`: rules of an acl.conf, read once when the configuration is loaded."""

    type: Literal["file"]
    """Always `file`."""
    enable: Bool = True
    """Whether it is asked."""
    precondition: Expression = ""
    """Expression that must give `true`, else it is not asked; empty: always asked."""
    path: Text | None = None
    """The file; relative paths start at the directory of the configuration file."""
    rules: Text | None = None
    """The rules themselves, instead of a path; after checking always the text."""

    @model_validator(mode="before")
    @classmethod
    def _load(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        context_of(info).models[id(data)] = cls  # what is returned below is another object
        path, rules = data.get("path"), data.get("rules")
        if (path is None) == (rules is None):
            raise problem("write either 'path' or 'rules'")
        if not isinstance(path, str):
            return data
        if not path:
            raise problem("must not be empty", "path")
        file = context_of(info).path(path)
        content = read_bytes(file, MAX_ACL_BYTES)
        if isinstance(content, str):
            raise problem(f"cannot read {file}: {content}", "path")
        head = b"\n".join(content.split(b"\n", 2)[:2])
        try:
            text = content.decode("latin-1" if _CODING.search(head) else "utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise problem(f"{file}: line {line} is not UTF-8 text", "path") from None
        return {**data, "rules": text, "path": str(file)}

    @property
    def shown(self) -> str:
        """What messages call the file."""
        return self.path or "rules"


def _known(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("type") == "file":
        return value
    kind = value.get("type")
    if kind is None:
        raise problem(f"required; one of file, {', '.join(UNAVAILABLE)}", "type")
    if kind in UNAVAILABLE:
        raise problem(f"source {kind} is not available in this version; remove it")
    close = get_close_matches(str(kind), ["file", *UNAVAILABLE], 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise problem(f"unknown type '{str(kind)[:40]}'{hint}", "type")


class VerdictCache(Section):
    """`authorization.cache`: verdicts kept per connection."""

    enable: Bool = True
    """Whether verdicts are kept."""
    max_size: Int = Field(default=32, ge=1, le=1_048_576)
    """Verdicts of one connection."""
    ttl: Duration = timedelta(minutes=1)
    """How long."""
    excludes: CommaList = ()
    """Topic filters that are never kept."""


class TopicTemplateAllow(Section):
    """`topic_template_allow`: characters that values put into topic filters may hold."""

    plus: Bool = False
    """`+`."""
    hash: Bool = False
    """`#`."""
    slash: Bool = False
    """`/`."""


class Authorization(Section):
    """`authorization`: who may publish and subscribe to what."""

    no_match: Literal["allow", "deny"] = "deny"
    """Verdict when no source has a rule that matches."""
    deny_action: Literal["ignore", "disconnect"] = "ignore"
    """What a denial does besides refusing."""
    cache: VerdictCache = Field(default_factory=VerdictCache)
    """Verdicts kept per connection."""
    include_mountpoint: Bool = False
    """Whether the mounted topic is checked instead of the client's."""
    ignore_backend_failures: Bool = False
    """In the hardened profile: whether a failing source is passed over instead of denying."""
    node_cache: NodeCache = Field(default_factory=NodeCache)
    """Cache of backend answers."""
    topic_template_allow: TopicTemplateAllow = Field(default_factory=TopicTemplateAllow)
    """Characters that values put into topic filters may hold."""
    builtin_record_count_refresh_interval: Duration = timedelta(hours=1)
    """Time between counts of the records of the built-in database."""
    sources: Annotated[
        tuple[Annotated[FileSource, BeforeValidator(_known)], ...], BeforeValidator(as_list)
    ] = (FileSource.model_construct(type="file", path="default rules", rules=DEFAULT_RULES),)
    """Asked in order; the first that has a matching rule decides."""
