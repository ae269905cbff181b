//! Which browser a session is in, for people who tell their own from a stranger's: two words made of what the browser
//! says of itself, and never that text.
//!
//! A `User-Agent` says anything: most browsers name several others, so the order of the lists decides. Nothing rests on
//! it, and what is on neither list is not told.

/// Longer ones are no browser's.
const MAX_TEXT: usize = 1000;

/// What a browser has in its text, and what people call it; those that name others too come first.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
];

/// `Firefox on Linux`, or what of it is known.
pub fn called(user_agent: &str) -> Option<String> {
    let text = user_agent.get(..MAX_TEXT).unwrap_or(user_agent);
    let of = |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| text.contains(mark)).map(|(_, name)| *name);
    match (of(BROWSERS), of(SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser} on {system}")),
        (Some(browser), None) => Some(browser.to_owned()),
        (None, Some(system)) => Some(format!("A browser on {system}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_called_by_two_words() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
        for (text, words) in [
            (chrome.to_owned(), Some("Chrome on Windows")),
            (format!("{chrome} Edg/131.0.0.0"), Some("Edge on Windows")),
            (iphone.to_owned(), Some("Safari on iPhone")),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".to_owned(),
                Some("Firefox on Linux"),
            ),
            ("Mozilla/5.0 (Linux; Android 14) Gecko/133.0 Firefox/133.0".to_owned(), Some("Firefox on Android")),
            ("<script>alert(1)</script> Firefox/1".to_owned(), Some("Firefox")),
            ("Mozilla/5.0 (X11; Linux x86_64) Test/1.0".to_owned(), Some("A browser on Linux")),
            ("curl/8.5".to_owned(), None),
            (String::new(), None),
            (format!("{} Firefox/1", "x".repeat(1000)), None),
        ] {
            assert_eq!(called(&text).as_deref(), words, "{text}");
        }
    }
}
