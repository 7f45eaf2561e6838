//! The feature vector: its names, units and plain words, fixed and versioned.
//!
//! A model is trained for one [`SCHEMA_VERSION`] and refused by any other. Every value is finite:
//! what is unknown has the neutral value that its row states, so a model never meets a NaN.

/// The version of this table; it changes whenever a row is added, removed or redefined.
pub const SCHEMA_VERSION: u32 = 10;

/// One row of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// The feature's name, as files and reports spell it.
    pub name: &'static str,
    /// What it measures, with its unit.
    pub doc: &'static str,
    /// How a reason names it to a person.
    pub words: &'static str,
}

/// How many features a vector has.
pub const COUNT: usize = 64;

/// The values of one moment, in the order of [`SCHEMA`].
pub type Features = [f32; COUNT];

macro_rules! schema {
    ($($index:literal $constant:ident $name:literal $doc:literal $words:literal;)*) => {
        /// The position of each feature in the vector.
        pub mod index {
            $(#[doc = $doc] pub const $constant: usize = $index;)*
        }
        /// Every feature, by position.
        pub const SCHEMA: [Feature; COUNT] = [
            $(Feature { name: $name, doc: $doc, words: $words },)*
        ];
    };
}

#[rustfmt::skip]
schema! {
    0 RATE_10S "rate_10s" "requests over the last 10 s, as requests a minute" "requests in the last seconds";
    1 RATE_1M "rate_1m" "requests over the last minute, as requests a minute" "request rate";
    2 RATE_10M "rate_10m" "requests over the last 10 minutes, as requests a minute" "request rate over ten minutes";
    3 ROUTE_DEPTH "route_depth" "mean of ln(1 + a client's requests so far) of who asked for the route over a minute, less that of before" "who comes to the route now begins or goes on otherwise than those before";
    4 PAGES_1M "pages_1m" "requests over the last minute that are not assets, as requests a minute" "pages and API calls a minute";
    5 BURST "burst" "`rate_10s` over `rate_10m`" "how much requests come in bursts";
    6 GAP_MEAN "gap_mean" "mean of ln(1 + milliseconds between requests)" "the pause between requests";
    7 GAP_DEVIATION "gap_deviation" "standard deviation of ln(1 + milliseconds between requests)" "how regular its timing is";
    8 AGE "age" "ln(1 + seconds since first seen)" "how long the client is known";
    9 REQUESTS "requests" "ln(1 + requests seen)" "how much was seen of the client";
    10 ERROR_EXCESS "error_excess" "share of 4xx responses above what the same routes give everybody, −1..1" "errors beyond what others get on the same routes";
    11 AUTH_EXCESS "auth_excess" "share of 401 and 403 responses above the routes' own, −1..1" "refused log-ins beyond what others get";
    12 MISSING_EXCESS "missing_excess" "share of 404, 405 and 410 responses above the routes' own, −1..1" "asking for what does not exist, beyond others";
    13 SERVER_EXCESS "server_excess" "share of 5xx responses above the routes' own, −1..1" "server errors beyond what others get";
    14 AUTH_FAILURES "auth_failures" "401 and 403 responses over 10 minutes" "refused log-ins of ten minutes";
    15 SITE_REFERERS "site_referers" "share of the site's requests with a referer, 0..1; 0 where no referers are told" "how often anybody here sends a referer";
    16 ROUTES_DISTINCT "routes_distinct" "distinct routes lately (linear counting, saturates near 200)" "how many routes were visited";
    17 PATHS_DISTINCT "paths_distinct" "distinct paths lately (linear counting, saturates near 600)" "how many different paths were visited";
    18 PATH_NOVELTY "path_novelty" "share of requests to a path that this client had not visited, 0..1" "how often it asks for something new";
    19 SURPRISE "surprise" "mean of −log2 P(route) less the site's entropy, bits" "how rarely others visit what it visits";
    20 TRANSITION_SURPRISE "transition_surprise" "mean of −log2 P(route given the one before) less the site's own, bits" "how unlike others it moves through the site";
    21 ASSET_SHARE "asset_share" "share of requests for assets (scripts, styles, images, fonts), 0..1" "how much of it is assets";
    22 ASSET_FALL "asset_fall" "share of assets among the site's requests before less that of a minute, −1..1" "how much less than usual the site's visitors load assets";
    23 API_SHARE "api_share" "share of requests for API routes, 0..1" "how much of it is API calls";
    24 WRITE_SHARE "write_share" "share of POST, PUT, PATCH, DELETE, 0..1" "how much of it writes";
    25 ODD_METHOD_SHARE "odd_method_share" "share of HEAD, OPTIONS and unusual methods, 0..1" "how often methods are unusual";
    26 REFERER_SHARE "referer_share" "share of requests with a referer, 0..1" "how often it sends a referer";
    27 REFERER_CHAIN "referer_chain" "share of requests whose referer is a page this client visited, 0..1" "how often it follows links";
    28 ID_SHARE "id_share" "share of requests whose path or query carries an id, 0..1" "how often it asks for items by id";
    29 ID_WALKING "id_walking" "share of its steps lately from one numbered item to another on the same route, but for assets, that go on by 1 to 8, 0..1, drawn to 0 while they are few, and where they lead to fewer items than they are (half is forgotten every ten minutes and all after ten to twenty of silence)" "how much it walks through ids in sequence";
    30 IDS_DISTINCT "ids_distinct" "distinct ids lately (linear counting, saturates near 250)" "how many different ids were asked for";
    31 ODD_PATH_SHARE "odd_path_share" "share of paths with traversal, dot files, leftovers, injection, or software and technology in them that the site does not have, 0..1" "how often paths look like probes";
    32 USERS_DISTINCT "users_distinct" "distinct users behind this client (saturates near 60)" "users behind one client";
    33 AGENTS_DISTINCT "agents_distinct" "distinct user agents behind this client (saturates near 60)" "browsers behind one client";
    34 NETWORKS_DISTINCT "networks_distinct" "distinct networks (/24, /48) that the same credential came from lately (saturates near 60)" "networks that one credential is used from";
    35 SEND_TURNS "send_turns" "mean over the last eight or fewer things it sent (POST, PUT, PATCH, DELETE) of log2 of how often the client sent to that route lately, against what is usual of who sends there, as far as others do (forgotten after ten to twenty minutes of silence)" "how often it sends to the same, beside others";
    36 PAYLOAD "payload" "mean of ln(1 + payload bytes)" "size of what is sent";
    37 RESPONSE "response" "mean of ln(1 + response bytes)" "size of what is fetched";
    38 TURNS "turns" "mean over requests but assets of log2 of how often the client asked for their route lately, against what is usual of who asks for it" "how often it asks for the same, beside others";
    39 REPUTATION "reputation" "0 unknown, 1 listed as hosting or proxy, 2 listed as hostile, −1 listed as good" "what lists say of the address";
    40 AGENT_KIND "agent_kind" "0 none, 1 browser, 2 app or HTTP library (and everybody where no agents are told), 3 declared robot" "kind of user agent";
    41 BARE_PAGES "bare_pages" "pages fetched without any asset by something that claims to be a browser, ln(1 + n), saturates at 255" "pages of a browser without assets";
    42 CREDENTIALED "credentialed" "share of the requests to the same route that send a credential, above 0 and to 1, when one names the client; else 0" "whether it sends a credential, and others do";
    43 NETWORK_CLIENTS "network_clients" "ln(1 + distinct clients of the same network over 10 minutes)" "active clients in the same network";
    44 NETWORK_RATE "network_rate" "requests over the last minute from the same network, as requests a minute" "traffic of the same network";
    45 NETWORK_ERROR_EXCESS "network_error_excess" "share of 4xx of the network above the routes' own, −1..1" "errors of the same network";
    46 AGENT_SURGE "agent_surge" "log2 of the fingerprint's share of the site's clients but this one over a minute against what was usual before" "surge of clients of the same fingerprint";
    47 LOG_INS "log_ins" "ln(1 + n) of what was sent lately to where passwords or codes are tried, by the name that the site gives it (half is forgotten every ten minutes and all after ten to twenty of silence, saturates at 255)" "how often it logged in or tried to";
    48 FLOWS "flows" "ln(1 + n) of what was sent lately to where accounts are made, payments and vouchers tried, or mails and codes sent, likewise" "how often it signed up, paid, redeemed or had codes sent";
    49 ROUTE_SURGE "route_surge" "log2 of the route's clients but this one over a minute against what was usual before" "surge of clients on the route";
    50 ROUTE_NEWCOMERS "route_newcomers" "share of the route's clients that are new, 0..1" "new clients on the route";
    51 ROUTE_ERROR_RATIO "route_error_ratio" "share of 4xx of the route lately, 0..1" "how often the route fails for everybody";
    52 SITE_SURGE "site_surge" "log2 of the site's clients but this one over a minute against what was usual before" "surge of clients on the site";
    53 SITE_NEWCOMERS "site_newcomers" "share of the site's clients that are new, 0..1" "new clients on the site";
    54 SITE_SHARE "site_share" "this client's share of the site's requests over a minute, 0..1" "its share of the site's requests";
    55 PACE "pace" "log2 of the client's requests over the last minute against what is usual of a client here" "how busy it is beside other clients";
    56 SITE_RUSH "site_rush" "log2 of the site's clients over the last 10 s against what was usual before" "surge of clients on the site within seconds";
    57 ROUTE_RUSH "route_rush" "log2 of the route's clients over the last 10 s against what was usual before" "surge of clients on the route within seconds";
    58 ARRIVAL_SURGE "arrival_surge" "log2 of new clients over the last minute against what was usual before" "surge of new clients";
    59 COHORT_SURGE "cohort_surge" "log2 of clients of the same fingerprint on the same route over a minute against what was usual before" "surge of look-alikes on one route";
    60 ROUTE_ERROR_RISE "route_error_rise" "share of 4xx of the route over a minute less that of ten minutes, −1..1" "how much more often than before the route fails";
    61 SETTLED "settled" "share of the client's requests of ten minutes that are older than a minute, 0..1" "how long the client has been at it";
    62 SITE_SERVER_RATIO "site_server_ratio" "share of 5xx of the site over a minute, 0..1" "how often the site fails";
    63 SITE_ERROR_RISE "site_error_rise" "share of 4xx of the site over a minute less that of ten minutes, −1..1" "how many more errors than before the site gives";
}

/// What others do, as far as it is a change: zero or less on a site where nothing happens.
const COMMOTION: [usize; 10] = [
    index::AGENT_SURGE,
    index::ROUTE_SURGE,
    index::SITE_SURGE,
    index::SITE_RUSH,
    index::ROUTE_RUSH,
    index::ARRIVAL_SURGE,
    index::COHORT_SURGE,
    index::ROUTE_ERROR_RISE,
    index::SITE_ERROR_RISE,
    index::ASSET_FALL,
];

/// What others do, as far as it is a change in either direction: zero where nothing happens.
const DRIFT: [usize; 1] = [index::ROUTE_DEPTH];

/// The same client at the same moment, if nothing unusual went on around it.
#[must_use]
pub fn in_calm(features: &Features) -> Features {
    let mut calm = *features;
    for at in COMMOTION {
        calm[at] = calm[at].min(0.0);
    }
    for at in DRIFT {
        calm[at] = 0.0;
    }
    calm
}

/// The position of the feature with this name.
#[must_use]
pub fn position(name: &str) -> Option<usize> {
    SCHEMA.iter().position(|feature| feature.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_where_they_stand() {
        for (i, feature) in SCHEMA.iter().enumerate() {
            assert_eq!(position(feature.name), Some(i), "{} stands twice", feature.name);
        }
        assert_eq!(position("no_such_feature"), None);
    }

    #[test]
    fn calm_takes_away_what_others_do_and_nothing_else() {
        let features: Features = std::array::from_fn(|i| if i % 2 == 0 { 1.5 } else { -0.5 });
        let calm = in_calm(&features);
        for (i, (before, after)) in features.iter().zip(calm).enumerate() {
            let expected = match i {
                i if COMMOTION.contains(&i) => before.min(0.0),
                i if DRIFT.contains(&i) => 0.0,
                _ => *before,
            };
            assert_eq!(after, expected, "{}", SCHEMA[i].name);
        }
        assert_eq!(in_calm(&calm), calm);
    }

    #[test]
    fn constants_point_at_their_rows() {
        assert_eq!(SCHEMA[index::RATE_10S].name, "rate_10s");
        assert_eq!(SCHEMA[index::SITE_ERROR_RISE].name, "site_error_rise");
        assert_eq!(index::SITE_ERROR_RISE, COUNT - 1);
    }
}
