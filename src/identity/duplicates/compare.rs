//! Two records to one pattern of levels. Every comparison is symmetric: exchanging the records changes nothing.

use super::field::{
    CONFLICT, EXACT, Field, LevelIndex, MISSING, Pattern, birth, email, family, given, other, phone, place, street,
};
use super::normalize::phone::PhoneKind;
use super::records::{CLAIMS, Records, Row};
use super::similarity::{edits, is_similar};

/// Compares two records field by field.
pub(super) fn compare(records: &Records, a: &Row, b: &Row) -> Pattern {
    let (given, family) = names(records, a, b);
    let (street, place) = addresses(records, a, b);
    let mut pattern = Pattern::default()
        .with(Field::Given, given)
        .with(Field::Family, family)
        .with(Field::Generation, agree(a.generation, b.generation))
        .with(Field::Birth, births(a.birth, b.birth))
        .with(Field::Gender, agree(a.gender, b.gender))
        .with(Field::Email, emails(records, a, b))
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
    if doubtful && is_swapped(records, a, b) { (given::SWAPPED, MISSING) } else { (given, family) }
}

fn is_swapped(records: &Records, a: &Row, b: &Row) -> bool {
    let crossed = |x: u32, y: u32| x != 0 && y != 0 && near(records, x, y);
    let both = crossed(a.joined, b.family) && crossed(b.joined, a.family);
    // One record may have only one of the two, in the wrong place.
    let half = |x: &Row, y: &Row| x.given == 0 && y.family == 0 && crossed(x.family, y.joined);
    both || half(a, b) || half(b, a)
}

fn givens(records: &Records, a: &Row, b: &Row) -> LevelIndex {
    if a.given == 0 || b.given == 0 {
        return MISSING;
    }
    if a.joined == b.joined {
        return EXACT;
    }
    if a.given == b.given {
        let differ = a.middle != '\0' && b.middle != '\0' && a.middle != b.middle;
        let initial = records.texts.bytes_of(a.given).len() == 1;
        return if differ {
            given::MIDDLE_DIFFERS
        } else if initial {
            given::INITIAL
        } else {
            EXACT
        };
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
        return given::NEAR;
    }
    let prefix = x.len().min(y.len()) >= 3 && (x.starts_with(y) || y.starts_with(x));
    if distance == 2 && x.len().min(y.len()) >= 5 || is_similar(x, y, 0.88) || prefix {
        return given::SIMILAR;
    }
    given::DIFFERENT
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
    if distance == 2 && x.len().min(y.len()) >= 5 || is_similar(x, y, 0.9) {
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

fn births(a: u32, b: u32) -> LevelIndex {
    if a == 0 || b == 0 {
        return MISSING;
    }
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
    if shared(&a.emails, &b.emails).next().is_some() {
        return EXACT;
    }
    let mut best = email::DIFFERENT;
    for (x, local_x) in a.emails.into_iter().zip(a.locals).filter(|(x, _)| *x != 0) {
        for (y, local_y) in b.emails.into_iter().zip(b.locals).filter(|(y, _)| *y != 0) {
            best = best.min(email_pair(records, (x, local_x), (y, local_y)));
        }
    }
    best
}

fn email_pair(records: &Records, (x, local_x): (u32, u32), (y, local_y): (u32, u32)) -> LevelIndex {
    let both = local_x != 0 && local_y != 0;
    if near(records, x, y) {
        email::NEAR
    } else if both && local_x == local_y {
        email::LOCAL
    } else if both && near(records, local_x, local_y) {
        email::LOCAL_NEAR
    } else {
        email::DIFFERENT
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
    x.len().min(y.len()) > 3 && is_near || is_similar(x, y, 0.92)
}

fn other_values(records: &Records, x: u32, y: u32) -> LevelIndex {
    match (x, y) {
        (0, _) | (_, 0) => MISSING,
        _ if x == y => EXACT,
        _ if alike(records, x, y) => other::NEAR,
        _ => other::DIFFERENT,
    }
}
