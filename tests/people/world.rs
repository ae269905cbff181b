//! The truth: households and the people in them, and what of it changes over the years.

use std::collections::HashSet;

use super::Random;
use super::names;

/// One person as she is. A second value is what was true before or after.
#[derive(Clone, Debug)]
pub(crate) struct Inhabitant {
    pub(crate) number: u32,
    pub(crate) given: String,
    pub(crate) middle: char,
    pub(crate) family: String,
    /// The name before a marriage.
    pub(crate) maiden: Option<String>,
    pub(crate) suffix: &'static str,
    pub(crate) female: bool,
    pub(crate) birth: (i32, i32, i32),
    pub(crate) emails: Vec<String>,
    pub(crate) mobiles: Vec<String>,
    pub(crate) home: usize,
    /// Where she lived before.
    pub(crate) former: Option<usize>,
}

/// One address and what those who live there share.
#[derive(Clone, Debug)]
pub(crate) struct Household {
    pub(crate) number: String,
    pub(crate) street: String,
    pub(crate) locality: String,
    pub(crate) postcode: String,
    pub(crate) landline: Option<String>,
    pub(crate) mailbox: Option<String>,
}

/// Everybody and every address.
#[derive(Debug)]
pub(crate) struct World {
    inhabitants: Vec<Inhabitant>,
    pub(crate) households: Vec<Household>,
    towns: usize,
    /// Numbers given back: some are given out again.
    returned: Vec<String>,
    /// Addresses somebody has: nobody else gets them.
    taken: HashSet<String>,
}

impl World {
    pub(crate) fn new(people: usize, random: &mut Random) -> Self {
        let towns = (people / 400).clamp(20, 4000);
        let inhabitants = Vec::with_capacity(people);
        let (households, returned, taken) = (Vec::new(), Vec::new(), HashSet::new());
        let mut world = Self { inhabitants, households, towns, returned, taken };
        while world.inhabitants.len() < people {
            world.move_in(random);
        }
        world.inhabitants.truncate(people);
        world.age(random);
        world
    }

    pub(crate) fn inhabitants(&self) -> &[Inhabitant] {
        &self.inhabitants
    }

    fn build(&mut self, family: &str, random: &mut Random) -> usize {
        // One in six lives in a house with many doors; its neighbours share street and number.
        if random.chance(0.16) && self.households.len() > 12 {
            let beside = self.households[self.households.len() - 1 - random.below(12)].clone();
            let landline = random.chance(0.3).then(|| landline(random));
            self.households.push(Household { landline, mailbox: None, ..beside });
            return self.households.len() - 1;
        }
        let town = random.zipf(self.towns);
        let postcode = format!("{:05}", 10_000 + town * 20 + random.below(6));
        let mailbox = random
            .chance(0.05)
            .then(|| format!("{}.family{}@{}", plain(family), random.below(90), random.pick(names::DOMAINS)));
        self.households.push(Household {
            number: (1 + random.zipf(180)).to_string() + if random.chance(0.05) { "a" } else { "" },
            street: names::street(random),
            locality: names::town(town),
            postcode,
            landline: random.chance(0.4).then(|| landline(random)),
            mailbox,
        });
        self.households.len() - 1
    }

    fn move_in(&mut self, random: &mut Random) {
        let family = names::family(random);
        let home = self.build(&family, random);
        let born = random.between(1938, 1996);
        let female = random.chance(0.5);
        let first = self.born(female, &family, born, home, random);
        let roll = random.unit();
        if roll < 0.35 {
            return;
        }
        let partner_family = if random.chance(0.75) { family.clone() } else { names::family(random) };
        let partner_born = born + random.between(-6, 6);
        self.born(if random.chance(0.95) { !female } else { female }, &partner_family, partner_born, home, random);
        if roll < 0.62 || born > 1990 {
            return;
        }
        self.raise_children(&family, first, born, home, random);
    }

    fn raise_children(&mut self, family: &str, parent: usize, born: i32, home: usize, random: &mut Random) {
        let mut year = born + random.between(22, 34);
        for _ in 0..1 + random.zipf(4) {
            let female = random.chance(0.5);
            let child = self.born(female, family, year, home, random);
            if !female && !self.inhabitants[parent].female && random.chance(0.04) {
                let name = self.inhabitants[parent].given.clone();
                self.inhabitants[parent].suffix = "Sr";
                self.inhabitants[child].suffix = "Jr";
                self.inhabitants[child].given = name;
            }
            if random.chance(0.016) {
                let twin_is_female = if random.chance(0.6) { female } else { !female };
                let twin = self.born(twin_is_female, family, year, home, random);
                self.inhabitants[twin].birth = self.inhabitants[child].birth;
            }
            year += random.between(1, 5);
        }
    }

    fn born(&mut self, female: bool, family: &str, year: i32, home: usize, random: &mut Random) -> usize {
        let given = names::given(female, random);
        let birth = (year, random.between(1, 12), random.between(1, 28));
        let household = &self.households[home];
        let mut emails = Vec::new();
        if household.mailbox.is_none() || random.chance(0.5) {
            emails.push(address(&given, family, year, &mut self.taken, random));
        }
        if let Some(shared) = &household.mailbox {
            emails.push(shared.clone());
        }
        let mobiles = vec![self.mobile(random)];
        self.inhabitants.push(Inhabitant {
            number: self.inhabitants.len() as u32,
            given,
            middle: char::from(b'A' + random.below(26) as u8),
            family: family.to_owned(),
            maiden: None,
            suffix: "",
            female,
            birth,
            emails,
            mobiles,
            home,
            former: None,
        });
        self.inhabitants.len() - 1
    }

    fn mobile(&mut self, random: &mut Random) -> String {
        if random.chance(0.03) && !self.returned.is_empty() {
            return self.returned.swap_remove(random.below(self.returned.len()));
        }
        let number = format!("7{:09}", random.below(1_000_000_000));
        if random.chance(0.05) {
            self.returned.push(number.clone());
        }
        number
    }

    /// What changes while a company has customers.
    fn age(&mut self, random: &mut Random) {
        for number in 0..self.inhabitants.len() {
            if random.chance(0.14) {
                let family = self.inhabitants[number].family.clone();
                let new = self.build(&family, random);
                let person = &mut self.inhabitants[number];
                person.former = Some(std::mem::replace(&mut person.home, new));
            }
            let young = (1960..1998).contains(&self.inhabitants[number].birth.0);
            if self.inhabitants[number].female && young && random.chance(0.07) {
                let name = names::family(random);
                let person = &mut self.inhabitants[number];
                person.maiden = Some(std::mem::replace(&mut person.family, name));
            }
            if random.chance(0.18) {
                let person = &self.inhabitants[number];
                let second = address(&person.given, &person.family, person.birth.0, &mut self.taken, random);
                self.inhabitants[number].emails.push(second);
            }
            if random.chance(0.14) {
                let second = self.mobile(random);
                self.inhabitants[number].mobiles.push(second);
            }
        }
    }
}

fn landline(random: &mut Random) -> String {
    format!("1{:09}", random.below(1_000_000_000))
}

/// Lower case, letters only, without marks: what people make addresses of.
pub(crate) fn plain(name: &str) -> String {
    let fold = |c: char| match c {
        'ü' | 'Ü' => "ue".to_owned(),
        'ö' | 'ø' => "oe".to_owned(),
        'ä' | 'å' | 'Å' | 'á' | 'Á' => "a".to_owned(),
        'é' | 'É' | 'è' | 'ë' => "e".to_owned(),
        'í' | 'ı' => "i".to_owned(),
        'ł' | 'Ł' => "l".to_owned(),
        'ç' => "c".to_owned(),
        c if c.is_ascii_alphabetic() => c.to_ascii_lowercase().to_string(),
        _ => String::new(),
    };
    name.chars().map(fold).collect()
}

/// An address nobody has yet: whoever comes late gets a number behind.
fn address(given: &str, family: &str, year: i32, taken: &mut HashSet<String>, random: &mut Random) -> String {
    let (given, family) = (plain(given), plain(family));
    let initial = given.get(..1).unwrap_or("x");
    let local = match random.below(9) {
        0 | 1 => format!("{given}.{family}"),
        2 => format!("{given}{family}{}", random.below(100)),
        3 => format!("{initial}{family}{}", random.below(1000)),
        4 => format!("{given}.{family}{:02}", year % 100),
        5 => format!("{given}{}", random.below(10_000)),
        6 => format!("{family}{year}"),
        7 => format!("{family}.{given}"),
        _ => format!(
            "{}{}{}",
            random.pick(&["sunny", "blue", "star", "cool", "mad", "big", "the"]),
            given,
            random.below(1000)
        ),
    };
    let domain = random.pick(names::DOMAINS);
    let mut address = format!("{local}@{domain}");
    while !taken.insert(address.clone()) {
        address = format!("{local}{}@{domain}", random.below(10_000));
    }
    address
}
