//! SQL: the port for MySQL clients, its engine, and what it sees of the peer.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use z4_shards::metrics::Metrics;
use z4_shards::shard::handle::Shards;

use super::{BootError, bind};
use crate::config::Config;
use crate::grpc::ClusterView;
use crate::sql::data::Live;
use crate::sql::peer::PeerData;
use crate::sql::sqlite::{self, Engine};
use crate::sql::wire::users::{Users, UsersError};
use crate::sql::wire::{self, Connections, Server};

/// Queries that wait for one of `sql_queries_max` to end.
const WAITING_MAX: usize = 256;

/// A bound port and who may ask there; nothing is answered yet.
pub struct Sql {
    listener: TcpListener,
    users: Users,
    /// The port, also when the kernel chose it.
    pub port: u16,
}

impl Sql {
    /// Listens and reads the users; `None`: the configuration wants no SQL.
    pub fn bind(config: &Config) -> Result<Option<Sql>, BootError> {
        if !config.sql_enabled {
            return Ok(None);
        }
        let users = users(Path::new(&config.sql_users))?;
        let (listener, port) = bind("sql_port", config.bind_address, config.sql_port)?;
        if users.is_empty() {
            tracing::warn!(
                port,
                "sql_users is not set: any MySQL client on this machine may read every task, without a password; others are refused"
            );
        }
        Ok(Some(Sql { listener, users, port }))
    }

    /// Starts to answer.
    pub fn serve(
        self,
        config: &Config,
        (shards, metrics): (&Shards, &Metrics),
        view: Arc<dyn ClusterView>,
    ) -> Result<Server, BootError> {
        let connections = Connections::charged_to(shards.reach().account().cloned(), metrics.sql.clone());
        let data = Arc::new(PeerData::new(shards.clone(), view));
        let options = sqlite::Options {
            queries_max: config.sql_queries_max,
            waiting_max: WAITING_MAX,
            query_memory_bytes_max: config.sql_query_memory_bytes_max,
            memory_bytes_max: config.sql_memory_bytes_max,
            unbounded_rows_max: config.sql_unbounded_rows_max,
        };
        let engine = Engine::start(data, Arc::clone(&connections) as Arc<dyn Live>, options).map_err(BootError::Sql)?;
        let options = wire::Options {
            connections_max: config.sql_connections_max,
            packet_bytes_max: config.sql_packet_bytes_max,
            idle_timeout: Duration::from_millis(config.sql_idle_timeout_ms),
            max_execution_ms: config.sql_execution_ms_max,
            ..wire::Options::default()
        };
        wire::start(self.listener, Arc::new(engine), self.users, connections, options).map_err(BootError::Sql)
    }
}

fn users(path: &Path) -> Result<Users, BootError> {
    if path.as_os_str().is_empty() {
        return Ok(Users::default());
    }
    let users = Users::load(path)?;
    // Nobody in it must not mean anybody.
    if users.is_empty() { Err(UsersError::Nobody { path: path.to_owned() }.into()) } else { Ok(users) }
}
