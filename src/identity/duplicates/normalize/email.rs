//! The three keys of an e-mail address: exact, folded as its provider folds it, and the part before the `@`.
//!
//! Folding is for matching alone; an account is never found by it (spec/identity.md rule 4).

use unicode_normalization::UnicodeNormalization;

use super::date::Birth;
use super::name::Name;
use super::nicknames;

/// An address as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Email {
    /// The mailbox that mail to it arrives in, as far as its provider is known. Empty if it stands for nobody.
    pub folded: String,
    /// The part before the `@` without dots and plus-part; empty where it says nothing about a person.
    pub local: String,
    /// Several people read it, by what it is called.
    pub is_family: bool,
}

const ROLES: &[&str] = &[
    "abuse",
    "accounts",
    "admin",
    "administrator",
    "billing",
    "bookings",
    "contact",
    "customerservice",
    "daemon",
    "donotreply",
    "enquiries",
    "finance",
    "ftp",
    "hello",
    "help",
    "hostmaster",
    "hr",
    "info",
    "mail",
    "mailerdaemon",
    "marketing",
    "news",
    "newsletter",
    "nobody",
    "noc",
    "noreply",
    "office",
    "orders",
    "postmaster",
    "reception",
    "root",
    "sales",
    "security",
    "service",
    "shop",
    "spam",
    "support",
    "sysadmin",
    "team",
    "webmaster",
    "www",
    "kontakt",
    "buero",
    "contacto",
    "ventas",
];
const PLACEHOLDERS: &[&str] = &[
    "anonymous",
    "anon",
    "na",
    "nan",
    "none",
    "null",
    "test",
    "testing",
    "tester",
    "undefined",
    "unknown",
    "noemail",
    "nomail",
    "noname",
    "no",
    "nope",
    "email",
    "asdf",
    "abc",
    "example",
    "fake",
    "dummy",
    "xxx",
    "xx",
    "x",
    "a",
    "aa",
    "aaa",
    "user",
    "keine",
    "sinemail",
    "notprovided",
    "notgiven",
    "declined",
    "refused",
];
const BLOCKED_DOMAINS: &[&str] = &[
    "test.com",
    "none.com",
    "noemail.com",
    "nomail.com",
    "na.com",
    "a.com",
    "x.com",
    "xx.com",
    "abc.com",
    "invalid",
    "localhost",
    "privaterelay.appleid.com",
    "email.invalid",
    "test.test",
];
/// Providers that deliver mail for name+anything to name.
const PLUS: &[&str] = &[
    "gmail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "msn.com",
    "icloud.com",
    "me.com",
    "mac.com",
    "fastmail.com",
    "protonmail.com",
    "proton.me",
    "pm.me",
    "yandex.ru",
    "yandex.com",
    "zoho.com",
    "hotmail.co.uk",
    "hotmail.fr",
    "hotmail.de",
    "outlook.de",
    "outlook.fr",
    "live.co.uk",
    "posteo.de",
    "mailbox.org",
];

impl Email {
    /// Reads an address; both keys are empty if it is none or stands for nobody.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        if text.len() > 254 {
            return Self::default();
        }
        let lower: String =
            if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase().nfkc().collect() };
        let Some((local, domain)) = lower.rsplit_once('@') else { return Self::default() };
        let domain = domain.trim_end_matches('.');
        let domain = if domain == "googlemail.com" { "gmail.com" } else { domain };
        let mailbox = local.split('+').next().unwrap_or_default();
        let plain: String = mailbox.chars().filter(|c| c.is_alphanumeric()).collect();
        if !domain.contains('.') || is_blocked(&plain, domain) {
            return Self::default();
        }
        let kept = if PLUS.contains(&domain) { mailbox } else { local };
        let folded = if domain == "gmail.com" { format!("{plain}@{domain}") } else { format!("{kept}@{domain}") };
        let is_family = is_family(mailbox);
        let telling = plain.len() >= 5;
        Self { folded, local: if telling { plain } else { String::new() }, is_family }
    }
}

/// "smith.family72", "familie.huber", "fam-rossi": the word alone, or the longer ones at an end of all letters.
fn is_family(mailbox: &str) -> bool {
    const WORDS: [&str; 7] = ["family", "familie", "famille", "familia", "famiglia", "fam", "haushalt"];
    let letters = |word: &str| word.trim_matches(|c: char| c.is_ascii_digit()).to_owned();
    let at_end =
        |word: &str| WORDS.iter().any(|known| known.len() > 3 && (word.starts_with(known) || word.ends_with(known)));
    mailbox
        .split(|c: char| !c.is_alphanumeric())
        .map(letters)
        .any(|word| WORDS.contains(&word.as_str()) || at_end(&word))
}

/// Words of addresses that are no given names.
const NO_NAMES: &[&str] =
    &["family", "familie", "famille", "familia", "fam", "home", "house", "the", "mrs", "post", "real", "official"];

/// Fills in a given or a family name that is missing, where an address is made of both: `john.smith84` of a Smith.
pub fn complete<'a>(name: &mut Name, mut addresses: impl Iterator<Item = &'a str>) {
    if name.given.is_empty() == name.family.is_empty() {
        return;
    }
    let known = if name.given.is_empty() { &name.family } else { &name.given };
    if known.len() < 3 {
        return;
    }
    if let Some(missing) = addresses.find_map(|address| other_name(address, known)) {
        if name.given.is_empty() {
            name.set_given(&missing);
        } else {
            name.set_family(&missing);
        }
    }
}

/// What an address has beside a name: one word of letters, with digits behind it at most.
fn other_name(address: &str, known: &str) -> Option<String> {
    if address.len() > 254 || Email::new(address).folded.is_empty() {
        return None;
    }
    let mailbox = address.trim().rsplit_once('@')?.0.split('+').next()?;
    let folded = super::fold(mailbox);
    let letters = folded.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let words: Vec<&str> = letters.split(' ').collect();
    let other = match words.as_slice() {
        [first, second] if *second == known => first,
        [first, second] if *first == known => second,
        [one] => one.strip_suffix(known).or_else(|| one.strip_prefix(known))?,
        _ => return None,
    };
    let is_name = other.chars().count() >= 3 && other.chars().all(char::is_alphabetic) && !NO_NAMES.contains(&other);
    (is_name && !ROLES.contains(&other) && !PLACEHOLDERS.contains(&other)).then(|| other.to_owned())
}

/// The years of birth that the end of an address may mean: "ann84" and "ann1984" that one, "ann12" two.
pub fn years(address: &str) -> [u32; 2] {
    let mailbox = address.trim().rsplit_once('@').and_then(|(local, _)| local.split('+').next()).unwrap_or_default();
    let digits = mailbox.trim_start_matches(|c: char| !c.is_ascii_digit());
    match (digits.len(), digits.parse::<u32>()) {
        (4, Ok(year @ 1920..=2019)) => [year, 0],
        (2, Ok(year @ 20..)) => [1900 + year, 0],
        (2, Ok(year)) => [1900 + year, 2000 + year],
        _ => [0; 2],
    }
}

/// Whether a part before the `@` is made of its owner's name and year of birth and of little else: then it says no more
/// than they do. The name may be spelled as without umlauts, and a nickname's full form is a name too.
pub fn is_of_name(local: &str, name: &Name, birth: Birth) -> bool {
    let parts = [&name.family, &name.joined, &name.given, &name.parts[0], &name.parts[1]];
    made_of(local, &parts.map(String::as_str), name, birth)
        || UMLAUTS.iter().any(|(two, _)| local.contains(two)) && {
            let parts = parts.map(|part| without_umlauts(part));
            made_of(&without_umlauts(local), &parts.each_ref().map(String::as_str), name, birth)
        }
}

const UMLAUTS: [(&str, &str); 3] = [("ae", "a"), ("oe", "o"), ("ue", "u")];

fn without_umlauts(text: &str) -> String {
    UMLAUTS.iter().fold(text.to_owned(), |text, (two, one)| text.replace(two, one))
}

fn made_of(local: &str, parts: &[&str], name: &Name, birth: Birth) -> bool {
    let mut rest = local.to_owned();
    for part in parts.iter().filter(|part| part.len() > 2 && local.contains(**part)) {
        rest = rest.replacen(part, "", 1);
    }
    if rest.len() == local.len() {
        return false;
    }
    if birth != 0 {
        let year = (birth / 10_000).to_string();
        rest = rest.replacen(&year, "", 1);
        rest = rest.strip_suffix(year.get(2..).unwrap_or_default()).unwrap_or(&rest).to_owned();
    }
    if is_given(rest.trim_end_matches(|c: char| c.is_ascii_digit()), name) {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned();
    }
    // "jsmith12" and "smith1953": an initial, a few digits or a year are as little.
    let digits = rest.trim_start_matches(|c: char| name.given.starts_with(c));
    let is_few = digits.len() <= 3 || digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"));
    rest.len() < 3 || is_few && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether letters are the full form of a given name: of a nickname, which may have been taken off already, or an initial.
fn is_given(letters: &str, name: &Name) -> bool {
    if letters.is_empty() || name.given.len() == 1 {
        return !letters.is_empty() && letters.starts_with(&name.given);
    }
    let is_form =
        |form: &str| nicknames::groups(form).iter().any(|group| *group != 0 && name.nicknames.contains(group));
    name.nicknames[0] != 0 && (is_form(letters) || is_form(&format!("{}{letters}", name.given)))
}

fn is_blocked(plain: &str, domain: &str) -> bool {
    let within = |parent: &str| domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let same = plain.chars().next().is_none_or(|first| plain.len() > 3 && plain.chars().all(|c| c == first));
    same || ROLES.contains(&plain)
        || PLACEHOLDERS.contains(&plain)
        || plain.starts_with("noreply")
        || plain.bytes().all(|byte| byte == b'0')
        || BLOCKED_DOMAINS.iter().any(|parent| within(parent))
}

#[cfg(test)]
mod tests {
    use super::super::name::Name;
    use super::{Email, complete, is_of_name, years};

    #[test]
    fn spellings_of_one_mailbox_fold_alike_only_where_the_provider_says_so() {
        for (text, folded, local) in [
            ("A.Nn.Lee+shop@GoogleMail.com", "annlee@gmail.com", "annlee"),
            ("ann.lee+shop@outlook.com", "ann.lee@outlook.com", "annlee"),
            ("ann.lee+shop@example.org", "ann.lee+shop@example.org", "annlee"),
            ("joe@example.org", "joe@example.org", ""),
        ] {
            let expected = Email { folded: folded.to_owned(), local: local.to_owned(), is_family: false };
            assert_eq!(Email::new(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_that_stand_for_nobody_are_no_value() {
        for text in [
            "test@test.com",
            "noreply@shop.example",
            "info@smith.example",
            "",
            "ann",
            "ann@localhost",
            "none@none.com",
            "x1@privaterelay.appleid.com",
            "0000@example.org",
        ] {
            assert_eq!(Email::new(text), Email::default(), "{text}");
        }
    }

    #[test]
    fn an_address_made_of_its_owners_name_says_no_more_than_the_name() {
        for (given, family, local, expected) in [
            ("John", "Smith", "johnsmith84", true),
            ("John", "Smith", "smith1953", true),
            ("John", "Smith", "smith8341", false),
            ("John", "Smith", "dragonrider", false),
            ("John", "Smith", "smithfamily", false),
            ("Günther", "Müller", "guenthermueller", true),
            ("Michael", "Möller", "michaelmoeller7", true),
            ("Jeff", "Lee", "jeffreylee", true),
            ("Billy", "Lee", "williamlee", true),
            ("W", "Lee", "williamlee", true),
            ("Jeff", "Lee", "williamlee", false),
        ] {
            assert_eq!(is_of_name(local, &Name::new(given, family, ""), 0), expected, "{given} {family} {local}");
        }
    }

    #[test]
    fn a_missing_name_is_read_from_an_address_that_has_both() {
        for (given, family, address, expected) in [
            ("", "Smith", "john.smith84@example.org", ("john", "smith")),
            ("", "Smith", "JohnSmith@example.org", ("john", "smith")),
            ("", "Smith", "smith_john+shop@example.org", ("john", "smith")),
            ("John", "", "john.smith@example.org", ("john", "smith")),
            ("", "Smith", "smith.family12@example.org", ("", "smith")),
            ("", "Smith", "jsmith@example.org", ("", "smith")),
            ("", "Smith", "sales.smith@example.org", ("", "smith")),
            ("", "Smith", "big.john.smith@example.org", ("", "smith")),
            ("", "", "john.smith@example.org", ("", "")),
            ("Mary", "Smith", "john.smith@example.org", ("mary", "smith")),
        ] {
            let mut name = Name::new(given, family, "");
            complete(&mut name, [address].into_iter());
            assert_eq!((name.given.as_str(), name.family.as_str()), expected, "{address}");
        }
    }

    #[test]
    fn a_year_of_birth_is_read_from_the_end_of_an_address() {
        for (address, expected) in [
            ("ann84@example.org", [1984, 0]),
            ("ann.1984+shop@example.org", [1984, 0]),
            ("ann12@example.org", [1912, 2012]),
            ("ann7@example.org", [0, 0]),
            ("ann123@example.org", [0, 0]),
            ("ann8341@example.org", [0, 0]),
            ("4ann84@example.org", [0, 0]),
            ("84", [0, 0]),
        ] {
            assert_eq!(years(address), expected, "{address}");
        }
    }
}
