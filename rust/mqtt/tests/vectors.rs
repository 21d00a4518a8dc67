//! Runs `tests/data/codec_vectors.json`: packets as bytes, with what must become of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test, and the counts are worth seeing"
)]

mod fields;

use serde_json::Value;
use vallum_mqtt::packet::{DecodeError, FixedHeader, Packet, Version};
use vallum_mqtt::topic::FilterScope;

/// Why a vector was not accepted.
#[derive(Debug)]
enum Refusal {
    Decode(DecodeError),
    Filter,
    Incomplete,
}

fn vectors() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/codec_vectors.json"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut data: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(vectors) = data["vectors"].take() else {
        panic!("no list of vectors")
    };
    vectors
}

fn bytes_of(vector: &Value) -> Vec<u8> {
    fields::unhex(vector["hex"].as_str().unwrap())
}

fn version_of(vector: &Value) -> Version {
    match vector["version"].as_u64().unwrap() {
        3 => Version::V31,
        4 => Version::V311,
        5 => Version::V5,
        other => panic!("version {other}"),
    }
}

/// What a server (`c2s`), a client (`s2c`) or either makes of the bytes.
fn accept<'a>(
    version: Version,
    direction: &str,
    bytes: &'a [u8],
) -> Result<(FixedHeader, Packet<'a>), Refusal> {
    let (header, size) = FixedHeader::parse(bytes)
        .map_err(Refusal::Decode)?
        .ok_or(Refusal::Incomplete)?;
    let end = size + header.remaining_length as usize;
    let body = bytes.get(size..end).ok_or(Refusal::Incomplete)?;
    let packet = Packet::decode(version, &header, body).map_err(Refusal::Decode)?;
    if direction != "s2c" {
        packet.check_from_client().map_err(Refusal::Decode)?;
    }
    if direction != "c2s" {
        packet.check_from_server().map_err(Refusal::Decode)?;
    }
    let filters_fit = match &packet {
        Packet::Connect(connect) => connect.version == version,
        Packet::Subscribe(p) => p
            .subscriptions
            .iter()
            .all(|s| FilterScope::parse(s.filter).is_ok()),
        Packet::Unsubscribe(p) => p.filters.iter().all(|f| FilterScope::parse(f).is_ok()),
        _ => true,
    };
    if filters_fit {
        Ok((header, packet))
    } else {
        Err(Refusal::Filter)
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let (mut valid, mut invalid, mut wrong) = (0, 0, Vec::new());
    for vector in &vectors() {
        let bytes = bytes_of(vector);
        let direction = vector["direction"].as_str().unwrap();
        let expect = vector["valid"].as_bool().unwrap();
        *(if expect { &mut valid } else { &mut invalid }) += 1;
        let name = format!("{} {} {}", vector["id"], vector["name"], vector["hex"]);
        match accept(version_of(vector), direction, &bytes) {
            Ok(_) if !expect => wrong.push(format!("accepted {name}")),
            Err(refusal) if expect => wrong.push(format!("refused {name}: {refusal:?}")),
            _ => {}
        }
    }
    println!("{valid} valid, {invalid} invalid vectors");
    assert!(valid > 100 && invalid > 100);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn valid_vectors_have_their_fields_and_survive_a_round_trip() {
    let mut wrong = Vec::new();
    for vector in vectors().iter().filter(|vector| vector["valid"] == true) {
        let bytes = bytes_of(vector);
        let version = version_of(vector);
        let direction = vector["direction"].as_str().unwrap();
        let Ok((header, packet)) = accept(version, direction, &bytes) else {
            continue;
        };
        for difference in fields::compare(version, header, &packet, &vector["fields"]) {
            wrong.push(format!("{} {}: {difference}", vector["id"], vector["name"]));
        }
        let mut again = b"before".to_vec();
        packet.encode(version, &mut again).unwrap();
        let again = again.strip_prefix(b"before").unwrap();
        match accept(version, direction, again) {
            Ok((_, second)) if second == packet => {}
            other => wrong.push(format!("{} became {other:?}", vector["id"])),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn refusals_carry_a_fitting_reason() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for vector in vectors()
        .iter()
        .filter(|vector| vector["close_codes"].is_array())
    {
        let bytes = bytes_of(vector);
        let direction = vector["direction"].as_str().unwrap();
        let Err(Refusal::Decode(error)) = accept(version_of(vector), direction, &bytes) else {
            continue;
        };
        checked += 1;
        let reason = format!("0x{:02X}", error.reason().as_u8());
        let fitting = vector["close_codes"].as_array().unwrap();
        if !fitting.iter().any(|code| code.as_str() == Some(&reason)) {
            wrong.push(format!("{} {}: {reason}", vector["id"], vector["name"]));
        }
    }
    println!("{checked} refusals with a reason code");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_vector_cut_short_is_never_accepted_and_never_panics() {
    for vector in vectors().iter().filter(|vector| vector["valid"] == true) {
        let bytes = bytes_of(vector);
        for end in 0..bytes.len() {
            let accepted = accept(version_of(vector), "both", &bytes[..end]);
            assert!(accepted.is_err(), "{} cut to {end}", vector["id"]);
        }
    }
}
