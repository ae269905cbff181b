//! Phone numbers: what counts as one, and when two spellings are the same one (spec/identity.md rule 1).
//!
//! A number is parsed once, at the edge, to ITU-T E.164: a plus, an assigned country code, and no more than fifteen
//! digits. A number without a country code is one only where the configuration says which country is meant; it is never
//! guessed. Strict on purpose: what is stored here may log somebody in. Duplicate search, which reads whatever people
//! wrote, has a reading of its own.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The longest text that is looked at, in bytes.
const MAX_TEXT: usize = 64;
/// The most digits, with the country code (E.164 §6.2.1).
const MAX_DIGITS: usize = 15;
/// The fewest digits after the country code: Saint Helena, Niue and others have four.
const MIN_NATIONAL: usize = 4;
/// The digits of the North American numbering plan after its 1.
const NORTH_AMERICAN: usize = 10;

/// Country codes of one and two digits, of geographic areas (ITU-T E.164, list of assigned codes).
const SHORT_CODES: &[&str] = &[
    "1", "7", "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48",
    "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84",
    "86", "90", "91", "92", "93", "94", "95", "98",
];
/// Of three digits, as ranges. Those of services without a place (800, 808, 87x, 88x but 880 and 886) reach no person
/// and are left out.
const LONG_CODES: &[(u32, u32)] = &[
    (211, 213),
    (216, 216),
    (218, 218),
    (220, 258),
    (260, 269),
    (290, 291),
    (297, 299),
    (350, 359),
    (370, 378),
    (380, 383),
    (385, 387),
    (389, 389),
    (420, 421),
    (423, 423),
    (500, 509),
    (590, 599),
    (670, 670),
    (672, 683),
    (685, 692),
    (850, 850),
    (852, 853),
    (855, 856),
    (880, 880),
    (886, 886),
    (960, 968),
    (970, 977),
    (992, 996),
    (998, 998),
];

/// Why a text is no phone number. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Something other than digits and what people put between them.
    #[error("a phone number has the form +49 30 1234567")]
    Form,
    /// No plus, and no country is configured.
    #[error("a phone number begins with a plus and the country code")]
    NoCountry,
    /// Nobody has this country code.
    #[error("the country code is not assigned")]
    UnknownCountry,
    /// Too few or too many digits.
    #[error("the phone number has too few or too many digits")]
    Length,
}

/// The country that is meant where a number names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country<'a> {
    /// Its code, such as `49`.
    pub code: &'a str,
    /// What numbers begin with inside the country, such as `0`; empty where they begin with nothing.
    pub trunk_prefix: &'a str,
}

/// One phone number in E.164. `Debug` does not show it: numbers stay out of logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    e164: String,
    /// Where the national number begins.
    national_at: usize,
}

impl PhoneNumber {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`PhoneError`] says what is wrong.
    pub fn parse(text: &str, home: Option<Country<'_>>) -> Result<Self, PhoneError> {
        if text.len() > MAX_TEXT {
            return Err(PhoneError::Length);
        }
        let unified: String = text.nfkc().collect();
        let unified = unified.trim();
        // RFC 3966: `tel:` and nothing after it but the number; an extension reaches somebody else.
        let written = unified.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:"));
        let written = written.map_or(unified, |_| unified.get(4..).unwrap_or_default());
        let (digits, has_plus) = digits(written)?;
        let international = match (has_plus, home) {
            (true, _) => digits,
            (false, None) => return Err(PhoneError::NoCountry),
            (false, Some(home)) => abroad(&digits, home)?,
        };
        Self::of_digits(&international)
    }

    fn of_digits(digits: &str) -> Result<Self, PhoneError> {
        let code = code_length(digits).ok_or(PhoneError::UnknownCountry)?;
        let national = digits.len() - code;
        let is_north_american = digits.starts_with('1');
        if digits.len() > MAX_DIGITS || national < MIN_NATIONAL || (is_north_american && national != NORTH_AMERICAN) {
            return Err(PhoneError::Length);
        }
        // North American Numbering Plan: neither the area nor the exchange begins with 0 or 1.
        let begins_low = |at: usize| digits.as_bytes().get(at).is_some_and(|digit| matches!(digit, b'0' | b'1'));
        if is_north_american && (begins_low(1) || begins_low(4)) {
            return Err(PhoneError::Form);
        }
        Ok(Self { e164: format!("+{digits}"), national_at: code + 1 })
    }

    /// The form that is compared and stored: `+` and digits.
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// Whether it stands for nobody: one digit over and over, a run of the keypad, or a number made up for films.
    pub fn is_blocked(&self) -> bool {
        let national = self.e164.get(self.national_at..).unwrap_or_default();
        let subscriber = national.trim_start_matches('0');
        let all_alike = subscriber.bytes().all(|digit| subscriber.as_bytes().first() == Some(&digit));
        let is_run = "01234567890123456789".contains(national) || "98765432109876543210".contains(national);
        let is_fiction = self.e164.starts_with("+1") && national.get(3..8) == Some("55501");
        all_alike || is_run || is_fiction
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phone number]")
    }
}

/// The digits of a number as people write it, and whether a plus stands before them.
fn digits(text: &str) -> Result<(String, bool), PhoneError> {
    let has_plus = text.starts_with('+');
    let rest = text.strip_prefix('+').unwrap_or(text);
    // The zero of `+49 (0)30` is dialed inside the country only.
    let rest = if has_plus { rest.replacen("(0)", "", 1) } else { rest.to_owned() };
    let mut digits = String::new();
    for c in rest.chars() {
        match c {
            '0'..='9' => digits.push(c),
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}' => {}
            _ => return Err(PhoneError::Form),
        }
    }
    let enough = digits.len() >= MIN_NATIONAL;
    if enough { Ok((digits, has_plus)) } else { Err(PhoneError::Length) }
}

/// A number without a plus, with its country code.
fn abroad(digits: &str, home: Country<'_>) -> Result<String, PhoneError> {
    if let Some(international) = digits.strip_prefix("00") {
        return Ok(international.to_owned());
    }
    // Without what numbers begin with in that country it may be a local number, which says nothing of its area.
    let national = digits.strip_prefix(home.trunk_prefix).ok_or(PhoneError::NoCountry)?;
    Ok(format!("{}{national}", home.code))
}

/// How many digits the assigned country code has with which these begin.
fn code_length(digits: &str) -> Option<usize> {
    for length in [1, 2] {
        if digits.get(..length).is_some_and(|code| SHORT_CODES.contains(&code)) {
            return Some(length);
        }
    }
    let code: u32 = digits.get(..3)?.parse().ok()?;
    LONG_CODES.iter().any(|(first, last)| (*first..=*last).contains(&code)).then_some(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMANY: Option<Country<'_>> = Some(Country { code: "49", trunk_prefix: "0" });
    const SPAIN: Option<Country<'_>> = Some(Country { code: "34", trunk_prefix: "" });

    fn e164(text: &str, home: Option<Country<'_>>) -> Result<String, PhoneError> {
        PhoneNumber::parse(text, home).map(|number| number.e164().to_owned())
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for text in [
            "+49 30 901820",
            "+4930901820",
            " +49 (30) 90-18-20 ",
            "+49 (0)30 901820",
            "+49.30.901820",
            "+49 30/901820",
            "+49\u{a0}30\u{2009}901820",
            "+49 30\u{2013}901820",
            "tel:+49-30-901820",
            "TEL:+4930901820",
            "＋４９ ３０ ９０１８２０",
        ] {
            assert_eq!(e164(text, None).as_deref(), Ok("+4930901820"), "{text}");
            let again = e164(&e164(text, None).unwrap(), None);
            assert_eq!(again.as_deref(), Ok("+4930901820"), "normalizing is a fixed point");
        }
        assert_eq!(e164("+1 (212) 736-5000", None).as_deref(), Ok("+12127365000"));
        assert_eq!(e164("+39 06 6982", None).as_deref(), Ok("+39066982"), "Italy keeps its zero");
        assert_eq!(e164("+683 4000", None).as_deref(), Ok("+6834000"));
        assert_eq!(e164("+972 2-123-4567", None).as_deref(), Ok("+97221234567"));
    }

    #[test]
    fn a_number_without_its_country_is_one_only_where_a_country_is_configured() {
        assert_eq!(e164("030 901820", None), Err(PhoneError::NoCountry));
        assert_eq!(e164("030 901820", GERMANY).as_deref(), Ok("+4930901820"));
        assert_eq!(e164("0049 30 901820", GERMANY).as_deref(), Ok("+4930901820"));
        assert_eq!(e164("+34 912 345 678", GERMANY).as_deref(), Ok("+34912345678"), "what it says itself counts");
        assert_eq!(e164("901820", GERMANY), Err(PhoneError::NoCountry), "a local number has no area");
        assert_eq!(e164("912 345 678", SPAIN).as_deref(), Ok("+34912345678"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (text, expected) in [
            ("", PhoneError::Length),
            ("+", PhoneError::Length),
            ("+4930", PhoneError::Length),
            ("+49301234567890123", PhoneError::Length),
            ("+999 1234567", PhoneError::UnknownCountry),
            ("+0 1234567", PhoneError::UnknownCountry),
            ("+888 123456789", PhoneError::UnknownCountry),
            ("+800 1234 5678", PhoneError::UnknownCountry),
            ("+1 212 736 500", PhoneError::Length),
            ("+1 212 736 50000", PhoneError::Length),
            ("+1 112 736 5000", PhoneError::Form),
            ("+1 212 136 5000", PhoneError::Form),
            ("+49 30 901820 ext. 5", PhoneError::Form),
            ("tel:+4930901820;ext=5", PhoneError::Form),
            ("+49 30 90182O", PhoneError::Form),
            ("++4930901820", PhoneError::Form),
            ("+49+30901820", PhoneError::Form),
            ("1-800-FLOWERS", PhoneError::Form),
            ("+49 30 901820, +49 30 901821", PhoneError::Form),
            ("+49\u{0}30901820", PhoneError::Form),
        ] {
            assert_eq!(e164(text, None), Err(expected), "{text:?}");
        }
        assert_eq!(e164(&"+49 30 901820".repeat(6), None), Err(PhoneError::Length));
    }

    #[test]
    fn numbers_that_stand_for_nobody_are_blocked() {
        for text in ["+49 0000000", "+49 1111111", "+49 0 7777777", "+44 123456789", "+33 987654321", "+1 212 555 0123"]
        {
            assert!(PhoneNumber::parse(text, None).unwrap().is_blocked(), "{text}");
        }
        for text in ["+49 30 901820", "+44 20 7946 0018", "+1 212 555 1234", "+33 1 23 45 67 80"] {
            assert!(!PhoneNumber::parse(text, None).unwrap().is_blocked(), "{text}");
        }
    }

    #[test]
    fn a_number_does_not_print() {
        assert_eq!(format!("{:?}", PhoneNumber::parse("+4930901820", None)), "Ok([phone number])");
    }
}
