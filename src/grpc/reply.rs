//! How large an answer may be: clients take messages of up to 4 MiB unless they are told otherwise, and what they do not take is lost to
//! them although it was done.

use prost::Message;
use z4_proto as proto;

/// What a client takes that was told nothing, bytes.
pub(super) const CLIENT_BYTES_MAX: usize = 4 << 20;

/// What a list, a batch or a lease has beside its parts, bytes: a page's token.
const REST_BYTES: usize = 1 << 10;

/// The parts of one answer together, bytes, where each of them is smaller.
pub(super) const PARTS_BYTES_MAX: usize = CLIENT_BYTES_MAX - REST_BYTES;

/// No part is smaller, bytes: so no answer has more of them than this allows, whatever options say.
const PART_BYTES_MIN: usize = 64;

/// A part of an answer that can say less.
pub(super) trait Part: Message + Clone {
    /// The same without what its reader can do without.
    fn bare(&self) -> Self;
}

/// A part's bytes in its answer, with what stands before it.
pub(super) fn framed(part: &impl Message) -> usize {
    let bytes = part.encoded_len();
    // The fields' numbers are below 2,048.
    2 + prost::length_delimiter_len(bytes) + bytes
}

/// As many of something as one answer can have, `asked` at most.
pub(super) fn parts(asked: usize, bytes_max: usize) -> usize {
    asked.min(bytes_max / PART_BYTES_MIN).max(1)
}

/// Has parts say less, the last ones first, until all of them together fit into an answer that has so many bytes besides.
pub(super) fn fit<T: Part>(parts: &mut [T], besides: usize) {
    let bytes_max = PARTS_BYTES_MAX.saturating_sub(besides);
    let whole: usize = parts.iter().map(framed).sum();
    if whole <= bytes_max {
        return;
    }
    let bare: Vec<T> = parts.iter().map(Part::bare).collect();
    let mut left = bytes_max.saturating_sub(bare.iter().map(framed).sum());
    for (part, bare) in parts.iter_mut().zip(bare) {
        match left.checked_sub(framed(part).saturating_sub(framed(&bare))) {
            Some(rest) => left = rest,
            None => *part = bare,
        }
    }
}

impl Part for proto::SettleResult {
    /// Results are in the order of what was asked.
    fn bare(&self) -> Self {
        Self { task_id: String::new(), message: String::new(), ..self.clone() }
    }
}

impl Part for proto::TaskStreamResponse {
    /// What only the peer knows: the id, and what became of it.
    fn bare(&self) -> Self {
        let task = self.task.as_ref().map(|task| proto::Task { id: task.id.clone(), ..Default::default() });
        let (status, duplicate, not_done) = (self.status, self.duplicate, self.not_done);
        Self { task, status, duplicate, not_done, ..Default::default() }
    }
}

impl Part for proto::Group {
    /// Without its replicas, which are as many as the cluster has peers.
    fn bare(&self) -> Self {
        Self { members: Vec::new(), replicas: Vec::new(), ..self.clone() }
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
