//! Any bytes as a packet of each version: decoding never panics, and what decodes survives being
//! written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vallum_fuzz::packets::{VERSIONS, assert_round_trip, decode};

fuzz_target!(|data: &[u8]| {
    for version in VERSIONS {
        match decode(version, data) {
            Some(Ok(packet)) => {
                for error in [packet.check_from_client(), packet.check_from_server()] {
                    let _ = error.map_err(|error| (error.reason(), error.to_string()));
                }
                assert_round_trip(version, &packet);
            }
            Some(Err(error)) => {
                let _ = (error.reason(), error.to_string());
            }
            None => {}
        }
    }
});
