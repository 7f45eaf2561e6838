//! The report as one HTML page that needs no other file, no network and no script.

use super::document::Document;
use super::tables;
use super::words::{headline, limit, number, period, read, safe, share, unnoticed, width};
use super::{chart, words};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Nothing may be loaded and nothing run: should text of a log ever get out of its place, it stays text.
const SECURITY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");

/// The parts of the page: where each is, what it is called, and what it shows. One without anything is left out.
type Part = (&'static str, &'static str, Markup);

pub(super) fn page(document: &Document<'_>) -> String {
    let found = document.found;
    let mut parts: Vec<Part> = Vec::new();
    if found.requests > 0 {
        parts.push(("time", "Requests over time", over_time(document)));
        if !found.groups.is_empty() {
            parts.push(("incidents", "Incidents", tables::groups(document)));
        }
        parts.push(("who", "Who would have been denied", who(document)));
        parts.push(("risk", "Risk of the clients", risk(document)));
        if !found.most_raised.is_empty() {
            parts.push(("spared", "Busy clients that got more room", tables::raised(document)));
        }
        parts.push(("routes", "Routes", tables::routes(document)));
        parts.push(("fixed", "A fixed limit instead", tables::fixed(document)));
    }
    if let Some(labels) = &found.labels {
        parts.push(("labels", "Against the labels", tables::labels(labels)));
    }
    if document.reading.unparsable > 0 {
        parts.push(("skipped", "Lines that could not be read", tables::skipped(document)));
    }
    parts.push(("policy", "How it was decided", policy(document)));
    parts.push(("next", "What to do next", next(document)));
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            (head(document))
            body {
                a class="skip" href="#main" { "Skip to the report" }
                header { (top(document)) }
                nav aria-label="Parts of the report" {
                    ul { @for (id, title, _) in &parts { li { a href={ "#" (id) } { (title) } } } }
                }
                main id="main" {
                    @for (id, title, content) in &parts {
                        section id=(id) aria-labelledby={ (id) "-title" } {
                            h2 id={ (id) "-title" } { (title) }
                            (content)
                        }
                    }
                }
                footer {
                    p {
                        "Made by tidegate " (document.tidegate_version) ". Everything in this file is computed from \
                         the log alone; it loads nothing and sends nothing. Times are UTC."
                    }
                }
            }
        }
    };
    whole.into_string()
}

fn head(document: &Document<'_>) -> Markup {
    let found = document.found;
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(SECURITY);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            meta name="robots" content="noindex";
            title { "Tidegate replay: " (number(found.denied)) " of " (number(found.requests)) " requests denied" }
            style { (PreEscaped(STYLE)) }
        }
    }
}

fn top(document: &Document<'_>) -> Markup {
    let found = document.found;
    let about = if found.clients_approximate { "about " } else { "" };
    let spared = found.clients.saturating_sub(found.clients_denied);
    html! {
        p class="kicker" { "Tidegate replay report" }
        h1 { (headline(document)) }
        @if let Some(rest) = unnoticed(document) { p class="lead" { (rest) } }
        @if found.requests > 0 {
            dl class="figures" {
                div { dt { "requests" } dd { (number(found.requests)) } }
                div class="bad" {
                    dt { "would be denied" }
                    dd { (number(found.denied)) " " small { (share(found.denied, found.requests)) } }
                }
                div class="bad" {
                    dt { "clients denied anything" }
                    dd { (number(found.clients_denied)) " " small { "of " (about) (number(found.clients)) } }
                }
                div class="good" { dt { "clients left alone" } dd { (about) (number(spared)) } }
            }
        }
        p class="meta" {
            @if let Some(period) = period(document) { (period) " · " }
            (read(document))
            @if document.reading.unparsable > 0 { " (" a href="#skipped" { "why" } ")" }
        }
        @if found.shadow {
            p class="meta" { "The policy is in shadow mode: this is what enforcement would have done." }
        }
    }
}

fn over_time(document: &Document<'_>) -> Markup {
    let timeline = &document.found.timeline;
    let rows = timeline.requests.iter().zip(&timeline.denied).zip(0u64..);
    html! {
        figure {
            (chart::over_time(timeline))
            figcaption { "Each bar is " (width(timeline.bucket_seconds)) " of the log's own time, UTC." }
        }
        (tables::folded("The figures of the chart", &["from (UTC)", "requests", "denied"], html! {
            @for ((requests, denied), at) in rows {
                tr {
                    th scope="row" { (words::plain_moment(&words::later(&timeline.from, at * timeline.bucket_seconds))) }
                    td { (number(*requests)) }
                    td { (number(*denied)) }
                }
            }
        }))
    }
}

fn who(document: &Document<'_>) -> Markup {
    let found = document.found;
    if found.most_denied.is_empty() {
        return html! { p { "Nobody." } };
    }
    let shown = found.most_denied.len() as u64;
    html! {
        p {
            @if shown < found.clients_denied {
                "The " (number(shown)) " clients denied most often, of " (number(found.clients_denied)) ". "
            }
            "The little charts cover the time of the whole log, each on a scale of its own."
        }
        (tables::clients(document))
    }
}

fn risk(document: &Document<'_>) -> Markup {
    let (found, policy) = (document.found, &document.policy);
    html! {
        p {
            "Risk is the calibrated probability that a client abuses the site, smoothed over its requests. \
             Each client counts where its risk was highest."
        }
        figure { (chart::risk(&found.risk, policy.throttle_from_risk, policy.block_from_risk)) }
        (tables::folded("The figures of the chart", &["risk", "clients at their highest", "requests"], html! {
            @for row in &found.risk {
                tr {
                    th scope="row" { (format!("{:.2} to {:.2}", row.from, row.to)) }
                    td { (number(row.clients)) }
                    td { (number(row.requests)) }
                }
            }
        }))
    }
}

fn policy(document: &Document<'_>) -> Markup {
    const LINES: usize = 20;
    let policy = &document.policy;
    let more = policy.in_words.len().saturating_sub(LINES);
    html! {
        dl class="facts" {
            dt { "Version" } dd { "tidegate " (document.tidegate_version) }
            dt { "Policy" }
            dd {
                @if policy.in_force { "in force in the server that made this report, by " }
                @match &policy.config {
                    Some(path) => { "the configuration " code { (safe(path, 120)) } },
                    None => { "the default" },
                }
            }
            dt { "Model" } dd { (safe(&policy.model, 120)) }
            dt { "Logs" }
            dd {
                @let files = &document.reading.files;
                @for file in files.iter().take(5) { code { (safe(file, 120)) } " " }
                @if files.len() > 5 { "and " (number(files.len() as u64 - 5)) " more" }
            }
        }
        ul { @for line in policy.in_words.iter().take(LINES) { li { (safe(line, 200)) } } }
        @if more > 0 { p { "And " (number(more as u64)) " more." } }
        p class="small" {
            "Every request was decided by what was known before it, on the log's own clock; the responses of \
             requests that would have been denied taught nothing. A log holds less than the wire does, so decisions \
             on it are somewhat weaker than live ones. A new client has " (limit(document.new_client_limit()))
            " requests a minute."
        }
    }
}

fn next(document: &Document<'_>) -> Markup {
    html! {
        ol class="steps" {
            @for step in &document.next_steps {
                li { p { (step.what) "." } pre { code { (safe(&step.command, 400)) } } }
            }
        }
    }
}
