"""The extension module: it converts, calls the Rust crates and converts back.

Private: use `vallum` and its modules. Documents and events are described where they are made, in
`vallum.config.compiled` and `vallum.broker`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

__all__ = [
    "Broker",
    "Client",
    "Decision",
    "JwtAuthenticator",
    "JwtOutcome",
    "Pipeline",
    "Rules",
    "Verdict",
    "__version__",
    "check_tls",
    "evaluate",
    "inspect_token",
    "lint_expression",
    "mint_token",
]

__version__: str

_Profile = Literal["hardened", "legacy"]
_Action = Literal["publish", "subscribe"]
_Session = tuple[int, int, int]
_TlsFaults = list[tuple[str, str]]
"""Options below `ssl_options`, each with what is wrong."""

@final
class Client:
    """The facts about a client. None means absent; an empty text is present."""

    def __new__(
        cls,
        clientid: str,
        username: str | None = None,
        password: str | bytes | None = None,
        peerhost: str | None = None,
        proto_ver: int = 5,
        listener: str = "tcp:default",
        zone: str = "default",
        client_attrs: Mapping[str, str] | None = None,
        is_superuser: bool = False,
        cert_common_name: str | None = None,
        cert_subject: str | None = None,
        auth_method: str | None = None,
        auth_data: str | bytes | None = None,
        user_properties: Sequence[tuple[str, str]] | None = None,
    ) -> Client:
        """Describe a client.

        Args:
            clientid: MQTT Client Identifier.
            username: user name of the CONNECT.
            password: password of the CONNECT, often a token.
            peerhost: IP address it comes from.
            proto_ver: 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0.
            listener: `TYPE:NAME` of the listener it came to.
            zone: zone of that listener.
            client_attrs: attributes it has before the pipeline computes any.
            is_superuser: whether it skips authorization.
            cert_common_name: Common Name of its certificate.
            cert_subject: subject of its certificate.
            auth_method: Authentication Method [MQTT-4.12].
            auth_data: Authentication Data.
            user_properties: User Properties of the CONNECT, in order.

        Raises:
            ValueError: `peerhost` is no IP address.
        """

    @property
    def clientid(self) -> str:
        """MQTT Client Identifier."""

    @property
    def username(self) -> str | None:
        """User name; None if absent."""

    @property
    def listener(self) -> str:
        """`TYPE:NAME` of the listener."""

    @property
    def proto_ver(self) -> int:
        """Protocol version: 3, 4 or 5."""

@final
class Rules:
    """Compiled access rules: of an acl.conf, or of a claim."""

    @staticmethod
    def parse(text: str) -> Rules:
        """Compile the text of an acl.conf.

        Raises:
            AclError: line, column, and what was expected there.
        """

    @staticmethod
    def preset(claim: Any, expire_at: Any = None) -> Rules:
        """Compile an ACL claim, in its object or list form.

        Args:
            claim: the claim, decoded.
            expire_at: Unix seconds from which everything is refused.

        Raises:
            AclError: it is no ACL claim.
        """

    def decide(
        self,
        client: Client,
        action: _Action,
        topic: str,
        *,
        qos: int = 0,
        retain: bool = False,
        profile: _Profile = "hardened",
        stage: Literal["rule", "packet", "pipeline"] = "packet",
        at: float | None = None,
        ignore_backend_failures: bool = False,
        topic_template_allow: Mapping[str, bool] | None = None,
    ) -> Literal["allow", "deny", "nomatch"]:
        """Decide about a publish or a subscription.

        Args:
            client: who asks.
            action: what it wants to do.
            topic: topic name, or filter of a subscription.
            qos: QoS asked for.
            retain: whether the message is to be retained.
            profile: in `hardened` the filter of a subscription must be contained in that of a rule.
            stage: `rule` takes the topic as it is; `packet` first takes off `$share/GROUP/` and the
                like; `pipeline` also lets superusers do everything.
            at: Unix seconds; now if None. Only presets know time.
            ignore_backend_failures: whether rules that cannot be evaluated are passed over.
            topic_template_allow: `plus`, `hash`, `slash`: characters that values put into topic
                filters may hold; none if None.

        Raises:
            ValueError: an argument is none of the words it may be.
        """

    def warnings(self) -> list[str]:
        """What was accepted but is probably not meant; each with line and column."""

@final
class JwtOutcome:
    """What a JWT authenticator says about a client."""

    @property
    def result(self) -> Literal["ok", "deny", "ignore"]:
        """Let in, refused, or left to the next authenticator."""

    @property
    def reason(self) -> str | None:
        """Reason identifier (spec/management.md section 9.3); None if let in."""

    @property
    def detail(self) -> str | None:
        """More about the reason, for people; never a secret."""

    @property
    def reason_code(self) -> int:
        """MQTT 5 reason code; 0 if let in."""

    @property
    def is_superuser(self) -> bool:
        """Whether the client skips authorization."""

    @property
    def client_attrs(self) -> dict[str, str]:
        """Attributes the token gives."""

    @property
    def acl(self) -> Any:
        """The ACL claim, decoded; None if there is none."""

    @property
    def expire_at(self) -> int | None:
        """Unix seconds at which the connection ends, a fraction rounded down; None if never."""

    @property
    def clientid_override(self) -> str | None:
        """What the token replaces the client identifier by; None: nothing."""

@final
class JwtAuthenticator:
    """One `mechanism = jwt` authenticator."""

    def __new__(cls, stage: str) -> JwtAuthenticator:
        """Compile a stage document, as JSON without `mechanism`.

        Raises:
            ConfigError: with every fault.
        """

    def authenticate(self, client: Client, profile: _Profile, at: float | None) -> JwtOutcome:
        """Say what it makes of a client, `at` Unix seconds (now if None).

        Raises:
            ValueError: no such profile, or a negative time.
        """

@final
class Decision:
    """The decision on one CONNECT."""

    @property
    def result(self) -> Literal["allow", "deny"]:
        """Whether the client gets in."""

    @property
    def reason(self) -> str | None:
        """Reason identifier (spec/management.md section 9.3); None if it gets in."""

    @property
    def detail(self) -> str | None:
        """More about the reason, for people; never a secret."""

    @property
    def reason_code(self) -> int:
        """MQTT 5 reason code of CONNACK; 0 if it gets in."""

    @property
    def decided_by(self) -> str:
        """Id of the authenticator, or `no_authenticator`, `no_match` and the like."""

    @property
    def clientid(self) -> str:
        """Client identifier after every override."""

    @property
    def username(self) -> str | None:
        """User name as presented; None if absent. It may be a token."""

    @property
    def client_attrs(self) -> dict[str, str]:
        """Attributes, merged."""

    @property
    def is_superuser(self) -> bool:
        """Whether it skips authorization."""

    @property
    def expire_at(self) -> int | None:
        """Unix seconds at which its connection ends; None if never."""

    @property
    def acl(self) -> Any:
        """The ACL claim of its token, decoded; None if there is none."""

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What happened, in order: `stage`, `name`, `result`, `reason`, `detail` of each."""

@final
class Verdict:
    """The decision on one publish, or on one filter of a subscription."""

    @property
    def result(self) -> Literal["allow", "deny"]:
        """Whether the client may."""

    @property
    def decided_by(self) -> str:
        """`superuser`, `preset`, `file[3]`, `no_match` and the like; rules count from 1."""

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What was asked, in order: `stage`, `name`, `result`, `reason`, `detail` of each."""

@final
class Pipeline:
    """The compiled decisions of a configuration."""

    def __new__(cls, document: str) -> Pipeline:
        """Compile a policy document, as JSON (`vallum.config.policy_document`).

        Raises:
            ConfigError: with every fault; they have paths and no places.
        """

    def connect(self, client: Client, at: float | None) -> Decision:
        """Decide about a CONNECT, `at` Unix seconds (now if None).

        Raises:
            ValueError: the time is negative.
            VallumError: the chain holds a stage that only a running broker can ask.
        """

    def authorize(
        self,
        decision: Decision,
        action: _Action,
        topic: str,
        qos: int,
        retain: bool,
        at: float | None,
    ) -> Verdict:
        """Decide about a publish or subscription of the client a decision was made about.

        Raises:
            ValueError: no such action, or a negative time.
        """

@final
class Broker:
    """The running data plane: event loops in threads of their own that never need the GIL.

    Sessions are named by loop, slot and generation. An order about one that is gone is ignored.
    """

    def __new__(cls, document: str, pipeline: Pipeline) -> Broker:
        """Open the listeners of a broker document (JSON) and start the loops.

        Raises:
            ConfigError: the document is not understood.
            BrokerError: a listener cannot be opened, or the system refuses a thread.
        """

    def listeners(self) -> list[tuple[str, str, int]]:
        """Id, address and port of every listener."""

    def event_fd(self) -> int:
        """A file descriptor that is readable while events wait."""

    def drain_events(self) -> list[dict[str, Any]]:
        """Take all waiting events; `event` names the kind of each."""

    def replace_pipeline(self, pipeline: Pipeline) -> None:
        """Put another pipeline in force, for every decision from now on."""

    def expire_credentials(self, session: _Session, expire_at: int) -> None:
        """Disconnect a client whose credentials expired, if they are still those of `expire_at`."""

    def end_session(self, session: _Session, offline_epoch: int) -> None:
        """End a session that is still in this offline time."""

    def publish_will(self, session: _Session, offline_epoch: int) -> None:
        """Publish the will of a session that is still in this offline time."""

    def answer(self, connection: _Session, answer: Mapping[str, Any]) -> None:
        """Answer an `authenticate` event. One that comes too late does nothing.

        Args:
            connection: as the event names it.
            answer: `result` (ok, deny, ignore, error or continue), `data`, `reason`, `reason_code`,
                `is_superuser`, `client_attrs`, `acl`, `expire_at`; all must be there.

        Raises:
            ValueError: no such result.
            AclError: `acl` is no ACL claim.
        """

    def disconnect(self, clientid: str, reason_code: int) -> bool:
        """Disconnect a client with a reason code; False if there is no session of that id."""

    def statistics(self) -> list[tuple[str, int]]:
        """Counters and gauges by name."""

    def reload_tls(self) -> list[tuple[str, bool, _TlsFaults]]:
        """Read the files of every TLS listener again: id, whether they changed, what is wrong."""

    def set_revocation_lists(self, listener: str, files: list[str]) -> tuple[bool, _TlsFaults]:
        """Check client certificates against these lists too: whether they changed, what is wrong.

        Raises:
            VallumError: no such TLS listener.
        """

    def ocsp_request(self, listener: str) -> bytes:
        """Make the question to ask the OCSP responder.

        Raises:
            VallumError: no such TLS listener, or its files cannot be read.
        """

    def set_ocsp_response(self, listener: str, response: bytes) -> None:
        """Staple this answer from now on.

        Raises:
            VallumError: it does not say that the certificate is good, or nobody may believe it.
        """

    def clear_ocsp_response(self, listener: str) -> None:
        """Staple nothing from now on.

        Raises:
            VallumError: no such TLS listener.
        """

    def stop(self) -> None:
        """Tell every client, close everything and wait until it is done. Safe to call twice."""

def evaluate(expression: str, variables: dict[str, Any]) -> str | bytes:
    """Evaluate an expression; bytes where the result is not UTF-8.

    Raises:
        ExpressionError: it does not compile or has no value.
    """

def lint_expression(expression: str) -> list[tuple[int, int, str, str | None]]:
    """List what is suspicious about an expression: line, column, message, suggestion.

    Raises:
        ExpressionError: it does not compile.
    """

def check_tls(document: str) -> tuple[_TlsFaults, _TlsFaults]:
    """Read the files of `ssl_options` (JSON): faults, and what to look at, each with its option.

    Raises:
        ConfigError: the document is not understood.
    """

def mint_token(algorithm: str, claims: Any, key: bytes, header: Any) -> str:
    """Sign a token with a shared secret (HS*) or a private key in PEM form (the others).

    Raises:
        VallumError: unknown algorithm, or a key that does not fit it.
    """

def inspect_token(token: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims of a token. Nothing is verified.

    Raises:
        VallumError: it is not a token.
    """
