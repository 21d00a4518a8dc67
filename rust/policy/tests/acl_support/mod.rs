//! What the tests of access control share.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use vallum_policy::{
    acl::{Action, Request, RuleSet, RuleVerdict, Settings},
    client::ClientInfo,
    profile::Profile,
};

/// A publish without the retain flag.
pub(crate) const PUBLISH: Action = Action::Publish { retain: false };

/// The client `c1` with an attribute that placeholders reach and one that they do not.
pub(crate) fn client(username: Option<&str>) -> ClientInfo {
    ClientInfo {
        client_id: Arc::from("c1"),
        username: username.map(Into::into),
        peer_host: None,
        zone: Arc::from("default"),
        listener: Arc::from("tcp:default"),
        cert_common_name: None,
        client_attrs: [("a".into(), "A".into()), ("x.y".into(), "no".into())].into(),
        is_superuser: false,
    }
}

/// What the rules say to a client without a user name, with the settings of a profile.
pub(crate) fn ask(text: &str, profile: Profile, action: Action, topic: &str) -> RuleVerdict {
    let settings = Settings {
        profile,
        ..Settings::default()
    };
    let request = Request {
        action,
        qos: 0,
        topic,
    };
    RuleSet::parse(text)
        .unwrap()
        .decide(&settings, &client(None), &request)
}
