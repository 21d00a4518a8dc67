//! Arguments: `MODE --name value ...`; one that is not known is an error.

use std::{collections::BTreeMap, env, fs, net::SocketAddr, str::FromStr, time::Duration};

pub(crate) const USAGE: &str = "\
load connect --address HOST:PORT [--count N] [--concurrency N] [--warmup-count N] [--expect CODE]
             [--identities FILE] [--keep]
load traffic --address HOST:PORT [--publishers N] [--subscribers N] [--layout pairs|all] [--qos N]
             [--window N] [--batch N] [--size BYTES] [--rate MESSAGES_PER_SECOND]
             [--seconds S] [--warmup S]

--expect      the CONNACK code every connection must get (0)
--identities  client identifier, user name and password, separated by tabs, one client a line
--keep        hold the connections open until standard input ends
--layout      pairs: subscriber i gets what publisher i sends; all: every subscriber gets everything
--window      messages of a publisher on their way: sent, not yet received by all or not acknowledged
--batch       messages in one write, at most
--rate        messages a second by a fixed schedule, all publishers together; 0: as fast as the
              window allows. Latency counts from the scheduled time.";

/// What to do.
pub(crate) enum Mode {
    Connect(ConnectOptions),
    Traffic(TrafficOptions),
}

/// Options of `connect`.
pub(crate) struct ConnectOptions {
    pub(crate) address: SocketAddr,
    pub(crate) count: usize,
    pub(crate) concurrency: usize,
    pub(crate) warmup_count: usize,
    pub(crate) expect: u8,
    pub(crate) identities: Vec<Identity>,
    pub(crate) keep: bool,
}

/// Options of `traffic`.
pub(crate) struct TrafficOptions {
    pub(crate) address: SocketAddr,
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) pairs: bool,
    pub(crate) qos: u8,
    pub(crate) window: u16,
    pub(crate) batch: usize,
    pub(crate) size: usize,
    pub(crate) rate: f64,
    pub(crate) run: Duration,
    pub(crate) warmup: Duration,
}

/// Who a connection says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

/// The arguments by name.
pub(crate) struct Arguments {
    mode: String,
    values: BTreeMap<String, String>,
}

impl Arguments {
    pub(crate) fn from_environment() -> Result<Self, String> {
        Self::parse(env::args().skip(1))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mode = words.next().ok_or("a mode is needed")?;
        let mut values = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("unexpected '{word}'"))?;
            let value = match name {
                "keep" => String::new(),
                _ => words
                    .next()
                    .ok_or_else(|| format!("--{name} needs a value"))?,
            };
            values.insert(name.to_owned(), value);
        }
        Ok(Self { mode, values })
    }

    fn value<T: FromStr>(&mut self, name: &str, default: Option<T>) -> Result<T, String> {
        match self.values.remove(name) {
            Some(text) => text
                .parse()
                .map_err(|_| format!("--{name}: '{text}' will not do")),
            None => default.ok_or_else(|| format!("--{name} is needed")),
        }
    }

    fn seconds(&mut self, name: &str, default: f64) -> Result<Duration, String> {
        let seconds = self.value(name, Some(default))?;
        Duration::try_from_secs_f64(seconds).map_err(|error| format!("--{name}: {error}"))
    }

    fn end(self) -> Result<(), String> {
        match self.values.into_keys().next() {
            Some(name) => Err(format!("--{name} is not known to '{}'", self.mode)),
            None => Ok(()),
        }
    }
}

impl Mode {
    pub(crate) fn read(mut from: Arguments) -> Result<Self, String> {
        let mode = match from.mode.as_str() {
            "connect" => Self::Connect(ConnectOptions {
                address: from.value("address", None)?,
                count: from.value("count", Some(1000))?,
                concurrency: from.value("concurrency", Some(200))?,
                warmup_count: from.value("warmup-count", Some(0))?,
                expect: from.value("expect", Some(0))?,
                identities: match from.values.remove("identities") {
                    Some(file) => identities(&file)?,
                    None => Vec::new(),
                },
                keep: from.values.remove("keep").is_some(),
            }),
            "traffic" => Self::Traffic(traffic(&mut from)?),
            other => return Err(format!("there is no mode '{other}'")),
        };
        from.end()?;
        Ok(mode)
    }
}

fn traffic(from: &mut Arguments) -> Result<TrafficOptions, String> {
    let options = TrafficOptions {
        address: from.value("address", None)?,
        publishers: from.value("publishers", Some(10))?,
        subscribers: from.value("subscribers", Some(10))?,
        pairs: match from.value("layout", Some("pairs".to_owned()))?.as_str() {
            "pairs" => true,
            "all" => false,
            other => return Err(format!("--layout: there is no '{other}'")),
        },
        qos: from.value("qos", Some(0))?,
        window: from.value("window", Some(64))?,
        batch: from.value("batch", Some(16))?,
        size: from.value("size", Some(64))?,
        rate: from.value("rate", Some(0.0))?,
        run: from.seconds("seconds", 2.0)?,
        warmup: from.seconds("warmup", 0.5)?,
    };
    if options.pairs && options.publishers != options.subscribers {
        return Err("--layout pairs wants as many publishers as subscribers".to_owned());
    }
    if options.qos > 2 {
        return Err("--qos is 0, 1 or 2".to_owned());
    }
    if options.publishers == 0 || options.window == 0 || options.batch == 0 {
        return Err("--publishers, --window and --batch are at least 1".to_owned());
    }
    if options.size < crate::traffic::payload::HEADER_BYTES {
        return Err("--size leaves no room for what is checked".to_owned());
    }
    if !(options.rate >= 0.0 && options.rate.is_finite()) {
        return Err("--rate is not a rate".to_owned());
    }
    Ok(options)
}

fn identities(file: &str) -> Result<Vec<Identity>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    text.lines()
        .map(|line| {
            let mut parts = line.split('\t').map(str::to_owned);
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(client_id), Some(username), Some(password), None) => Ok(Identity {
                    client_id,
                    username,
                    password,
                }),
                _ => Err(format!("{file}: a line is not CLIENT, USER and PASSWORD")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Mode, String> {
        Mode::read(Arguments::parse(words.split(' ').map(str::to_owned))?)
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for words in [
            "connect",
            "fly --address 127.0.0.1:1",
            "connect --address 127.0.0.1:1 --qos 1",
            "connect --address 127.0.0.1:1 --count",
            "connect --address 127.0.0.1:1 --count many",
            "traffic --address 127.0.0.1:1 --qos 3",
            "traffic --address 127.0.0.1:1 --publishers 2",
            "traffic --address 127.0.0.1:1 --size 8",
            "traffic --address 127.0.0.1:1 --warmup -1",
        ] {
            assert!(read(words).is_err(), "{words}");
        }
        assert!(read("connect --address 127.0.0.1:1 --keep --count 5").is_ok());
        assert!(read("traffic --address 127.0.0.1:1 --layout all --publishers 2").is_ok());
    }
}
