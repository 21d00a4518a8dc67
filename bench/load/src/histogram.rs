//! Times, counted in steps of at most 1.6 %.

/// Steps in each power of two.
const STEPS: u64 = 64;
/// log2 of [`STEPS`].
const STEP_BITS: u32 = 6;

/// Counts of nanoseconds.
#[derive(Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, nanos: u64) {
        let at = index(nanos);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.total += 1;
    }

    /// The time, in microseconds, that `permille` of a thousand did not exceed; `None` of nothing.
    pub(crate) fn micros_at(&self, permille: u64) -> Option<f64> {
        let rank = (self.total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(at, count)| {
            seen += count;
            #[allow(clippy::cast_precision_loss, reason = "a step is coarser than that")]
            (seen >= rank).then(|| upper_end(at) as f64 / 1000.0)
        })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "below 64 * 59")]
fn index(nanos: u64) -> usize {
    let octave = u64::from((u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1));
    (octave * STEPS + (nanos >> octave)) as usize
}

fn upper_end(at: usize) -> u64 {
    let at = at as u64;
    let octave = (at / STEPS).saturating_sub(1);
    ((at - octave * STEPS + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_its_times() {
        for nanos in (0..5000).chain([65_535, 65_536, 1_000_003, u64::MAX / 2]) {
            let end = upper_end(index(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 64, "{nanos}: {end}");
            assert!(index(nanos + 1) >= index(nanos));
        }
    }

    #[test]
    fn ranks() {
        let mut times = Histogram::default();
        assert_eq!(times.micros_at(500), None);
        for micros in 1..=100 {
            times.add(micros * 1000);
        }
        for (permille, micros) in [(500, 50.0), (990, 99.0), (1000, 100.0), (1, 1.0)] {
            let found = times.micros_at(permille).expect("there are times");
            assert!(
                (found - micros).abs() <= micros / 50.0,
                "{permille}: {found}"
            );
        }
    }
}
