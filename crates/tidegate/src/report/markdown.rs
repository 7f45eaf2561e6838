//! The report as Markdown, short: for a ticket, a pull request or a mail.

use super::document::Document;
use super::tables::{FIXED, FIXED_HEADS, STRICT};
use super::words::{
    action, count, headline, limit, moment, number, parts, percent, period, read, safe, share,
    unnoticed,
};
use std::fmt::{self, Write as _};
use tidegate_lab::replay::LabelReport;

/// How many rows its tables have.
const CLIENTS: usize = 20;
const ROUTES: usize = 10;
const FAMILIES: usize = 20;
/// Most characters of a text out of the log.
const TEXT: usize = 80;

pub(super) fn text(document: &Document<'_>) -> Result<String, fmt::Error> {
    let found = document.found;
    let mut out = String::new();
    writeln!(out, "# Tidegate replay report\n\n**{}**", headline(document))?;
    if let Some(rest) = unnoticed(document) {
        writeln!(out, "{rest}")?;
    }
    writeln!(out)?;
    if let Some(period) = period(document) {
        writeln!(out, "- {period}")?;
    }
    writeln!(out, "- {}", plain(&read(document)))?;
    if found.shadow {
        writeln!(out, "- the policy is in shadow mode: this is what enforcement would have done")?;
    }
    clients(&mut out, document)?;
    groups(&mut out, document)?;
    raised(&mut out, document)?;
    routes(&mut out, document)?;
    fixed(&mut out, document)?;
    if let Some(found) = &found.labels {
        labels(&mut out, found)?;
    }
    decided(&mut out, document)?;
    writeln!(out, "\n## What to do next\n")?;
    for step in &document.next_steps {
        writeln!(out, "{}:\n\n```sh\n{}\n```\n", step.what, safe(&step.command, 400))?;
    }
    Ok(out)
}

/// Text of a log: in a code span nothing of it has a meaning, once it has no backtick; a bar would end the cell.
fn logged(text: &str) -> String {
    if text.is_empty() {
        return "–".into();
    }
    format!("`{}`", safe(text, TEXT).replace('`', "'").replace('|', r"\|"))
}

/// Text that is not a log's and may hold characters with a meaning all the same.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\`*_[]<>|#~&".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A heading and the head of a table; the first column is text, the others are numbers.
fn head(out: &mut String, title: &str, heads: &[&str]) -> fmt::Result {
    writeln!(out, "\n## {title}\n\n| {} |", heads.join(" | "))?;
    writeln!(out, "|:--{}|", "|--:".repeat(heads.len().saturating_sub(1)))
}

fn clients(out: &mut String, document: &Document<'_>) -> fmt::Result {
    let found = document.found;
    let rows = found.most_denied.get(..CLIENTS).unwrap_or(&found.most_denied);
    if rows.is_empty() {
        return Ok(());
    }
    let heads = ["client", "requests", "denied", "peak risk", "in the end", "first denied", "why"];
    head(out, "Who would have been denied", &heads)?;
    for row in rows {
        let why: Vec<_> =
            row.why.iter().map(|reason| plain(&safe(parts(reason).0, TEXT))).collect();
        let why =
            if row.only_fast { "faster than its own limit".to_owned() } else { why.join("; ") };
        writeln!(
            out,
            "| {} | {} | {} | {:.2} | {} | {} | {why} |",
            logged(&row.client),
            number(row.requests),
            number(row.denied),
            row.peak_risk,
            action(row.last_action),
            moment(&row.first_denied)
        )?;
    }
    let shown = rows.len() as u64;
    if shown < found.clients_denied {
        writeln!(out, "\nThe {} denied most often of {}.", shown, number(found.clients_denied))?;
    }
    Ok(())
}

fn groups(out: &mut String, document: &Document<'_>) -> fmt::Result {
    let found = document.found;
    if found.groups.is_empty() {
        return Ok(());
    }
    head(out, "Incidents", &["what", "where", "clients", "denied", "from", "to"])?;
    for row in &found.groups {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            plain(&safe(&row.reason, TEXT)),
            logged(&row.route),
            number(row.clients),
            number(row.denied),
            moment(&row.first_denied),
            moment(&row.last_denied)
        )?;
    }
    Ok(())
}

fn raised(out: &mut String, document: &Document<'_>) -> fmt::Result {
    let found = document.found;
    if found.most_raised.is_empty() {
        return Ok(());
    }
    let [strict, mild] = STRICT.map(|limit| format!("{limit}/min would deny"));
    let heads = ["client", "requests", "limit/min", strict.as_str(), mild.as_str()];
    head(out, "Busy clients that got more room", &heads)?;
    for row in &found.most_raised {
        write!(
            out,
            "| {} | {} | {} |",
            logged(&row.client),
            number(row.requests),
            limit(row.highest_limit_per_min.into())
        )?;
        for fixed in row.fixed.iter().filter(|it| STRICT.contains(&it.limit_per_min)) {
            write!(out, " {} |", number(fixed.denied))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn routes(out: &mut String, document: &Document<'_>) -> fmt::Result {
    let found = document.found;
    if found.routes.is_empty() {
        return Ok(());
    }
    head(out, "Routes", &["route", "requests", "denied", "errors 4xx", "errors 5xx"])?;
    for row in found.routes.iter().take(ROUTES) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            logged(&row.route),
            number(row.requests),
            number(row.denied),
            number(row.client_errors),
            number(row.server_errors)
        )?;
    }
    Ok(())
}

fn fixed(out: &mut String, document: &Document<'_>) -> fmt::Result {
    let found = document.found;
    if found.requests == 0 {
        return Ok(());
    }
    head(out, "A fixed limit instead", &FIXED_HEADS)?;
    let denied = number(found.denied);
    let own = share(found.denied, found.requests);
    writeln!(out, "| **Tidegate** | {denied} | {own} | {denied} | 0 | 0 |")?;
    for row in found.fixed.iter().filter(|row| FIXED.contains(&row.limit_per_min)) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            number(row.limit_per_min.into()),
            number(row.denied),
            share(row.denied, found.requests),
            number(row.denied_of_denied_clients),
            number(row.denied_of_spared_clients),
            number(row.spared_clients)
        )?;
    }
    Ok(())
}

fn labels(out: &mut String, labels: &LabelReport) -> fmt::Result {
    let heads = ["family", "abusive", "actors", "requests", "denied", "harmed"];
    head(out, "Against the labels", &heads)?;
    for row in labels.families.iter().take(FAMILIES) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            logged(&row.family),
            if row.abusive { "yes" } else { "no" },
            number(row.actors),
            number(row.requests),
            share(row.denied, row.requests),
            number(row.harmed)
        )?;
    }
    writeln!(
        out,
        "\nPrecision {}, recall {} over {}: {} harmless requests denied, {} abusive ones passed.",
        percent(labels.precision),
        percent(labels.recall),
        count(labels.lines, "labelled request"),
        number(labels.false_positives),
        number(labels.false_negatives)
    )
}

fn decided(out: &mut String, document: &Document<'_>) -> fmt::Result {
    let policy = &document.policy;
    let config = policy.config.as_deref().map_or_else(|| "the default".into(), logged);
    writeln!(
        out,
        "\n## How it was decided\n\ntidegate {}, policy: {config}, model: {}.\n",
        document.tidegate_version,
        plain(&safe(&policy.model, TEXT))
    )?;
    for line in policy.in_words.iter().take(30) {
        writeln!(out, "- {}", plain(&safe(line, 200)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_log_has_no_meaning_in_markdown() {
        assert_eq!(logged("GET /a|b"), r"`GET /a\|b`");
        assert_eq!(logged("`<script>`\n# x"), r"`'<script>'\n# x`");
        assert_eq!(logged(""), "–");
        assert_eq!(plain("the rule `<b>` *is*"), r"the rule \`\<b\>\` \*is\*");
    }
}
