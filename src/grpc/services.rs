//! The services of a peer, and the way from a request's path to one of them.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::v1::server_reflection_server::ServerReflectionServer as ReflectionV1;
use tonic_reflection::pb::v1alpha::server_reflection_server::ServerReflectionServer as ReflectionV1Alpha;
use z4_model::ids::Namespace;
use z4_proto::admin_server::AdminServer;
use z4_proto::collection_server::CollectionServer;
use z4_shards::account::Account;
use z4_shards::shard::handle::Shards;

use super::admin::Admin;
use super::cluster_info::ClusterView;
use super::collection::Collection;
use super::deadline;
use super::health::HealthService;
use super::inlet::RequestBody;
use super::observe::Observer;
use super::reflection::{Descriptors, Reflection};
use super::{Invalid, Limits};

/// A question by name is not longer, bytes.
const NAME_BYTES_MAX: usize = 64 << 10;

/// What every handler needs.
pub struct Context {
    /// The way to the tasks.
    pub shards: Shards,
    /// What is refused.
    pub limits: Limits,
    /// What connections and calls hold.
    pub account: Account,
    /// The time, as a majority of the members' clocks have it, milliseconds since 1970-01-01 UTC.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Takes the counts.
    pub observer: Arc<dyn Observer>,
    /// Who is in the cluster.
    pub cluster: Arc<dyn ClusterView>,
}

impl Context {
    /// Checks a namespace's name.
    pub(super) fn namespace(&self, name: &str) -> Result<Namespace, Invalid> {
        Ok(Namespace::new(name)?)
    }
}

/// Every service of a peer. Made once; each shard serves a clone.
#[derive(Clone)]
pub struct Services {
    context: Arc<Context>,
    collection: CollectionServer<Collection>,
    admin: AdminServer<Admin>,
    health: HealthServer<HealthService>,
    reflection: ReflectionV1<Reflection>,
    reflection_alpha: ReflectionV1Alpha<Reflection>,
}

impl Services {
    /// Puts the services together.
    ///
    /// # Errors
    /// The descriptors of the protocol, which are part of this program, cannot be read.
    pub fn new(context: Context) -> Result<Self, prost::DecodeError> {
        let context = Arc::new(context);
        let message_bytes_max = context.limits.message_bytes_max;
        let reflection = Reflection::new(Descriptors::load()?);
        Ok(Self {
            collection: CollectionServer::new(Collection::new(context.clone())).max_decoding_message_size(message_bytes_max),
            admin: AdminServer::new(Admin::new(context.clone())).max_decoding_message_size(message_bytes_max),
            health: HealthServer::new(HealthService::new(context.clone())).max_decoding_message_size(NAME_BYTES_MAX),
            // They send back what they are asked.
            reflection: ReflectionV1::new(reflection.clone()).max_decoding_message_size(NAME_BYTES_MAX),
            reflection_alpha: ReflectionV1Alpha::new(reflection).max_decoding_message_size(NAME_BYTES_MAX),
            context,
        })
    }

    /// The limits that these services keep.
    pub fn limits(&self) -> &Limits {
        &self.context.limits
    }

    /// What the handlers share.
    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Answers one call, by the service in its path `/package.Service/Method`.
    pub(super) fn call(&self, request: Request<RequestBody>) -> BoxFuture<Response<Body>, Infallible> {
        let limit = deadline::of(request.headers());
        deadline::within(limit, self.answer(request))
    }

    fn answer(&self, request: Request<RequestBody>) -> BoxFuture<Response<Body>, Infallible> {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        match service {
            "z4.Collection" => self.collection.clone().call(request),
            "z4.Admin" => self.admin.clone().call(request),
            "grpc.health.v1.Health" => self.health.clone().call(request),
            "grpc.reflection.v1.ServerReflection" => self.reflection.clone().call(request),
            "grpc.reflection.v1alpha.ServerReflection" => self.reflection_alpha.clone().call(request),
            _ => {
                let text = format!("{} is no method of this peer", request.uri().path());
                Box::pin(std::future::ready(Ok(Status::unimplemented(text).into_http())))
            }
        }
    }
}
