//! What a shard's refusal is as a gRPC status.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use z4_model::command::Refusal;
use z4_proto::{DONE_TRAILER, MAY_BE_DONE, NOT_DONE};
use z4_shards::shard::api::{Rejection, SettleError};

/// The code of a rejection.
pub(super) fn code(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::Overloaded { .. } | Rejection::DiskFull { .. } => Code::ResourceExhausted,
        Rejection::NoLeader { .. }
        | Rejection::NotMember
        | Rejection::Removed
        | Rejection::Unknown { .. }
        | Rejection::Behind { .. }
        | Rejection::Stopping => Code::Unavailable,
        Rejection::TooLarge { .. } => Code::InvalidArgument,
        Rejection::Storage(_) => Code::Internal,
        Rejection::Refused(refusal) => match refusal {
            Refusal::NotFound { .. } => Code::NotFound,
            Refusal::VersionMismatch { .. } => Code::Aborted,
            Refusal::NotEmpty { .. } => Code::FailedPrecondition,
            Refusal::Exists => Code::AlreadyExists,
            Refusal::Setting(_) => Code::InvalidArgument,
            Refusal::Malformed(_) => Code::Internal,
        },
    }
}

/// A rejection as a status, with the trailer that says what became of the request.
pub(super) fn status(rejection: Rejection) -> Status {
    let mut status = Status::new(code(&rejection), rejection.to_string());
    let done = if not_done(&rejection) { NOT_DONE } else { MAY_BE_DONE };
    status.metadata_mut().insert(DONE_TRAILER, MetadataValue::from_static(done));
    status
}

/// Whether it is sure that nothing of a rejected request was done.
pub(super) fn not_done(rejection: &Rejection) -> bool {
    match rejection {
        Rejection::Refused(_)
        | Rejection::Overloaded { .. }
        | Rejection::DiskFull { .. }
        | Rejection::TooLarge { .. }
        | Rejection::NoLeader { .. }
        | Rejection::NotMember
        | Rejection::Removed
        | Rejection::Behind { .. } => true,
        Rejection::Unknown { .. } | Rejection::Stopping | Rejection::Storage(_) => false,
    }
}

/// The code of a refused ack, nack or extension.
pub(super) fn settle_code(error: &SettleError) -> Code {
    match error {
        SettleError::LeaseLost { .. } => Code::FailedPrecondition,
        SettleError::Rejected(rejection) => code(rejection),
    }
}

/// A broken promise inside the peer: the text is for whoever reads the report of it.
pub(super) fn internal(text: impl Into<String>) -> Status {
    let text = text.into();
    tracing::error!(text, "a request failed inside the peer");
    Status::internal(text)
}

#[cfg(test)]
mod tests {
    use z4_model::ids::{GroupId, Namespace, TaskId};
    use z4_model::settings::{Settings, SettingsPatch};

    use super::*;

    /// Clients decide by these codes whether to try again: a change here breaks them.
    #[test]
    fn rejections_have_their_codes() {
        let id = TaskId { due_ms: 1, group: GroupId(1), sequence: 1 };
        let namespace = Namespace::new("a").expect("valid");
        let setting =
            Settings::default().patched(&SettingsPatch { lease_ms: Some(1), ..Default::default() }).expect_err("too short");
        let table: [(Rejection, Code); 14] = [
            (Rejection::DiskFull { whose: "the disk has", reserve_bytes: 1 }, Code::ResourceExhausted),
            (Rejection::Overloaded { what: "mailbox", limit: 1 }, Code::ResourceExhausted),
            (Rejection::TooLarge { what: "bytes", found: 2, limit: 1 }, Code::InvalidArgument),
            (Rejection::NoLeader { group: GroupId(1) }, Code::Unavailable),
            (Rejection::Unknown { group: GroupId(1) }, Code::Unavailable),
            (Rejection::Behind { group: GroupId(1) }, Code::Unavailable),
            (Rejection::NotMember, Code::Unavailable),
            (Rejection::Removed, Code::Unavailable),
            (Rejection::Stopping, Code::Unavailable),
            (Rejection::Storage("disk".into()), Code::Internal),
            (Refusal::NotFound { namespace, id }.into(), Code::NotFound),
            (Refusal::VersionMismatch { id, expected: 1, found: 2 }.into(), Code::Aborted),
            (Refusal::Exists.into(), Code::AlreadyExists),
            (Refusal::Setting(setting).into(), Code::InvalidArgument),
        ];
        for (rejection, expected) in table {
            let status = status(rejection.clone());
            assert_eq!(status.code(), expected, "{rejection}");
            // UNAVAILABLE of a create without a request id is sent again by clients that know only codes: the trailer keeps the task
            // from being made twice.
            let unsure = matches!(rejection, Rejection::Unknown { .. } | Rejection::Stopping | Rejection::Storage(_));
            let done = status.metadata().get(DONE_TRAILER).and_then(|done| done.to_str().ok());
            assert_eq!(done, Some(if unsure { "maybe" } else { "no" }), "{rejection}");
        }
        assert_eq!(settle_code(&SettleError::LeaseLost { id, token: 1 }), Code::FailedPrecondition);
    }
}
