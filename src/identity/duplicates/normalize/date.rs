//! Birth dates: real ones only, in the forms people and systems write.

/// A date of birth as year, month, day in decimal places (19840229); month and day are 0 where only the year is known.
pub type Birth = u32;

/// What systems put where no date is known.
const PLACEHOLDERS: [Birth; 5] = [19000101, 19010101, 19700101, 18991230, 18991231];
/// Nobody older is a customer, and nobody is born after.
const YEARS: std::ops::RangeInclusive<u32> = 1880..=2100;

/// Reads a date, day before month where both are possible; 0 if it is none.
pub fn birth(text: &str) -> Birth {
    let text = text.trim();
    let text = text.split(['T', ' ']).next().unwrap_or_default();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits > 8 || text.len() > 12 {
        return 0;
    }
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let parts = (numbers.next(), numbers.next(), numbers.next());
    match parts {
        (Some(only), None, None) if only.len() == 8 => {
            let number = value(only);
            let year_first = real(number / 10_000, number / 100 % 100, number % 100);
            if year_first != 0 { year_first } else { real(number % 10_000, number / 10_000 % 100, number / 1_000_000) }
        }
        (Some(year), None, None) if year.len() == 4 && YEARS.contains(&value(year)) => value(year) * 10_000,
        (Some(a), Some(b), Some(c)) if a.len() == 4 => real(value(a), value(b), value(c)),
        (Some(a), Some(b), Some(c)) if c.len() == 4 => {
            let day_first = real(value(c), value(b), value(a));
            if day_first != 0 { day_first } else { real(value(c), value(a), value(b)) }
        }
        _ => 0,
    }
}

fn value(digits: &str) -> u32 {
    digits.parse().unwrap_or_default()
}

fn real(year: u32, month: u32, day: u32) -> Birth {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    let birth = year * 10_000 + month * 100 + day;
    if YEARS.contains(&year) && (1..=days).contains(&day) && !PLACEHOLDERS.contains(&birth) { birth } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::birth;

    #[test]
    fn only_real_dates_are_dates() {
        for (text, expected) in [
            ("1984-02-29", 19840229),
            ("19840229", 19840229),
            ("29.2.1984", 19840229),
            ("02/29/1984", 19840229),
            ("03/04/1984", 19840403),
            ("1984-02-29T00:00:00Z", 19840229),
            ("1984", 19840000),
            ("1985-02-29", 0),
            ("1900-01-01", 0),
            ("1970-01-01", 0),
            ("0000-00-00", 0),
            ("19841350", 0),
            ("", 0),
            ("unknown", 0),
            ("123456789012", 0),
        ] {
            assert_eq!(birth(text), expected, "{text}");
        }
    }
}
