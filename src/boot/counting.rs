//! Counts of the gRPC edge, per executor thread.

use std::cell::RefCell;

use z4_model::ids::Namespace;
use z4_shards::metrics::{CreateMethod, DeliverMethod, Method, Metrics, ShardMetrics};

use crate::grpc::Observer;

thread_local! {
    /// Counters of this thread, with their children looked up.
    static HERE: RefCell<Option<ShardMetrics>> = const { RefCell::new(None) };
}

/// Counts into the metrics of the peer.
pub struct Counting {
    metrics: Metrics,
}

impl Counting {
    /// Counts into these.
    pub fn new(metrics: Metrics) -> Self {
        Counting { metrics }
    }

    fn here(&self, count: impl FnOnce(&ShardMetrics)) {
        HERE.with_borrow_mut(|here| count(here.get_or_insert_with(|| self.metrics.shard())));
    }
}

impl Observer for Counting {
    fn creates_requested(&self, method: &'static str, namespace: &Namespace, requests: u64) {
        if let Some(method) = CreateMethod::by_name(method) {
            self.here(|shard| shard.creates.add(method, namespace, requests));
        }
    }

    fn tasks_streamed(&self, method: &'static str, namespace: &Namespace, tasks: u64) {
        if let Some(method) = DeliverMethod::by_name(method) {
            self.here(|shard| shard.deliveries.add(method, namespace, tasks));
        }
    }
}
