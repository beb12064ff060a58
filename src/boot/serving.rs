//! gRPC on every shard: one port, a listener per executor, one stop for all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use z4_shards::account::Account;
use z4_shards::metrics::Metrics;
use z4_shards::runtime::net::Listener;
use z4_shards::shard::handle::Shards;

use super::counting::Counting;
use super::view::View;
use super::{BootError, options};
use crate::config::Config;
use crate::grpc::{self, ClusterView, Connections, Context, Services};
use crate::links::{Prober, Standing};
use crate::telemetry::health::Health;

/// Whoever listens on a port of this machine answers within this.
const CALL_MAX: Duration = Duration::from_secs(1);

/// What one shard serves.
pub struct Server {
    address: SocketAddr,
    services: Services,
    connections: Connections,
    bound: oneshot::Sender<io::Result<u16>>,
    stop: oneshot::Receiver<()>,
    stopped: oneshot::Sender<()>,
}

impl Server {
    /// Listens, tells the port, and serves until it is asked to stop. Runs on the shard's executor.
    pub async fn run(self) {
        let listener = Listener::bind(self.address).and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        match listener {
            Ok((port, listener)) => {
                let _ = self.bound.send(Ok(port));
                let stop = async {
                    // A boot that has gone wants the same as one that asks.
                    let _ = self.stop.await;
                };
                grpc::serve(listener, self.services, self.connections, stop).await;
            }
            Err(e) => {
                let _ = self.bound.send(Err(e));
            }
        }
        let _ = self.stopped.send(());
    }
}

/// The servers of all shards, as long as they run.
pub struct Serving {
    stops: Vec<oneshot::Sender<()>>,
    stopped: Vec<oneshot::Receiver<()>>,
    /// The port, also when the kernel chose it.
    pub port: u16,
    /// Where clients reach this peer.
    pub address: String,
    view: Arc<View>,
}

impl Serving {
    /// Starts to serve on every shard. `starts` brings a server to its shard.
    pub async fn start(
        config: &Config,
        (standing, prober, address, health): (&Arc<Standing>, Prober, &str, &Health),
        (shards, metrics, account): (&Shards, &Metrics, &Account),
        starts: Vec<oneshot::Sender<Server>>,
    ) -> Result<Self, BootError> {
        let failed =
            |source| BootError::Port { option: "service_port", port: config.service_port, address: config.bind_address, source };
        check_free(config.bind_address, config.service_port).map_err(failed)?;
        let view = View::new(standing, shards, prober, &config.peer_id, health);
        let services = services(config, &view, (shards, metrics, account))?;
        let connections = Connections::default();
        let mut serving =
            Serving { stops: Vec::new(), stopped: Vec::new(), port: config.service_port, address: String::new(), view };
        for start in starts {
            let (bound_tx, bound) = oneshot::channel();
            let (stop_tx, stop) = oneshot::channel();
            let (stopped_tx, stopped) = oneshot::channel();
            let server = Server {
                address: SocketAddr::new(config.bind_address, serving.port),
                services: services.clone(),
                connections: connections.clone(),
                bound: bound_tx,
                stop,
                stopped: stopped_tx,
            };
            let _ = start.send(server);
            let gone = |_| Err(io::Error::other("the shard has stopped"));
            serving.port = bound.await.unwrap_or_else(gone).map_err(failed)?;
            serving.stops.push(stop_tx);
            serving.stopped.push(stopped);
        }
        serving.address = options::service_address(config, address, serving.port);
        serving.view.serves_at(serving.address.clone());
        Ok(serving)
    }

    /// Who this peer is.
    pub fn view(&self) -> Arc<dyn ClusterView> {
        Arc::clone(&self.view) as _
    }

    /// Takes no more connections and waits for open calls, which end within the drain time.
    pub async fn stop(self) {
        for stop in self.stops {
            let _ = stop.send(());
        }
        for stopped in self.stopped {
            let _ = stopped.await;
        }
    }
}

fn services(
    config: &Config,
    view: &Arc<View>,
    (shards, metrics, account): (&Shards, &Metrics, &Account),
) -> Result<Services, BootError> {
    let clocks = shards.reach().clocks().clone();
    let context = Context {
        shards: shards.clone(),
        limits: options::grpc(config),
        account: account.clone(),
        now_ms: Arc::new(move || clocks.now_ms()),
        observer: Arc::new(Counting::new(metrics.clone())),
        cluster: Arc::clone(view) as Arc<dyn ClusterView>,
    };
    Ok(Services::new(context)?)
}

/// Refuses a port on which somebody listens. The shards' listeners share it with each other, and would share it with another process of
/// the same user as well.
///
/// What lingers for a minute of the connections of an earlier process is in the way of a listener that shares nothing, but
/// nobody listens there.
fn check_free(address: IpAddr, port: u16) -> io::Result<()> {
    let Err(in_use) = TcpListener::bind((address, port)) else { return Ok(()) };
    let reachable = match address {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let calling = TcpStream::connect_timeout(&SocketAddr::new(reachable, port), CALL_MAX);
    let nobody = calling.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if in_use.kind() == io::ErrorKind::AddrInUse && nobody { Ok(()) } else { Err(in_use) }
}

/// How long the boot waits between two looks at something.
pub const LOOK_AGAIN: Duration = Duration::from_millis(5);
