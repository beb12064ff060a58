//! openraft's messages as those of the peer links, and back.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult};
use openraft::raft::{TransferLeaderRequest, VoteRequest, VoteResponse};
use z4_model::log::{LogEntry, LogPayload, LogPosition, Vote};
use z4_proto::peer::{self, appended, log_entry};

use super::types::{self, LogId, RaftVote, TypeConfig};

/// A message that openraft could not have sent.
#[derive(Debug, thiserror::Error)]
#[error("a raft message without its {0}")]
pub struct WireError(&'static str);

pub fn put_position(position: LogPosition) -> peer::LogPosition {
    peer::LogPosition { term: position.term, leader: position.leader, index: position.index }
}

pub fn position(at: &peer::LogPosition) -> LogPosition {
    LogPosition { term: at.term, leader: at.leader, index: at.index }
}

pub fn put_log_id(id: &LogId) -> peer::LogPosition {
    put_position(types::position(id))
}

pub fn log_id(at: &peer::LogPosition) -> LogId {
    types::log_id(position(at))
}

pub fn put_vote(vote: &RaftVote) -> peer::RaftVote {
    let Vote { term, leader, committed } = types::vote(vote);
    peer::RaftVote { term, leader, committed }
}

pub fn vote(vote: Option<&peer::RaftVote>) -> Result<RaftVote, WireError> {
    let vote = vote.ok_or(WireError("vote"))?;
    Ok(types::raft_vote(Vote { term: vote.term, leader: vote.leader, committed: vote.committed }))
}

pub fn put_append(request: AppendEntriesRequest<TypeConfig>) -> peer::Append {
    let entry = |entry| {
        let LogEntry { position, payload } = types::log_entry(entry);
        let payload = match payload {
            LogPayload::Blank => None,
            LogPayload::Normal(bytes) => Some(log_entry::Payload::Normal(bytes)),
            LogPayload::Membership(bytes) => Some(log_entry::Payload::Membership(bytes)),
        };
        peer::LogEntry { at: Some(put_position(position)), payload }
    };
    peer::Append {
        vote: Some(put_vote(&request.vote)),
        prev: request.prev_log_id.as_ref().map(put_log_id),
        entries: request.entries.into_iter().map(entry).collect(),
        commit: request.leader_commit.as_ref().map(put_log_id),
    }
}

/// # Errors
/// Something is missing, or a membership cannot be read.
pub fn append(request: peer::Append) -> Result<AppendEntriesRequest<TypeConfig>, Box<dyn std::error::Error>> {
    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        let at = entry.at.ok_or(WireError("position"))?;
        let payload = match entry.payload {
            None => LogPayload::Blank,
            Some(log_entry::Payload::Normal(bytes)) => LogPayload::Normal(bytes),
            Some(log_entry::Payload::Membership(bytes)) => LogPayload::Membership(bytes),
        };
        entries.push(types::raft_entry(LogEntry { position: position(&at), payload })?);
    }
    Ok(AppendEntriesRequest {
        vote: vote(request.vote.as_ref())?,
        prev_log_id: request.prev.as_ref().map(log_id),
        entries,
        leader_commit: request.commit.as_ref().map(log_id),
    })
}

/// The answer to a request with these ends.
pub fn put_appended(response: AppendEntriesResponse<TypeConfig>, prev: Option<LogId>, last: Option<LogId>) -> peer::Appended {
    let answer = |result: appended::Result, at: Option<&LogId>, higher: Option<&RaftVote>| peer::Appended {
        result: result.into(),
        at: at.map(put_log_id),
        higher: higher.map(put_vote),
        ..peer::Appended::default()
    };
    match response {
        AppendEntriesResponse::Success => answer(appended::Result::Matched, last.as_ref(), None),
        AppendEntriesResponse::PartialSuccess(matched) => answer(appended::Result::Matched, matched.as_ref(), None),
        AppendEntriesResponse::Conflict => answer(appended::Result::Conflict, prev.as_ref(), None),
        AppendEntriesResponse::HigherVote(higher) => answer(appended::Result::HigherVote, None, Some(&higher)),
    }
}

pub fn appended(answer: &peer::Appended) -> Result<StreamAppendResult<TypeConfig>, WireError> {
    let at = answer.at.as_ref().map(log_id);
    Ok(match appended::Result::try_from(answer.result) {
        Ok(appended::Result::Matched) => Ok(at),
        Ok(appended::Result::Conflict) => Err(StreamAppendError::Conflict(at.ok_or(WireError("position"))?)),
        Ok(appended::Result::HigherVote) => Err(StreamAppendError::HigherVote(vote(answer.higher.as_ref())?)),
        Err(_) => return Err(WireError("result")),
    })
}

pub fn put_ballot(request: &VoteRequest<TypeConfig>, pre: bool) -> peer::Ballot {
    peer::Ballot {
        vote: Some(put_vote(&request.vote)),
        last: request.last_log_id.as_ref().map(put_log_id),
        pre,
        transfer: request.leadership_transfer,
    }
}

pub fn ballot(ballot: &peer::Ballot) -> Result<VoteRequest<TypeConfig>, WireError> {
    let mut request = VoteRequest::new(vote(ballot.vote.as_ref())?, ballot.last.as_ref().map(log_id));
    request.leadership_transfer = ballot.transfer;
    Ok(request)
}

pub fn put_voted(response: &VoteResponse<TypeConfig>) -> peer::Vote {
    peer::Vote {
        vote: Some(put_vote(&response.vote)),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(put_log_id),
    }
}

pub fn voted(answer: &peer::Vote) -> Result<VoteResponse<TypeConfig>, WireError> {
    Ok(VoteResponse::new(vote(answer.vote.as_ref())?, answer.last.as_ref().map(log_id), answer.granted))
}

pub fn put_transfer(request: &TransferLeaderRequest<TypeConfig>) -> peer::Transfer {
    peer::Transfer {
        from: Some(put_vote(request.from_leader())),
        to: *request.to_node_id(),
        last: request.last_log_id().map(put_log_id),
    }
}

pub fn transfer(request: &peer::Transfer) -> Result<TransferLeaderRequest<TypeConfig>, WireError> {
    Ok(TransferLeaderRequest::new(vote(request.from.as_ref())?, request.to, request.last.as_ref().map(log_id)))
}
