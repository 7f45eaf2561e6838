//! Envoy's rate limit quota service (`envoy.service.rate_limit_quota.v3`): Envoy enforces, and is told how
//! much of each bucket it may admit.
//!
//! Several Envoys share a bucket: each gets the part of its rate that its demand is of all demand, and a
//! little beyond, so that one which just begins is not shut out. Models move a bucket's rate at any time:
//! what changed is told within a second, and not only in answer to a report.

use crate::envoy::{Envoy, duration, wire};
use crate::shared::Shared;
use futures_util::Stream;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_engine::allotments::{Allotment, Bucket};
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_response::bucket_action::{
    AbandonAction, BucketAction as Action, QuotaAssignmentAction,
};
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_response::BucketAction;
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_service_server::RateLimitQuotaService;
use tidegate_envoy::envoy::service::rate_limit_quota::v3::{
    BucketId, RateLimitQuotaResponse, RateLimitQuotaUsageReports,
};
use tidegate_envoy::envoy::r#type::v3::rate_limit_strategy::{BlanketRule, Strategy};
use tidegate_envoy::envoy::r#type::v3::{RateLimitStrategy, TokenBucket};
use tidegate_limiter::{Key, Timestamp};
use tokio::time::{Interval, MissedTickBehavior};
use tonic::{Request, Response, Status, Streaming};

/// Most buckets that are kept of one stream; more are limited, and share nothing.
const MOST_BUCKETS: usize = 10_000;
/// How often it is looked whether an allotment moved.
const LOOK: Duration = Duration::from_secs(1);
/// For how long an assignment holds at least, when nothing more is heard.
const HOLDS: Duration = Duration::from_secs(60);
/// The fewest tokens that a rate is told by.
const FEWEST: f64 = 20.0;
/// This part of the mean demand is everybody's, whether it asks or not.
const SPARE: f64 = 0.1;

/// Who reports about which bucket.
#[derive(Debug, Default)]
pub(crate) struct Reporters {
    next: AtomicU64,
    demands: Mutex<HashMap<Key, Vec<(u64, f64)>>>,
}

impl Reporters {
    /// Notes what a stream asks for, requests a second; returns the part of the bucket that is its own.
    fn share(&self, bucket: Key, stream: u64, demand: Option<f64>) -> f64 {
        let mut demands = self.demands.lock().unwrap_or_else(PoisonError::into_inner);
        let all = demands.entry(bucket).or_default();
        let at = all.iter().position(|(other, _)| *other == stream).unwrap_or_else(|| {
            all.push((stream, 0.0));
            all.len() - 1
        });
        if let (Some(demand), Some((_, before))) = (demand, all.get_mut(at)) {
            // The mean of now and before: one quiet report does not give a share away.
            *before = if *before == 0.0 { demand } else { (*before + demand) / 2.0 };
        }
        part(all, at)
    }

    fn leave(&self, bucket: Key, stream: u64) {
        let mut demands = self.demands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(all) = demands.get_mut(&bucket) {
            all.retain(|(other, _)| *other != stream);
            if all.is_empty() {
                demands.remove(&bucket);
            }
        }
    }
}

/// The part of one among those who share.
#[allow(clippy::cast_precision_loss)]
fn part(all: &[(u64, f64)], at: usize) -> f64 {
    let (sum, count) = (all.iter().map(|(_, demand)| demand).sum::<f64>(), all.len() as f64);
    let spare = if sum > 0.0 { SPARE * sum / count } else { 1.0 };
    let own = all.get(at).map_or(0.0, |(_, demand)| *demand);
    (own + spare) / (sum + spare * count)
}

type Replies = Pin<Box<dyn Stream<Item = Result<RateLimitQuotaResponse, Status>> + Send>>;

#[tonic::async_trait]
impl RateLimitQuotaService for Envoy {
    type StreamRateLimitQuotasStream = Replies;

    async fn stream_rate_limit_quotas(
        &self,
        request: Request<Streaming<RateLimitQuotaUsageReports>>,
    ) -> Result<Response<Replies>, Status> {
        let talk = Talk::new(Arc::clone(&self.shared), Arc::clone(&self.reporters));
        let (reports, stop) = (request.into_inner(), self.stop.clone());
        let state = (reports, talk, stop);
        let replies = futures_util::stream::unfold(state, |(mut reports, mut talk, stop)| async {
            loop {
                let actions = tokio::select! {
                    () = stop.cancelled() => return None,
                    _ = talk.look.tick() => Ok(talk.moved()),
                    report = reports.message() => match report {
                        Ok(Some(report)) => talk.reply(report),
                        // What it holds lapses with the time that it was given.
                        Ok(None) | Err(_) => return None,
                    },
                };
                match actions {
                    Ok(bucket_action) if bucket_action.is_empty() => {}
                    Ok(bucket_action) => {
                        let reply = RateLimitQuotaResponse { bucket_action };
                        return Some((Ok(reply), (reports, talk, stop)));
                    }
                    Err(status) => return Some((Err(status), (reports, talk, stop))),
                }
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

/// One stream.
struct Talk {
    shared: Arc<Shared>,
    reporters: Arc<Reporters>,
    name: u64,
    /// Said by the first report alone.
    domain: String,
    held: HashMap<Key, Held>,
    look: Interval,
}

struct Held {
    id: BucketId,
    bucket: Bucket,
    /// What was assigned last.
    strategy: Option<Strategy>,
    holds: Duration,
    /// When a report last told of requests.
    used: Timestamp,
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.held.keys().for_each(|bucket| self.reporters.leave(*bucket, self.name));
    }
}

impl Talk {
    fn new(shared: Arc<Shared>, reporters: Arc<Reporters>) -> Self {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let name = reporters.next.fetch_add(1, Ordering::Relaxed);
        Self { shared, reporters, name, domain: String::new(), held: HashMap::new(), look }
    }

    fn reply(&mut self, report: RateLimitQuotaUsageReports) -> Result<Vec<BucketAction>, Status> {
        if self.domain.is_empty() {
            self.domain = report.domain;
        }
        if self.domain.is_empty() {
            return Err(Status::invalid_argument("the first report has no domain: name one"));
        }
        let mut actions = Vec::new();
        for usage in report.bucket_quota_usages {
            let Some(id) = usage.bucket_id else { continue };
            let names = id.bucket.iter().map(|(key, value)| (key.clone(), value.clone()));
            let bucket = self.shared.engine.bucket(&self.domain, names);
            let (admitted, denied) = (usage.num_requests_allowed, usage.num_requests_denied);
            self.shared.engine.reported(&bucket, admitted, denied);
            let elapsed = usage.time_elapsed.as_ref().and_then(duration).unwrap_or_default();
            let key = bucket.key;
            let now = self.shared.now();
            if self.held.len() >= MOST_BUCKETS && !self.held.contains_key(&key) {
                // Limited like any other, and told of changes by its next report alone.
                let allotment = self.shared.engine.allot(&bucket, now);
                actions.push(match allotment {
                    Allotment::Nothing => abandon(&id),
                    allotment => assign(&id, strategy(&allotment, 1.0), HOLDS),
                });
                continue;
            }
            let held = Held { id, bucket, strategy: None, holds: HOLDS, used: now };
            let held = self.held.entry(key).or_insert(held);
            held.holds = HOLDS.max(elapsed.saturating_mul(4));
            #[allow(clippy::cast_precision_loss)]
            let demand = (admitted.saturating_add(denied)) as f64 / elapsed.as_secs_f64().max(1.0);
            let share = self.reporters.share(key, self.name, Some(demand));
            if admitted > 0 || denied > 0 {
                held.used = now;
            }
            let allotment = self.shared.engine.allot(&held.bucket, now);
            // Who stays away long enough for a full bucket may be forgotten, by Envoy as well.
            let idle = match &allotment {
                Allotment::Cells { period, .. } => now.since(held.used) > HOLDS.max(*period),
                _ => now.since(held.used) > HOLDS,
            };
            match allotment {
                allotment if !idle && allotment != Allotment::Nothing => {
                    let new = strategy(&allotment, share);
                    let strategy = match held.strategy {
                        // A bucket that is all but the same need not be filled anew.
                        Some(before) if !differs(&before, &new) => before,
                        _ => new,
                    };
                    held.strategy = Some(strategy);
                    actions.push(assign(&held.id, strategy, held.holds));
                }
                _ => {
                    actions.push(abandon(&held.id));
                    self.held.remove(&key);
                    self.reporters.leave(key, self.name);
                }
            }
        }
        Ok(actions)
    }

    /// What is to be said though nobody reported.
    fn moved(&mut self) -> Vec<BucketAction> {
        let now = self.shared.now();
        let mut actions = Vec::new();
        for (key, held) in &mut self.held {
            let share = self.reporters.share(*key, self.name, None);
            let strategy = match self.shared.engine.allot(&held.bucket, now) {
                // A reload took its limit away.
                Allotment::Nothing => {
                    if held.strategy.take().is_some() {
                        actions.push(abandon(&held.id));
                    }
                    continue;
                }
                allotment => strategy(&allotment, share),
            };
            if held.strategy.as_ref().is_none_or(|before| differs(before, &strategy)) {
                held.strategy = Some(strategy);
                actions.push(assign(&held.id, strategy, held.holds));
            }
        }
        actions
    }
}

/// Whether a change is worth a message: a share that moved by a tenth, or another kind of assignment.
fn differs(before: &Strategy, now: &Strategy) -> bool {
    match (before, now) {
        (Strategy::TokenBucket(before), Strategy::TokenBucket(now)) => {
            let (before, now) = (rate(before), rate(now));
            (before - now).abs() > 0.1 * before.max(now)
        }
        (before, now) => before != now,
    }
}

/// Tokens a second.
fn rate(bucket: &TokenBucket) -> f64 {
    let fill = bucket.tokens_per_fill.map_or(1.0, f64::from);
    #[allow(clippy::cast_precision_loss)]
    let seconds = bucket
        .fill_interval
        .as_ref()
        .map_or(1.0, |time| time.seconds as f64 + f64::from(time.nanos) * 1e-9);
    fill / seconds.max(1e-9)
}

/// The part of an allotment as something that Envoy enforces.
fn strategy(allotment: &Allotment, share: f64) -> Strategy {
    let (cells, period) = match allotment {
        Allotment::Cells { cells: 0, .. } => {
            return Strategy::BlanketRule(BlanketRule::DenyAll.into());
        }
        Allotment::Cells { cells, period, .. } => (f64::from(*cells) * share, *period),
        Allotment::Nothing | Allotment::Unlimited => {
            return Strategy::BlanketRule(BlanketRule::AllowAll.into());
        }
    };
    // Envoy fills its bucket all the time, at a rate that it reckons from whole tokens and whole seconds: so
    // many periods are taken together that rounding is little.
    let periods = (FEWEST / cells.max(1e-9)).ceil().max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let (most, tokens) = (cells.round().max(1.0) as u32, (cells * periods).round() as u32);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = (period.as_secs_f64() * periods).ceil().max(1.0) as u64;
    // It takes two assignments for the same that differ in seconds alone: so they differ in nanoseconds.
    let mark = u32::try_from(seconds % 1_000_000_000).unwrap_or(0);
    Strategy::TokenBucket(TokenBucket {
        max_tokens: most,
        tokens_per_fill: Some(tokens),
        fill_interval: Some(wire(Duration::new(seconds, mark))),
    })
}

fn assign(id: &BucketId, strategy: Strategy, holds: Duration) -> BucketAction {
    let assignment = QuotaAssignmentAction {
        assignment_time_to_live: Some(wire(holds)),
        rate_limit_strategy: Some(RateLimitStrategy { strategy: Some(strategy) }),
    };
    let bucket_action = Some(Action::QuotaAssignmentAction(assignment));
    BucketAction { bucket_id: Some(id.clone()), bucket_action }
}

fn abandon(id: &BucketId) -> BucketAction {
    let bucket_action = Some(Action::AbandonAction(AbandonAction {}));
    BucketAction { bucket_id: Some(id.clone()), bucket_action }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(cells: u32, seconds: u64) -> Allotment {
        Allotment::Cells { cells, period: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_parts_of_all_are_the_whole_and_follow_demand() {
        let all = [(1, 90.0), (2, 10.0), (3, 0.0)];
        let parts: Vec<f64> = (0..3).map(|at| part(&all, at)).collect();
        assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(parts[0] > 0.8 && parts[1] > 0.1 && parts[2] > 0.02, "{parts:?}");
        let equal = [(1, 0.0), (2, 0.0)];
        assert_eq!((part(&equal, 0), part(&equal, 1)), (0.5, 0.5));
        assert_eq!(part(&[(1, 7.0)], 0), 1.0);
    }

    #[test]
    fn a_bucket_of_envoy_has_the_rate_whatever_it_is() {
        for (count, seconds, share) in [
            (1, 1, 1.0),
            (20, 60, 1.0),
            (20, 60, 0.3),
            (5, 86_400, 0.5),
            (1000, 1, 1.0),
            (4_000_000_000, 1, 1.0),
            (1, 31_536_000, 0.01),
        ] {
            let Strategy::TokenBucket(bucket) = strategy(&cells(count, seconds), share) else {
                panic!("no bucket");
            };
            // As Envoy reckons: by whole seconds.
            let interval = bucket.fill_interval.as_ref().unwrap();
            let rate = f64::from(bucket.tokens_per_fill.unwrap()) / interval.seconds as f64;
            let wanted = f64::from(count) * share / seconds as f64;
            assert!((rate / wanted - 1.0).abs() < 0.05, "{count} {seconds} {bucket:?}");
            assert!(bucket.max_tokens >= 1 && interval.seconds >= 1);
        }
        let [minute, hour] = [60, 3600].map(|seconds| match strategy(&cells(20, seconds), 1.0) {
            Strategy::TokenBucket(bucket) => bucket.fill_interval.unwrap().nanos,
            other => panic!("{other:?}"),
        });
        assert_ne!(minute, hour, "what differs in seconds alone would not be taken over");
        assert_eq!(strategy(&cells(0, 60), 1.0), Strategy::BlanketRule(1));
        assert_eq!(strategy(&Allotment::Unlimited, 0.1), Strategy::BlanketRule(0));
    }
}
