//! Who this peer is, for whoever asks `info`.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use z4_shards::shard::handle::Shards;

use crate::grpc::{ClusterView, Me};
use crate::links::{Found, Prober, Standing};
use crate::telemetry::health::Health;

/// What this peer knows of itself.
pub struct View {
    standing: Arc<Standing>,
    shards: Shards,
    prober: Prober,
    /// The id that the configuration gives it; empty: any.
    peer_id: String,
    service_address: OnceLock<String>,
    health: Health,
}

impl View {
    /// A peer that does not listen to clients yet.
    pub fn new(standing: &Arc<Standing>, shards: &Shards, prober: Prober, peer_id: &str, health: &Health) -> Arc<Self> {
        Arc::new(View {
            standing: Arc::clone(standing),
            shards: shards.clone(),
            prober,
            peer_id: peer_id.to_owned(),
            service_address: OnceLock::new(),
            health: health.clone(),
        })
    }

    /// Says where clients reach it; the first word counts.
    pub fn serves_at(&self, address: String) {
        self.service_address.get_or_init(|| address);
    }
}

impl ClusterView for View {
    fn me(&self) -> Me {
        let identity = self.standing.identity();
        Me {
            id: identity.as_ref().map_or_else(|| self.peer_id.clone(), |identity| identity.peer_id.clone()),
            number: identity.as_ref().map(|identity| identity.peer_number),
            cluster_id: identity.map(|identity| identity.cluster_id.clone()).unwrap_or_default(),
            removed: self.shards.is_removed(),
            service_address: self.service_address.get().cloned().unwrap_or_default(),
        }
    }

    fn who_is_at<'a>(&'a self, address: &'a str, id: &'a str) -> Pin<Box<dyn Future<Output = Found> + 'a>> {
        Box::pin(self.prober.who_is_at(address, id))
    }

    fn serving(&self) -> Result<(), String> {
        self.health.serving().map_err(|reason| reason.to_string())
    }
}
