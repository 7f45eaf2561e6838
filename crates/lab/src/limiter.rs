//! The limiter in front of a simulated site: one engine, with the lists that its operator has.

use crate::simulate::Traffic;
use tidegate_engine::{Engine, Parts, Policy, Setup};
use tidegate_models::AnyModel;

/// More clients than any simulated site has.
const CAPACITY: usize = 1 << 17;

/// An engine that has seen nothing yet of the site.
pub(crate) fn before(traffic: &Traffic, policy: Policy, model: Option<&AnyModel>) -> Engine {
    without(traffic, policy, model, Parts::default())
}

/// The same with some parts of its decisions left out.
pub(crate) fn without(
    traffic: &Traffic,
    policy: Policy,
    model: Option<&AnyModel>,
    parts: Parts,
) -> Engine {
    let policy = Policy { reputation: traffic.reputation.clone(), ..policy };
    let model = model.cloned();
    Engine::new(policy, Setup { capacity: CAPACITY, model, parts, ..Setup::default() })
}
