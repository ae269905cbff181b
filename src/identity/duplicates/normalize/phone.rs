//! Phone numbers: the national number, without country code, trunk zero and punctuation.
//!
//! Numbers are compared without the country: half of all records do not name it, and two customers who share nine
//! digits in two countries are rarer than one who left the prefix out.

/// How country codes of three digits begin (ITU-T E.164).
const THREE_DIGITS: [u32; 23] =
    [21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99];

/// A phone number as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phone {
    /// The national number; empty if it is none or stands for nobody.
    pub number: String,
    pub kind: PhoneKind,
}

/// Whose a number is: a person's or a building's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhoneKind {
    /// The country's plan of numbers does not tell, or the country is not known.
    #[default]
    Unknown,
    Mobile,
    FixedLine,
}

impl Phone {
    /// Reads a number; `country` is ISO 3166 alpha-2.
    pub fn new(text: &str, country: &str) -> Self {
        if text.len() > 64 {
            return Self::default();
        }
        let text = text.trim().replace("(0)", "");
        let mut digits: String =
            text.chars().filter_map(|c| c.to_digit(10)).filter_map(|d| char::from_digit(d, 10)).collect();
        let mut code = code_of(country).unwrap_or_default().to_owned();
        if text.starts_with('+') || digits.starts_with("00") {
            let rest = if text.starts_with('+') { digits.as_str() } else { digits.trim_start_matches('0') };
            let length = code_length(rest).min(rest.len());
            code = rest.get(..length).unwrap_or_default().to_owned();
            digits = rest.get(length..).unwrap_or_default().to_owned();
        } else if digits.len() == 11 && digits.starts_with('1') && matches!(country, "" | "US" | "CA") {
            digits.remove(0);
        } else if !code.is_empty() && digits.len() > 10 && digits.starts_with(&code) {
            digits = digits.get(code.len()..).unwrap_or_default().to_owned();
        }
        let national = digits.trim_start_matches('0');
        if !(6..=14).contains(&national.len()) || is_placeholder(national) {
            return Self::default();
        }
        Self { number: national.to_owned(), kind: kind(&code, national) }
    }
}

/// What the plan of a country says of a national number. In many plans, such as the North American, it says nothing.
fn kind(code: &str, national: &str) -> PhoneKind {
    let mobile: &[&str] = match code {
        "44" => &["7"],
        "33" => &["6", "7"],
        "61" => &["4"],
        "46" => &["7"],
        "49" => &["15", "16", "17"],
        "34" => &["6", "7"],
        "31" | "43" => &["6"],
        "41" => &["7"],
        "32" => &["4"],
        "351" => &["9"],
        "353" => &["8"],
        _ => return PhoneKind::Unknown,
    };
    let is_mobile = mobile.iter().any(|prefix| national.starts_with(prefix));
    if is_mobile { PhoneKind::Mobile } else { PhoneKind::FixedLine }
}

/// How many digits the country code at the beginning has.
fn code_length(digits: &str) -> usize {
    let two: u32 = digits.get(..2).and_then(|two| two.parse().ok()).unwrap_or_default();
    match two {
        10..=19 | 70..=79 => 1,
        _ if THREE_DIGITS.contains(&two) => 3,
        _ => 2,
    }
}

/// The codes of the countries whose numbers are often written without the plus.
fn code_of(country: &str) -> Option<&'static str> {
    Some(match country {
        "GB" => "44",
        "DE" => "49",
        "FR" => "33",
        "ES" => "34",
        "IT" => "39",
        "NL" => "31",
        "BE" => "32",
        "AT" => "43",
        "CH" => "41",
        "PL" => "48",
        "SE" => "46",
        "DK" => "45",
        "NO" => "47",
        "AU" => "61",
        "BR" => "55",
        "IN" => "91",
        "MX" => "52",
        "PT" => "351",
        "IE" => "353",
        _ => return None,
    })
}

fn is_placeholder(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    let rising = bytes.windows(2).all(|pair| matches!(pair, [a, b] if (a + 1 - b'0') % 10 == b - b'0'));
    let falling = bytes.windows(2).all(|pair| matches!(pair, [a, b] if (b + 1 - b'0') % 10 == a - b'0'));
    let distinct = (b'0'..=b'9').filter(|digit| bytes.contains(digit)).count();
    rising || falling || distinct == 1
}

#[cfg(test)]
mod tests {
    use super::{Phone, PhoneKind};

    fn number(text: &str, country: &str) -> String {
        Phone::new(text, country).number
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for text in [
            "+44 7700 900123",
            "0044 7700 900123",
            "+44 (0)7700 900123",
            "07700 900123",
            "447700900123",
            "7700-900-123",
        ] {
            assert_eq!(number(text, "GB"), "7700900123", "{text}");
        }
        assert_eq!(number("+1 (212) 555-0187", ""), "2125550187");
        assert_eq!(number("1-212-555-0187", "US"), "2125550187");
        assert_eq!(number("+353 86 123 4567", ""), "861234567");
    }

    #[test]
    fn numbers_that_stand_for_nobody_are_no_value() {
        for text in ["", "0000000000", "07777777777", "1234567890", "n/a", "999", "9876543210"] {
            assert_eq!(number(text, "GB"), "", "{text}");
        }
    }

    #[test]
    fn a_mobile_is_told_from_a_fixed_line_only_where_the_plan_says_so() {
        for (text, country, kind) in [
            ("020 7946 0123", "GB", PhoneKind::FixedLine),
            ("+44 7700 900123", "", PhoneKind::Mobile),
            ("0044 1632 960123", "US", PhoneKind::FixedLine),
            ("01632 960123", "", PhoneKind::Unknown),
            ("+49 30 2345678", "", PhoneKind::FixedLine),
            ("0171 2345678", "DE", PhoneKind::Mobile),
            ("+1 212 555 0187", "", PhoneKind::Unknown),
            ("+33 6 12 34 56 78", "", PhoneKind::Mobile),
        ] {
            assert_eq!(Phone::new(text, country).kind, kind, "{text}");
        }
    }
}
