//! Names, streets, towns and mail domains. The lists are in order of frequency; beyond them names are put together
//! from syllables, so that rare ones exist as well.

use super::Random;

pub const FEMALE: &[&str] = &[
    "Mary", "Patricia", "Jennifer", "Linda", "Elizabeth", "Barbara", "Susan", "Jessica", "Sarah", "Karen", "Lisa",
    "Nancy", "Anna", "Margaret", "Sandra", "Ashley", "Kimberly", "Emily", "Donna", "Michelle", "Carol", "Amanda",
    "Melissa", "Deborah", "Stephanie", "Rebecca", "Sharon", "Laura", "Cynthia", "Dorothy", "Amy", "Kathleen",
    "Angela", "Shirley", "Emma", "Brenda", "Pamela", "Nicole", "Samantha", "Katherine", "Christine", "Helen",
    "Debra", "Rachel", "Carolyn", "Janet", "Maria", "Catherine", "Heather", "Diane", "Olivia", "Julie", "Joyce",
    "Victoria", "Ruth", "Virginia", "Lauren", "Kelly", "Christina", "Joan", "Evelyn", "Judith", "Andrea", "Hannah",
    "Megan", "Cheryl", "Jacqueline", "Martha", "Madison", "Teresa", "Gloria", "Sara", "Janice", "Ann", "Kathryn",
    "Abigail", "Sophia", "Frances", "Jean", "Alice", "Judy", "Isabella", "Julia", "Grace", "Amber", "Denise",
    "Ursula", "Sabine", "Monika", "Petra", "Renate", "Birgit", "Céline", "Chloé", "Élodie", "Amélie", "Lucía",
    "Carmen", "Dolores", "Pilar", "Marisol", "Giulia", "Chiara", "Zoë", "Astrid", "Ingrid", "Søs", "Agnieszka",
    "Małgorzata", "Fatima", "Aisha", "Priya", "Mei", "Yuki", "Beatrix", "Heike", "Anja", "Katja", "Svetlana",
];

pub const MALE: &[&str] = &[
    "James", "Robert", "John", "Michael", "David", "William", "Richard", "Joseph", "Thomas", "Christopher", "Charles",
    "Daniel", "Matthew", "Anthony", "Mark", "Donald", "Steven", "Andrew", "Paul", "Joshua", "Kenneth", "Kevin",
    "Brian", "Timothy", "Ronald", "George", "Jason", "Edward", "Jeffrey", "Ryan", "Jacob", "Nicholas", "Gary", "Eric",
    "Jonathan", "Stephen", "Larry", "Justin", "Scott", "Brandon", "Benjamin", "Samuel", "Gregory", "Alexander",
    "Patrick", "Frank", "Raymond", "Jack", "Dennis", "Jerry", "Tyler", "Aaron", "Jose", "Adam", "Nathan", "Henry",
    "Zachary", "Douglas", "Peter", "Kyle", "Noah", "Ethan", "Jeremy", "Walter", "Christian", "Keith", "Roger",
    "Terry", "Austin", "Sean", "Gerald", "Carl", "Harold", "Dylan", "Arthur", "Lawrence", "Jordan", "Jesse", "Bryan",
    "Jürgen", "Günther", "Wolfgang", "Klaus", "Uwe", "Björn", "Jörg", "François", "Rémi", "Étienne", "Guillaume",
    "Ángel", "Javier", "Álvaro", "Joaquín", "Matteo", "Luca", "Lars", "Søren", "Åke", "Łukasz", "Paweł", "Mohammed",
    "Ahmed", "Ali", "Raj", "Wei", "Kenji", "Dmitri", "Sergei", "Heinz", "Holger", "Stefan", "Andreas", "Torsten",
];

/// A name and what its bearers are also called.
pub const SHORT: &[(&str, &[&str])] = &[
    ("William", &["Bill", "Will", "Billy"]), ("Robert", &["Bob", "Rob", "Bobby"]), ("Richard", &["Dick", "Rick"]),
    ("Michael", &["Mike", "Mick"]), ("James", &["Jim", "Jimmy", "Jamie"]), ("John", &["Jack", "Johnny"]),
    ("Joseph", &["Joe"]), ("Thomas", &["Tom"]), ("Christopher", &["Chris"]), ("Charles", &["Charlie", "Chuck"]),
    ("Daniel", &["Dan", "Danny"]), ("Matthew", &["Matt"]), ("Anthony", &["Tony"]), ("Andrew", &["Andy", "Drew"]),
    ("Joshua", &["Josh"]), ("Kenneth", &["Ken"]), ("Timothy", &["Tim"]), ("Edward", &["Ed", "Ted", "Eddie"]),
    ("Jeffrey", &["Jeff"]), ("Nicholas", &["Nick"]), ("Jonathan", &["Jon"]), ("Stephen", &["Steve"]),
    ("Steven", &["Steve"]), ("Benjamin", &["Ben"]), ("Samuel", &["Sam"]), ("Gregory", &["Greg"]),
    ("Alexander", &["Alex", "Sasha"]), ("Patrick", &["Pat", "Paddy"]), ("Lawrence", &["Larry"]),
    ("Elizabeth", &["Liz", "Beth", "Betty", "Eliza"]), ("Margaret", &["Maggie", "Peggy", "Meg"]),
    ("Katherine", &["Kate", "Kathy", "Katie"]), ("Catherine", &["Cathy", "Kate"]), ("Jennifer", &["Jen", "Jenny"]),
    ("Patricia", &["Pat", "Patty", "Tricia"]), ("Barbara", &["Barb"]), ("Susan", &["Sue", "Susie"]),
    ("Jessica", &["Jess"]), ("Deborah", &["Deb", "Debbie"]), ("Rebecca", &["Becky"]), ("Amanda", &["Mandy"]),
    ("Kimberly", &["Kim"]), ("Samantha", &["Sam"]), ("Victoria", &["Vicky", "Tori"]), ("Christina", &["Tina"]),
    ("Abigail", &["Abby"]), ("Jacqueline", &["Jackie"]), ("Pamela", &["Pam"]), ("Cynthia", &["Cindy"]),
    ("Wolfgang", &["Wolf"]), ("Francisco", &["Paco"]), ("Dmitri", &["Dima"]), ("Dolores", &["Lola"]),
    ("Svetlana", &["Sveta"]), ("Donald", &["Don"]), ("Ronald", &["Ron"]), ("Raymond", &["Ray"]),
];

const FAMILY: &[&str] = &[
    "Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez", "Martinez",
    "Hernandez", "Lopez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor", "Moore", "Jackson", "Martin", "Lee",
    "Perez", "Thompson", "White", "Harris", "Sanchez", "Clark", "Ramirez", "Lewis", "Robinson", "Walker", "Young",
    "Allen", "King", "Wright", "Scott", "Torres", "Nguyen", "Hill", "Flores", "Green", "Adams", "Nelson", "Baker",
    "Hall", "Rivera", "Campbell", "Mitchell", "Carter", "Roberts", "Müller", "Schmidt", "Schneider", "Fischer",
    "Weber", "Meyer", "Wagner", "Becker", "Schulz", "Hoffmann", "Schäfer", "Koch", "Bauer", "Richter", "Klein",
    "Wolf", "Schröder", "Neumann", "Schwarz", "Zimmermann", "Braun", "Krüger", "Hofmann", "Hartmann", "Lange",
    "Dubois", "Durand", "Leroy", "Moreau", "Lefèvre", "Rossi", "Russo", "Ferrari", "Esposito", "Bianchi", "O'Brien",
    "O'Connor", "McDonald", "MacLeod", "van der Berg", "de Vries", "van Dijk", "de la Cruz", "Fernández", "Nowak",
    "Kowalski", "Hansen", "Johansson", "Andersson", "Nielsen", "Ivanov", "Petrov", "Yılmaz", "Khan", "Patel", "Singh",
    "Kim", "Park", "Chen", "Wang", "Li", "Zhang", "Tanaka", "Suzuki", "Phillips", "Evans", "Turner", "Parker",
    "Collins", "Edwards", "Stewart", "Morris", "Murphy", "Cook", "Rogers", "Morgan", "Cooper", "Peterson", "Reed",
];

const STREETS: &[&str] = &[
    "High", "Station", "Main", "Park", "Church", "London", "Victoria", "Green", "Manor", "Kings", "Queens", "Mill",
    "School", "North", "South", "Oak", "Maple", "Cedar", "Elm", "Washington", "Lake", "Hill", "Walnut", "Spring",
    "Ridge", "Forest", "River", "Sunset", "Lincoln", "Meadow", "Chestnut", "Albert", "George", "Orchard", "Bridge",
];
const STREET_TYPES: &[&str] = &["Street", "Road", "Avenue", "Lane", "Drive", "Close", "Court", "Place"];
const FIRST: &[&str] = &[
    "Al", "Bar", "Bren", "Cal", "Dan", "Dor", "El", "Fen", "Gar", "Hal", "Har", "Jan", "Kar", "Kel", "Lan", "Mar",
    "Mor", "Nor", "Os", "Pem", "Quin", "Ras", "Rol", "Sal", "Stan", "Tar", "Thor", "Ul", "Var", "Wal", "Whit", "Yar",
];
const MIDDLE: &[&str] = &["", "a", "be", "ce", "der", "e", "en", "i", "la", "le", "ning", "o", "ran", "ri", "ster", "u"];
const LAST: &[&str] = &[
    "baum", "by", "chuk", "croft", "dale", "ez", "feld", "ford", "gate", "ham", "ington", "ini", "ker", "ley", "man",
    "mann", "more", "nick", "ov", "quist", "sen", "shaw", "ski", "son", "stein", "ston", "ton", "well", "wick", "worth",
];
pub const DOMAINS: &[&str] = &[
    "gmail.com", "gmail.com", "gmail.com", "gmail.com", "hotmail.com", "yahoo.com", "outlook.com", "icloud.com",
    "gmx.de", "web.de", "aol.com", "btinternet.com", "live.com", "orange.fr", "protonmail.com", "t-online.de",
    "example.org", "mail.com",
];

pub fn family(random: &mut Random) -> String {
    if random.chance(0.55) {
        return FAMILY[random.zipf(FAMILY.len())].to_owned();
    }
    format!("{}{}{}", random.pick(FIRST), random.pick(MIDDLE), random.pick(LAST))
}

pub fn given(female: bool, random: &mut Random) -> String {
    let list = if female { FEMALE } else { MALE };
    if random.chance(0.06) {
        let end = if female { ["ina", "elle", "ya", "issa"] } else { ["an", "us", "el", "ik"] };
        return format!("{}{}", random.pick(FIRST), random.pick(&end));
    }
    list[random.zipf(list.len())].to_owned()
}

pub fn street(random: &mut Random) -> String {
    if random.chance(0.5) {
        return format!("{} {}", random.pick(STREETS), random.pick(STREET_TYPES));
    }
    format!("{}{} {}", random.pick(FIRST), random.pick(LAST), random.pick(STREET_TYPES))
}

pub fn town(number: usize) -> String {
    let (first, last) = (FIRST[number % FIRST.len()], LAST[(number / FIRST.len() * 7 + number) % LAST.len()]);
    match number % 11 {
        0 => format!("New {first}{last}"),
        1 => format!("{first}{last} upon {}", FIRST[(number * 5) % FIRST.len()]),
        _ => format!("{first}{last}"),
    }
}
