//! As much of HTTP/1.1 as it takes to read metrics.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wait::within;

/// Gets a path; returns the status line and headers, and the body.
pub async fn get(address: &str, path: &str) -> (String, String) {
    let asking = async {
        let mut stream = TcpStream::connect(address).await.expect("the port is open");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the request is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the answer ends");
        String::from_utf8(answer).expect("text")
    };
    let answer = within("the metrics port answers", asking).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    (head.to_owned(), body.to_owned())
}

/// The value of a metric, or of all its children together; `series` is its name, or its name with some labels: `z4_tasks{group="1"`.
pub async fn metric(address: &str, series: &str) -> f64 {
    let (_, text) = get(address, "/metrics").await;
    let values = text.lines().filter(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(['{', ' ', ',', '}'])));
    values.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")).sum()
}
