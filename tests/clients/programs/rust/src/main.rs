//! sqlx and mysql_async, each as its documentation shows it. Arguments: client, port. Prints what `programs_test.py` expects.

mod mysql_async;
mod sqlx;

/// What a program prints of bytes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a program prints of what may be NULL.
fn shown(value: Option<impl std::fmt::Display>) -> String {
    value.map_or("NULL".to_owned(), |value| value.to_string())
}

const TASKS: &str = "namespace = ? AND deliver_at >= ? AND deliver_at < ?";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (client, port) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    match client.as_str() {
        "sqlx" => sqlx::run(&port).await,
        "mysql_async" => mysql_async::run(&port).await,
        _ => Err(format!("there is no client {client:?}").into()),
    }
}
