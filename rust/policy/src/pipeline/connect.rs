//! The order of things on CONNECT (`spec/authentication.md` section 1): identity, attributes, overrides,
//! then the chain of the listener.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use super::rewrite::Rewriter;
use super::{
    attributes::{self, Identity},
    authorize::Authorization,
    chain::{Chain, Kind, Progress, Run},
    config::EnableAuthn,
};
use crate::{
    acl::Action,
    client::{Attributes, ClientInfo, TlsPeer},
    decision::{Name, Stage, Why, reason_code},
    profile::Profile,
};

/// What is known about a client that wants to connect. `None` is absent; empty is present.
#[derive(Clone, Copy)]
pub struct ConnectRequest<'a> {
    /// Client id: the client's own, its certificate's, or one the broker assigned; never empty.
    pub client_id: &'a str,
    /// User Name: the certificate's if one is taken from there, else the CONNECT's.
    pub username: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
    /// Address of the peer.
    pub peer_host: Option<IpAddr>,
    /// MQTT protocol level: 3, 4 or 5.
    pub proto_ver: u8,
    /// Listener as `type:name`.
    pub listener: &'a Arc<str>,
    /// Zone name.
    pub zone: &'a Arc<str>,
    /// Common Name of the client certificate.
    pub cert_common_name: Option<&'a str>,
    /// Distinguished name of the client certificate.
    pub cert_subject: Option<&'a str>,
    /// What else TLS says.
    pub tls: Option<&'a TlsPeer>,
    /// Authentication Method: enhanced authentication is asked for.
    pub auth_method: Option<&'a str>,
    /// Authentication Data.
    pub auth_data: Option<&'a [u8]>,
    /// User Properties in the order of the packet.
    pub user_properties: &'a [(&'a str, &'a str)],
    /// Attributes the caller already knows.
    pub client_attrs: Option<&'a Attributes>,
    /// What expressions see as `is_superuser`; whether the client is one is the chain's decision.
    pub is_superuser: bool,
}

/// The compiled policy: who may connect, as whom, and what they may do. Shared by all threads; holds no
/// state of any client.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) profile: Profile,
    /// Of zones that are not in `zones`.
    pub(super) identity: Identity,
    pub(super) zones: HashMap<Box<str>, Identity>,
    pub(super) global: Arc<Chain>,
    pub(super) listeners: HashMap<Box<str>, ListenerPolicy>,
    pub(super) authorization: Authorization,
    pub(super) rewriter: Rewriter,
}

#[derive(Debug)]
pub(super) struct ListenerPolicy {
    pub(super) enable_authn: EnableAuthn,
    pub(super) chain: Arc<Chain>,
}

/// What a client that authenticates anew brings with it.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// Its Authentication Method, that of its CONNECT.
    pub auth_method: &'a str,
    /// Its Authentication Data.
    pub auth_data: Option<&'a [u8]>,
    /// Subject of the certificate it connected with.
    pub cert_subject: Option<&'a str>,
    /// What its TLS connection says about it.
    pub tls: Option<&'a TlsPeer>,
}

impl Pipeline {
    /// Decide about a CONNECT. `now` is the time since the Unix epoch.
    ///
    /// A chain of native authenticators decides at once; one with an external authenticator may stop
    /// there and go on with [`super::Suspended::resume`].
    pub fn connect(&self, request: &ConnectRequest<'_>, now: Duration) -> Progress {
        let identity = self.identity_in(request.zone);
        let expected_steps = identity.attributes.len() + self.global.len() + 2;
        let mut run = Run::new(client_of(request), expected_steps);
        if identity.use_username_as_client_id
            && let Some(username) = request.username
        {
            if username.is_empty() {
                let why = Why::with("client_identifier_not_valid", "the user name is empty");
                let name = Name::Static("use_username_as_clientid");
                let code = reason_code::CLIENT_IDENTIFIER_NOT_VALID;
                return Progress::Decided(run.deny(Stage::UseUsernameAsClientId, name, code, why));
            }
            run.client.client_id = username.into();
        }
        let Run { client, steps } = &mut run;
        attributes::initialize(&identity.attributes, client, request, now, steps);
        if let Some(expression) = &identity.client_id_override {
            attributes::override_client_id(expression, client, request, now, steps);
        }
        self.authenticate(run, request, now)
    }

    /// Whether some rule may put another topic in place of a publish's.
    pub fn rewrites_publish(&self) -> bool {
        self.rewriter.rewrites_publish()
    }

    /// Whether some rule may put another filter in place of a subscription's.
    pub fn rewrites_subscribe(&self) -> bool {
        self.rewriter.rewrites_subscribe()
    }

    /// The topic in place of a publish's, if a rule has one. It may be no valid topic name.
    pub fn rewrite_publish(&self, client: &ClientInfo, topic: &str) -> Option<String> {
        self.rewriter.publish(client, topic)
    }

    /// The filter in place of a subscription's, if a rule has one. It may be no valid filter.
    pub fn rewrite_subscribe(&self, client: &ClientInfo, filter: &str) -> Option<String> {
        self.rewriter.subscribe(client, filter)
    }

    /// The topic that the rules see in place of the one a client names, if that is another one: in
    /// hardened the one that counts, in legacy always the client's own.
    pub fn judged_topic(&self, client: &ClientInfo, action: Action, topic: &str) -> Option<String> {
        match (self.profile, action) {
            (Profile::Legacy, _) => None,
            (Profile::Hardened, Action::Publish { .. }) => self.rewrite_publish(client, topic),
            (Profile::Hardened, Action::Subscribe) => self.rewrite_subscribe(client, topic),
        }
    }

    /// Decide about a client that is online and authenticates anew with the method of its CONNECT
    /// (MQTT 5 section 4.12.1). What it knows of it is kept; what the decision grants is laid over it.
    pub fn reauthenticate(
        &self,
        client: &ClientInfo,
        renewal: &Renewal<'_>,
        now: Duration,
    ) -> Progress {
        let request = ConnectRequest {
            client_id: &client.client_id,
            username: client.username.as_deref(),
            password: None,
            peer_host: client.peer_host,
            proto_ver: 5,
            listener: &client.listener,
            zone: &client.zone,
            cert_common_name: client.cert_common_name.as_deref(),
            cert_subject: renewal.cert_subject,
            tls: renewal.tls,
            auth_method: Some(renewal.auth_method),
            auth_data: renewal.auth_data,
            user_properties: &[],
            client_attrs: None,
            is_superuser: false,
        };
        let run = Run::new(client.clone(), self.global.len() + 1);
        self.authenticate(run, &request, now)
    }

    /// Whether some authenticator takes a token from the user name: then it is a secret like a
    /// password, and so is a client identifier made from it.
    pub fn username_is_secret(&self) -> bool {
        let reads = |chain: &Chain| {
            chain.authenticators.iter().any(|authenticator| {
                matches!(&authenticator.kind, Kind::Jwt(jwt) if jwt.reads_username())
            })
        };
        reads(&self.global)
            || self
                .listeners
                .values()
                .any(|listener| reads(&listener.chain))
    }

    /// Whether the user name becomes the client identifier, in any zone.
    pub fn uses_username_as_client_id(&self) -> bool {
        let mut zones = self.zones.values();
        self.identity.use_username_as_client_id || zones.any(|zone| zone.use_username_as_client_id)
    }

    fn identity_in(&self, zone: &str) -> &Identity {
        if self.zones.is_empty() {
            return &self.identity;
        }
        self.zones.get(zone).unwrap_or(&self.identity)
    }

    /// The security profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    fn authenticate(&self, run: Run, request: &ConnectRequest<'_>, now: Duration) -> Progress {
        let (enable_authn, chain) = match self.listeners.get(&**request.listener) {
            Some(listener) => (listener.enable_authn, &listener.chain),
            None => (EnableAuthn::True, &self.global),
        };
        match enable_authn {
            EnableAuthn::False => {
                let name = Name::Static("enable_authn");
                Progress::Decided(run.allow_anonymous(Stage::Listener, name))
            }
            EnableAuthn::QuickDenyAnonymous if request.username.is_none_or(str::is_empty) => {
                let name = Name::Static("quick_deny_anonymous");
                let why = Why::new("no_username");
                let code = reason_code::NOT_AUTHORIZED;
                Progress::Decided(run.deny(Stage::Listener, name, code, why))
            }
            EnableAuthn::True | EnableAuthn::QuickDenyAnonymous => chain.run(0, run, request, now),
        }
    }
}

fn client_of(request: &ConnectRequest<'_>) -> ClientInfo {
    ClientInfo {
        client_id: request.client_id.into(),
        username: request.username.map(Into::into),
        peer_host: request.peer_host.map(|host| host.to_canonical()),
        zone: Arc::clone(request.zone),
        listener: Arc::clone(request.listener),
        cert_common_name: request.cert_common_name.map(Into::into),
        client_attrs: request.client_attrs.cloned().unwrap_or_default(),
        is_superuser: request.is_superuser,
    }
}
