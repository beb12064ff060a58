//! How long namespaces remember request ids. A create whose answer was lost is sent again only while the peers know it by its id: later it
//! would be a second task. A group that gets more ids than it keeps, some 400,000, forgets the oldest before their time and does not say so: that
//! is what README does not promise, and nothing here can tell.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use super::Client;

/// What was asked is believed for so long.
const FRESH: Duration = Duration::from_secs(10);
/// So many namespaces are kept in mind.
const NAMESPACES_MAX: usize = 1_000;
/// Clocks of peers differ, and what is on its way takes its time.
const MARGIN: Duration = Duration::from_secs(1);

/// What is known, and since when.
#[derive(Default)]
pub(super) struct Windows(Mutex<HashMap<String, (Instant, Duration)>>);

impl Windows {
    fn get(&self, namespace: &str, now: Instant) -> Option<Duration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).filter(|(at, _)| now.duration_since(*at) < FRESH).map(|(_, window)| *window)
    }

    fn put(&self, namespace: &str, window: Duration, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMESPACES_MAX {
            known.clear();
        }
        known.insert(namespace.to_owned(), (now, window));
    }
}

impl Client {
    /// Whether a create that was first sent at `since` is still known by its id when another attempt arrives. The namespace is asked, unless
    /// it was a moment ago; one that cannot be asked before `until` is not trusted.
    pub(super) async fn remembers(&self, namespace: &str, since: Instant, until: Instant) -> bool {
        let known = self.shared.windows.get(namespace, Instant::now());
        let window = match known {
            Some(window) => window,
            None => match timeout_at(until, self.ask_window(namespace)).await.ok().flatten() {
                Some(window) => window,
                None => return false,
            },
        };
        since.elapsed() + self.options().attempt_timeout + MARGIN < window
    }

    /// Whether all of them do.
    pub(super) async fn all_remember(&self, namespaces: &[&str], since: Instant, until: Instant) -> bool {
        for namespace in namespaces {
            if !self.remembers(namespace, since, until).await {
                return false;
            }
        }
        true
    }

    /// Boxed, because it is a call inside a call.
    fn ask_window<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Option<Duration>> {
        async move {
            let settings = self.namespace(namespace).await.ok()?.settings.unwrap_or_default();
            let window = Duration::from_millis(settings.idempotency_window_ms?);
            self.shared.windows.put(namespace, window, Instant::now());
            Some(window)
        }
        .boxed()
    }
}
