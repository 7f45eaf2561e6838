//! gRPC reflection: what the gRPC door serves, told to tools like grpcurl.
//!
//! The descriptors are those that the crate `envoy-types` was made from; it brings them along and
//! gives no way to them, so `scripts/refresh-descriptors` has put aside what is needed.

use tonic_reflection::pb;
use tonic_reflection::server::{Builder, v1, v1alpha};

const ENVOY: &[u8] = include_bytes!("../data/envoy.binpb");

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
    let own = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    let sets = [
        ENVOY,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        pb::v1::FILE_DESCRIPTOR_SET,
        pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let names = names.iter().copied().chain(own);
    let builder = names.fold(Builder::configure(), Builder::with_service_name);
    sets.into_iter().fold(builder, Builder::register_encoded_file_descriptor_set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::FileDescriptorSet;
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn the_descriptors_are_those_that_the_code_was_made_from() {
        let cargo = |asked: &[&str]| {
            let said = Command::new(env!("CARGO")).args(asked).output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            String::from_utf8(said.stdout).unwrap()
        };
        let version = cargo(&["-vV"]);
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let asked = ["metadata", "--format-version=1", "--locked", "--filter-platform", host];
        let metadata: serde_json::Value = serde_json::from_str(&cargo(&asked)).unwrap();
        let mut packages = metadata["packages"].as_array().unwrap().iter();
        let package = packages.find(|package| package["name"] == "envoy-types").unwrap();
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let whole = std::fs::read(folder.join("src/generated/types.bin")).unwrap();
        let whole: FileDescriptorSet = prost::Message::decode(&*whole).unwrap();
        let ours: FileDescriptorSet = prost::Message::decode(ENVOY).unwrap();
        assert!(ours.file.iter().any(|file| !file.service.is_empty()));
        for file in ours.file {
            let mut theirs = whole.file.iter().find(|f| f.name == file.name).unwrap().clone();
            theirs.source_code_info = None;
            assert_eq!(file, theirs, "run scripts/refresh-descriptors");
        }
    }
}
