//! Clients made of fuzzed text, and the questions that rules are asked about them.

use std::{net::IpAddr, sync::Arc};

use vallum_policy::{
    acl::{Action, Request, Settings, TemplateAllow},
    client::ClientInfo,
    profile::Profile,
};

/// A client whose texts are the fuzzer's. What it does not name is absent.
pub fn client(
    client_id: &str,
    username: Option<&str>,
    common_name: Option<&str>,
    attribute: Option<&str>,
) -> ClientInfo {
    ClientInfo {
        client_id: Arc::from(client_id),
        username: username.map(Into::into),
        peer_host: client_id
            .bytes()
            .next()
            .map(|last| IpAddr::from([10, 0, 0, last])),
        zone: Arc::from("default"),
        listener: Arc::from("tcp:default"),
        cert_common_name: common_name.map(Into::into),
        client_attrs: attribute
            .map(|value| ("a".into(), value.into()))
            .into_iter()
            .collect(),
        is_superuser: false,
    }
}

/// Every kind of request for one topic.
pub fn requests(topic: &str) -> impl Iterator<Item = Request<'_>> {
    let actions = [
        Action::Publish { retain: false },
        Action::Publish { retain: true },
        Action::Subscribe,
    ];
    actions
        .into_iter()
        .flat_map(move |action| [0, 2].map(|qos| Request { action, qos, topic }))
}

/// Both profiles, each closed and as open as it gets.
pub fn settings() -> impl Iterator<Item = Settings> {
    let open = TemplateAllow {
        plus: true,
        hash: true,
        slash: true,
    };
    [Profile::Hardened, Profile::Legacy]
        .into_iter()
        .flat_map(move |profile| {
            [(false, TemplateAllow::default()), (true, open)].map(|(ignore, template_allow)| {
                Settings {
                    profile,
                    ignore_backend_failures: ignore,
                    template_allow,
                }
            })
        })
}
