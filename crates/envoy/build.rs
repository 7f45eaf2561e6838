//! Makes Rust out of the descriptors: no protoc, and none of the hundreds of messages that Envoy has beside.

use prost::Message;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=data/envoy.binpb");
    let bytes = std::fs::read("data/envoy.binpb")?;
    let descriptors = prost_types::FileDescriptorSet::decode(&*bytes)?;
    let mut config = prost_build::Config::new();
    // Fields come as bytes of the message that they stood in: nothing is copied.
    config.bytes([".envoy.config.core.v3.HeaderValue.raw_value"]);
    config.include_file("mod.rs");
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)
}
