//! The data plane.

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};
use vallum_broker::{
    self as broker, command::Command, config::BrokerConfig, event::Event, session::SessionRef,
};

use crate::{error, policy::Pipeline, reply::Answer, tls};

/// A session across the boundary: loop, slot, generation.
type SessionTuple = (u16, u32, u32);

fn to_tuple(session: SessionRef) -> SessionTuple {
    (session.loop_index, session.slot, session.generation)
}

fn from_tuple((loop_index, slot, generation): SessionTuple) -> SessionRef {
    SessionRef {
        loop_index,
        slot,
        generation,
    }
}

/// The running data plane.
#[pyclass(frozen, module = "vallum._core")]
pub(crate) struct Broker(broker::Broker);

#[pymethods]
impl Broker {
    /// Open the listeners and start the loops.
    #[new]
    fn new(py: Python<'_>, document: &str, pipeline: &Pipeline) -> PyResult<Self> {
        let config: BrokerConfig = serde_json::from_str(document)
            .map_err(|fault| error::config_problem(py, "", &fault))?;
        let pipeline = pipeline.0.clone();
        py.detach(|| broker::Broker::start(config, pipeline))
            .map(Self)
            .map_err(|fault| error::broker(py, &fault))
    }

    fn listeners(&self) -> Vec<(String, String, u16)> {
        self.0
            .listeners()
            .into_iter()
            .map(|(id, address)| (id.to_string(), address.ip().to_string(), address.port()))
            .collect()
    }

    fn event_fd(&self) -> i32 {
        self.0.event_fd()
    }

    fn drain_events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.0.drain_events() {
            list.append(to_dict(py, event)?)?;
        }
        Ok(list)
    }

    fn replace_pipeline(&self, pipeline: &Pipeline) {
        self.0.replace_pipeline(pipeline.0.clone());
    }

    fn expire_credentials(&self, session: SessionTuple, expire_at: u64) {
        let session = from_tuple(session);
        self.0
            .command(session, Command::ExpireCredentials { session, expire_at });
    }

    fn end_session(&self, session: SessionTuple, offline_epoch: u32) {
        let session = from_tuple(session);
        self.0.command(
            session,
            Command::EndSession {
                session,
                offline_epoch,
            },
        );
    }

    fn publish_will(&self, session: SessionTuple, offline_epoch: u32) {
        let session = from_tuple(session);
        self.0.command(
            session,
            Command::PublishWill {
                session,
                offline_epoch,
            },
        );
    }

    fn answer(&self, py: Python<'_>, connection: SessionTuple, answer: Answer<'_>) -> PyResult<()> {
        self.0.answer(connection, answer.into_reply(py)?);
        Ok(())
    }

    fn disconnect(&self, clientid: &str, reason_code: u8) -> bool {
        let Some(session) = self.0.find_session(clientid) else {
            return false;
        };
        self.0.command(
            session,
            Command::Disconnect {
                session,
                reason_code,
            },
        );
        true
    }

    fn statistics(&self) -> Vec<(&'static str, u64)> {
        self.0.statistics()
    }

    fn reload_tls(&self, py: Python<'_>) -> Vec<(String, bool, tls::Faults)> {
        py.detach(|| tls::reload(&self.0))
    }

    fn set_revocation_lists(
        &self,
        py: Python<'_>,
        listener: &str,
        files: Vec<String>,
    ) -> PyResult<tls::Outcome> {
        let found = tls::of(py, &self.0, listener)?;
        Ok(py.detach(|| tls::set_lists(&found, files)))
    }

    fn ocsp_request(&self, py: Python<'_>, listener: &str) -> PyResult<Vec<u8>> {
        let found = tls::of(py, &self.0, listener)?;
        py.detach(|| found.ocsp_request())
            .map_err(|problem| error::other(py, &problem))
    }

    fn set_ocsp_response(&self, py: Python<'_>, listener: &str, response: &[u8]) -> PyResult<()> {
        let found = tls::of(py, &self.0, listener)?;
        py.detach(|| found.set_ocsp_response(response))
            .map_err(|problem| error::other(py, &problem))
    }

    fn clear_ocsp_response(&self, py: Python<'_>, listener: &str) -> PyResult<()> {
        tls::of(py, &self.0, listener)?.clear_ocsp_response();
        Ok(())
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

/// An event as a dict; `event` names its kind.
fn to_dict(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    match event {
        Event::SessionOpened {
            session,
            client_id,
            expire_at,
        } => {
            dict.set_item("event", "session_opened")?;
            dict.set_item("session", to_tuple(session))?;
            dict.set_item("clientid", &*client_id)?;
            dict.set_item("expire_at", expire_at)?;
        }
        Event::SessionClosed {
            session,
            client_id,
            offline_epoch,
            expiry_interval,
            will_delay,
        } => {
            dict.set_item("event", "session_closed")?;
            dict.set_item("session", to_tuple(session))?;
            dict.set_item("clientid", &*client_id)?;
            dict.set_item("offline_epoch", offline_epoch)?;
            dict.set_item("expiry_interval", expiry_interval)?;
            dict.set_item("will_delay", will_delay)?;
        }
        Event::Authenticate(question) => {
            let client = &question.client;
            dict.set_item("event", "authenticate")?;
            dict.set_item("connection", question.connection)?;
            dict.set_item("handle", question.handle)?;
            dict.set_item("clientid", &*client.client_id)?;
            dict.set_item("username", client.username.as_deref())?;
            dict.set_item("listener", &*client.listener)?;
            dict.set_item("peer", question.peer.to_string())?;
            dict.set_item("method", question.auth_method.as_deref())?;
            dict.set_item(
                "data",
                question.auth_data.as_deref().map(|d| PyBytes::new(py, d)),
            )?;
            dict.set_item("again", question.again)?;
        }
        Event::ExchangeEnded { connection } => {
            dict.set_item("event", "exchange_ended")?;
            dict.set_item("connection", connection)?;
        }
        Event::LoopFailed { index, error } => {
            dict.set_item("event", "loop_failed")?;
            dict.set_item("index", index)?;
            dict.set_item("error", error)?;
        }
        Event::HandshakeFailed(failed) => {
            dict.set_item("event", "handshake_failed")?;
            dict.set_item("listener", &*failed.listener)?;
            dict.set_item("peer", failed.peer.to_string())?;
            dict.set_item("reason", failed.failure.reason)?;
            dict.set_item("detail", failed.failure.detail)?;
            dict.set_item("suppressed", failed.suppressed)?;
        }
        Event::ListsWanted {
            listener,
            addresses,
        } => {
            dict.set_item("event", "lists_wanted")?;
            dict.set_item("listener", &*listener)?;
            dict.set_item("addresses", addresses)?;
        }
        Event::Refused(refusal) => {
            dict.set_item("event", "refused")?;
            dict.set_item("action", refusal.action)?;
            dict.set_item("clientid", &*refusal.client_id)?;
            dict.set_item("username", refusal.username.as_deref())?;
            dict.set_item("peer", refusal.peer.map(|peer| peer.to_string()))?;
            dict.set_item("listener", &*refusal.listener)?;
            dict.set_item("stage", refusal.stage)?;
            dict.set_item("reason", refusal.reason)?;
            dict.set_item("reason_code", refusal.reason_code)?;
            dict.set_item("topic", refusal.topic.as_deref())?;
            dict.set_item("suppressed", refusal.suppressed)?;
        }
    }
    Ok(dict)
}
