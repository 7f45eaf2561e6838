//! The lock of the store's shards, in one place so that a model checker can put its own here.

pub(crate) use parking_lot::{Mutex, MutexGuard};
