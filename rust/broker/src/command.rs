//! Orders from the control plane to a loop.

use vallum_policy::pipeline::ExternalVerdict;

use crate::session::SessionRef;

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
        verdict: Box<ExternalVerdict>,
    },
    /// Stop: tell every client, close everything, end the loop.
    Stop,
}
