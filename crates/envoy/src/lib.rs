//! The messages and services of Envoy's gRPC protocols that Tidegate speaks, made from their descriptors.
//!
//! The modules are the packages of the protocols: `envoy::service::auth::v3` is what
//! `envoy/service/auth/v3/external_auth.proto` declares.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::semicolon_if_nothing_returned,
    clippy::uninlined_format_args,
    rustdoc::all
)]

/// The descriptors: a `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!("../data/envoy.binpb");

include!(concat!(env!("OUT_DIR"), "/mod.rs"));
