//! What the edge counts. The registry of metrics, with its bound on namespaces, is the peer's.

use std::sync::Arc;

use z4_model::ids::Namespace;

/// Takes the edge's counts.
pub trait Observer: Send + Sync {
    /// So many creates of a namespace came in through `method` (the name of the rpc): `z4_create_task_request_total`.
    fn creates_requested(&self, method: &'static str, namespace: &Namespace, requests: u64);

    /// So many tasks of a namespace went out through `method`: `z4_streamed_task_total`.
    fn tasks_streamed(&self, method: &'static str, namespace: &Namespace, tasks: u64);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn creates_requested(&self, _: &'static str, _: &Namespace, _: u64) {}
    fn tasks_streamed(&self, _: &'static str, _: &Namespace, _: u64) {}
}

/// Where a stream's counts go.
pub(super) trait Report {
    fn report(&self, namespace: &Namespace, count: u64);
}

/// Reports creates that came in.
pub(super) struct Requested(Arc<dyn Observer>, &'static str);

/// Reports tasks that went out.
pub(super) struct Streamed(Arc<dyn Observer>, &'static str);

impl Requested {
    pub(super) fn new(observer: Arc<dyn Observer>, method: &'static str) -> Self {
        Self(observer, method)
    }
}

impl Streamed {
    pub(super) fn new(observer: Arc<dyn Observer>, method: &'static str) -> Self {
        Self(observer, method)
    }
}

impl Report for Requested {
    fn report(&self, namespace: &Namespace, count: u64) {
        self.0.creates_requested(self.1, namespace, count);
    }
}

impl Report for Streamed {
    fn report(&self, namespace: &Namespace, count: u64) {
        self.0.tasks_streamed(self.1, namespace, count);
    }
}

/// Counts things of a stream, in runs of equal namespaces: a stream of a million messages must not look up its counter a million
/// times.
pub(super) struct Runs<R: Report> {
    run: Option<(Namespace, u64)>,
    to: R,
}

impl<R: Report> Runs<R> {
    pub(super) fn new(to: R) -> Self {
        Self { run: None, to }
    }

    /// Counts one.
    pub(super) fn count(&mut self, namespace: &Namespace) {
        match &mut self.run {
            Some((of, count)) if of == namespace => *count += 1,
            _ => {
                self.flush();
                self.run = Some((namespace.clone(), 1));
            }
        }
    }

    /// Reports what was counted since the last report.
    pub(super) fn flush(&mut self) {
        if let Some((namespace, count)) = &mut self.run
            && *count > 0
        {
            self.to.report(namespace, std::mem::take(count));
        }
    }
}

impl<R: Report> Drop for Runs<R> {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct Seen<'a>(&'a RefCell<Vec<(String, u64)>>);

    impl Report for Seen<'_> {
        fn report(&self, namespace: &Namespace, count: u64) {
            self.0.borrow_mut().push((namespace.to_string(), count));
        }
    }

    /// Every message is counted once, whatever the order of namespaces and whenever a flush comes.
    #[test]
    fn runs_lose_nothing() {
        let seen = RefCell::new(Vec::new());
        let (a, b) = (Namespace::new("a").expect("valid"), Namespace::new("b").expect("valid"));
        let mut runs = Runs::new(Seen(&seen));
        for namespace in [&a, &a, &b, &a] {
            runs.count(namespace);
        }
        runs.flush();
        runs.flush();
        runs.count(&a);
        drop(runs);
        let expected = [("a", 2), ("b", 1), ("a", 1), ("a", 1)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(*seen.borrow(), expected);
    }
}
