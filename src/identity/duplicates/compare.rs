//! Two records to one pattern of levels. Every comparison is symmetric: exchanging the records changes nothing.

use super::field::{
    CONFLICT, EXACT, Field, LevelIndex, MISSING, Pattern, birth, email, family, given, other, phone, place, street,
};
use super::normalize::phone::PhoneKind;
use super::records::{CLAIMS, Records, Row};
use super::similarity::{edits, is_similar, same_letters};

/// Compares two records field by field.
pub(super) fn compare(records: &Records, a: &Row, b: &Row) -> Pattern {
    let (given, family) = names(records, a, b);
    let (street, place) = addresses(records, a, b);
    let email = emails(records, a, b);
    let mut pattern = Pattern::default()
        .with(Field::Given, given)
        .with(Field::Family, family)
        .with(Field::Generation, agree(a.generation, b.generation))
        .with(Field::Gender, agree(a.gender, b.gender))
        .with(Field::Email, email)
        .with(Field::Birth, births(a, b, email))
        .with(Field::Phone, phones(records, a, b))
        .with(Field::Street, street)
        .with(Field::Place, place);
    let fields = [Field::Other1, Field::Other2, Field::Other3, Field::Other4];
    for ((field, x), y) in fields.into_iter().zip(a.others).zip(b.others) {
        pattern = pattern.with(field, other_values(records, x, y));
    }
    pattern
}

const fn agree(a: u8, b: u8) -> LevelIndex {
    match (a, b) {
        (0, _) | (_, 0) => MISSING,
        _ if a == b => EXACT,
        _ => CONFLICT,
    }
}

/// Given and family name together: they may have been exchanged.
fn names(records: &Records, a: &Row, b: &Row) -> (LevelIndex, LevelIndex) {
    let given = givens(records, a, b);
    let family = families(records, a, b);
    let doubtful = given == given::DIFFERENT || family == family::DIFFERENT || (given | family) == MISSING;
    match if doubtful { crossing(records, a, b) } else { None } {
        Some(level) => (level, MISSING),
        None => (given, family),
    }
}

/// Whether names stand in each other's place, and how many do. Where one does and the other two are different, it is a
/// relative whose name is written in the other order.
fn crossing(records: &Records, a: &Row, b: &Row) -> Option<LevelIndex> {
    // Of several given names the first may stand there alone.
    let crossed = |x: &Row, y: &Row| {
        let first = || x.given != x.joined && near(records, x.given, y.family);
        x.given != 0 && y.family != 0 && (near(records, x.joined, y.family) || first())
    };
    let like = |x: &Row, y: &Row| {
        let (x, y) = (records.texts.bytes_of(x.given), records.texts.bytes_of(y.family));
        is_similar(x, y, 0.88) || same_letters(x, y)
    };
    // One record may have only one of the two, in the wrong place.
    let only = |x: &Row, y: &Row| x.given == 0 && y.family == 0;
    match (crossed(a, b), crossed(b, a)) {
        (true, true) => Some(given::SWAPPED),
        (true, false) if only(b, a) || like(b, a) => Some(given::SWAPPED),
        (false, true) if only(a, b) || like(a, b) => Some(given::SWAPPED),
        (true, false) if b.given == 0 || a.family == 0 => Some(given::ONE_SWAPPED),
        (false, true) if a.given == 0 || b.family == 0 => Some(given::ONE_SWAPPED),
        _ => None,
    }
}

fn givens(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    if a.given == 0 || b.given == 0 {
        return MISSING;
    }
    if a.given == b.given {
        return match (a.middle, b.middle) {
            (x, y) if x != y && x != '\0' && y != '\0' => given::MIDDLE_DIFFERS,
            _ if records.texts.bytes_of(a.given).len() == 1 => given::INITIAL,
            (x, y) if x == y && x != '\0' => given::WITH_MIDDLE,
            _ => EXACT,
        };
    }
    if a.joined == b.joined {
        return EXACT;
    }
    let (x, y) = (records.texts.bytes_of(a.given), records.texts.bytes_of(b.given));
    if x.len() == 1 || y.len() == 1 {
        return if x.first() == y.first() { given::INITIAL } else { given::DIFFERENT };
    }
    let nicknames = a.nicknames.iter().any(|group| *group != 0 && b.nicknames.contains(group));
    if nicknames {
        return given::NICKNAME;
    }
    let distance = distance(records, a.given, b.given);
    if distance <= 1 && x.len().min(y.len()) > 2 || near(records, a.joined, b.joined) {
        return if is_other_gender(x, y) { given::SIMILAR } else { given::NEAR };
    }
    let prefix = x.len().min(y.len()) >= 3 && (x.starts_with(y) || y.starts_with(x));
    if distance == 2 && x.len().min(y.len()) >= 5 || is_similar(x, y, 0.88) || prefix || same_letters(x, y) {
        return given::SIMILAR;
    }
    given::DIFFERENT
}

/// Daniel and Daniela, Mario and Maria: a brother and a sister rather than a slip.
fn is_other_gender(x: &[u8], y: &[u8]) -> bool {
    let (short, long) = if x.len() <= y.len() { (x, y) } else { (y, x) };
    match (short.strip_suffix(b"o"), long.strip_suffix(b"a"), short.strip_suffix(b"a"), long.strip_suffix(b"o")) {
        (_, Some(stem), ..) if stem == short => true,
        (Some(x), Some(y), ..) | (.., Some(x), Some(y)) => x == y,
        _ => false,
    }
}

fn families(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    if a.family == 0 || b.family == 0 {
        return MISSING;
    }
    if a.family == b.family {
        return EXACT;
    }
    let (x, y) = (records.texts.bytes_of(a.family), records.texts.bytes_of(b.family));
    let distance = distance(records, a.family, b.family);
    if distance <= 1 && x.len().min(y.len()) > 2 {
        return family::NEAR;
    }
    let is_part = |part: &u32, row: &Row| *part != 0 && (*part == row.family || row.parts.contains(part));
    if a.parts.iter().any(|part| is_part(part, b)) || b.parts.iter().any(|part| is_part(part, a)) {
        return family::PART;
    }
    if distance == 2 && x.len().min(y.len()) >= 5 || is_similar(x, y, 0.9) || same_letters(x, y) {
        return family::SIMILAR;
    }
    family::DIFFERENT
}

/// Edits between two texts by number.
fn distance(records: &Records, x: u32, y: u32) -> u8 {
    let texts = &records.texts;
    if x == y {
        0
    } else if texts.letters_of(x).allow(texts.letters_of(y), 2) {
        edits(texts.bytes_of(x), texts.bytes_of(y))
    } else {
        3
    }
}

/// Whether one edit at most parts two texts.
fn near(records: &Records, x: u32, y: u32) -> bool {
    let texts = &records.texts;
    x == y || texts.letters_of(x).allow(texts.letters_of(y), 1) && edits(texts.bytes_of(x), texts.bytes_of(y)) <= 1
}

fn births(a: &Row, b: &Row, email: LevelIndex) -> LevelIndex {
    if a.birth == 0 || b.birth == 0 {
        // Of an address that both have, the year says nothing new. Another number in it is no year: no conflict.
        let apart = email == MISSING || email == email::DIFFERENT;
        let tells = |row: &Row, birth: u32| birth != 0 && row.years.contains(&(birth / 10_000));
        return if apart && (tells(a, b.birth) || tells(b, a.birth)) { birth::IN_ADDRESS } else { MISSING };
    }
    let (a, b) = (a.birth, b.birth);
    let parts = |date: u32| (date / 10_000, date / 100 % 100, date % 100);
    let ((year_a, month_a, day_a), (year_b, month_b, day_b)) = (parts(a), parts(b));
    if month_a == 0 || month_b == 0 {
        return if year_a == year_b { birth::PARTIAL } else { birth::DIFFERENT };
    }
    if a == b {
        return EXACT;
    }
    let (same_year, same_month, same_day) = (year_a == year_b, month_a == month_b, day_a == day_b);
    if same_year && month_a == day_b && day_a == month_b {
        return birth::SWAPPED;
    }
    if edits(&digits(a), &digits(b)) <= 1 {
        return birth::NEAR;
    }
    match u8::from(same_year) + u8::from(same_month) + u8::from(same_day) {
        2 => birth::TWO_PARTS,
        1 if same_year => birth::YEAR,
        _ => birth::DIFFERENT,
    }
}

fn digits(date: u32) -> [u8; 8] {
    let mut rest = date;
    let mut text = [0; 8];
    for place in text.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// Whether two lists of numbers have one in common.
pub(super) fn shared(a: &[u32; CLAIMS], b: &[u32; CLAIMS]) -> impl Iterator<Item = u32> {
    let b = *b;
    (*a).into_iter().filter(move |value| *value != 0 && b.contains(value))
}

fn emails(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    if a.emails[0] == 0 || b.emails[0] == 0 {
        return MISSING;
    }
    let mut common = shared(&a.emails, &b.emails).peekable();
    if common.peek().is_some() {
        let families = (a.family_emails, b.family_emails);
        let is_family =
            |email: u32| [(a, families.0), (b, families.1)].iter().any(|(row, bits)| row.is_among(email, *bits));
        return if common.all(is_family) { email::FAMILY } else { EXACT };
    }
    // Who uses a family's address has another one, too.
    let mut best = MISSING;
    for (x, local_x) in a.emails.into_iter().zip(a.locals).filter(|(x, _)| *x != 0) {
        for (y, local_y) in b.emails.into_iter().zip(b.locals).filter(|(y, _)| *y != 0) {
            let level = email_pair(records, (x, local_x), (y, local_y));
            let family = a.is_among(x, a.family_emails) || b.is_among(y, b.family_emails);
            if level != email::DIFFERENT || !family {
                best = if best == MISSING { level } else { best.min(level) };
            }
        }
    }
    best
}

fn email_pair(records: &Records, (x, local_x): (u32, u32), (y, local_y): (u32, u32)) -> LevelIndex {
    let both = local_x != 0 && local_y != 0;
    let slip = || is_slip((records.texts.bytes_of(x), local_x == 0), (records.texts.bytes_of(y), local_y == 0));
    if near(records, x, y) && slip() {
        email::NEAR
    } else if both && local_x == local_y {
        email::LOCAL
    } else if both && near(records, local_x, local_y) {
        email::LOCAL_NEAR
    } else {
        email::DIFFERENT
    }
}

/// Whether a slip of the pen is what parts two addresses, of which those "made" of their owner's name and little else
/// say no more than it: "annlee7", "ann.lee" and "anne.lee" of one provider are as many people as easily as one.
fn is_slip((x, made_x): (&[u8], bool), (y, made_y): (&[u8], bool)) -> bool {
    let parts = |address: &[u8]| {
        let at = address.iter().rposition(|byte| *byte == b'@').unwrap_or(address.len());
        let (local, domain) = address.split_at(at);
        (local.iter().copied().filter(u8::is_ascii_alphabetic).collect::<Vec<u8>>(), domain.to_vec())
    };
    let ((letters_x, domain_x), (letters_y, domain_y)) = (parts(x), parts(y));
    match (made_x, made_y) {
        (false, false) => true,
        (true, true) => domain_x != domain_y,
        _ => domain_x != domain_y || letters_x != letters_y,
    }
}

fn phones(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    if a.phones[0] == 0 || b.phones[0] == 0 {
        return MISSING;
    }
    // Of several shared numbers a mobile says most, and nobody's plan least.
    let kinds = shared(&a.phones, &b.phones).map(|number| a.phone_kind(number).max(b.phone_kind(number)));
    if let Some(kind) = kinds.max_by_key(|kind| (*kind == PhoneKind::Mobile, *kind)) {
        return match kind {
            PhoneKind::Unknown => EXACT,
            PhoneKind::Mobile => phone::MOBILE,
            PhoneKind::FixedLine => phone::FIXED_LINE,
        };
    }
    let others = |x: u32| b.phones.into_iter().any(|y| y != 0 && near(records, x, y));
    if a.phones.into_iter().any(|x| x != 0 && others(x)) { phone::NEAR } else { phone::DIFFERENT }
}

/// Street and place together: another street in another town is one move, not two conflicts.
fn addresses(records: &Records, a: &Row, b: &Row) -> (LevelIndex, LevelIndex) {
    match (streets(records, a, b), places(records, a, b)) {
        (street::DIFFERENT, place::DIFFERENT | place::REGION) => (street::MOVED, MISSING),
        apart => apart,
    }
}

fn streets(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    let numbers_known = a.number != 0 && b.number != 0;
    let same_number = numbers_known && a.number == b.number;
    if a.street == 0 || b.street == 0 {
        return MISSING;
    }
    let same = a.street == b.street;
    if same && (same_number || a.number == 0 && b.number == 0) {
        return EXACT;
    }
    if same {
        return street::NUMBER_DIFFERS;
    }
    let (x, y) = (records.texts.bytes_of(a.street), records.texts.bytes_of(b.street));
    let alike = distance(records, a.street, b.street) <= 2 && x.len().min(y.len()) > 4
        || is_similar(x, y, 0.92)
        || x.len().min(y.len()) > 5 && (x.starts_with(y) || y.starts_with(x));
    match (alike, same_number) {
        (true, true) => street::NEAR,
        (true, false) => street::NUMBER_DIFFERS,
        (false, true) => street::NUMBER_ONLY,
        (false, false) => street::DIFFERENT,
    }
}

fn places(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    let both = |x: u32, y: u32| x != 0 && y != 0;
    let (postcodes, localities, regions) =
        (both(a.postcode, b.postcode), both(a.locality, b.locality), both(a.region, b.region));
    if !postcodes && !localities {
        return match regions {
            true if a.region == b.region => place::REGION,
            true => place::DIFFERENT,
            false => MISSING,
        };
    }
    let same_postcode = postcodes && a.postcode == b.postcode;
    let same_locality = localities && a.locality == b.locality;
    let like_locality = localities && (same_locality || alike(records, a.locality, b.locality));
    if same_postcode {
        return if like_locality || !localities { EXACT } else { place::POSTCODE };
    }
    let near_postcode = postcodes && near(records, a.postcode, b.postcode);
    if like_locality && near_postcode {
        return place::NEAR;
    }
    if same_locality {
        return place::LOCALITY;
    }
    if like_locality || near_postcode {
        return place::SIMILAR;
    }
    if regions && a.region == b.region { place::REGION } else { place::DIFFERENT }
}

fn alike(records: &Records, x: u32, y: u32) -> bool {
    let is_near = near(records, x, y);
    let (x, y) = (records.texts.bytes_of(x), records.texts.bytes_of(y));
    x.len().min(y.len()) > 3 && is_near || is_similar(x, y, 0.92) || same_letters(x, y)
}

fn other_values(records: &Records, x: u32, y: u32) -> LevelIndex {
    match (x, y) {
        (0, _) | (_, 0) => MISSING,
        _ if x == y => EXACT,
        _ if alike(records, x, y) => other::NEAR,
        _ => other::DIFFERENT,
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::{Claim, Person};
    use super::*;

    fn levels(a: (&str, &str), b: (&str, &str)) -> (LevelIndex, LevelIndex) {
        let mut records = Records::new();
        for (given, family) in [a, b] {
            records.push(&Person { given, family, ..Person::default() }).unwrap();
        }
        let compare = |a: u32, b: u32| {
            let pattern = compare(&records, &records.row(a), &records.row(b));
            (pattern.level(Field::Given), pattern.level(Field::Family))
        };
        assert_eq!(compare(0, 1), compare(1, 0), "{a:?} {b:?}");
        compare(0, 1)
    }

    #[test]
    fn names_in_each_others_place_are_known() {
        for (a, b, given) in [
            (("Noah", "Watson"), ("Watson", "Noah"), given::SWAPPED),
            (("Irene", "Schofield"), ("Schofield", "Ieren"), given::SWAPPED),
            (("Nguyen Duc", "Tam"), ("Tam", "Nguyen"), given::SWAPPED),
            (("Bruce", ""), ("Bevan", "Bruce"), given::ONE_SWAPPED),
            (("", "Bruce"), ("Bruce", "Bevan"), given::ONE_SWAPPED),
        ] {
            assert_eq!(levels(a, b), (given, MISSING), "{a:?} {b:?}");
        }
        // A wife whose name is written in the other order, and a brother's name.
        assert_eq!(levels(("Ivan", "Petrov"), ("Petrova", "Olga")).0, given::DIFFERENT);
        assert_eq!(levels(("Daniel", "Lee"), ("Daniela", "Lee")), (given::SIMILAR, EXACT));
        assert_eq!(levels(("Mario", "Lee"), ("Maria", "Lee")), (given::SIMILAR, EXACT));
        assert_eq!(levels(("Emma", "Lee"), ("Amme", "Lee")), (given::SIMILAR, EXACT));
    }

    /// The levels of two fields of two records of a name, with an address and a date each.
    fn with_addresses(names: [&str; 2], a: (&str, &str), b: (&str, &str)) -> (LevelIndex, LevelIndex) {
        let mut records = Records::new();
        for (given, (email, birth)) in names.into_iter().zip([a, b]) {
            let emails = [Claim { value: email, proved: false }];
            records.push(&Person { given, family: "Smith", emails: &emails, birth, ..Person::default() }).unwrap();
        }
        let compare = |a: u32, b: u32| {
            let pattern = compare(&records, &records.row(a), &records.row(b));
            (pattern.level(Field::Email), pattern.level(Field::Birth))
        };
        assert_eq!(compare(0, 1), compare(1, 0), "{a:?} {b:?}");
        compare(0, 1)
    }

    #[test]
    fn addresses_of_one_name_are_not_near_each_other() {
        for (names, a, b, level) in [
            (["John", "John"], "johnsmith9@x.example", "john.smith@x.example", email::DIFFERENT),
            (["John", "John"], "johnsmith84@x.example", "johnsmith89@x.example", email::DIFFERENT),
            (["Sara", "Sarah"], "sara.smith@x.example", "sarah.smith@x.example", email::DIFFERENT),
            (["John", "John"], "john.smith@mail.example", "john.smith@mial.example", email::NEAR),
            (["John", "John"], "john.smith@x.example", "jonh.smith@x.example", email::NEAR),
            (["John", "John"], "dragonrider7@x.example", "dragonrider8@x.example", email::NEAR),
        ] {
            assert_eq!(with_addresses(names, (a, ""), (b, "")).0, level, "{a} {b}");
        }
    }

    #[test]
    fn a_familys_address_is_no_ones_own() {
        let name = ["Ann", "Ann"];
        let levels = |a, b| with_addresses(name, (a, ""), (b, "")).0;
        assert_eq!(levels("smith.family7@x.example", "smith.family7@x.example"), email::FAMILY);
        assert_eq!(levels("smith.family7@x.example", "annie84@x.example"), MISSING);
        assert_eq!(levels("familyguy@x.example", "familyguy@x.example"), email::FAMILY);
        assert_eq!(levels("annie84@x.example", "annie84@x.example"), EXACT);
        assert_eq!(levels("annie84@x.example", "rosebud@x.example"), email::DIFFERENT);
    }

    #[test]
    fn a_missing_date_is_told_by_the_year_in_an_address() {
        let levels = |a, b| with_addresses(["Ann", "Ann"], a, b).1;
        let date = "1984-05-06";
        assert_eq!(levels(("annie84@x.example", ""), ("", date)), birth::IN_ADDRESS);
        assert_eq!(levels(("annie1984@x.example", ""), ("rosebud@x.example", date)), birth::IN_ADDRESS);
        assert_eq!(levels(("annie85@x.example", ""), ("", date)), MISSING, "another number is no conflict");
        assert_eq!(levels(("annie84@x.example", ""), ("annie84@x.example", date)), MISSING, "it is the address again");
        assert_eq!(levels(("annie84@x.example", "1985-05-06"), ("", date)), birth::NEAR);
    }

    #[test]
    fn a_second_name_in_common_says_more() {
        for (a, b, level) in [
            ("Mary Ann", "Mary A", given::WITH_MIDDLE),
            ("Mary Ann", "Mary", EXACT),
            ("Mary Ann", "Mary Beth", given::MIDDLE_DIFFERS),
            ("M", "M", given::INITIAL),
            ("Mary Ann", "Maryann", EXACT),
        ] {
            assert_eq!(levels((a, "Lee"), (b, "Lee")).0, level, "{a} {b}");
        }
    }
}
