//! What is thought of the others who ask for a route now, and what that says of who asks next.

use tidegate_behavior::extract::Surroundings;
use tidegate_behavior::groups::USUAL_DOUBT;

/// The odds of abuse rise by no more than this: however bad the company, nobody is condemned for it who
/// gives no reason at all.
const MOST: f32 = 20.0;

/// By how much the odds of abuse are higher than usual in the company of those who ask for the route now,
/// 1..20. `own` is how much the client itself weighs among them, `risk` what is thought of it: nobody is
/// held against what it does itself a second time. It counts for a `stranger`, 1..0: whoever did other
/// things before is a bystander.
///
/// A score is right for the usual share of abuse. Where a thousand look suspicious by a little, each of
/// them is more so: the posterior odds are those of the score times the odds of the share there is now
/// over the usual one (Saerens, Latinne & Decaestecker, Neural Computation 2002), which the mean score
/// estimates. Scores enter it as the model gives them, so that no suspicion feeds on itself. What is usual is
/// what the model thought of the site's requests before the last minutes: on a site at which it is always
/// wrong nobody suffers for that twice.
pub(crate) fn company(around: &Surroundings, own: f32, risk: f32, stranger: f32) -> f32 {
    let share = around.visits.doubt_about_others(own, risk);
    let usual = around.site.usual_doubt().max(USUAL_DOUBT);
    if share <= usual {
        return 1.0;
    }
    let factor = (odds(share) / odds(usual)).min(MOST);
    1.0 + (factor - 1.0) * stranger
}

/// A score in such company.
pub(crate) fn among(score: f32, company: f32) -> f32 {
    score * company / (1.0 + score * (company - 1.0))
}

/// How bad a company is, from 0, as usual, to 1, as bad as counts.
pub(crate) fn badness(company: f32) -> f32 {
    (company.max(1.0).ln() / MOST.ln()).min(1.0)
}

fn odds(share: f32) -> f32 {
    share / (1.0 - share).max(f32::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_behavior::groups::CohortView;

    /// The factor where so much weight is thought of like this.
    fn factor(minute: f32, doubt: f32, own: f32, risk: f32, stranger: f32) -> f32 {
        let visits = CohortView { minute, doubted_minute: minute * doubt, ..CohortView::default() };
        company(&Surroundings { visits, ..Surroundings::default() }, own, risk, stranger)
    }

    #[test]
    fn company_counts_by_what_others_are_thought_to_be() {
        assert_eq!(factor(0.0, 0.0, 0.0, 0.0, 1.0), 1.0);
        assert_eq!(factor(500.0, 0.01, 0.0, 0.0, 1.0), 1.0);
        assert!((9.0..13.0).contains(&factor(500.0, 0.2, 0.0, 0.0, 1.0)));
        assert_eq!(factor(500.0, 1.0, 0.0, 0.0, 1.0), MOST);
        // A few prove little, and who is alone is in no company.
        assert!(factor(1.0, 0.2, 0.0, 0.0, 1.0) < 4.0);
        assert_eq!(factor(10.0, 0.9, 10.0, 0.9, 1.0), 1.0);
        assert_eq!(factor(10.0, 0.9, 30.0, 0.2, 1.0), 1.0);
        // A bystander who was elsewhere before is none of them, who was there for half of that by half.
        assert_eq!(factor(500.0, 1.0, 0.0, 0.0, 0.0), 1.0);
        assert!((factor(500.0, 1.0, 0.0, 0.0, 0.5) - (1.0 + MOST) / 2.0).abs() < 1e-4);
    }

    #[test]
    fn where_everybody_is_always_suspected_nobody_suffers_for_it_twice() {
        let visits = CohortView { minute: 500.0, doubted_minute: 150.0, ..CohortView::default() };
        let mut around = Surroundings { visits, ..Surroundings::default() };
        assert!(company(&around, 0.0, 0.0, 1.0) > 15.0);
        around.site.group.hour = 9_000.0;
        around.site.group.ten_minutes = 2_000.0;
        around.site.doubted = [150.0, 600.0, 600.0 + 7_000.0 * 0.3];
        assert!(company(&around, 0.0, 0.0, 1.0) < 1.1);
        // More than usual is more than usual there, too.
        around.visits.doubted_minute = 400.0;
        assert!((5.0..12.0).contains(&company(&around, 0.0, 0.0, 1.0)));
    }

    #[test]
    fn company_is_as_bad_as_its_logarithm() {
        assert_eq!([1.0, MOST, 1e9, f32::NAN].map(badness), [0.0, 1.0, 1.0, 0.0]);
        assert!((badness(MOST.sqrt()) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_odds_are_multiplied() {
        assert_eq!(among(0.3, 1.0), 0.3);
        // Odds of a third times nine are three.
        assert!((among(0.25, 9.0) - 0.75).abs() < 1e-6);
        assert_eq!((among(0.0, MOST), among(1.0, MOST)), (0.0, 1.0));
        // Who gives no reason at all is let alone.
        assert!(among(0.01, MOST) < 0.2);
    }
}
