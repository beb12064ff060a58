//! The peer's own account of its CPU and memory, for a peer whose /proc cannot be read (another container or machine).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::process::Usage;

/// Reads `process_cpu_seconds_total` and `process_resident_memory_bytes` from `http://ADDRESS/metrics`.
pub fn usage(address: &str) -> Result<Usage> {
    let text = get(address).map_err(Error::io(format!("cannot read http://{address}/metrics")))?;
    let value = |name| {
        sample(&text, name).ok_or_else(|| Error::Input(format!("http://{address}/metrics has no {name}: give --pid instead")))
    };
    Ok(Usage {
        cpu_seconds: value("process_cpu_seconds_total")?,
        rss_bytes: value("process_resident_memory_bytes")? as u64,
        rss_peak_bytes: 0,
    })
}

/// HTTP/1.0, so that the end of the connection is the end of the body.
fn get(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The value of a sample without labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    //! A sample must be found by its whole name: `process_cpu_seconds_total` is also a prefix of other names and of HELP lines.
    use super::*;

    #[test]
    fn a_sample_is_found_by_its_whole_name() {
        let text = "# HELP cpu x\n# TYPE cpu counter\ncpu_more 9\ncpu{a=\"b\"} 8\ncpu 1.5\n";
        assert_eq!(sample(text, "cpu"), Some(1.5));
        assert_eq!(sample(text, "memory"), None);
    }
}
