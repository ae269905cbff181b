//! Personal names: titles off, generation apart, given and family name, particles kept with the family name.

use super::nicknames;
use super::text::fold_into;

/// A name in the form that is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// The first given name, or an initial.
    pub given: String,
    /// All given names in one word: "mary ann" is "maryann".
    pub joined: String,
    /// The initial of the second given name.
    pub middle: Option<char>,
    /// All of the family name in one word.
    pub family: String,
    /// First and last part of a family name of several: a maiden name, a second surname.
    pub parts: [String; 2],
    /// 1 senior, 2 junior or the second, 3 the third …
    pub generation: u8,
    /// The families of nicknames the given name belongs to, 0 for none.
    pub nicknames: [u16; 2],
}

const TITLES: &[&str] = &[
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "dame", "lady", "lord", "rev", "herr", "frau", "fr", "hr",
    "dipl", "ing", "mag", "madame", "mme", "mlle", "monsieur", "m", "senor", "senora", "sr", "sra", "don", "dona",
    "signor", "signora", "sig", "dhr", "mevr", "pan", "pani", "phd", "md", "esq", "master",
];
const PARTICLES: &[&str] = &[
    "van", "von", "der", "den", "de", "del", "della", "di", "da", "do", "dos", "das", "du", "la", "le", "el", "al",
    "bin", "ibn", "ter", "ten", "zu", "zum", "zur", "af", "av", "mac", "mc", "st", "y", "e", "und", "dem", "op", "t",
    "het",
];
const PLACEHOLDERS: &[&str] = &[
    "unknown",
    "none",
    "null",
    "na",
    "nan",
    "test",
    "n a",
    "anonymous",
    "xxx",
    "xx",
    "nobody",
    "guest",
    "customer",
    "kunde",
    "user",
    "asdf",
    "no name",
    "first name",
    "last name",
    "undefined",
    "missing",
    "tba",
    "tbc",
];

impl Name {
    /// From given and family name, or from the whole name where both are empty.
    pub fn new(given: &str, family: &str, whole: &str) -> Self {
        let mut name = Self::default();
        let (mut folded_given, mut folded_family) = (String::new(), String::new());
        if given.trim().is_empty() && family.trim().is_empty() && !whole.trim().is_empty() {
            divide(whole, &mut folded_given, &mut folded_family);
        } else {
            fold_into(given, &mut folded_given);
            fold_into(family, &mut folded_family);
        }
        name.set_family(&folded_family);
        name.set_given(&folded_given);
        name
    }

    pub(super) fn set_given(&mut self, folded: &str) {
        if is_placeholder(folded) {
            return;
        }
        let last = folded.split(' ').count() - 1;
        let words = folded.split(' ').enumerate().filter(|(at, word)| {
            let generation = if *at > 0 { generation(word) } else { 0 };
            self.generation = self.generation.max(generation);
            generation == 0 && !(*at < last && TITLES.contains(word) && (word.len() > 1))
        });
        let words: Vec<&str> = words.map(|(_, word)| word).collect();
        let Some((first, rest)) = words.split_first() else { return };
        self.given = (*first).to_owned();
        self.middle = rest.first().and_then(|word| word.chars().next());
        self.joined = words.concat();
        self.nicknames = nicknames::groups(first);
    }

    pub(super) fn set_family(&mut self, folded: &str) {
        if is_placeholder(folded) {
            return;
        }
        let mut words: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
        while let [.., last] = words.as_slice()
            && words.len() > 1
            && (generation(last) > 0 || matches!(*last, "phd" | "md" | "esq"))
        {
            self.generation = self.generation.max(generation(last));
            words.pop();
        }
        while let [first, _, ..] = words.as_slice()
            && first.len() > 1
            && TITLES.contains(first)
            && !PARTICLES.contains(first)
        {
            words.remove(0);
        }
        self.family = words.concat();
        let mut parts = words.iter().filter(|word| !PARTICLES.contains(word));
        if let (Some(first), Some(last)) = (parts.next(), parts.next_back()) {
            self.parts = [(*first).to_owned(), (*last).to_owned()];
        } else if let Some(only) = words.iter().find(|word| !PARTICLES.contains(word))
            && words.len() > 1
        {
            self.parts = [(*only).to_owned(), String::new()];
        }
    }
}

fn is_placeholder(folded: &str) -> bool {
    folded.is_empty() || PLACEHOLDERS.contains(&folded) || folded.chars().all(|c| c.is_ascii_digit())
}

fn generation(word: &str) -> u8 {
    match word {
        "sr" | "sen" | "senior" => 1,
        "jr" | "jnr" | "jun" | "junior" | "ii" => 2,
        "iii" => 3,
        "iv" => 4,
        _ => 0,
    }
}

/// A whole name: "Family, Given", or the family name last with its particles.
fn divide(whole: &str, given: &mut String, family: &mut String) {
    if let Some((left, right)) = whole.split_once(',')
        && generation(&super::fold(right)) == 0
    {
        fold_into(left, family);
        fold_into(right, given);
        return;
    }
    let mut folded = String::new();
    fold_into(whole, &mut folded);
    let words: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
    let trailing = words.iter().rev().take_while(|word| generation(word) > 0).count();
    let end = words.len() - trailing;
    let mut begin = end.saturating_sub(1);
    while begin > 1 && words.get(begin - 1).is_some_and(|word| PARTICLES.contains(word)) {
        begin -= 1;
    }
    *given = words.get(..begin).unwrap_or_default().join(" ");
    *family = words.get(begin..).unwrap_or_default().join(" ");
}

/// A key that survives most misspellings: consonants by how they sound, doubled ones once, vowels away but the first.
pub fn skeleton(folded: &str) -> u64 {
    let mut key = 0_u64;
    let mut last = '\0';
    let mut taken = 0;
    let mut letters = folded.chars().peekable();
    while let Some(c) = letters.next() {
        let next = letters.peek().copied().unwrap_or('\0');
        let sound = match c {
            'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'j' if taken == 0 => {
                if c == 'j' || c == 'y' {
                    'j'
                } else {
                    'a'
                }
            }
            'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'h' | 'w' if taken > 0 => {
                last = '\0';
                continue;
            }
            'p' if next == 'h' => 'f',
            'c' | 'k' | 'q' | 'g' | 'x' => 'k',
            's' | 'z' | 'ß' => 's',
            'd' | 't' => 't',
            'b' | 'p' => 'b',
            'v' | 'f' => 'f',
            'm' | 'n' => 'n',
            _ => c,
        };
        if sound == last {
            continue;
        }
        last = sound;
        key = key << 16 | (sound as u64 & 0xffff);
        taken += 1;
        if taken == 4 {
            break;
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_whole_or_in_parts() {
        for (given, family, whole, expected) in [
            ("Mary Ann", "O'Brien", "", ("mary", "maryann", "obrien", 0)),
            ("Dr. José", "García López", "", ("jose", "jose", "garcialopez", 0)),
            ("", "", "Ludwig van der Rohe", ("ludwig", "ludwig", "vanderrohe", 0)),
            ("", "", "Smith, John", ("john", "john", "smith", 0)),
            ("", "", "John Smith Jr.", ("john", "john", "smith", 2)),
            ("John", "Smith Sr", "", ("john", "john", "smith", 1)),
            ("Юрий", "Гагарин", "", ("yurii", "yurii", "gagarin", 0)),
            ("unknown", "n/a", "", ("", "", "", 0)),
            ("STRAẞE", "Łukasz", "", ("strasse", "strasse", "lukasz", 0)),
            ("Mr John", "Brown", "", ("john", "john", "brown", 0)),
        ] {
            let name = Name::new(given, family, whole);
            let read = (name.given.as_str(), name.joined.as_str(), name.family.as_str(), name.generation);
            assert_eq!(read, expected, "{given} {family} {whole}");
        }
    }

    #[test]
    fn double_names_have_parts() {
        assert_eq!(Name::new("A", "Miller-Jones", "").parts, ["miller", "jones"]);
        assert_eq!(Name::new("A", "van Dijk", "").parts, ["dijk", ""]);
    }

    #[test]
    fn spellings_of_one_sound_share_a_skeleton() {
        for (a, b) in [("smith", "smyth"), ("meyer", "maier"), ("schmidt", "schmitt"), ("kathryn", "catherine")] {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        assert_ne!(skeleton("smith"), skeleton("jones"));
    }
}
