//! A keyed hash for topic levels and filters: a few nanoseconds for a short text.
//!
//! Peers choose the texts, so the key is drawn once a process from the standard library's random
//! state; without it nobody can aim many texts at one bucket.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// Makes [`LevelHasher`]s that share the key of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelHash {
    key: [u64; 2],
}

impl Default for LevelHash {
    fn default() -> Self {
        static KEY: OnceLock<[u64; 2]> = OnceLock::new();
        let key = KEY.get_or_init(|| [0_u8, 1].map(|seed| RandomState::new().hash_one(seed)));
        Self { key: *key }
    }
}

impl LevelHash {
    /// The hash of a child level below the node `parent`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "32 bits of the hash are wanted"
    )]
    pub(super) fn edge(&self, parent: u32, level: &str) -> u32 {
        let mut hasher = self.build_hasher();
        hasher.write_u32(parent);
        hasher.write(level.as_bytes());
        hasher.finish() as u32
    }
}

impl BuildHasher for LevelHash {
    type Hasher = LevelHasher;

    fn build_hasher(&self) -> LevelHasher {
        let [state, key] = self.key;
        LevelHasher { state, key }
    }
}

/// Folded multiplication, eight bytes a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelHasher {
    state: u64,
    key: u64,
}

impl LevelHasher {
    fn mix(&mut self, word: u64) {
        // An odd constant added each step keeps a zero product from swallowing what came before.
        let product = u128::from(self.state ^ word).wrapping_mul(u128::from(self.key | 1));
        self.state = fold(product)
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
            ^ self.key;
    }
}

/// Low half xor high half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of the product are wanted"
)]
fn fold(product: u128) -> u64 {
    (product as u64) ^ ((product >> 64) as u64)
}

impl Hasher for LevelHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.mix(u64::from_le_bytes(last));
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        fold(u128::from(self.state).wrapping_mul(u128::from(self.key | 1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn spreads_similar_levels() {
        let hash = LevelHash::default();
        let mut low_bits = HashSet::new();
        let mut high_bits = HashSet::new();
        for parent in 0..64 {
            for n in 0..1024 {
                let value = hash.edge(parent, &format!("device{n:04}"));
                low_bits.insert(value & 0xffff);
                high_bits.insert(value >> 16);
            }
        }
        // 65,536 throws into as many bins fill 63 % of them.
        assert!(
            (39_000..44_000).contains(&low_bits.len()),
            "{}",
            low_bits.len()
        );
        assert_ne!(hash.edge(0, ""), hash.edge(1, ""));
        assert_ne!(hash.edge(0, "a"), hash.edge(0, "a\0"));
    }
}
