//! The decayed statistics of one group: a route, a fingerprint, or the whole site.

use super::{HOUR, MINUTE, MOMENT, RISE_PRIOR, TEN_MINUTES, TEN_SECONDS};
use crate::math::decay;
use crate::record::Answer;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Error ratios of a group lately, 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratios {
    /// 4xx.
    pub error: f32,
    /// 401 and 403.
    pub auth: f32,
    /// 404, 405 and 410.
    pub missing: f32,
    /// 5xx, over the last minute: the others are over ten.
    pub server: f32,
}

/// Statistics of one group, read without a lock.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Group {
    pub(super) at: AtomicU64,
    pub(super) ten_seconds: AtomicF32,
    pub(super) minute: AtomicF32,
    pub(super) hour: AtomicF32,
    pub(super) newcomers: AtomicF32,
    pub(super) ten_minutes: AtomicF32,
    pub(super) outcomes: AtomicF32,
    pub(super) error: AtomicF32,
    pub(super) auth: AtomicF32,
    pub(super) missing: AtomicF32,
    pub(super) server: AtomicF32,
    pub(super) recent: AtomicF32,
    pub(super) recent_error: AtomicF32,
    pub(super) latency: AtomicF32,
    pub(super) timed: AtomicF32,
}

const _: () = assert!(size_of::<Group>() == 64, "a group is one cache line");

#[derive(Default)]
pub(super) struct AtomicF32(AtomicU32);

impl AtomicF32 {
    pub(super) fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
    pub(super) fn set(&self, value: f32) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
    pub(super) fn add(&self, value: f32) {
        self.set(self.get() + value);
    }
    pub(super) fn scale(&self, by: f32) {
        self.set(self.get() * by);
    }
}

/// A group's numbers at one moment. Requests count by the weight of their clients, so that one
/// busy client is no crowd and what it asks for does not become usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupView {
    /// Weight of requests, decayed over ten seconds.
    pub ten_seconds: f32,
    /// Weight of requests, decayed over a minute.
    pub minute: f32,
    /// Weight of requests, decayed over ten minutes.
    pub ten_minutes: f32,
    /// Weight of requests, decayed over an hour.
    pub hour: f32,
    /// Share of the weight of the last ten minutes that came from new clients.
    pub newcomers: f32,
    /// Weight of the outcomes behind the ratios.
    pub outcomes: f32,
    /// The error ratios.
    pub ratios: Ratios,
    /// The share of 4xx over a minute less that over ten.
    pub error_rise: f32,
    /// Mean of ln(1 + milliseconds); `None` when never timed.
    pub latency: Option<f32>,
}

impl Group {
    /// Decays everything to `now`; only the writer calls it.
    fn advance(&self, now: u64) {
        let before = self.at.load(Ordering::Relaxed);
        if now < before.saturating_add(MOMENT) {
            return;
        }
        let dt = seconds(now - before);
        self.at.store(now, Ordering::Relaxed);
        let minute = decay(dt, MINUTE);
        // An outage fails or slows everybody within seconds, so what is usual must follow as
        // quickly: else those who try again look like its cause.
        for count in [
            &self.minute,
            &self.server,
            &self.recent,
            &self.recent_error,
            &self.latency,
            &self.timed,
        ] {
            count.scale(minute);
        }
        self.ten_seconds.scale(decay(dt, TEN_SECONDS));
        self.hour.scale(decay(dt, HOUR));
        let ten = decay(dt, TEN_MINUTES);
        for count in [
            &self.newcomers,
            &self.ten_minutes,
            &self.outcomes,
            &self.error,
            &self.auth,
            &self.missing,
        ] {
            count.scale(ten);
        }
    }

    pub(super) fn request(&self, now: u64, newcomer: bool, weight: f32) {
        self.advance(now);
        self.ten_seconds.add(weight);
        self.minute.add(weight);
        self.hour.add(weight);
        self.ten_minutes.add(weight);
        if newcomer {
            self.newcomers.add(weight);
        }
    }

    pub(super) fn outcome(&self, now: u64, answer: Answer, weight: f32, latency: Option<f32>) {
        self.advance(now);
        self.outcomes.add(weight);
        self.recent.add(weight);
        if answer.client_error() {
            self.error.add(weight);
            self.recent_error.add(weight);
        }
        match answer {
            Answer::Refused => self.auth.add(weight),
            Answer::Missing => self.missing.add(weight),
            Answer::Failed => self.server.add(weight),
            _ => {}
        }
        if let Some(latency) = latency {
            self.latency.add(latency * weight);
            self.timed.add(weight);
        }
    }

    pub(super) fn view(&self, now: u64) -> GroupView {
        let at = self.at.load(Ordering::Relaxed);
        let ten_minutes = self.ten_minutes.get();
        let mut view = GroupView {
            ten_seconds: self.ten_seconds.get(),
            minute: self.minute.get(),
            ten_minutes,
            hour: self.hour.get(),
            newcomers: self.newcomers.get() / ten_minutes.max(1.0),
            outcomes: self.outcomes.get(),
            ratios: Ratios::default(),
            error_rise: 0.0,
            latency: None,
        };
        // A ratio's two halves decay alike: only counts need to be brought to now, and those only
        // when the group is quiet.
        if now.saturating_sub(at) > 1_000_000_000 {
            let dt = seconds(now - at);
            let ten = decay(dt, TEN_MINUTES);
            view.ten_seconds *= decay(dt, TEN_SECONDS);
            view.minute *= decay(dt, MINUTE);
            view.ten_minutes *= ten;
            view.hour *= decay(dt, HOUR);
            view.outcomes *= ten;
        }
        let each = 1.0 / self.outcomes.get().max(1e-3);
        view.ratios = Ratios {
            error: self.error.get() * each,
            auth: self.auth.get() * each,
            missing: self.missing.get() * each,
            server: self.server.get() / self.recent.get().max(1e-3),
        };
        let recent = self.recent.get();
        view.error_rise =
            (self.recent_error.get() - view.ratios.error * recent) / (recent + RISE_PRIOR);
        let timed = self.timed.get();
        if timed > 0.5 {
            view.latency = Some(self.latency.get() / timed);
        }
        view
    }
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn seconds(nanos: u64) -> f32 {
    nanos as f32 * 1e-9
}
