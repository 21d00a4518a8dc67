//! What came out of a run, as one line of JSON.

use std::{fmt::Write as _, time::Duration};

use crate::histogram::Histogram;

/// Why a run ended before its time.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Report {
    /// Connections answered as expected, or messages received.
    pub(crate) operations: u64,
    /// Messages sent.
    pub(crate) published: u64,
    /// Messages that never came.
    pub(crate) lost: u64,
    /// Connections that went wrong.
    pub(crate) errors: u64,
    /// What went wrong first.
    pub(crate) error: Option<String>,
    /// From the start to the last operation.
    pub(crate) elapsed: Duration,
    /// Time of each operation.
    pub(crate) times: Histogram,
}

impl Report {
    /// A run that broke off.
    pub(crate) fn failed(failure: &Failure) -> Self {
        let report = Self {
            errors: 1,
            error: Some(failure.0.clone()),
            ..Self::default()
        };
        println!("{}", report.json());
        report
    }

    /// Count something that went wrong.
    pub(crate) fn wrong(&mut self, text: impl Into<String>) {
        self.errors += 1;
        self.error.get_or_insert_with(|| text.into());
    }

    pub(crate) fn ok(&self) -> bool {
        self.errors == 0 && self.lost == 0
    }

    pub(crate) fn json(&self) -> String {
        let mut line = format!(
            "{{\"ok\":{},\"operations\":{},\"published\":{},\"lost\":{},\"errors\":{},\"elapsed_s\":{:.6}",
            self.ok(),
            self.operations,
            self.published,
            self.lost,
            self.errors,
            self.elapsed.as_secs_f64(),
        );
        for (name, permille) in [("p50_us", 500), ("p99_us", 990)] {
            if let Some(micros) = self.times.micros_at(permille) {
                let _ = write!(line, ",\"{name}\":{micros:.1}");
            }
        }
        if let Some(error) = &self.error {
            let plain: String = error
                .chars()
                .map(|c| {
                    if c.is_control() || c == '"' || c == '\\' {
                        ' '
                    } else {
                        c
                    }
                })
                .collect();
            let _ = write!(line, ",\"error\":\"{plain}\"");
        }
        line.push('}');
        line
    }
}
