//! The MQTT 3.1.1 packets a client sends and gets, between bytes and meaning.

use crate::arguments::Identity;

pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];
/// Seconds; no run lasts half as long, so nobody has to ping.
const KEEP_ALIVE: u16 = 3600;

/// The four packets that only carry a packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(clippy::enum_variant_names, reason = "the standard's names")]
pub(crate) enum Ack {
    PubAck = 0x40,
    PubRec = 0x50,
    PubRel = 0x62,
    PubComp = 0x70,
}

/// A packet from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    ConnAck {
        code: u8,
    },
    SubAck {
        code: u8,
    },
    Publish {
        topic: &'a [u8],
        qos: u8,
        dup: bool,
        id: u16,
        payload: &'a [u8],
    },
    Ack(Ack, u16),
}

/// The first packet in `bytes` and its size; `None` if more bytes are needed.
pub(crate) fn split(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, String> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut length = 0;
    for (at, byte) in rest.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let Some(body) = rest.get(at + 1..at + 1 + length) else {
                return Ok(None);
            };
            return Ok(Some((parse(first, body)?, 2 + at + length)));
        }
    }
    if rest.len() < 4 {
        Ok(None)
    } else {
        Err("a Remaining Length of five bytes".to_owned())
    }
}

fn parse(first: u8, body: &[u8]) -> Result<Packet<'_>, String> {
    let bad = || format!("a bad packet 0x{first:02X} of {} bytes", body.len());
    Ok(match (first, body) {
        (0x20, &[_, code]) => Packet::ConnAck { code },
        (0x90, &[_, _, code]) => Packet::SubAck { code },
        (0x40, &[a, b]) => Packet::Ack(Ack::PubAck, u16::from_be_bytes([a, b])),
        (0x50, &[a, b]) => Packet::Ack(Ack::PubRec, u16::from_be_bytes([a, b])),
        (0x62, &[a, b]) => Packet::Ack(Ack::PubRel, u16::from_be_bytes([a, b])),
        (0x70, &[a, b]) => Packet::Ack(Ack::PubComp, u16::from_be_bytes([a, b])),
        (0x30..=0x3F, &[a, b, ref rest @ ..]) => {
            let qos = first >> 1 & 3;
            let (topic, rest) = rest
                .split_at_checked(usize::from(u16::from_be_bytes([a, b])))
                .ok_or_else(bad)?;
            let (id, payload) = match (qos, rest) {
                (0, payload) => (0, payload),
                (1 | 2, &[a, b, ref payload @ ..]) => (u16::from_be_bytes([a, b]), payload),
                _ => return Err(bad()),
            };
            Packet::Publish {
                topic,
                qos,
                dup: first & 8 != 0,
                id,
                payload,
            }
        }
        _ => return Err(bad()),
    })
}

/// Append a CONNECT with a clean session; user name and password where there are any.
pub(crate) fn connect(out: &mut Vec<u8>, who: &Identity) {
    let mut flags = 0x02;
    let mut fields = vec![who.client_id.as_str()];
    if !who.username.is_empty() {
        flags |= 0x80;
        fields.push(&who.username);
    }
    if !who.password.is_empty() {
        flags |= 0x40;
        fields.push(&who.password);
    }
    let length = 10 + fields.iter().map(|field| 2 + field.len()).sum::<usize>();
    header(out, 0x10, length);
    out.extend_from_slice(b"\0\x04MQTT\x04");
    out.push(flags);
    out.extend_from_slice(&KEEP_ALIVE.to_be_bytes());
    for field in fields {
        string(out, field.as_bytes());
    }
}

/// Append a SUBSCRIBE for one filter.
pub(crate) fn subscribe(out: &mut Vec<u8>, filter: &[u8], qos: u8) {
    header(out, 0x82, 2 + 2 + filter.len() + 1);
    out.extend_from_slice(&[0, 1]);
    string(out, filter);
    out.push(qos);
}

/// Append a PUBLISH up to its payload of `size` bytes.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &[u8], qos: u8, id: u16, size: usize) {
    let length = 2 + topic.len() + if qos == 0 { 0 } else { 2 } + size;
    header(out, 0x30 | qos << 1, length);
    string(out, topic);
    if qos > 0 {
        out.extend_from_slice(&id.to_be_bytes());
    }
}

/// Append an acknowledgement.
pub(crate) fn acknowledge(out: &mut Vec<u8>, ack: Ack, id: u16) {
    let [a, b] = id.to_be_bytes();
    out.extend_from_slice(&[ack as u8, 2, a, b]);
}

fn header(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    let mut rest = length;
    while rest > 0x7F {
        #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
        out.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "at most 0x7F")]
    out.push(rest as u8);
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "our own short texts and tokens"
)]
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_comes_back_from_any_prefix() {
        for (qos, id, size) in [(0, 0, 3), (1, 7, 64), (2, 65_535, 20_000)] {
            let mut bytes = Vec::new();
            publish(&mut bytes, b"a/b", qos, id, size);
            bytes.resize(bytes.len() + size, b'x');
            for end in [0, 1, 2, 5, bytes.len() - 1] {
                assert_eq!(split(&bytes[..end]), Ok(None), "{end}");
            }
            let whole = bytes.len();
            acknowledge(&mut bytes, Ack::PubRel, 9);
            let (packet, used) = split(&bytes).expect("good").expect("whole");
            assert_eq!(used, whole);
            let Packet::Publish { topic, payload, .. } = packet else {
                panic!("{packet:?}");
            };
            assert_eq!((topic, payload.len()), (&b"a/b"[..], size));
            let next = split(&bytes[used..]).expect("good").expect("whole");
            assert_eq!(next, (Packet::Ack(Ack::PubRel, 9), 4));
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [
            &[0xF0, 0][..],
            &[0x20, 1, 0],
            &[0x32, 3, 0, 9, 9],
            &[0x30, 255, 255, 255, 255],
        ] {
            assert!(split(bytes).is_err(), "{bytes:?}");
        }
    }
}
