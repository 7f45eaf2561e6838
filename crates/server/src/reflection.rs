//! gRPC reflection: what the gRPC door serves, told to tools like grpcurl.
//!
//! The descriptors are those that the code was made from.

use tonic_reflection::pb;
use tonic_reflection::server::{Builder, v1, v1alpha};

/// The reflection services of both versions, which name these services and themselves; `None` when the
/// descriptors can't be read.
pub(crate) fn services(
    names: &[&str],
) -> (
    Option<v1::ServerReflectionServer<impl v1::ServerReflection>>,
    Option<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>>,
) {
    let failed = |e| tracing::error!(error = %e, "there is no gRPC reflection");
    let v1 = builder(names).build_v1().map_err(failed).ok();
    (v1, builder(names).build_v1alpha().map_err(failed).ok())
}

fn builder(names: &[&str]) -> Builder<'static> {
    let own = [
        tonic_health::pb::health_server::SERVICE_NAME,
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let sets = [
        tidegate_envoy::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        pb::v1::FILE_DESCRIPTOR_SET,
        pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let names = names.iter().copied().chain(own);
    let builder = names.fold(Builder::configure(), Builder::with_service_name);
    sets.into_iter().fold(builder, Builder::register_encoded_file_descriptor_set)
}
