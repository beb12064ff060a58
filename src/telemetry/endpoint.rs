//! The HTTP endpoint for machines that watch: `/metrics`, `/healthz`, `/livez`, and an index for people.
//!
//! Bounded in every direction: connections at a time, header size, and the seconds that one connection may last. Each request has a
//! connection of its own; a scrape every few seconds does not need more. One connection more than the bound ends the oldest: slow
//! clients keep nobody out, and a probe is answered at once however many of them there are.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use z4_shards::account::{Account, CLIENT_PARTS};
use z4_shards::metrics::Metrics;

use super::health::Health;
use super::proc;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// A request's headers together, bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// What a connection may hold: its headers and its answer. Bytes.
const CONNECTION_BYTES: usize = 64 * 1024;
/// A client that has not sent its headers by then is gone. Longer in the tests, whose silent clients stay.
const HEADER_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 60_000 } else { 5_000 });
/// A connection that is not done by then is cut: a client that does not read would hold it for ever.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// After an error of accept (descriptors used up, most likely) this long passes before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const INDEX: &str = "<!doctype html><title>z4</title><h1>z4</h1><ul><li><a href=\"/metrics\">metrics</a><li><a href=\"/healthz\">healthz</a><li><a href=\"/livez\">livez</a></ul>\n";

/// What the endpoint shows.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Behind `/metrics`.
    pub metrics: Metrics,
    /// Behind `/healthz` (does the peer serve) and `/livez` (should the process live).
    pub health: Health,
    /// Counts what connections hold. Nobody is refused: they are few, and a probe must be answered.
    pub account: Account,
}

impl Endpoint {
    /// Takes a bound listener over; the future serves it and never ends. Call it within a tokio runtime.
    pub fn listen(self, listener: TcpListener) -> io::Result<impl Future<Output = ()>> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(self.accept(listener))
    }

    async fn accept(self, listener: tokio::net::TcpListener) {
        let mut connections = VecDeque::<JoinHandle<()>>::new();
        let mut failing = false;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    failing = false;
                    connections.retain(|connection| !connection.is_finished());
                    if connections.len() >= CONNECTIONS_MAX
                        && let Some(oldest) = connections.pop_front()
                    {
                        oldest.abort();
                    }
                    connections.push_back(tokio::spawn(self.clone().converse(stream)));
                    // It has its turn before the next one comes and may end it: what has been asked by then is answered.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the metrics port cannot accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn converse(self, stream: TcpStream) {
        let _charge = self.account.holder(CLIENT_PARTS).count(CONNECTION_BYTES);
        let answer = service_fn(|request: Request<hyper::body::Incoming>| {
            let response = self.answer(request.method(), request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES_MAX)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer);
        match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection to the metrics port failed"),
            Err(_) => tracing::debug!("a connection to the metrics port took too long"),
        }
    }

    /// Answers one request. For HEAD, hyper leaves the body out.
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD are allowed\n");
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => self.scrape(),
            "/healthz" => match self.health.serving() {
                Ok(()) => response(StatusCode::OK, TEXT, "serving\n"),
                Err(reason) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not serving: {reason}\n")),
            },
            "/livez" => match self.health.alive() {
                Ok(()) => response(StatusCode::OK, TEXT, "alive\n"),
                Err(reason) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not alive: {reason}\n")),
            },
            "/" => response(StatusCode::OK, "text/html; charset=utf-8", INDEX),
            _ => response(StatusCode::NOT_FOUND, TEXT, "not here: see /, /metrics, /healthz, /livez\n"),
        }
    }

    fn scrape(&self) -> Response<Full<Bytes>> {
        proc::observe(&self.metrics.process);
        self.metrics.sql.memory_bytes.set(crate::sql::sqlite::memory_bytes());
        self.metrics.memory.used_bytes.set(self.account.used() as i64);
        self.metrics.memory.max_bytes.set(self.account.bytes_max() as i64);
        match self.metrics.encode() {
            Ok(text) => response(StatusCode::OK, &Metrics::content_type(), text),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be encoded");
                response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics cannot be encoded; the log tells why\n")
            }
        }
    }
}

fn response(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    if let Ok(content_type) = header::HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::SocketAddr;

    use super::*;
    use crate::telemetry::health::Stage;

    fn serve(endpoint: Endpoint) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(async { endpoint.listen(listener).expect("listens").await });
        });
        address
    }

    fn ask(address: SocketAddr, request: &str) -> (String, String) {
        let mut stream = std::net::TcpStream::connect(address).expect("connects");
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: z4\r\n\r\n").as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered and closed");
        let (head, body) = text.split_once("\r\n\r\n").expect("a header and a body");
        (head.to_owned(), body.to_owned())
    }

    fn endpoint() -> Endpoint {
        Endpoint { metrics: Metrics::new("1").expect("registers"), health: Health::default(), account: Account::new(64 << 20) }
    }

    /// Over a real socket, as Prometheus does it.
    #[test]
    fn a_scrape_brings_our_metrics_and_the_process_ones() {
        let endpoint = endpoint();
        endpoint.metrics.fdatasync_seconds.observe(0.000_2);
        let (head, body) = ask(serve(endpoint), "GET /metrics");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert!(body.contains("z4_fdatasync_seconds_count 1\n"), "{body}");
        let value = |name: &str| -> f64 {
            let line = body.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in\n{body}"));
            line.trim().parse().expect("number")
        };
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_max_fds ") >= value("process_open_fds "));
        assert!(value("process_threads ") >= 2.0);
        assert!(value("process_start_time_seconds ") > 1.6e9);
        assert_eq!(value("z4_request_memory_max_bytes "), f64::from(64 << 20));
        assert_eq!(value("z4_request_memory_bytes "), CONNECTION_BYTES as f64, "the scrape itself");
    }

    #[test]
    fn health_follows_the_stage() {
        let endpoint = endpoint();
        let health = endpoint.health.clone();
        let address = serve(endpoint);
        assert!(ask(address, "GET /healthz").0.starts_with("HTTP/1.1 503"));
        assert!(ask(address, "GET /livez").0.starts_with("HTTP/1.1 200"), "a peer that starts is not to be killed");
        health.enter(Stage::Serving);
        let (head, body) = ask(address, "GET /healthz");
        assert!(head.starts_with("HTTP/1.1 200") && body == "serving\n", "{head} {body}");
        // A peer that belongs to no cluster: no restart mends that.
        health.watch(&z4_shards::shard::handle::Shards::new(1, 1).0);
        let (head, body) = ask(address, "GET /healthz");
        assert!(head.starts_with("HTTP/1.1 503") && body.contains("peer has no leader"), "{head} {body}");
        assert!(ask(address, "GET /livez").0.starts_with("HTTP/1.1 200"));
        health.enter(Stage::Stopping);
        assert!(ask(address, "GET /healthz").0.starts_with("HTTP/1.1 503"));
    }

    #[test]
    fn other_paths_and_methods_are_told_so() {
        let address = serve(endpoint());
        assert!(ask(address, "GET /secret").0.starts_with("HTTP/1.1 404"));
        assert!(ask(address, "GET /").1.contains("/metrics"));
        let (head, body) = ask(address, "HEAD /metrics");
        assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{head} {body}");
        let (head, _) = ask(address, "POST /metrics");
        assert!(head.starts_with("HTTP/1.1 405") && head.contains("GET, HEAD"), "{head}");
    }

    /// Clients that connect and say nothing, or ask and do not read, keep nobody waiting: a probe that is not answered in time gets the
    /// process killed.
    #[test]
    fn slow_clients_do_not_delay_a_probe() {
        let address = serve(endpoint());
        let slow = |n: usize| {
            let mut stream = std::net::TcpStream::connect(address).expect("connects");
            if n.is_multiple_of(2) {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: z4\r\n").expect("sent");
            }
            stream
        };
        let mut slow: Vec<_> = (0..3 * CONNECTIONS_MAX).map(slow).collect();
        assert!(ask(address, "GET /healthz").0.starts_with("HTTP/1.1 503"));
        // The newest of them waits still: the probe was not answered because all of them were gone.
        let newest = slow.last_mut().expect("many");
        newest.set_nonblocking(true).expect("a socket");
        let waits = newest.read(&mut [0; 16]).expect_err("nothing to read");
        assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
    }
}
