//! Scenarios: which attacks and which mishaps a simulation holds.

use super::dice::Dice;

/// A named cast. Every scenario holds all legitimate families but the crowd, except on sites that nobody but
/// plain clients visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Legitimate traffic only.
    Quiet,
    /// A flash crowd.
    FlashCrowd,
    /// Mostly offices: many people behind few addresses.
    Office,
    /// The site fails for minutes and its clients try again.
    Outage,
    /// A new build goes live; old assets are gone.
    Deploy,
    /// A few sources at many requests a second.
    Flood,
    /// Many slow sources.
    Botnet,
    /// A search for weaknesses.
    Scan,
    /// The catalogue is copied.
    Scrape,
    /// Stolen passwords are tried.
    Stuffing,
    /// Ids are tried.
    Enumeration,
    /// One user's password is guessed.
    Bruteforce,
    /// Seats or stock are held by bots.
    Hoarding,
    /// Stolen cards are tried.
    Carding,
    /// The catalogue is read by driven browsers at the pace of people.
    Headless,
    /// The catalogue is copied by hundreds of addresses that ask once or twice.
    SlowScrape,
    /// Stolen passwords are tried by addresses that try a handful in hours.
    SlowStuffing,
    /// Keys are shared, or changed as quickly as they are used up.
    Keys,
    /// Sources grow slowly, to become usual.
    Ramp,
    /// Everything at once.
    Mixed,
    /// An attack inside a flash crowd.
    CrowdAttack,
    /// An attack from behind an address that many people share.
    Insider,
    /// Forms are sent again and again: accounts, messages, codes, vouchers.
    Forms,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 23] = [
        Self::Quiet,
        Self::FlashCrowd,
        Self::Office,
        Self::Outage,
        Self::Deploy,
        Self::Flood,
        Self::Botnet,
        Self::Scan,
        Self::Scrape,
        Self::Stuffing,
        Self::Enumeration,
        Self::Bruteforce,
        Self::Hoarding,
        Self::Carding,
        Self::Headless,
        Self::SlowScrape,
        Self::SlowStuffing,
        Self::Keys,
        Self::Ramp,
        Self::Mixed,
        Self::CrowdAttack,
        Self::Insider,
        Self::Forms,
    ];

    /// The scenario's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::FlashCrowd => "flash-crowd",
            Self::Office => "office",
            Self::Outage => "outage",
            Self::Deploy => "deploy",
            Self::Flood => "flood",
            Self::Botnet => "botnet",
            Self::Scan => "scan",
            Self::Scrape => "scrape",
            Self::Stuffing => "stuffing",
            Self::Enumeration => "enumeration",
            Self::Bruteforce => "bruteforce",
            Self::Hoarding => "hoarding",
            Self::Carding => "carding",
            Self::Headless => "headless",
            Self::SlowScrape => "slow-scrape",
            Self::SlowStuffing => "slow-stuffing",
            Self::Keys => "keys",
            Self::Ramp => "ramp",
            Self::Mixed => "mixed",
            Self::CrowdAttack => "crowd-attack",
            Self::Insider => "insider",
            Self::Forms => "forms",
        }
    }

    /// The names of all scenarios.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }

    /// The scenario of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// The abusive families that this scenario is about; none where they are drawn.
    #[must_use]
    pub const fn families(self) -> &'static [&'static str] {
        match self {
            Self::Quiet | Self::FlashCrowd | Self::Office | Self::Outage | Self::Deploy => &[],
            Self::Flood => &["flood"],
            Self::Botnet => &["botnet"],
            Self::Scan => &["scanner"],
            Self::Scrape => &["scraper"],
            Self::Stuffing => &["stuffing"],
            Self::Enumeration => &["enumeration"],
            Self::Bruteforce => &["bruteforce"],
            Self::Hoarding => &["hoarder"],
            Self::Carding => &["carding"],
            Self::Headless => &["headless"],
            Self::SlowScrape => &["swarm"],
            Self::SlowStuffing => &["patient"],
            Self::Keys => &["churner", "sharing"],
            Self::Ramp => &["ramp"],
            Self::Forms => &["submitter"],
            Self::Mixed | Self::CrowdAttack | Self::Insider => &[],
        }
    }

    /// The factor by which a legitimate family's traffic is larger here than usual.
    pub(super) fn emphasis(self, family: &str) -> f64 {
        match self {
            Self::Office if family == "office" => 8.0,
            Self::Insider if family == "office" => 3.0,
            _ => 1.0,
        }
    }

    /// Whether there is a flash crowd.
    pub(super) fn crowded(self) -> bool {
        matches!(self, Self::FlashCrowd | Self::Mixed | Self::CrowdAttack)
    }

    /// The abusive families of this scenario.
    pub(super) fn attacks(self, dice: &mut Dice) -> Vec<&'static str> {
        const ALL: [&str; 16] = [
            "flood",
            "botnet",
            "scanner",
            "scraper",
            "stuffing",
            "enumeration",
            "bruteforce",
            "hoarder",
            "carding",
            "headless",
            "swarm",
            "patient",
            "churner",
            "sharing",
            "ramp",
            "submitter",
        ];
        match self {
            // More of them at once than any one site would see, but not all.
            Self::Mixed => {
                let mut some = ALL.to_vec();
                while some.len() > 7 {
                    some.swap_remove(dice.below(some.len()));
                }
                some
            }
            Self::CrowdAttack => vec![dice.pick(&ALL)],
            // What one person, or a machine that was taken over, can do.
            Self::Insider => vec![dice.pick(&[
                "flood",
                "scanner",
                "scraper",
                "enumeration",
                "bruteforce",
                "carding",
                "headless",
                "submitter",
            ])],
            _ => self.families().to_vec(),
        }
    }
}
