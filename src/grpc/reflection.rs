//! Server reflection, v1 and v1alpha, so that grpcurl and ghz need no .proto file.
//!
//! tonic-reflection's own service spawns a task on tokio, which does not run here; its generated messages are used, and answers are
//! made as the requests are read.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic::{Request, Response, Status, Streaming};

/// The files that describe the services, by file name and by every symbol in them.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    services: Vec<String>,
    files: HashMap<String, Arc<[u8]>>,
    symbols: HashMap<String, Arc<[u8]>>,
}

impl Descriptors {
    /// Everything that a peer serves.
    pub(super) fn load() -> Result<Self, prost::DecodeError> {
        let mut all = Self::default();
        for set in [
            z4_proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            for file in FileDescriptorSet::decode(set)?.file {
                all.add_file(&file);
            }
        }
        all.services.sort();
        Ok(all)
    }

    fn add_file(&mut self, file: &FileDescriptorProto) {
        let name = file.name().to_owned();
        if self.files.contains_key(&name) {
            return;
        }
        let bytes: Arc<[u8]> = file.encode_to_vec().into();
        self.files.insert(name, bytes.clone());
        let package = file.package();
        for message in &file.message_type {
            self.add_message(&bytes, package, message);
        }
        for kind in &file.enum_type {
            self.symbols.insert(join(package, kind.name()), bytes.clone());
        }
        for service in &file.service {
            let service_name = join(package, service.name());
            for method in &service.method {
                self.symbols.insert(join(&service_name, method.name()), bytes.clone());
            }
            self.symbols.insert(service_name.clone(), bytes.clone());
            self.services.push(service_name);
        }
    }

    fn add_message(&mut self, bytes: &Arc<[u8]>, scope: &str, message: &DescriptorProto) {
        let name = join(scope, message.name());
        for nested in &message.nested_type {
            self.add_message(bytes, &name, nested);
        }
        for kind in &message.enum_type {
            self.symbols.insert(join(&name, kind.name()), bytes.clone());
        }
        for field in &message.field {
            self.symbols.insert(join(&name, field.name()), bytes.clone());
        }
        self.symbols.insert(name, bytes.clone());
    }
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// The reflection service; one value serves both versions.
#[derive(Clone, Debug)]
pub(super) struct Reflection(Arc<Descriptors>);

impl Reflection {
    pub(super) fn new(descriptors: Descriptors) -> Self {
        Self(Arc::new(descriptors))
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, String> {
        self.0.files.get(name).map(|file| file.to_vec()).ok_or_else(|| format!("file {name:?} is not known here"))
    }

    fn file_of_symbol(&self, name: &str) -> Result<Vec<u8>, String> {
        self.0.symbols.get(name).map(|file| file.to_vec()).ok_or_else(|| format!("symbol {name:?} is not known here"))
    }
}

/// The two versions have the same messages in two modules.
macro_rules! serve_reflection {
    ($version:ident, $answer:ident) => {
        fn $answer(
            reflection: &Reflection,
            request: tonic_reflection::pb::$version::ServerReflectionRequest,
        ) -> tonic_reflection::pb::$version::ServerReflectionResponse {
            use pb::server_reflection_request::MessageRequest as Ask;
            use pb::server_reflection_response::MessageResponse as Answer;
            use tonic_reflection::pb::$version as pb;
            let files = |file: Result<Vec<u8>, String>| match file {
                Ok(file) => Answer::FileDescriptorResponse(pb::FileDescriptorResponse { file_descriptor_proto: vec![file] }),
                Err(text) => {
                    Answer::ErrorResponse(pb::ErrorResponse { error_code: tonic::Code::NotFound as i32, error_message: text })
                }
            };
            let answer = match request.message_request.as_ref() {
                Some(Ask::FileByFilename(name)) => files(reflection.file(name)),
                Some(Ask::FileContainingSymbol(name)) => files(reflection.file_of_symbol(name)),
                Some(Ask::FileContainingExtension(_)) => files(Err("z4 has no extensions".to_owned())),
                Some(Ask::AllExtensionNumbersOfType(name)) => Answer::AllExtensionNumbersResponse(pb::ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: Vec::new(),
                }),
                Some(Ask::ListServices(_)) => Answer::ListServicesResponse(pb::ListServiceResponse {
                    service: reflection.0.services.iter().map(|name| pb::ServiceResponse { name: name.clone() }).collect(),
                }),
                None => Answer::ErrorResponse(pb::ErrorResponse {
                    error_code: tonic::Code::InvalidArgument as i32,
                    error_message: "message_request is missing".to_owned(),
                }),
            };
            pb::ServerReflectionResponse {
                valid_host: request.host.clone(),
                original_request: Some(request),
                message_response: Some(answer),
            }
        }

        #[tonic::async_trait]
        impl tonic_reflection::pb::$version::server_reflection_server::ServerReflection for Reflection {
            type ServerReflectionInfoStream =
                Pin<Box<dyn Stream<Item = Result<tonic_reflection::pb::$version::ServerReflectionResponse, Status>> + Send>>;

            async fn server_reflection_info(
                &self,
                request: Request<Streaming<tonic_reflection::pb::$version::ServerReflectionRequest>>,
            ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                let reflection = self.clone();
                let answers = request.into_inner().map(move |request| Ok($answer(&reflection, request?)));
                Ok(Response::new(Box::pin(answers)))
            }
        }
    };
}

serve_reflection!(v1, answer_v1);
serve_reflection!(v1alpha, answer_v1alpha);

#[cfg(test)]
mod tests {
    use super::*;

    /// grpcurl asks by service, by method, and for the files that those files import.
    #[test]
    fn every_service_and_import_is_found() {
        let reflection = Reflection::new(Descriptors::load().expect("our own descriptors"));
        for name in ["z4.Collection", "z4.Admin", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
            assert!(reflection.0.services.iter().any(|service| service == name), "{name}");
        }
        for symbol in ["z4.Collection", "z4.Collection.CreateTask", "z4.Task", "z4.Task.MetadataEntry", "z4.TaskState"] {
            assert!(reflection.file_of_symbol(symbol).is_ok(), "{symbol}");
        }
        for bytes in reflection.0.files.values() {
            let file = FileDescriptorProto::decode(&bytes[..]).expect("encoded above");
            for import in &file.dependency {
                assert!(reflection.file(import).is_ok(), "{} imports {import}", file.name());
            }
        }
        assert!(reflection.file("no.proto").is_err());
    }
}
