//! A challenger: a model that is asked about the same requests in the background, and has no say.
//!
//! Requests go in through an [`Inbox`], which never waits: when it is full they are dropped and
//! counted. One thread of the server's takes them out in batches, has the model score them, and
//! hands the scores to the [`Trial`], which keeps for the challenger what the engine keeps for the
//! champion (a standing for each client, by the same rules) and counts where the two part.

use crate::check::judged;
use crate::company::among;
use crate::decision::{Action, Decision};
use crate::ladder::Ladder;
use crate::policy::Policy;
use crate::standing::{Evidence, Penalty, Standing};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tidegate_behavior::Features;
use tidegate_behavior::profile::Evident;
use tidegate_behavior::schema::{in_calm, index};
use tidegate_limiter::{Entry, Key, Store, Timestamp};

/// Requests that may wait for the challenger.
pub const QUEUE: usize = 4096;
/// Clients that a challenger remembers.
const CLIENTS: usize = 65_536;
/// Clients whose latest requests are remembered for a model that looks at several: 4 KiB each at
/// sixteen requests, so 32 MiB.
const CLIENTS_IN_SEQUENCE: usize = 8192;

/// What the challenger is told of one request.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Who sent it.
    pub client: Key,
    /// When.
    pub time: Timestamp,
    /// The features that were scored.
    pub features: Features,
    /// What the champion made of it alone, in its company, 0..1; none when it was not scored.
    pub score: Option<f32>,
    /// What the client does that speaks for itself, whatever a model makes of it.
    pub evident: Option<Evident>,
    /// What was done about the client.
    pub action: Action,
    /// What the champion thought of those who came like the client, 0..1.
    pub suspicion: f32,
    /// By how much the odds of abuse are higher than usual among those who ask for the route, 1..20.
    pub company: f32,
}

/// The way in: bounded, and never waited for.
pub struct Inbox {
    sender: SyncSender<Sighting>,
    offered: AtomicU64,
    dropped: AtomicU64,
}

impl Inbox {
    /// An inbox, and what its requests come out of.
    #[must_use]
    pub fn new() -> (Self, Receiver<Sighting>) {
        let (sender, receiver) = sync_channel(QUEUE);
        (Self { sender, offered: AtomicU64::new(0), dropped: AtomicU64::new(0) }, receiver)
    }

    /// Puts a decided request in, or drops and counts it when there is no room.
    pub fn offer(&self, decision: &Decision) {
        self.offered.fetch_add(1, Ordering::Relaxed);
        let sighting = Sighting {
            client: decision.ticket.client,
            time: decision.time,
            features: decision.features,
            score: decision.scored.then_some(decision.score),
            evident: decision.evident,
            action: decision.action,
            suspicion: decision.suspicion,
            company: decision.company,
        };
        if self.sender.try_send(sighting).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests offered, and of those dropped.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.offered.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }
}

/// Requests of clients that somebody labelled, and what each side did about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labelled {
    /// Requests.
    pub requests: u64,
    /// Of those, with the client throttled or blocked by the champion.
    pub champion: u64,
    /// Of those, with the client throttled or blocked by the challenger.
    pub challenger: u64,
}

/// What a trial has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests that both scored.
    pub compared: u64,
    /// Requests that the challenger gave no score for.
    pub unanswered: u64,
    /// Requests by tenth of the champion's score.
    pub champion_scores: [u64; 10],
    /// The same requests by tenth of the challenger's.
    pub challenger_scores: [u64; 10],
    /// The sum of the distances of the two scores.
    pub distance: f64,
    /// Requests by what is done about the client (throttled or blocked, or not), the champion's
    /// answer first: `actions[1][0]` were limited by the champion alone.
    pub actions: [[u64; 2]; 2],
    /// Clients labelled harmless, then those labelled abusive.
    pub labelled: [Labelled; 2],
}

/// What the challenger thinks of one client.
pub(crate) struct Rival {
    pub standing: Standing,
    last_seen: Timestamp,
    /// What was done about its requests since it was labelled last.
    since: Labelled,
    latest: Vec<Features>,
}

impl Entry for Rival {
    type Residue = Penalty;

    fn fresh(_key: Key, now: Timestamp, residue: Option<Penalty>) -> Self {
        Self {
            standing: residue.map_or_else(Standing::default, Standing::penalised),
            last_seen: now,
            since: Labelled::default(),
            latest: Vec::new(),
        }
    }

    fn residue(&self, now: Timestamp) -> Option<(Penalty, Timestamp)> {
        self.standing.penalty(now)
    }
}

/// A comparison of the challenger with what is decided.
pub struct Trial {
    steps: usize,
    rivals: Store<Rival>,
    tally: Mutex<Tally>,
    ladder: Mutex<Option<(Arc<Policy>, Ladder)>>,
}

/// What the model is to be asked about: for each request of a batch its client's latest ones, oldest
/// first.
pub struct Questions(Vec<Vec<Features>>);

impl Questions {
    /// The windows to score.
    #[must_use]
    pub fn windows(&self) -> Vec<&[Features]> {
        self.0.iter().map(Vec::as_slice).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Trial {
    /// A trial of a model that looks at the latest `steps` requests of a client.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        let clients = if steps > 1 { CLIENTS_IN_SEQUENCE } else { CLIENTS };
        Self {
            steps: steps.max(1),
            rivals: Store::new(clients),
            tally: Mutex::default(),
            ladder: Mutex::default(),
        }
    }

    /// What to ask the model about a batch, which is in the order of time.
    #[must_use]
    pub fn questions(&self, batch: &[Sighting]) -> Questions {
        if self.steps == 1 {
            return Questions(batch.iter().map(|sighting| vec![sighting.features]).collect());
        }
        let window = |sighting: &Sighting| {
            self.rivals.with(sighting.client, sighting.time, |rival| {
                if rival.latest.len() >= self.steps {
                    rival.latest.remove(0);
                }
                rival.latest.push(sighting.features);
                rival.latest.clone()
            })
        };
        Questions(batch.iter().map(window).collect())
    }

    /// Which of these requests are to be asked about again as if all were calm around their clients
    /// (see `judge` in `check.rs`), and what to ask.
    #[must_use]
    pub fn doubts(
        &self,
        batch: &[Sighting],
        questions: &Questions,
        scores: &[f32],
        policy: &Policy,
    ) -> (Vec<usize>, Questions) {
        let edge = policy.adaptive.bands.throttle * 0.5;
        let mut which = Vec::new();
        let mut again = Vec::new();
        for (at, (sighting, window)) in batch.iter().zip(&questions.0).enumerate() {
            let high = scores.get(at).is_some_and(|score| *score >= edge);
            if high && self.record(sighting, policy) > 0.0 {
                let mut calm = window.clone();
                if let Some(last) = calm.last_mut() {
                    *last = in_calm(last);
                }
                which.push(at);
                again.push(calm);
            }
        }
        (which, Questions(again))
    }

    /// How much of a good record a client has with the challenger.
    fn record(&self, sighting: &Sighting, policy: &Policy) -> f32 {
        let proven =
            self.rivals.read(sighting.client, |rival| rival.standing.proven(&policy.adaptive));
        proven.unwrap_or(0.0) * trust(&sighting.features).min(1.0)
    }

    /// Takes in the scores of a batch (NaN where there is none) and those of its doubts; answers with
    /// the scores as a record lowers them, NaN where there is none.
    pub fn answers(
        &self,
        batch: &[Sighting],
        scores: &[f32],
        calm: &[(usize, f32)],
        policy: &Arc<Policy>,
    ) -> Vec<f32> {
        let mut held = self.ladder.lock();
        if held.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, policy)) {
            *held = Some((Arc::clone(policy), Ladder::new(&policy.adaptive.tiers)));
        }
        let mut all = vec![f32::NAN; batch.len()];
        let Some((_, ladder)) = held.as_ref() else { return all };
        let mut tally = self.tally.lock();
        for (at, sighting) in batch.iter().enumerate() {
            let score = scores.get(at).copied().filter(|score| (0.0..=1.0).contains(score));
            let Some(score) = score else {
                tally.unanswered += 1;
                continue;
            };
            let own = calm.iter().find(|(of, _)| *of == at).map(|(_, own)| *own);
            let own = own.filter(|own| own.is_finite());
            let judged = own.map_or(score, |own| judged(score, own, self.record(sighting, policy)));
            let judged = crate::check::at_least(sighting.evident, judged);
            // Advice is put among the company of the request that it is taken for.
            all[at] = judged;
            let judged = among(judged, sighting.company);
            let action = self.act(sighting, judged, policy, ladder);
            count(&mut tally, sighting, judged, action);
        }
        all
    }

    /// What the challenger would do about the client.
    fn act(&self, sighting: &Sighting, score: f32, policy: &Policy, ladder: &Ladder) -> Action {
        let (now, trust) = (sighting.time, trust(&sighting.features));
        self.rivals.with(sighting.client, now, |rival| {
            let idle_seconds = now.since(rival.last_seen).as_secs_f32();
            rival.last_seen = now;
            let (suspicion, company) = (sighting.suspicion, sighting.company);
            let standing = &mut rival.standing;
            let evidence = Evidence { score, idle_seconds, trust, suspicion, company };
            standing.update(evidence, sighting.client, now, &policy.adaptive);
            standing.quota(&policy.adaptive, ladder, trust);
            rival.since.requests += 1;
            rival.since.champion += u64::from(limits(sighting.action));
            rival.since.challenger += u64::from(limits(rival.standing.action));
            rival.standing.action
        })
    }

    /// Counts a batch that the challenger gave no answer to.
    pub fn unanswered(&self, requests: usize) {
        self.tally.lock().unanswered += requests as u64;
    }

    /// Takes in that a client is known to abuse, or not: what each side did about its requests up
    /// to now counts for or against it. `false` when the trial does not remember the client.
    pub fn label(&self, client: Key, abusive: bool) -> bool {
        let since = self.rivals.update(client, |rival| std::mem::take(&mut rival.since));
        let Some(since) = since else { return false };
        let side = &mut self.tally.lock().labelled[usize::from(abusive)];
        side.requests += since.requests;
        side.champion += since.champion;
        side.challenger += since.challenger;
        true
    }

    /// What was seen so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.tally.lock()
    }
}

/// How much of a good record counts yet, as the engine has it: from age and credential, which are
/// among the features.
fn trust(features: &Features) -> f32 {
    if features[index::CREDENTIALED] > 0.0 {
        return 1.0;
    }
    features[index::AGE].exp_m1() / crate::check::TRUST_SECONDS
}

const fn limits(action: Action) -> bool {
    matches!(action, Action::Throttle | Action::Block)
}

fn count(tally: &mut Tally, sighting: &Sighting, score: f32, action: Action) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "scores are 0..1")]
    let tenth = |score: f32| ((score * 10.0) as usize).min(9);
    let Some(champion) = sighting.score else { return };
    tally.compared += 1;
    tally.champion_scores[tenth(champion)] += 1;
    tally.challenger_scores[tenth(score)] += 1;
    tally.distance += f64::from((champion - score).abs());
    tally.actions[usize::from(limits(sighting.action))][usize::from(limits(action))] += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(client: u64, n: u64, action: Action) -> Sighting {
        let mut features = [0.0; tidegate_behavior::schema::COUNT];
        features[0] = n as f32;
        Sighting {
            client: Key(client),
            time: Timestamp::from_secs(1000 + n),
            features,
            score: Some(0.15),
            evident: None,
            action,
            suspicion: 0.0,
            company: 1.0,
        }
    }

    fn feed(trial: &Trial, batch: &[Sighting], score: f32) {
        let policy = Arc::new(Policy::default());
        let scores = vec![score; batch.len()];
        let questions = trial.questions(batch);
        let (which, again) = trial.doubts(batch, &questions, &scores, &policy);
        let calm: Vec<_> = which.into_iter().map(|at| (at, score)).collect();
        assert_eq!(again.len(), calm.len());
        trial.answers(batch, &scores, &calm, &policy);
    }

    #[test]
    fn it_counts_where_the_two_part_and_what_labels_say_of_it() {
        let trial = Trial::new(1);
        let quiet: Vec<_> = (0..20).map(|n| sighting(1, n, Action::Allow)).collect();
        let caught: Vec<_> = (0..20).map(|n| sighting(2, n, Action::Block)).collect();
        feed(&trial, &quiet, 0.02);
        feed(&trial, &caught, 0.97);
        let tally = trial.tally();
        assert_eq!((tally.compared, tally.unanswered), (40, 0));
        assert_eq!((tally.challenger_scores[0], tally.challenger_scores[9]), (20, 20));
        assert_eq!(tally.champion_scores[1], 40);
        assert_eq!(tally.actions[0], [20, 0]);
        // One odd request condemns nobody, with the challenger as with the champion.
        assert_eq!(tally.actions[1][0] + tally.actions[1][1], 20);
        assert!((1..4).contains(&tally.actions[1][0]), "{:?}", tally.actions);
        assert!((tally.distance - 20.0 * (0.13 + 0.82)).abs() < 1e-3);

        assert!(trial.label(Key(1), false) && trial.label(Key(2), true));
        assert!(!trial.label(Key(3), true), "nobody saw that client");
        assert!(trial.label(Key(2), true), "a label given twice counts once");
        let [harmless, abusive] = trial.tally().labelled;
        assert_eq!(harmless, Labelled { requests: 20, champion: 0, challenger: 0 });
        assert_eq!((abusive.requests, abusive.champion), (20, 20));
        assert_eq!(abusive.challenger, tally.actions[1][1]);
    }

    #[test]
    fn company_counts_once_and_advice_is_given_without_it() {
        let trial = Trial::new(1);
        let batch = [Sighting { company: 9.0, ..sighting(1, 1, Action::Allow) }];
        let advice = trial.answers(&batch, &[0.25], &[], &Arc::new(Policy::default()));
        assert_eq!(advice, [0.25]);
        // Odds of a third times nine are three.
        assert_eq!(trial.tally().challenger_scores[7], 1);
    }

    #[test]
    fn what_is_no_score_counts_as_no_answer() {
        let trial = Trial::new(1);
        for wrong in [f32::NAN, -0.5, 2.0] {
            feed(&trial, &[sighting(1, 1, Action::Allow)], wrong);
        }
        trial.unanswered(2);
        assert_eq!((trial.tally().compared, trial.tally().unanswered), (0, 5));
    }

    #[test]
    fn a_sequence_is_each_clients_own_and_bounded() {
        let trial = Trial::new(4);
        let batch: Vec<_> = (0..12).map(|n| sighting(n % 2, n, Action::Allow)).collect();
        let questions = trial.questions(&batch);
        let numbers =
            |at: usize| -> Vec<f32> { questions.windows()[at].iter().map(|row| row[0]).collect() };
        assert_eq!(numbers(0), [0.0]);
        assert_eq!(numbers(4), [0.0, 2.0, 4.0]);
        assert_eq!(numbers(11), [5.0, 7.0, 9.0, 11.0]);
    }

    #[test]
    fn a_full_inbox_drops_and_counts() {
        let engine = crate::Engine::new(Policy::default(), crate::Setup::default());
        let decision = engine.check(&tidegate_behavior::Request::default());
        let (inbox, requests) = Inbox::new();
        for _ in 0..QUEUE + 3 {
            inbox.offer(&decision);
        }
        assert_eq!(inbox.counts(), (QUEUE as u64 + 3, 3));
        assert_eq!(requests.try_iter().count(), QUEUE);
        drop(requests);
        // Without a reader requests are dropped as well, and nobody waits.
        inbox.offer(&decision);
        assert_eq!(inbox.counts().1, 4);
    }
}
