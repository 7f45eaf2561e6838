//! The learned limit: bands, tiers and costs, each in range and in order.

use super::error::{ConfigError, Source};
use super::raw::{self, At, Short};
use super::resolve::{milli, place, quota, time};
use serde_saphyr::Location;
use tidegate_engine::policy::{self, Adaptive};
use tidegate_limiter::Quota;

/// A number between 0 and 1, or the default.
fn share(source: &Source<'_>, written: Option<&At<f32>>, default: f32) -> Result<f32, ConfigError> {
    match written {
        None => Ok(default),
        Some(at) if (0.0..=1.0).contains(&at.value) => Ok(at.value),
        Some(at) => Err(source.error(
            at.referenced,
            format!("{} is not a probability", at.value),
            "write a number from 0 to 1, such as 0.5",
        )),
    }
}

/// The most requests that a penalty may be late by: what an abuser has meanwhile is let through.
const MOST_DELAY: u8 = 100;

fn delay(source: &Source<'_>, written: Option<&At<u64>>, default: u8) -> Result<u8, ConfigError> {
    let Some(at) = written else { return Ok(default) };
    u8::try_from(at.value).ok().filter(|delay| *delay <= MOST_DELAY).ok_or_else(|| {
        source.error(
            at.referenced,
            format!("a penalty can't be late by up to {} requests", at.value),
            format!("write a number from 0 (at once) to {MOST_DELAY}"),
        )
    })
}

pub(super) fn adaptive(source: &Source<'_>, raw: &raw::Adaptive) -> Result<Adaptive, ConfigError> {
    let base = Adaptive::default();
    let bands = policy::Bands {
        throttle: share(source, raw.throttle_above.as_ref(), base.bands.throttle)?,
        block: share(source, raw.block_above.as_ref(), base.bands.block)?,
        hysteresis: share(source, raw.hysteresis.as_ref(), base.bands.hysteresis)?,
        jitter: share(source, raw.jitter.as_ref(), base.bands.jitter)?,
    };
    let somewhere = |candidates: [Option<Location>; 2]| {
        candidates.into_iter().flatten().next().unwrap_or(Location::UNKNOWN)
    };
    let (throttle_at, block_at) = (
        raw.throttle_above.as_ref().map(|a| a.referenced),
        raw.block_above.as_ref().map(|a| a.referenced),
    );
    if bands.throttle >= bands.block {
        return Err(source.error(
            somewhere([throttle_at, block_at]),
            format!("throttle_above {} is not below block_above {}", bands.throttle, bands.block),
            "a client is throttled before it is blocked: write a smaller throttle_above",
        ));
    }
    if bands.hysteresis >= bands.throttle {
        return Err(source.error(
            somewhere([raw.hysteresis.as_ref().map(|a| a.referenced), throttle_at]),
            format!(
                "a hysteresis of {} is not below throttle_above {}, so nobody would ever leave the band",
                bands.hysteresis, bands.throttle
            ),
            "write a smaller one, such as 0.1",
        ));
    }
    if 2.0 * bands.jitter >= bands.block - bands.throttle {
        return Err(source.error(
            somewhere([raw.jitter.as_ref().map(|a| a.referenced), throttle_at]),
            format!("a jitter of {} lets the bands touch", bands.jitter),
            "write less than half the distance between throttle_above and block_above",
        ));
    }
    let costs = policy::Costs {
        page: milli(source, raw.costs.page.as_ref(), base.costs.page)?,
        api: milli(source, raw.costs.api.as_ref(), base.costs.api)?,
        asset: milli(source, raw.costs.asset.as_ref(), base.costs.asset)?,
    };
    let dearest = costs.page.max(costs.api).max(costs.asset).div_ceil(1000);
    let tier = |written: &Option<At<Short<raw::Tier>>>, default: Quota| match written {
        None => Ok((default, Location::UNKNOWN)),
        Some(at) => {
            let Short(tier) = &at.value;
            let quota = quota(source, &tier.limit, tier.burst.as_ref(), at.referenced)?;
            if quota.burst().get() < dearest {
                return Err(source.error(
                    tier.burst.as_ref().map_or(at.referenced, |b| b.referenced),
                    format!(
                        "a burst of {} is less than a request costs ({dearest})",
                        quota.burst()
                    ),
                    format!("write a burst of at least {dearest}, or lower the costs"),
                ));
            }
            Ok((quota, at.referenced))
        }
    };
    let (new, new_at) = tier(&raw.new, base.tiers.new)?;
    let (trusted, trusted_at) = tier(&raw.trusted, base.tiers.trusted)?;
    let (throttled, throttled_at) = tier(&raw.throttled, base.tiers.throttled)?;
    let (risky, risky_at) = tier(&raw.risky, base.tiers.risky)?;
    for ((low, low_name, low_at), (high, high_name, high_at)) in [
        ((risky, "risky", risky_at), (throttled, "throttled", throttled_at)),
        ((throttled, "throttled", throttled_at), (new, "new", new_at)),
        ((new, "new", new_at), (trusted, "trusted", trusted_at)),
    ] {
        if low.cells_per_second() > high.cells_per_second() {
            return Err(source.error(
                place(low_at, high_at),
                format!("the limit `{low_name}` is above the limit `{high_name}`"),
                "the limits must rise in this order: risky, throttled, new, trusted",
            ));
        }
    }
    Ok(Adaptive {
        enabled: raw.enabled.unwrap_or(base.enabled),
        anomaly: raw.anomaly.unwrap_or(base.anomaly),
        bands,
        tiers: policy::Tiers { new, trusted, throttled, risky },
        costs,
        block_for: time(source, raw.block_for.as_ref(), base.block_for)?,
        forgive: time(source, raw.forgive.as_ref(), base.forgive)?,
        proven_after: raw.proven_after.unwrap_or(base.proven_after),
        delay: delay(source, raw.delay.as_ref(), base.delay)?,
    })
}
