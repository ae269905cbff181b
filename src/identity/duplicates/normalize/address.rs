//! Postal addresses: the house number apart from the street, kinds of street spelled alike, postcodes without blanks.

use super::text::fold_into;

/// A street address as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Street {
    pub street: String,
    pub number: String,
}

/// Kinds of street and parts of towns, each with its short forms.
const SHORT: &[(&str, &str)] = &[
    ("street", "st"),
    ("str", "st"),
    ("strasse", "st"),
    ("road", "rd"),
    ("avenue", "ave"),
    ("av", "ave"),
    ("avenida", "ave"),
    ("lane", "ln"),
    ("drive", "dr"),
    ("close", "cl"),
    ("court", "ct"),
    ("place", "pl"),
    ("platz", "pl"),
    ("square", "sq"),
    ("boulevard", "blvd"),
    ("crescent", "cres"),
    ("terrace", "ter"),
    ("highway", "hwy"),
    ("parkway", "pkwy"),
    ("gardens", "gdns"),
    ("circuit", "cct"),
    ("weg", "wg"),
    ("calle", "c"),
    ("rue", "r"),
    ("saint", "st"),
    ("sankt", "st"),
    ("north", "n"),
    ("south", "s"),
    ("east", "e"),
    ("west", "w"),
    ("mount", "mt"),
    ("fort", "ft"),
];
/// What introduces a part of a building.
const UNITS: &[&str] =
    &["flat", "apt", "apartment", "unit", "suite", "ste", "floor", "room", "no", "nr", "app", "wohnung", "top", "stg"];
/// Endings that languages write in one word with the name.
const ENDINGS: &[(&str, &str)] = &[("strasse", "st"), ("straat", "st"), ("str", "st"), ("gatan", "gt"), ("gata", "gt")];

impl Street {
    /// Reads one line; a house number given apart is preferred to one in the line.
    pub fn new(line: &str, number: &str) -> Self {
        let mut folded = String::new();
        fold_into(number, &mut folded);
        let mut found: String = folded.split(' ').collect();
        fold_into(line, &mut folded);
        let mut words: Vec<String> = Vec::new();
        let mut skip_next = false;
        for word in folded.split(' ').filter(|word| !word.is_empty()) {
            if std::mem::take(&mut skip_next) {
                continue;
            }
            if UNITS.contains(&word) {
                // What follows names a door, not a house.
                skip_next = !matches!(word, "no" | "nr");
            } else if word.starts_with(|c: char| c.is_ascii_digit()) && !is_ordinal(word) {
                if found.is_empty() {
                    found = word.to_owned();
                } else if words.is_empty() && number.is_empty() {
                    // "3 12 High Street": the number next to the street is the house.
                    found = word.to_owned();
                }
            } else if word.len() == 1
                && !found.is_empty()
                && found.bytes().all(|b| b.is_ascii_digit())
                && number.is_empty()
                && !words.is_empty()
            {
                found.push_str(word);
            } else {
                words.push(shorten(word));
            }
        }
        Self { street: words.concat(), number: found }
    }
}

fn is_ordinal(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    matches!(digits, "st" | "nd" | "rd" | "th")
}

fn shorten(word: &str) -> String {
    if let Some((_, short)) = SHORT.iter().find(|(long, _)| *long == word) {
        return (*short).to_owned();
    }
    for (ending, short) in ENDINGS {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.len() > 2
        {
            return format!("{stem}{short}");
        }
    }
    word.to_owned()
}

/// A town or region in one word.
pub fn locality(text: &str) -> String {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    if matches!(folded.as_str(), "unknown" | "none" | "na" | "n a" | "null" | "nan") {
        return String::new();
    }
    folded
        .split(' ')
        .map(|word| match word {
            "saint" => "st",
            "mount" => "mt",
            "fort" => "ft",
            other => other,
        })
        .collect()
}

/// A postcode: letters and digits, the first five of a nine-digit one.
pub fn postcode(text: &str) -> String {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    let mut words = folded.split(' ');
    if let (Some(first), Some(second), None) = (words.next(), words.next(), words.next())
        && first.len() == 5
        && second.len() == 4
        && folded.bytes().all(|b| b.is_ascii_digit() || b == b' ')
    {
        return first.to_owned();
    }
    let code: String = folded.split(' ').collect();
    if code.len() > 12 || code.bytes().all(|b| b == b'0') || matches!(code.as_str(), "na" | "nan" | "none" | "99999") {
        String::new()
    } else {
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for (line, number, street, house) in [
            ("12 High Street", "", "highst", "12"),
            ("High St. 12", "", "highst", "12"),
            ("Flat 3, 12 High Street", "", "highst", "12"),
            ("Hauptstraße 5a", "", "hauptst", "5a"),
            ("Hauptstr. 5 a", "", "hauptst", "5a"),
            ("high street", "12", "highst", "12"),
            ("21 5th Avenue", "", "5thave", "21"),
            ("", "", "", ""),
        ] {
            let read = Street::new(line, number);
            assert_eq!((read.street.as_str(), read.number.as_str()), (street, house), "{line}");
        }
        assert_eq!(postcode("SW1A 1AA"), "sw1a1aa");
        assert_eq!(postcode("90210-1234"), "90210");
        assert_eq!(locality("Saint-Denis"), "stdenis");
    }
}
