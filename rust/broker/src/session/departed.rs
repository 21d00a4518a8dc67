//! Taking the subscriptions of an ended session out of the router, in slices where they are many.
//!
//! What is still routed to the session meanwhile finds nobody: its reference names a generation that is
//! gone.

use std::collections::{HashMap, hash_map::IntoIter};

use super::SessionRef;
use crate::{
    event_loop::EventLoop,
    router::{Router as _, SubscriptionOptions, is_shared},
};

/// Filters taken out in one turn, for all sessions that ended.
const SLICE: usize = 1024;

/// Subscriptions by filter.
type Filters = HashMap<Box<str>, SubscriptionOptions>;

/// What is left of a session.
#[derive(Debug)]
pub(crate) struct Departed {
    session: SessionRef,
    filters: IntoIter<Box<str>, SubscriptionOptions>,
}

impl EventLoop {
    /// Take all of these out of the router: shared ones now, as others may wait for them, of the rest
    /// as many as fit into a turn.
    pub(crate) fn forget_subscriptions(&mut self, session: SessionRef, mut filters: Filters) {
        if filters.len() > SLICE {
            filters.retain(|filter, _| {
                let shared = is_shared(filter);
                if shared {
                    self.shared.router.unsubscribe(session, &[filter]);
                }
                !shared
            });
            let filters = filters.into_iter();
            self.departed.push(Departed { session, filters });
        } else if !filters.is_empty() {
            let filters: Vec<&str> = filters.keys().map(AsRef::as_ref).collect();
            self.shared.router.unsubscribe(session, &filters);
        }
    }

    /// Go on with the sessions that had too many for one turn.
    pub(crate) fn sweep_departed(&mut self) {
        let Some(last) = self.departed.last_mut() else {
            return;
        };
        let filters: Vec<_> = last.filters.by_ref().take(SLICE).collect();
        let texts: Vec<&str> = filters.iter().map(|(filter, _)| &**filter).collect();
        self.shared.router.unsubscribe(last.session, &texts);
        if last.filters.len() == 0 {
            self.departed.pop();
        }
    }
}
