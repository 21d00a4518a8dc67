//! From `listeners.TYPE.NAME.mountpoint` to the mount point of a client, once it is authenticated
//! (`spec/hardening.md` section 8).
//!
//! In hardened a value that is missing, or that would add a level or a wildcard, refuses the client:
//! it would end up in the tree of others. In legacy, as in the reference, a missing one leaves the
//! placeholder and nothing is looked at.

use std::fmt::Write as _;

use super::compile::Faults;
use crate::{
    client::ClientInfo,
    decision::Why,
    mountpoint::{MAX_MOUNTPOINT_BYTES, Mountpoint},
    profile::Profile,
    template::{Part, Template},
};

/// A compiled mount point.
#[derive(Debug)]
pub(super) struct Mount {
    template: Template<Value>,
    profile: Profile,
    /// Made for `namespace_as_mountpoint`: clients without a namespace have no mount point.
    optional: bool,
}

/// What a placeholder stands for.
#[derive(Debug)]
enum Value {
    ClientId,
    Username,
    PeerHost,
    Zone,
    Attribute(Box<str>),
}

/// The client attribute that is a client's namespace.
const NAMESPACE: &str = "tns";

impl Value {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "clientid" => Some(Self::ClientId),
            "username" => Some(Self::Username),
            "peerhost" => Some(Self::PeerHost),
            "zone" => Some(Self::Zone),
            _ => name
                .strip_prefix("client_attrs.")
                .filter(|attribute| !attribute.is_empty() && !attribute.contains('.'))
                .map(|attribute| Self::Attribute(attribute.into())),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::ClientId => "clientid".to_owned(),
            Self::Username => "username".to_owned(),
            Self::PeerHost => "peerhost".to_owned(),
            Self::Zone => "zone".to_owned(),
            Self::Attribute(attribute) => format!("client_attrs.{attribute}"),
        }
    }

    /// Append the client's value; gives whether there is one. An empty one is none: it names nobody.
    fn write(&self, client: &ClientInfo, out: &mut String) -> bool {
        let text = match self {
            Self::ClientId => Some(&*client.client_id),
            Self::Username => client.username.as_deref(),
            Self::Zone => Some(&*client.zone),
            Self::Attribute(attribute) => client.client_attrs.get(attribute).map(|value| &**value),
            Self::PeerHost => {
                let host = client.peer_host;
                return host.is_some_and(|host| write!(out, "{host}").is_ok());
            }
        };
        out.push_str(text.unwrap_or_default());
        text.is_some_and(|text| !text.is_empty())
    }
}

impl Mount {
    /// Compile the text of a listener; an empty one is none.
    pub(super) fn compile(
        path: &str,
        text: &str,
        profile: Profile,
        faults: &mut Faults,
    ) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut unknown = Vec::new();
        let template = Template::parse(text, Value::parse, &mut unknown);
        if let (Some(first), Profile::Hardened) = (unknown.first(), profile) {
            let known = "${clientid}, ${username}, ${peerhost}, ${zone}, ${client_attrs.NAME}";
            faults.add(path, format!("unknown variable {first}; there are {known}"));
        }
        for part in template.parts() {
            if let Part::Text(text) = part
                && text.contains(['+', '#', '\0'])
            {
                faults.add(
                    path,
                    "must not hold '+', '#' or U+0000: it is part of topics",
                );
            }
        }
        let special = matches!(template.parts().first(), Some(Part::Text(text))
            if text.starts_with('$') && !text.starts_with("${"));
        if special {
            faults.add(
                path,
                "must not begin with '$': $share/ and the like have a meaning",
            );
        }
        if text.len() > MAX_MOUNTPOINT_BYTES {
            faults.add(path, format!("longer than {MAX_MOUNTPOINT_BYTES} bytes"));
        }
        Some(Self {
            template,
            profile,
            optional: false,
        })
    }

    /// `mqtt.namespace_as_mountpoint`: `NAMESPACE/`.
    pub(super) fn of_namespace(profile: Profile) -> Self {
        let text = format!("${{client_attrs.{NAMESPACE}}}/");
        Self {
            template: Template::parse(&text, Value::parse, &mut Vec::new()),
            profile,
            optional: true,
        }
    }

    /// The mount point of an authenticated client, or why it cannot have one.
    pub(super) fn render(&self, client: &ClientInfo) -> Result<Option<Box<Mountpoint>>, Why> {
        if self.optional && !client.client_attrs.contains_key(NAMESPACE) {
            return Ok(None);
        }
        let mut text = String::new();
        for part in self.template.parts() {
            let value = match part {
                Part::Text(fixed) => {
                    text.push_str(fixed);
                    continue;
                }
                Part::Value(value) => value,
            };
            let before = text.len();
            let found = value.write(client, &mut text);
            let name = || format!("${{{}}}", value.name());
            if self.profile == Profile::Legacy {
                if !found {
                    text.push_str(&name());
                }
                continue;
            }
            if !found {
                return Err(Why::with("mountpoint_value_missing", name()));
            }
            let added = text.get(before..).unwrap_or_default();
            if added.contains(['/', '+', '#', '\0']) {
                return Err(Why::with("mountpoint_value_invalid", name()));
            }
        }
        match Mountpoint::new(&text) {
            Some(mountpoint) => Ok(Some(Box::new(mountpoint))),
            None => Err(Why::new("mountpoint_invalid")),
        }
    }
}
