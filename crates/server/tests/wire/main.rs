//! All doors and the admin side of a running server, in one program: to link it takes longer than to run it.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod background;
mod config;
mod console;
mod doors;
mod envoy;
mod gateways;
mod grpc;
mod limits;
mod operate;
mod proxy;
mod proxy_protocol;
mod ratelimit;
mod reflection;
mod replay;
mod resp;
mod slow;
mod streams;
mod traces;
