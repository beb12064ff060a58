//! What a shard's refusal is as a gRPC status.

use tonic::{Code, Status};
use z4_shards::command::Refusal;
use z4_shards::shard::api::{Rejection, SettleError};

/// The code of a rejection.
pub(super) fn code(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::Overloaded { .. } => Code::ResourceExhausted,
        Rejection::NoLeader { .. }
        | Rejection::NotMember
        | Rejection::Removed
        | Rejection::Unknown { .. }
        | Rejection::Behind { .. }
        | Rejection::Stopping => Code::Unavailable,
        Rejection::Storage(_) => Code::Internal,
        Rejection::Refused(refusal) => match refusal {
            Refusal::NotFound { .. } => Code::NotFound,
            Refusal::VersionMismatch { .. } => Code::Aborted,
            Refusal::Exists => Code::AlreadyExists,
            Refusal::Setting(_) => Code::InvalidArgument,
            Refusal::Malformed(_) => Code::Internal,
        },
    }
}

/// A rejection as a status.
pub(super) fn status(rejection: Rejection) -> Status {
    Status::new(code(&rejection), rejection.to_string())
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
    use z4_shards::command::{Settings, SettingsPatch};
    use z4_shards::ids::{GroupId, Namespace, TaskId};

    use super::*;

    /// Clients decide by these codes whether to try again: a change here breaks them.
    #[test]
    fn rejections_have_their_codes() {
        let id = TaskId { due_ms: 1, group: GroupId(1), sequence: 1 };
        let namespace = Namespace::new("a").expect("valid");
        let setting =
            Settings::default().patched(&SettingsPatch { lease_ms: Some(1), ..Default::default() }).expect_err("too short");
        let table: [(Rejection, Code); 11] = [
            (Rejection::Overloaded { what: "mailbox", limit: 1 }, Code::ResourceExhausted),
            (Rejection::NoLeader { group: GroupId(1) }, Code::Unavailable),
            (Rejection::Unknown { group: GroupId(1) }, Code::Unavailable),
            (Rejection::Behind { group: GroupId(1) }, Code::Unavailable),
            (Rejection::NotMember, Code::Unavailable),
            (Rejection::Stopping, Code::Unavailable),
            (Rejection::Storage("disk".into()), Code::Internal),
            (Refusal::NotFound { namespace, id }.into(), Code::NotFound),
            (Refusal::VersionMismatch { id, expected: 1, found: 2 }.into(), Code::Aborted),
            (Refusal::Exists.into(), Code::AlreadyExists),
            (Refusal::Setting(setting).into(), Code::InvalidArgument),
        ];
        for (rejection, expected) in table {
            assert_eq!(status(rejection.clone()).code(), expected, "{rejection}");
        }
        assert_eq!(settle_code(&SettleError::LeaseLost { id, token: 1 }), Code::FailedPrecondition);
    }
}
