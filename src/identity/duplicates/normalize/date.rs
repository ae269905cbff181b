//! Birth dates: real ones only, in the forms people and systems write.

/// A date of birth as year, month, day in decimal places (19840229); month and day are 0 where only the year is known.
pub type Birth = u32;

/// What systems put where no date is known.
const PLACEHOLDERS: [Birth; 5] = [19000101, 19010101, 19700101, 18991230, 18991231];
/// Files of the dead are searched as well; nobody is born after.
const YEARS: std::ops::RangeInclusive<u32> = 1500..=2100;
/// Years of two digits: up to here of this century. Nobody's date is in doubt for it, as all of a file are read alike.
const THIS_CENTURY: u32 = 26;

/// Reads a date, day before month where both are possible; 0 if it is none.
pub fn birth(text: &str) -> Birth {
    let text = text.trim();
    let in_numbers = in_numbers(text);
    let text = in_numbers.as_deref().unwrap_or(text);
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
        (Some(a), Some(b), Some(c)) if a.len() == 4 => or_year(real(value(a), value(b), value(c)), value(a)),
        (Some(a), Some(b), Some(c)) if c.len() == 4 => {
            let day_first = real(value(c), value(b), value(a));
            let either = if day_first != 0 { day_first } else { real(value(c), value(a), value(b)) };
            or_year(either, value(c))
        }
        (Some(a), Some(b), Some(c)) if c.len() == 2 && a.len() <= 2 => {
            let year = value(c) + if value(c) <= THIS_CENTURY { 2000 } else { 1900 };
            let day_first = real(year, value(b), value(a));
            if day_first != 0 { day_first } else { real(year, value(a), value(b)) }
        }
        _ => 0,
    }
}

/// What months begin with in English, German, French, Spanish, Portuguese, Italian, Dutch and the Nordic languages.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen"],
    &["feb", "fev"],
    &["mar", "mrt", "maa"],
    &["apr", "abr", "avr"],
    &["may", "mai", "maj", "mag", "mei"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "ago", "aou"],
    &["sep", "set"],
    &["oct", "okt", "ott", "out"],
    &["nov"],
    &["dec", "dez", "dic", "des"],
];

/// A date whose month is a word, in numbers: day, month, year.
fn in_numbers(text: &str) -> Option<String> {
    if text.len() > 40 || text.chars().filter(|c| c.is_alphabetic()).count() < 3 {
        return None;
    }
    let folded = super::fold(text);
    let words: Vec<&str> = folded.split(' ').filter(|word| !matches!(*word, "de" | "of" | "the" | "del")).collect();
    let (first, second, third) = match words.as_slice() {
        [first, second, third] => (*first, *second, *third),
        _ => return None,
    };
    let number = |word: &str| {
        let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
        (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.to_owned())
    };
    let (month, one, other) = match (month(first), month(second)) {
        (Some(month), None) => (month, second, third),
        (None, Some(month)) => (month, first, third),
        _ => return None,
    };
    let (one, other) = (number(one)?, number(other)?);
    let (day, year) = if one.len() == 4 { (other, one) } else { (one, other) };
    Some(format!("{day}/{month}/{year}"))
}

/// The month of a word.
fn month(word: &str) -> Option<usize> {
    let is_word = word.chars().count() >= 3 && word.chars().all(char::is_alphabetic);
    let found = MONTHS.iter().position(|names| names.iter().any(|name| word.starts_with(name)));
    found.filter(|_| is_word).map(|at| at + 1)
}

/// Whether dates are written month first: some can be nothing else, and more than must be day first.
pub fn is_month_first(dates: impl Iterator<Item = String>) -> bool {
    let (mut month_first, mut day_first) = (0, 0);
    for date in dates {
        let Some((first, second, _)) = parts(&date) else {
            continue;
        };
        month_first += u32::from(first <= 12 && second > 12);
        day_first += u32::from(first > 12 && second <= 12);
    }
    month_first > day_first
}

/// A date written month first, with its day first; any other as it is.
pub fn day_first(date: &str) -> String {
    match parts(date) {
        Some((month, day, year)) if month <= 12 => format!("{day}/{month}/{year}"),
        _ => date.to_owned(),
    }
}

/// A date whose year, month and day stand apart; the year alone where nothing else is known.
pub fn from_parts(year: &str, month: &str, day: &str) -> String {
    if month.is_empty() || day.is_empty() { year.to_owned() } else { format!("{year}-{month}-{day}") }
}

/// Two numbers of up to two digits, and a year behind them.
fn parts(date: &str) -> Option<(u32, u32, &str)> {
    let mut numbers = date.trim().split(['/', '-', '.']).map(str::trim);
    let (first, second, year) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let year = year.split(['T', ' ']).next()?;
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_date = digits(first, 2) && digits(second, 2) && digits(year, 4) && numbers.next().is_none();
    is_date.then(|| (value(first), value(second), year))
}

fn value(digits: &str) -> u32 {
    digits.parse().unwrap_or_default()
}

/// A date that is none has a year all the same, where it is not what systems put.
fn or_year(date: Birth, year: u32) -> Birth {
    let is_placeholder = PLACEHOLDERS.iter().any(|placeholder| placeholder / 10_000 == year);
    if date != 0 || is_placeholder || !YEARS.contains(&year) { date } else { year * 10_000 }
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
    use super::*;

    #[test]
    fn only_real_dates_are_dates() {
        for (text, expected) in [
            ("1984-02-29", 19840229),
            ("19840229", 19840229),
            ("29 Feb 1984", 19840229),
            ("February 29th, 1984", 19840229),
            ("29-FEB-84", 19840229),
            ("1984 Feb 29", 19840229),
            ("3. März 1984", 19840303),
            ("1er août 1984", 19840801),
            ("5 de juilho de 1984", 19840705),
            ("5 juin 1984", 19840605),
            ("Ann Smith 1984", 0),
            ("30 Feb 1984", 19840000),
            ("29.2.1984", 19840229),
            ("02/29/1984", 19840229),
            ("03/04/1984", 19840403),
            ("1984-02-29T00:00:00Z", 19840229),
            ("1984", 19840000),
            ("29.2.84", 19840229),
            ("2/29/84", 19840229),
            ("1.5.07", 20070501),
            ("1743-04-13", 17430413),
            ("1985-02-29", 19850000),
            ("30/17/1982", 19820000),
            ("1900-13-01", 0),
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

    #[test]
    fn a_file_says_whether_its_dates_begin_with_the_month() {
        let month_first = |dates: &[&str]| is_month_first(dates.iter().map(|date| (*date).to_owned()));
        assert!(month_first(&["03/04/1984", "02/29/1984"]));
        assert!(!month_first(&["03/04/1984", "29/02/1984"]));
        assert!(!month_first(&["03/04/1984", "1984-02-29", "", "unknown"]));
        assert_eq!(birth(&day_first("03/04/1984")), 19840304);
        assert_eq!(birth(&day_first("1984-03-04")), 19840304);
        assert_eq!(birth(&day_first("29/02/1984")), 19840229);
    }

    #[test]
    fn a_date_in_three_columns_is_one() {
        assert_eq!(birth(&from_parts("1984", "2", "29")), 19840229);
        assert_eq!(birth(&from_parts("1984", "", "")), 19840000);
        assert_eq!(birth(&from_parts("", "", "")), 0);
    }
}
