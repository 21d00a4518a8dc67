//! The request that turns HTTP into a WebSocket (RFC 6455 section 4.2, MQTT section 6).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

use crate::config::WebSocketConfig;

/// Largest request, in bytes.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// Most header fields.
const MAX_FIELDS: usize = 64;
/// What the key is hashed with (section 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a request is answered with.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on as a WebSocket: the response, and the bytes of the request.
    Accepted(Vec<u8>, usize),
    /// It ends with this response.
    Refused(&'static [u8]),
}

const BAD_REQUEST: Answer =
    Answer::Refused(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
const FORBIDDEN: Answer =
    Answer::Refused(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
const NOT_FOUND: Answer =
    Answer::Refused(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
const TOO_LARGE: Answer = Answer::Refused(
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
);
const OTHER_VERSION: Answer = Answer::Refused(
    b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\
      Content-Length: 0\r\nConnection: close\r\n\r\n",
);

/// Judge a request; `None` while it is incomplete.
pub fn judge(bytes: &[u8], config: &WebSocketConfig) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let size = match request.parse(bytes) {
        Ok(httparse::Status::Complete(size)) if size <= MAX_REQUEST_BYTES => size,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_REQUEST_BYTES => return None,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Some(TOO_LARGE),
        Err(_) => return Some(BAD_REQUEST),
    };
    Some(answer(&request, size, config))
}

/// The subprotocol of MQTT, whatever its version [MQTT-6.0.0-3].
const STANDARD_SUBPROTOCOL: &str = "mqtt";

fn answer(request: &httparse::Request<'_, '_>, size: usize, config: &WebSocketConfig) -> Answer {
    let path = request.path.map(|path| path.split(['?', '#']).next());
    if path.flatten() != Some(&config.path) {
        return NOT_FOUND;
    }
    let get = |name| only(request, name);
    if request.method != Some("GET")
        || request.version != Some(1)
        || get("host").is_none()
        || !lists(request, "upgrade", "websocket")
        || !lists(request, "connection", "upgrade")
    {
        return BAD_REQUEST;
    }
    if get("sec-websocket-version") != Some("13") {
        return OTHER_VERSION;
    }
    let key = get("sec-websocket-key").filter(|key| {
        BASE64_STANDARD
            .decode(key)
            .is_ok_and(|nonce| nonce.len() == 16)
    });
    let Some(key) = key else {
        return BAD_REQUEST;
    };
    if !origin_is_welcome(request, config) {
        return FORBIDDEN;
    }
    let is_known = |offered: &&str| config.subprotocols.iter().any(|known| known == offered);
    let offered = || items(request, "sec-websocket-protocol").filter(is_known);
    // The standard's own name goes before all others a client offers [MQTT-6.0.0-4].
    let subprotocol = offered()
        .find(|name| *name == STANDARD_SUBPROTOCOL)
        .or_else(|| offered().next());
    if subprotocol.is_none() && config.fail_if_no_subprotocol {
        return BAD_REQUEST;
    }
    Answer::Accepted(response(key, subprotocol), size)
}

/// 101 Switching Protocols.
fn response(key: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update(KEY_SUFFIX)
        .finalize();
    let accept = BASE64_STANDARD.encode(hash);
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if let Some(subprotocol) = subprotocol {
        out.push_str("Sec-WebSocket-Protocol: ");
        out.push_str(subprotocol);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// Whether the page the request comes from may connect.
fn origin_is_welcome(request: &httparse::Request<'_, '_>, config: &WebSocketConfig) -> bool {
    let Some(origins) = &config.origins else {
        return true;
    };
    if values(request, "origin").next().is_none() {
        return origins.allow_absence;
    }
    only(request, "origin").is_some_and(|origin| {
        origins
            .allowed
            .iter()
            .any(|a| a.eq_ignore_ascii_case(origin))
    })
}

/// The value of a field that occurs once.
fn only<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a str> {
    let mut found = values(request, name);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// Every value of a field, in order; what is no text counts as empty.
fn values<'r, 'a>(
    request: &'r httparse::Request<'_, 'a>,
    name: &'r str,
) -> impl Iterator<Item = &'a str> + 'r {
    request
        .headers
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| std::str::from_utf8(field.value).unwrap_or_default().trim())
}

/// The items of a comma-separated field.
fn items<'r, 'a>(
    request: &'r httparse::Request<'_, 'a>,
    name: &'r str,
) -> impl Iterator<Item = &'a str> + 'r {
    values(request, name).flat_map(|value| value.split(',').map(str::trim))
}

/// Whether a comma-separated field holds `word`.
fn lists(request: &httparse::Request<'_, '_>, name: &str, word: &str) -> bool {
    items(request, name).any(|item| item.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::config::OriginConfig;

    const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, mqtt\r\n\r\n";

    fn config() -> WebSocketConfig {
        WebSocketConfig {
            path: "/mqtt".to_owned(),
            max_frame_size: None,
            fail_if_no_subprotocol: true,
            subprotocols: vec!["mqtt".to_owned()],
            origins: None,
        }
    }

    /// Status and header fields of the answer to `request`.
    fn status(request: &str, config: &WebSocketConfig) -> String {
        for end in 0..request.len() {
            assert!(
                judge(request.get(..end).unwrap().as_bytes(), config).is_none(),
                "{end}"
            );
        }
        match judge(request.as_bytes(), config).unwrap() {
            Answer::Accepted(bytes, size) => {
                assert_eq!(size, request.len());
                String::from_utf8(bytes).unwrap()
            }
            Answer::Refused(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    #[test]
    fn the_sample_of_the_rfc() {
        let answer = status(REQUEST, &config());
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"));
        let query = REQUEST.replace("/mqtt HTTP", "/mqtt?a=b HTTP");
        assert!(status(&query, &config()).starts_with("HTTP/1.1 101 "));
    }

    #[test]
    fn refusals() {
        for (from, to, code) in [
            ("/mqtt HTTP", "/other HTTP", "404"),
            ("/mqtt HTTP", "/mqtt/ HTTP", "404"),
            ("GET", "POST", "400"),
            ("HTTP/1.1", "HTTP/1.0", "400"),
            ("Host: a\r\n", "", "400"),
            ("Upgrade: WebSocket\r\n", "", "400"),
            ("Upgrade: WebSocket", "Upgrade: h2c", "400"),
            ("keep-alive, Upgrade", "keep-alive", "400"),
            ("Version: 13", "Version: 8", "426"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "400"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=", "400"),
            ("chat, mqtt", "chat", "400"),
            ("Sec-WebSocket-Protocol: chat, mqtt\r\n", "", "400"),
        ] {
            let request = REQUEST.replace(from, to);
            let answer = status(&request, &config());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {code} ")),
                "{to:?}: {answer}"
            );
        }
    }

    #[test]
    fn no_subprotocol_where_none_is_asked_for() {
        let lenient = WebSocketConfig {
            fail_if_no_subprotocol: false,
            ..config()
        };
        let answer = status(&REQUEST.replace("chat, mqtt", "chat"), &lenient);
        assert!(
            answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Protocol:"),
            "{answer}"
        );
    }

    #[test]
    fn the_standard_subprotocol_comes_first() {
        let several = WebSocketConfig {
            subprotocols: vec!["mqtt-v5".to_owned(), "mqtt".to_owned()],
            ..config()
        };
        let of = |offered: &str| status(&REQUEST.replace("chat, mqtt", offered), &several);
        assert!(of("mqtt-v5, mqtt").contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"));
        assert!(of("chat, mqtt-v5").contains("\r\nSec-WebSocket-Protocol: mqtt-v5\r\n"));
    }

    #[test]
    fn origins() {
        let strict = WebSocketConfig {
            origins: Some(OriginConfig {
                allow_absence: false,
                allowed: vec!["https://a.example".to_owned()],
            }),
            ..config()
        };
        let from = |origin: &str| REQUEST.replace("Host: a\r\n", &format!("Host: a\r\n{origin}"));
        for (origin, code) in [
            ("", "403"),
            ("Origin: https://b.example\r\n", "403"),
            (
                "Origin: https://a.example\r\nOrigin: https://b.example\r\n",
                "403",
            ),
            ("Origin: https://a.example\r\n", "101"),
        ] {
            let answer = status(&from(origin), &strict);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {code} ")),
                "{origin:?}: {answer}"
            );
        }
    }

    #[test]
    fn a_request_has_a_bound() {
        let long = format!("GET /mqtt HTTP/1.1\r\nX: {}", "x".repeat(MAX_REQUEST_BYTES));
        assert_eq!(judge(long.as_bytes(), &config()), Some(TOO_LARGE));
        let many = format!("GET /mqtt HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        assert_eq!(judge(many.as_bytes(), &config()), Some(TOO_LARGE));
        assert_eq!(judge(b"\x10\x0c\x00\x04MQTT", &config()), Some(BAD_REQUEST));
    }
}
