//! What channels make of the truth: which values they ask for, and how those get spoiled.

use super::names::SHORT;
use super::world::plain;
use super::{Household, Inhabitant, Random, Record, World};

/// How a channel fills in its records: the chance that each value is there, and how carefully it is written.
struct Channel {
    birth: f64,
    email: f64,
    phone: f64,
    street: f64,
    gender: f64,
    /// The chance of a slip in one value.
    slip: f64,
    /// Filled in by staff: house mailboxes, the shop's own number.
    staffed: bool,
}

const WEB: Channel =
    Channel { birth: 0.65, email: 0.98, phone: 0.6, street: 0.7, gender: 0.3, slip: 0.02, staffed: false };
const SHOP: Channel =
    Channel { birth: 0.55, email: 0.6, phone: 0.75, street: 0.6, gender: 0.5, slip: 0.05, staffed: true };
const IMPORT: Channel =
    Channel { birth: 0.75, email: 0.55, phone: 0.65, street: 0.95, gender: 0.6, slip: 0.035, staffed: true };
const SOCIAL: Channel =
    Channel { birth: 0.25, email: 0.95, phone: 0.15, street: 0.05, gender: 0.1, slip: 0.005, staffed: false };

/// Appends the records that one person leaves.
pub(crate) fn observe(world: &World, person: &Inhabitant, random: &mut Random, records: &mut Vec<Record>) {
    let count = match random.unit() {
        roll if roll < 0.78 => 1,
        roll if roll < 0.945 => 2,
        roll if roll < 0.985 => 3,
        _ => 4 + random.below(2),
    };
    for _ in 0..count {
        let channel = match random.unit() {
            roll if roll < 0.45 => &WEB,
            roll if roll < 0.65 => &SHOP,
            roll if roll < 0.87 => &IMPORT,
            _ => &SOCIAL,
        };
        records.push(record(world, person, channel, random));
    }
}

fn record(world: &World, person: &Inhabitant, channel: &Channel, random: &mut Random) -> Record {
    let mut record = Record { person: person.number, ..Record::default() };
    names(person, channel, random, &mut record);
    if random.chance(channel.birth) {
        record.birth = birth(person.birth, channel, random);
    }
    if random.chance(channel.gender) {
        record.gender = if person.female == random.chance(0.993) { "F" } else { "M" }.to_owned();
    }
    if random.chance(channel.email) {
        record.email = email(person, channel, random);
    }
    let former = person.former.filter(|_| random.chance(0.45));
    let household = &world.households[former.unwrap_or(person.home)];
    if random.chance(channel.phone) {
        record.phone = phone(person, household, channel, random);
    }
    if random.chance(channel.street) {
        place(household, channel, random, &mut record);
    } else if random.chance(0.3) {
        record.postcode = household.postcode.clone();
    }
    // Nobody is a customer without any way to reach her.
    if record.email.is_empty() && record.phone.is_empty() && record.street.is_empty() {
        record.phone = phone(person, household, channel, random);
    }
    if random.chance(0.8) {
        record.country = "GB".to_owned();
    }
    record
}

fn names(person: &Inhabitant, channel: &Channel, random: &mut Random, record: &mut Record) {
    let mut given = person.given.clone();
    if random.chance(0.12)
        && let Some((_, short)) = SHORT.iter().find(|(name, _)| *name == given)
    {
        given = random.pick(short).to_owned();
    } else if random.chance(0.015) {
        given.truncate(given.char_indices().nth(1).map_or(given.len(), |(at, _)| at));
    } else if random.chance(0.06) {
        given = format!("{given} {}", person.middle);
    }
    let maiden = person.maiden.as_ref().filter(|_| random.chance(0.4));
    let mut family = maiden.unwrap_or(&person.family).clone();
    if let Some(maiden) = &person.maiden
        && random.chance(0.08)
    {
        family = format!("{maiden}-{}", person.family);
    }
    given = slip(given, channel.slip, random);
    family = slip(family, channel.slip, random);
    if !person.suffix.is_empty() && random.chance(0.4) {
        family = format!("{family} {}", person.suffix);
    }
    if random.chance(0.05) {
        given = given.to_uppercase();
        family = family.to_uppercase();
    } else if random.chance(0.05) {
        (given, family) = (plain(&given), plain(&family));
    }
    if random.chance(0.02) {
        given = format!("{} {given}", if person.female { "Mrs" } else { "Mr" });
    }
    if random.chance(0.007) {
        std::mem::swap(&mut given, &mut family);
    }
    if random.chance(0.02) {
        given.clear();
    }
    if random.chance(0.015) {
        family.clear();
    }
    (record.given, record.family) = (given, family);
}

fn birth((year, month, day): (i32, i32, i32), channel: &Channel, random: &mut Random) -> String {
    if random.chance(0.02) {
        return random.pick(&["1900-01-01", "1970-01-01", "01.01.1900", "0000-00-00"]).to_owned();
    }
    let (mut year, mut month, mut day) = (year, month, day);
    if random.chance(0.008) {
        (month, day) = if day <= 12 { (day, month) } else { (month, day) };
    } else if random.chance(channel.slip * 0.6) {
        match random.below(3) {
            0 => year += random.pick(&[&-10, &-1, &1, &10]),
            1 => month = 1 + (month + random.between(0, 10)) % 12,
            _ => day = 1 + (day + random.between(0, 20)) % 28,
        }
    }
    match random.below(20) {
        0 => format!("{day:02}/{month:02}/{year}"),
        1 => format!("{day}.{month}.{year}"),
        _ => format!("{year:04}-{month:02}-{day:02}"),
    }
}

fn email(person: &Inhabitant, channel: &Channel, random: &mut Random) -> String {
    if random.chance(0.02) {
        return random
            .pick(&[
                "test@test.com",
                "none@none.com",
                "noemail@example.com",
                "noreply@example.com",
                "a@a.com",
                "x@x.xx",
            ])
            .to_owned();
    }
    if random.chance(0.008) {
        return format!("info@{}.example", plain(&person.family));
    }
    if channel.staffed && random.chance(0.02) {
        return format!("counter{}@shop.example", random.below(40));
    }
    let Some(own) = person.emails.get(random.below(person.emails.len().max(1))) else { return String::new() };
    let (local, domain) = own.split_once('@').unwrap_or((own, ""));
    let mut written = own.clone();
    if random.chance(0.03) {
        written = format!("{local}+{}@{domain}", random.pick(&["shop", "news", "promo", "web"]));
    } else if domain == "gmail.com" && random.chance(0.05) && local.len() > 3 {
        written = format!("{}.{}@{}", &local[..2], &local[2..], random.pick(&["gmail.com", "googlemail.com"]));
    } else if random.chance(channel.slip * 0.5) {
        written = match random.below(3) {
            0 => format!("{local}@{}", domain.replace("gmail", "gamil").replace(".com", ".con")),
            _ => format!("{}@{domain}", slip(local.to_owned(), 1.0, random)),
        };
    }
    if random.chance(0.04) { written.to_uppercase() } else { written }
}

fn phone(person: &Inhabitant, household: &Household, channel: &Channel, random: &mut Random) -> String {
    if random.chance(0.015) {
        return random.pick(&["0000000000", "1234567890", "07777777777", "n/a", "999"]).to_owned();
    }
    if channel.staffed && random.chance(0.01) {
        return format!("02079460{:03}", random.below(40));
    }
    let landline = household.landline.as_ref().filter(|_| random.chance(0.3));
    let mut number = landline.unwrap_or(&person.mobiles[random.below(person.mobiles.len())]).clone();
    if random.chance(channel.slip * 0.6) {
        let at = random.below(number.len());
        number.replace_range(at..=at, &random.below(10).to_string());
    }
    match random.below(6) {
        0 => format!("+44{number}"),
        1 => format!("0044 {number}"),
        2 => format!("+44 (0){} {}", &number[..4], &number[4..]),
        3 => format!("0{} {}", &number[..4], &number[4..]),
        _ => format!("0{number}"),
    }
}

fn place(household: &Household, channel: &Channel, random: &mut Random, record: &mut Record) {
    let mut street = slip(household.street.clone(), channel.slip, random);
    if random.chance(0.25) {
        for (long, short) in [("Street", "St"), ("Road", "Rd."), ("Avenue", "Ave"), ("Lane", "Ln"), ("Drive", "Dr")] {
            street = street.replace(long, short);
        }
    }
    let number = if random.chance(0.012) { random.between(1, 99).to_string() } else { household.number.clone() };
    record.street = match random.below(20) {
        0 => format!("Flat {}, {number} {street}", 1 + random.below(9)),
        1 => format!("{street} {number}"),
        _ => format!("{number} {street}"),
    };
    if random.chance(0.96) {
        record.locality = slip(household.locality.clone(), channel.slip, random);
    }
    if random.chance(0.96) {
        record.postcode = household.postcode.clone();
        if random.chance(channel.slip * 0.4) {
            let at = random.below(5);
            record.postcode.replace_range(at..=at, &random.below(10).to_string());
        }
    }
}

/// One slip of the finger, with a chance: a letter left out, doubled, exchanged with the next or wrong.
fn slip(text: String, chance: f64, random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 3 || !random.chance(chance) {
        return text;
    }
    let at = random.below(letters.len() - 1);
    match random.below(4) {
        0 => {
            letters.remove(at);
        }
        1 => letters.insert(at, letters[at]),
        2 => letters.swap(at, at + 1),
        _ => letters[at] = char::from(b'a' + random.below(26) as u8),
    }
    letters.into_iter().collect()
}
