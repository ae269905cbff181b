//! The forms of values the sections share: durations, URLs, networks, names, and how they are refused.
//!
//! Every refusal says what was expected by an example, because the reader has only this one line to go by.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::{Host, Url};

use super::problem::Problems;

/// The form of names that stand in paths and keys.
pub(super) const SLUG: &str = "lower-case letters, digits and hyphens, 32 at most, such as \"google\"";

const DURATION_FORM: &str = "a number with a unit, such as \"500ms\", \"60s\", \"15m\", \"12h\" or \"30d\"";

/// Reads `"15m"`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no duration; expected {DURATION_FORM}")))
}

/// Reads `"15m"` where there may be none.
pub(super) fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// A whole number and one of the units ms, s, m, h, d.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// The text `parse_duration` reads, in the largest unit that fits.
pub(super) fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= length && millis.is_multiple_of(length) {
            return format!("{}{unit}", millis / length);
        }
    }
    if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") }
}

/// Reports a duration outside the range.
pub(super) fn check_range(problems: &mut Problems, key: &str, value: Duration, range: RangeInclusive<Duration>) {
    if !range.contains(&value) {
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        let problem = format!("{} is out of range", format_duration(value));
        problems.add(key, problem, format!("\"{least}\" to \"{most}\""));
    }
}

/// Reads an absolute URL.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    WebAddress::deserialize(deserializer).map(|address| address.0)
}

/// Reads an absolute URL where there may be none.
pub(super) fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    Ok(Option::<WebAddress>::deserialize(deserializer)?.map(|address| address.0))
}

/// Reads a list of absolute URLs.
pub(super) fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    Ok(Vec::<WebAddress>::deserialize(deserializer)?.into_iter().map(|address| address.0).collect())
}

/// Reads a list of networks; a single address is a network of one.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    Ok(Vec::<Network>::deserialize(deserializer)?.into_iter().map(|network| network.0).collect())
}

struct WebAddress(Url);

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text).map(Self).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is no absolute URL ({error}); expected scheme and host, such as \"https://www.example.com\""
            ))
        })
    }
}

struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self).map_err(|_| {
            D::Error::custom(format!(
                "`{text}` is no network; expected an address with a prefix length, such as \"10.0.0.0/8\""
            ))
        })
    }
}

/// Whether a URL is more or less than an origin.
pub(super) fn origin_problem(url: &Url) -> Result<(), String> {
    let bare = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if bare { Ok(()) } else { Err(format!("`{url}` is not a bare origin")) }
}

/// Whether the host is this machine, by name or address.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the text has the form [`SLUG`] describes.
pub(super) fn is_slug(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
}

/// "is missing" for an empty value, else the value and what is wrong with it.
pub(super) fn missing_or(value: &str, problem: &str) -> String {
    if value.is_empty() { "is missing".to_owned() } else { format!("`{value}` {problem}") }
}
