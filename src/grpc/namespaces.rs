//! Namespaces: read, configure, list, purge, delete.

use tonic::Status;
use z4_model::command::{Op, OpReply};
use z4_proto as proto;
use z4_shards::shard::api::NamespaceView;

use super::services::Context;
use super::status::{internal, status};
use super::{Invalid, convert, reply, tasks};

/// GetNamespace.
pub(super) async fn get(context: &Context, request: proto::GetNamespaceRequest) -> Result<proto::Namespace, Status> {
    let namespace = context.namespace(&request.namespace)?;
    Ok(convert::namespace(context.shards.namespace(namespace).await.map_err(status)?))
}

/// UpdateNamespace. The answer's settings and counts are those right after the change.
pub(super) async fn update(context: &Context, request: proto::UpdateNamespaceRequest) -> Result<proto::Namespace, Status> {
    let namespace = context.namespace(&request.namespace)?;
    namespace.check_new().map_err(Invalid::from)?;
    let patch = request.settings.as_ref().map(convert::settings_patch).ok_or(Invalid::Request("settings is missing"))?;
    match tasks::submit(context, &namespace, Op::Configure(patch)).await? {
        OpReply::Configured(row) => {
            let mut view = context.shards.namespace(namespace).await.map_err(status)?;
            view.row = *row;
            Ok(convert::namespace(view))
        }
        other => Err(internal(format!("a change of settings was answered by {other:?}"))),
    }
}

/// ListNamespaces, in the order of their names. A page's token is the name of its last namespace.
pub(super) async fn list(
    context: &Context,
    request: proto::ListNamespacesRequest,
) -> Result<proto::ListNamespacesResponse, Status> {
    let bytes_max = context.limits.response_bytes_max;
    let limit = reply::parts(context.limits.page_size(request.page_size)?, bytes_max);
    let token = &request.page_token;
    let after = (!token.is_empty()).then(|| context.namespace(token)).transpose();
    let after = after.map_err(|_| Invalid::PageToken(token.chars().take(100).collect()))?;
    let views = context.shards.namespaces(after, limit).await.map_err(status)?;
    Ok(list_response(views, limit, bytes_max))
}

/// A page of at most `limit` namespaces; it is cut short when it has `bytes_max`.
pub(super) fn list_response(views: Vec<NamespaceView>, limit: usize, bytes_max: usize) -> proto::ListNamespacesResponse {
    let (found, mut bytes) = (views.len(), 0);
    let mut namespaces = Vec::with_capacity(found);
    for view in views {
        if bytes >= bytes_max {
            break;
        }
        let namespace = convert::namespace(view);
        bytes += reply::framed(&namespace);
        namespaces.push(namespace);
    }
    let more = found >= limit || namespaces.len() < found;
    let next_page_token = namespaces.last().filter(|_| more).map(|last| last.name.clone()).unwrap_or_default();
    proto::ListNamespacesResponse { namespaces, next_page_token }
}

/// PurgeNamespace.
pub(super) async fn purge(
    context: &Context,
    request: proto::PurgeNamespaceRequest,
) -> Result<proto::PurgeNamespaceResponse, Status> {
    let namespace = context.namespace(&request.namespace)?;
    let removed = context.shards.purge(namespace).await.map_err(status)?;
    Ok(proto::PurgeNamespaceResponse { removed })
}

/// DeleteNamespace.
pub(super) async fn delete(
    context: &Context,
    request: proto::DeleteNamespaceRequest,
) -> Result<proto::DeleteNamespaceResponse, Status> {
    let namespace = context.namespace(&request.namespace)?;
    match tasks::submit(context, &namespace, Op::DropNamespace).await? {
        OpReply::NamespaceDropped { existed } => Ok(proto::DeleteNamespaceResponse { existed }),
        other => Err(internal(format!("the removal of a namespace was answered by {other:?}"))),
    }
}
