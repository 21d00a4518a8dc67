//! Orders from the control plane to a loop.

use vallum_policy::pipeline::ExternalVerdict;

use crate::session::SessionRef;

/// What an authenticator outside the data plane answers.
#[derive(Clone)]
pub enum Reply {
    /// It has decided.
    Decided {
        /// How.
        verdict: ExternalVerdict,
        /// Authentication Data for a client that is accepted. Secret.
        data: Option<Box<[u8]>>,
    },
    /// The client has to take another step of the exchange (MQTT 5 section 4.12).
    Continue {
        /// Authentication Data for the client. Secret.
        data: Option<Box<[u8]>>,
    },
}

impl From<ExternalVerdict> for Reply {
    fn from(verdict: ExternalVerdict) -> Self {
        Self::Decided {
            verdict,
            data: None,
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Decided { verdict, .. } => f.debug_tuple("Decided").field(verdict).finish(),
            Self::Continue { .. } => f.write_str("Continue"),
        }
    }
}

/// One order. Each names what it is about by reference, so one that comes too late does nothing.
#[derive(Debug)]
pub enum Command {
    /// The credentials of a session expired: disconnect its client with 0x87.
    ExpireCredentials {
        /// The session.
        session: SessionRef,
        /// The expiry that came; another one by now means the client has new credentials.
        expire_at: u64,
    },
    /// The Session Expiry Interval of an offline session passed.
    EndSession {
        /// The session.
        session: SessionRef,
        /// The offline time the timer was armed for.
        offline_epoch: u32,
    },
    /// The Will Delay Interval of an offline session passed.
    PublishWill {
        /// The session.
        session: SessionRef,
        /// The offline time the timer was armed for.
        offline_epoch: u32,
    },
    /// Disconnect a client.
    Disconnect {
        /// The session.
        session: SessionRef,
        /// MQTT 5 reason code.
        reason_code: u8,
    },
    /// The answer to an [`crate::event::Event::Authenticate`].
    Verdict {
        /// Slot of the connection that waits.
        slot: u32,
        /// Its generation.
        generation: u32,
        /// The answer.
        reply: Box<Reply>,
    },
    /// Stop: tell every client, close everything, end the loop.
    Stop,
}
