//! Who a certificate says its owner is (`spec/authentication.md` section 21.3).
//!
//! Everything is read when the client connects, from the certificate OpenSSL keeps with the session,
//! resumed or not; nothing of it stays with the connection. OpenSSL has checked the certificate by
//! then: one that was not asked for is not taken.

use std::net::IpAddr;

use openssl::{
    asn1::Asn1StringRef,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    ssl::{NameType, SslRef},
    x509::{GeneralNameRef, X509, X509NameEntryRef, X509Ref},
};
use vallum_policy::client::TlsPeer;

/// A name in a certificate, or the server name, is no clean text: it could be smuggled into logs and
/// requests, or mean one thing here and another there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName(pub &'static str);

/// What TLS says about a client.
#[derive(Debug, Default)]
pub struct Peer {
    /// Its certificate.
    pub certificate: Option<Certificate>,
    /// What expressions may ask for beside that.
    pub details: TlsPeer,
}

/// A client certificate.
#[derive(Debug)]
pub struct Certificate {
    /// The first Common Name of the subject.
    pub common_name: Option<String>,
    /// The subject as text (RFC 4514): the last name first, parts behind commas.
    pub subject: String,
    x509: X509,
}

impl Certificate {
    /// MD5 of the certificate, in lower-case hexadecimal.
    pub fn md5(&self) -> Option<String> {
        use std::fmt::Write as _;

        let digest = self.x509.digest(MessageDigest::md5()).ok()?;
        Some(digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

impl Peer {
    /// Read a connection whose handshake is over.
    pub(crate) fn of(ssl: &SslRef) -> Result<Self, BadName> {
        let peer = Self::read(ssl);
        drop(ErrorStack::get()); // an absent extension leaves an error that is none
        peer
    }

    fn read(ssl: &SslRef) -> Result<Self, BadName> {
        let mut details = TlsPeer::default();
        if let Some(raw) = ssl.servername_raw(NameType::HOST_NAME) {
            details.server_name = Some(clean(raw).ok_or(BadName("server_name"))?.into());
        }
        let Some(x509) = ssl.peer_certificate() else {
            return Ok(Self {
                certificate: None,
                details,
            });
        };
        let certificate = Certificate {
            common_name: common_name(&x509)?,
            subject: subject(&x509)?,
            x509,
        };
        details.cert_der = certificate.x509.to_der().ok().map(Into::into);
        alternative_names(&certificate.x509, &mut details)?;
        Ok(Self {
            certificate: Some(certificate),
            details,
        })
    }
}

fn common_name(certificate: &X509Ref) -> Result<Option<String>, BadName> {
    let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    match entries.next() {
        Some(entry) => text(entry.data()).ok_or(BadName("common_name")).map(Some),
        None => Ok(None),
    }
}

/// As the reference writes it: the names in reverse order.
fn subject(certificate: &X509Ref) -> Result<String, BadName> {
    let mut parts = certificate
        .subject_name()
        .entries()
        .map(part)
        .collect::<Result<Vec<_>, _>>()?;
    parts.reverse();
    Ok(parts.join(","))
}

fn part(entry: &X509NameEntryRef) -> Result<String, BadName> {
    let value = text(entry.data()).ok_or(BadName("subject"))?;
    let nid = entry.object().nid();
    let name = KNOWN_TYPES
        .iter()
        .find(|(known, _)| *known == nid)
        .map_or_else(
            || entry.object().to_string(),
            |(_, name)| (*name).to_owned(),
        );
    Ok(format!("{name}={}", escaped(&value)))
}

const KNOWN_TYPES: [(Nid, &str); 17] = [
    (Nid::SURNAME, "SN"),
    (Nid::GIVENNAME, "GIVENNAME"),
    (Nid::INITIALS, "INITIALS"),
    (Nid::GENERATIONQUALIFIER, "GENERATIONQUALIFIER"),
    (Nid::COMMONNAME, "CN"),
    (Nid::LOCALITYNAME, "L"),
    (Nid::STATEORPROVINCENAME, "ST"),
    (Nid::ORGANIZATIONNAME, "O"),
    (Nid::ORGANIZATIONALUNITNAME, "OU"),
    (Nid::TITLE, "TITLE"),
    (Nid::COUNTRYNAME, "C"),
    (Nid::SERIALNUMBER, "SERIALNUMBER"),
    (Nid::PSEUDONYM, "PSEUDONYM"),
    (Nid::DOMAINCOMPONENT, "DC"),
    (Nid::PKCS9_EMAILADDRESS, "EMAILADDRESS"),
    (Nid::STREETADDRESS, "STREET"),
    (Nid::USERID, "UID"),
];

/// A value so that it cannot be taken for several parts (RFC 4514 section 2.4).
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, char) in value.chars().enumerate() {
        let special = match char {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => index == 0,
            ' ' => index == 0 || index == last,
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

fn alternative_names(certificate: &X509Ref, details: &mut TlsPeer) -> Result<(), BadName> {
    const BAD: BadName = BadName("subject_alt_name");

    let (mut dns, mut ip, mut email, mut uri) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for name in certificate.subject_alt_names().iter().flatten() {
        let name: &GeneralNameRef = name;
        for (found, list) in [
            (name.dnsname(), &mut dns),
            (name.email(), &mut email),
            (name.uri(), &mut uri),
        ] {
            if let Some(found) = found {
                list.push(clean(found.as_bytes()).ok_or(BAD)?.into());
            }
        }
        if let Some(bytes) = name.ipaddress() {
            ip.push(address(bytes).ok_or(BAD)?.to_string().into());
        }
    }
    details.san_dns = dns.into();
    details.san_ip = ip.into();
    details.san_email = email.into();
    details.san_uri = uri.into();
    Ok(())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(Into::into)
}

/// A string of a certificate as clean text; OpenSSL puts U+FFFD where it is no text.
fn text(data: &Asn1StringRef) -> Option<String> {
    let text = data.to_string().ok()?;
    (!text.contains('\u{fffd}') && clean(text.as_bytes()).is_some()).then_some(text)
}

/// UTF-8 without control characters (U+0000 to U+001F, U+007F to U+009F).
fn clean(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_part_each() {
        for (value, expected) in [
            ("plain", "plain"),
            ("a,CN=b", "a\\,CN=b"),
            ("#a", "\\#a"),
            ("a#", "a#"),
            (" a b ", "\\ a b\\ "),
            ("a\\+\"<>;", "a\\\\\\+\\\"\\<\\>\\;"),
            ("é ", "é\\ "),
        ] {
            assert_eq!(escaped(value), expected);
        }
    }

    #[test]
    fn only_clean_text_is_taken() {
        assert_eq!(clean(b"a b"), Some("a b"));
        for bad in [&b"a\0"[..], b"a\n", b"\x7f", "\u{85}".as_bytes(), b"\xff"] {
            assert_eq!(clean(bad), None, "{bad:?}");
        }
    }
}
