//! The tables of the page.

use super::chart;
use super::document::Document;
use super::words::{action, count, instant, limit, number, parts, percent, safe, share, why};
use maud::{Markup, html};
use tidegate_lab::replay::{ClientRow, LabelReport, Timeline};

/// Most characters of a name, of a user agent and of a route: what is longer says no more to people.
const NAME: usize = 64;
const AGENT: usize = 64;
const ROUTE: usize = 60;
/// Most characters of a reason.
const REASON: usize = 120;
/// The fixed limits of the comparison, a minute.
pub(super) const FIXED: [u32; 6] = [60, 120, 300, 600, 1200, 6000];
/// What is told of each of them.
pub(super) const FIXED_HEADS: [&str; 6] = [
    "requests a minute for each client",
    "would deny",
    "share",
    "of clients Tidegate denies",
    "of clients it leaves alone",
    "clients it leaves alone, hit",
];
/// The fixed limits that busy clients are held against.
pub(super) const STRICT: [u32; 2] = [60, 300];
/// How many clients everybody sees.
const FIRST: usize = 10;
/// Most families of labels.
const FAMILIES: usize = 20;

/// A table whose first column names the row; on a narrow screen it can be scrolled.
fn table(label: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div class="scroll" role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A table that is there for those who want it.
pub(super) fn folded(summary: &str, heads: &[&str], rows: Markup) -> Markup {
    html! {
        details {
            summary { (summary) }
            (table(summary, heads, &rows))
        }
    }
}

/// Text of a log, apart from the direction of what surrounds it.
fn logged(text: &str, most: usize) -> Markup {
    html! { bdi { (safe(text, most)) } }
}

/// The clients denied most: those that everybody should see, and the others for those who want them.
pub(super) fn clients(document: &Document<'_>) -> Markup {
    let rows = &document.found.most_denied;
    let (first, others) = rows.split_at(rows.len().min(FIRST));
    html! {
        (client_table("The clients denied most", first, &document.found.timeline))
        @if !others.is_empty() {
            details {
                summary { "The next " (number(others.len() as u64)) }
                (client_table("More clients denied", others, &document.found.timeline))
            }
        }
    }
}

/// Rows become cards on a narrow screen, which takes their roles from them: so the roles are written out.
fn client_table(label: &str, rows: &[ClientRow], log: &Timeline) -> Markup {
    let heads =
        ["client", "requests", "denied", "peak risk", "in the end", "first denied", "activity"];
    html! {
        table class="clients" role="table" aria-label=(label) {
            thead role="rowgroup" {
                tr role="row" { @for head in heads { th role="columnheader" scope="col" { (head) } } }
            }
            @for row in rows {
                tbody role="rowgroup" {
                    tr role="row" {
                        th role="rowheader" scope="row" {
                            span class="name" { (logged(&row.client, NAME)) }
                            span class="agent" {
                                @if row.user_agent.is_empty() { "no user agent" } @else { (logged(&row.user_agent, AGENT)) }
                            }
                        }
                        td role="cell" data-label=(heads[1]) { (number(row.requests)) }
                        td role="cell" data-label=(heads[2]) {
                            (number(row.denied)) " " small { (share(row.denied, row.requests)) }
                        }
                        td role="cell" data-label=(heads[3]) { (format!("{:.2}", row.peak_risk)) }
                        td role="cell" data-label=(heads[4]) {
                            span class={ "action " (row.last_action) } { (action(row.last_action)) }
                        }
                        td role="cell" data-label=(heads[5]) { (instant(&row.first_denied)) }
                        td role="cell" data-label=(heads[6]) { (chart::little(&row.timeline, log)) }
                    }
                    tr role="row" { td role="cell" class="why" colspan="7" { (reasons(row)) } }
                }
            }
        }
    }
}

fn reasons(row: &ClientRow) -> Markup {
    html! {
        (why(row))
        @if !row.only_fast {
            ": "
            @for (at, reason) in row.why.iter().enumerate() {
                @let (words, figures) = parts(reason);
                @if at > 0 { "; " }
                (safe(words, REASON))
                @if let Some(figures) = figures { " " small { "(" (safe(figures, NAME)) ")" } }
            }
        }
        ". Asked most for "
        @for (at, route) in row.routes.iter().enumerate() {
            @if at > 0 { ", " }
            code { (logged(route, ROUTE)) }
        }
        "."
    }
}

/// What happened to many clients for one reason.
pub(super) fn groups(document: &Document<'_>) -> Markup {
    let found = document.found;
    let shown = found.groups.len() as u64;
    html! {
        p {
            "The denied clients, put together by what spoke against them most and what they asked for when they were \
             first denied."
            @if shown < found.groups_found {
                " The " (number(shown)) " largest of " (number(found.groups_found)) "."
            }
        }
        (table("Incidents", &["what", "clients", "requests", "denied", "from and to", "such as"], &html! {
            @for row in &found.groups {
                tr {
                    th scope="row" { (safe(&row.reason, REASON)) br; code { (logged(&row.route, ROUTE)) } }
                    td { (number(row.clients)) }
                    td { (number(row.requests)) }
                    td { (number(row.denied)) }
                    td { (instant(&row.first_denied)) br; (instant(&row.last_denied)) }
                    td class="text" {
                        @for (at, name) in row.examples.iter().enumerate() {
                            @if at > 0 { br; }
                            (logged(name, NAME))
                        }
                    }
                }
            }
        }))
    }
}

/// Those who are busy and were not taken for abusers.
pub(super) fn raised(document: &Document<'_>) -> Markup {
    let found = document.found;
    let heads: Vec<_> = STRICT.iter().map(|limit| format!("{limit}/min would deny")).collect();
    let heads: Vec<_> = ["client", "requests", "limit/min", "denied"]
        .into_iter()
        .chain(heads.iter().map(String::as_str))
        .collect();
    html! {
        p {
            (count(found.clients_raised, "client")) " proved harmless, got a higher limit than the "
            (limit(document.new_client_limit())) " a minute of a new client, and would never have been denied. \
             The busiest of them, and what fixed limits would have denied them:"
        }
        (table("Busy clients", &heads, &html! {
            @for row in &found.most_raised {
                tr {
                    th scope="row" {
                        span class="name" { (logged(&row.client, NAME)) }
                        span class="agent" { (logged(&row.user_agent, AGENT)) }
                    }
                    td { (number(row.requests)) }
                    td { (limit(row.highest_limit_per_min.into())) }
                    td { "0" }
                    @for fixed in row.fixed.iter().filter(|it| STRICT.contains(&it.limit_per_min)) {
                        td { (number(fixed.denied)) " " small { (share(fixed.denied, row.requests)) } }
                    }
                }
            }
        }))
    }
}

pub(super) fn routes(document: &Document<'_>) -> Markup {
    let found = document.found;
    let shown = found.routes.len() as u64;
    let heads = ["route", "requests", "denied", "denied %", "errors 4xx", "errors 5xx"];
    html! {
        p {
            @if shown < found.routes_found {
                "The " (number(shown)) " routes asked for most, of " (number(found.routes_found)) ". "
            }
            "A path is a route of its own once a request for it succeeded; until then it counts as " code { "(other)" }
            ". Errors are those of the log."
        }
        (table("Routes", &heads, &html! {
            @for row in &found.routes {
                tr {
                    th scope="row" { code { (logged(&row.route, ROUTE)) } }
                    td { (number(row.requests)) }
                    td { (number(row.denied)) }
                    td { (share(row.denied, row.requests)) }
                    td { (number(row.client_errors)) }
                    td { (number(row.server_errors)) }
                }
            }
        }))
    }
}

/// What a limit for everybody would have done.
pub(super) fn fixed(document: &Document<'_>) -> Markup {
    let found = document.found;
    html! {
        p { "The same requests under one limit for everybody, with a burst of as many." }
        (table("Fixed limits", &FIXED_HEADS, &html! {
            tr class="own" {
                th scope="row" { "Tidegate" }
                td { (number(found.denied)) }
                td { (share(found.denied, found.requests)) }
                td { (number(found.denied)) }
                td { "0" }
                td { "0" }
            }
            @for row in found.fixed.iter().filter(|row| FIXED.contains(&row.limit_per_min)) {
                tr {
                    th scope="row" { (number(row.limit_per_min.into())) }
                    td { (number(row.denied)) }
                    td { (share(row.denied, found.requests)) }
                    td { (number(row.denied_of_denied_clients)) }
                    td { (number(row.denied_of_spared_clients)) }
                    td { (number(row.spared_clients)) }
                }
            }
        }))
    }
}

/// How the decisions fare against what is known.
pub(super) fn labels(labels: &LabelReport) -> Markup {
    let more = labels.families.len().saturating_sub(FAMILIES);
    let heads = ["family", "abusive", "actors", "requests", "denied", "harmed", "first denial"];
    html! {
        dl class="figures" {
            div { dt { "precision" } dd { (percent(labels.precision)) } }
            div { dt { "recall" } dd { (percent(labels.recall)) } }
            div { dt { "harmless requests denied" } dd { (number(labels.false_positives)) " " small { (percent(labels.harm)) } } }
            div { dt { "abusive requests that passed" } dd { (number(labels.false_negatives)) } }
        }
        p {
            "Of the " (count(labels.lines, "request")) " with a label. Precision is the share of denied requests that are \
             abuse, recall the share of abuse that is denied; an actor is harmed when more than 2 % of its requests are \
             denied. "
            @match labels.best_fixed {
                Some((limit, harm, caught)) => {
                    "The best fixed limit, " (number(limit.into())) " a minute, stops " (percent(caught))
                    " of the abuse and denies " (percent(harm)) " of the rest."
                },
                None => { "Every fixed limit denies more than 0.2 % of what is not abuse." },
            }
        }
        (table("Families of actors", &heads, &html! {
            @for row in labels.families.iter().take(FAMILIES) {
                tr {
                    th scope="row" { (logged(&row.family, NAME)) }
                    td { (if row.abusive { "yes" } else { "no" }) }
                    td { (number(row.actors)) }
                    td { (number(row.requests)) }
                    td { (number(row.denied)) " " small { (share(row.denied, row.requests)) } }
                    td { (number(row.harmed)) }
                    td { @match row.median_first_denial {
                        Some(nth) => { "request " (number(nth)) },
                        None => { "never" },
                    } }
                }
            }
        }))
        @if more > 0 { p { "And " (number(more as u64)) " more families." } }
    }
}

pub(super) fn skipped(document: &Document<'_>) -> Markup {
    let reading = &document.reading;
    html! {
        p {
            (count(reading.unparsable, "line")) " could not be read"
            @if reading.first_unparsable.len() as u64 != reading.unparsable { ", the first of them" }
            ":"
        }
        ul {
            @for line in &reading.first_unparsable {
                li { code { (logged(&line.file, 120)) ":" (line.line) } " " (logged(&line.reason, 160)) }
            }
        }
    }
}
