//! The time that a client gives a call: when it is over the work ends, and what waits in a queue for it does not leave.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::{HeaderMap, Response};
use send_wrapper::SendWrapper;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use z4_shards::runtime::net::sleep;

const HEADER: &str = "grpc-timeout";

/// The most digits that the header may have.
const DIGITS_MAX: usize = 8;

/// The client's time for a call, if it says one.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    headers.get(HEADER).and_then(|value| parse(value.as_bytes()))
}

/// Ends an answer that does not come, or a stream that does not begin, within the client's time.
pub(super) fn within(
    limit: Option<Duration>,
    answer: BoxFuture<Response<Body>, Infallible>,
) -> BoxFuture<Response<Body>, Infallible> {
    let Some(limit) = limit else { return answer };
    Box::pin(async move {
        match select(answer, pin!(SendWrapper::new(sleep(limit)))).await {
            Either::Left((response, _)) => response,
            Either::Right(_) => {
                let text = "the client's time for the call (grpc-timeout) is over; it may or may not have been done";
                Ok(Status::deadline_exceeded(text).into_http())
            }
        }
    })
}

/// Up to eight digits and a unit. What is something else is no limit, as if it were not there.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(n * 3_600),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header as gRPC's specification has it; a client that sends something else must not lose its call.
    #[test]
    fn times_are_read() {
        assert_eq!(parse(b"10S"), Some(Duration::from_secs(10)));
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse(b"2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse(b"5m"), Some(Duration::from_millis(5)));
        assert_eq!(parse(b"7u"), Some(Duration::from_micros(7)));
        assert_eq!(parse(b"1n"), Some(Duration::from_nanos(1)));
        for bad in [&b""[..], b"S", b"10", b"-1S", b"123456789S", b"1.5S", b"1s"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
