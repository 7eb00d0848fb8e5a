//! Which format a body is in, and which one an answer should be in.

use kge_graph::read::Format;

use super::{Problem, kind};

/// The format of an uploaded graph.
///
/// The old service never looked at content types: what begins as JSON is JSON unless the type
/// names another format. Types that say nothing (none, `text/plain`, forms, octets) are decided
/// by how the body begins.
///
/// # Errors
/// 415 if the type is one that no reader knows and the body is no JSON.
pub(crate) fn sniff(content_type: Option<&str>, body: &[u8]) -> Result<Format, Problem> {
    if let Some(format) = content_type.and_then(Format::from_media_type) {
        return Ok(format);
    }
    let mut text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    text = &text[..text.len().min(4)];
    if text.starts_with(b"[") || text.starts_with(b"{") {
        return Ok(Format::Json);
    }
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        ""
        | "text/plain"
        | "application/x-www-form-urlencoded"
        | "application/octet-stream"
        | "application/gzip"
        | "application/zstd" => {
            let rdf = text.starts_with(b"<") || text.starts_with(b"_:");
            Ok(if rdf { Format::NTriples } else { Format::Tsv })
        }
        other => Err(Problem::new(
            &kind::UNSUPPORTED_MEDIA_TYPE,
            format!("bodies of type \"{other}\" cannot be read; these can: {}", media_types()),
        )),
    }
}

/// The format an `Accept` header asks for, JSON if it does not care.
///
/// # Errors
/// 406 if it only asks for what cannot be written.
pub(crate) fn accepted(accept: Option<&str>) -> Result<Format, Problem> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok(Format::Json) };
    let mut ranges: Vec<(f32, &str)> = accept
        .split(',')
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next().unwrap_or_default();
            let quality = parts.find_map(|p| p.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            (quality, essence)
        })
        .filter(|(quality, _)| *quality > 0.0)
        .collect();
    ranges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let read = |essence: &str| match essence {
        "*/*" | "application/*" => Some(Format::Json),
        "text/*" => Some(Format::Tsv),
        _ => Format::from_media_type(essence),
    };
    ranges.iter().find_map(|(_, essence)| read(essence)).ok_or_else(|| {
        let words = format!("\"{accept}\" cannot be written; these can: {}", media_types());
        Problem::new(&kind::NOT_ACCEPTABLE, words)
    })
}

fn media_types() -> String {
    Format::ALL.map(Format::media_type).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_known_by_type_or_by_how_they_begin() {
        for (content_type, body, format) in [
            (None, " [", Some(Format::Json)),
            (Some("text/plain;charset=UTF-8"), "{", Some(Format::Json)),
            (Some("application/x-www-form-urlencoded"), "[[", Some(Format::Json)),
            (Some("image/png"), "{}", Some(Format::Json)),
            (None, "a\tb\tc", Some(Format::Tsv)),
            (Some("text/plain"), "a\tb\tc", Some(Format::Tsv)),
            (None, "<a> <b> <c> .", Some(Format::NTriples)),
            (Some("text/turtle"), "[] <b> <c> .", Some(Format::Turtle)),
            (Some("application/json"), "a\tb", Some(Format::Json)),
            (Some("image/png"), "a\tb\tc", None),
        ] {
            assert_eq!(
                sniff(content_type, body.as_bytes()).ok(),
                format,
                "{content_type:?} {body}"
            );
        }
    }

    #[test]
    fn answers_come_as_asked() {
        for (accept, format) in [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("text/csv;q=0.5, text/turtle"), Some(Format::Turtle)),
            (Some("text/html, text/tab-separated-values;q=0.9, */*;q=0.1"), Some(Format::Tsv)),
            (Some("image/png"), None),
        ] {
            assert_eq!(accepted(accept).ok(), format, "{accept:?}");
        }
    }
}
