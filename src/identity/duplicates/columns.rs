//! What the columns of a file hold, told by what they are called: in several languages, with words around the name that
//! say nothing (`customer_first_name`, `postcode_clean`), and by the company they are in: a `name` beside a
//! `first_name` is the family's.
//!
//! Whoever has the file may always say otherwise; what was said is never changed here.

use super::normalize::fold;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The record's own name in the file; without one it is called by its number, from 1.
    Id,
    /// Which person it is, where that is known: never compared, only used to count what is right.
    Truth,
    Given,
    Family,
    Name,
    Birth,
    BirthYear,
    BirthMonth,
    BirthDay,
    Gender,
    Email,
    Phone,
    Street,
    HouseNumber,
    Locality,
    Postcode,
    Region,
    Country,
    /// Anything else that one person shares with themselves more often than with strangers.
    Other,
    /// Left out.
    Ignore,
}

/// Each attribute, what it is called on the command line, and what files call it: folded, without blanks.
const NAMES: [(Attribute, &str, &str); 20] = [
    (
        Attribute::Id,
        "id",
        "id uniqueid recid recordid rowid recno recordno customerid customerno customernumber userid key index uuid guid \
         kundennummer kundennr numerocliente codigocliente idcliente numeroclient codeclient",
    ),
    (
        Attribute::Truth,
        "truth",
        "truth cluster clusterid truecluster entity entityid personid label labeltrue truelabel trueid goldid group \
         groundtruth matchid duplicateof",
    ),
    (
        Attribute::Given,
        "given",
        "given givenname givennames firstname firstnames first forename forenames fname vorname vornamen prenom prenoms \
         nombredepila primernombre segundonombre nomepropio voornaam voornamen fornamn fornavn imie jmeno middle \
         middlename middlenames middleinitial secondname mname mi имя",
    ),
    (
        Attribute::Family,
        "family",
        "family familyname surname lastname last lname sname nachname familienname nomdefamille apellido apellidos \
         primerapellido segundoapellido apellidopaterno apellidomaterno cognome sobrenome apelido achternaam efternamn \
         efternavn nazwisko prijmeni фамилия",
    ),
    (
        Attribute::Name,
        "name",
        "name names fullname completename wholename displayname customername clientname personname contactname \
         vollstaendigername vollername nom nomcomplet nombre nombrecompleto nombreyapellidos nome nomecompleto \
         nominativo naam namn navn фио",
    ),
    (
        Attribute::Birth,
        "birth",
        "birth birthdate dateofbirth datebirth dob bdate birthday geburtsdatum geburtstag geborenam gebdatum \
         datedenaissance datenaissance naissance fechadenacimiento fechanacimiento nacimiento datadinascita datanascita \
         datadenascimento datanascimento geboortedatum fodelsedatum dataurodzenia датарождения",
    ),
    (Attribute::BirthYear, "birth_year", "birthyear yearofbirth yob byear geburtsjahr anneedenaissance anonacimiento"),
    (Attribute::BirthMonth, "birth_month", "birthmonth monthofbirth mob bmonth geburtsmonat"),
    (Attribute::BirthDay, "birth_day", "dayofbirth bday"),
    (Attribute::Gender, "gender", "gender sex geschlecht sexe sexo sesso genero genre geslacht anrede"),
    (
        Attribute::Email,
        "email",
        "email emailaddress emailid mail mailaddress correo correoelectronico courriel adressemail mailadresse emailadresse \
         posta postaelettronica",
    ),
    (
        Attribute::Phone,
        "phone",
        "phone phonenumber mobile mobilephone mobilenumber cell cellphone telephone telephonenumber tel fon landline \
         telefon telefonnummer telefono telefone handy handynummer mobil portable movil celular cellulare telefoon \
         телефон",
    ),
    (
        Attribute::Street,
        "street",
        "street streetname streetaddress streetline address addr addressline addressline1 address1 postaladdress strasse \
         anschrift adresse rue direccion calle domicilio indirizzo via endereco morada rua straat adres gata адрес",
    ),
    (
        Attribute::HouseNumber,
        "house_number",
        "housenumber houseno housenr housenum streetnumber streetno streetnr streetnum hausnummer hausnr huisnummer \
         numerocivico civico",
    ),
    (
        Attribute::Locality,
        "locality",
        "locality city cityname town suburb place municipality posttown ort wohnort stadt ville localite commune ciudad \
         poblacion localidad municipio citta comune cidade localidade plaats woonplaats stad miasto mesto город",
    ),
    (
        Attribute::Postcode,
        "postcode",
        "postcode postalcode postal zip zipcode pincode plz postleitzahl codepostal codigopostal cp cap cep postnummer \
         kodpocztowy psc индекс",
    ),
    (
        Attribute::Region,
        "region",
        "region state stateprovince province county bundesland departement provincia estado regione provincie",
    ),
    (Attribute::Country, "country", "country countrycode countryname land pays pais paese"),
    (
        Attribute::Other,
        "other",
        "other address2 addressline2 birthplace placeofbirth birthcity birthcountry geburtsort lieudenaissance \
         lugardenacimiento luogodinascita geboorteplaats occupation profession job jobtitle beruf metier profesion \
         employer nationality citizenship nationalite nacionalidad ssn socialsecuritynumber nationalid nationalidnumber \
         taxid taxnumber passport passportnumber dni nif nie curp cpf codicefiscale pesel nhsnumber maidenname \
         mothersmaidenname birthname geburtsname age alter edad eta",
    ),
    (Attribute::Ignore, "ignore", ""),
];
/// Words around a name that do not change what it means.
const PADDING: &[&str] = &[
    "customer",
    "client",
    "person",
    "personal",
    "contact",
    "cust",
    "member",
    "patient",
    "applicant",
    "home",
    "work",
    "private",
    "primary",
    "main",
    "current",
    "permanent",
    "residential",
    "mailing",
    "billing",
    "shipping",
    "kunde",
    "kunden",
    "cliente",
    "your",
    "the",
    "clean",
    "cleaned",
    "std",
    "standardized",
    "norm",
    "normalized",
    "normalised",
    "raw",
    "orig",
    "original",
    "fake",
    "value",
    "text",
    "string",
    "str",
    "full",
    "nr",
    "no",
    "num",
    "number",
    "secondary",
    "legal",
];
/// Columns of dates in three parts, where all three are there.
const PARTS: [(&str, Attribute); 3] =
    [("by", Attribute::BirthYear), ("bm", Attribute::BirthMonth), ("bd", Attribute::BirthDay)];

impl Attribute {
    /// The attribute of a name on the command line.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, known, _)| *known == name);
        found.map(|(attribute, ..)| *attribute).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name, _)| *name).collect();
            format!("{name:?} is no attribute; there are {}", names.join(", "))
        })
    }

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(attribute, ..)| *attribute == self).map_or("ignore", |(_, name, _)| name)
    }

    /// By the longest run of words that is known, where the words left out mean nothing.
    fn of_words(words: &[String]) -> Self {
        let padding = |word: &String| {
            PADDING.contains(&word.as_str()) || word.trim_start_matches(char::is_alphabetic).len() + 1 >= word.len()
        };
        let is_padding = |words: Option<&[String]>| words.unwrap_or_default().iter().all(padding);
        for length in (1..=words.len()).rev() {
            for begin in 0..=words.len() - length {
                let end = begin + length;
                let known = Self::known(&words.get(begin..end).unwrap_or_default().concat());
                if let Some(known) = known
                    && is_padding(words.get(..begin))
                    && is_padding(words.get(end..))
                {
                    return known;
                }
            }
        }
        Self::Ignore
    }

    fn known(plain: &str) -> Option<Self> {
        let find =
            |plain: &str| NAMES.iter().find(|(_, _, names)| names.split_whitespace().any(|name| fold(name) == plain));
        // The second of several addresses is an address; the second line of one is not the street.
        let found = find(plain).or_else(|| find(plain.trim_end_matches(|c: char| c.is_ascii_digit())));
        found.map(|(known, ..)| *known)
    }
}

/// What each column is, by its name and by the others; further attributes beyond a number are left out.
pub(super) fn of_names(names: &[String], others: usize) -> Vec<Attribute> {
    let words: Vec<Vec<String>> = names.iter().map(|name| words(name)).collect();
    let plain: Vec<String> = words.iter().map(|words| words.concat()).collect();
    let mut columns: Vec<Attribute> = words.iter().map(|words| Attribute::of_words(words)).collect();
    let has = |columns: &[Attribute], wanted| columns.contains(&wanted);
    if PARTS.iter().all(|(part, _)| plain.iter().any(|name| name == part)) {
        for (name, column) in plain.iter().zip(&mut columns) {
            let part = PARTS.iter().find(|(part, _)| name == part);
            *column = part.map_or(*column, |(_, attribute)| *attribute);
        }
    }
    // "birth_day" beside a month and a year is not the whole date.
    if has(&columns, Attribute::BirthYear) && has(&columns, Attribute::BirthMonth) {
        replace(&mut columns, &plain, &["birthday", "geburtstag"], Attribute::BirthDay);
    }
    // One column of "name" completes a given or a family name; a whole name is better than half of one.
    match (has(&columns, Attribute::Given), has(&columns, Attribute::Family), has(&columns, Attribute::Name)) {
        (true, false, true) => complete(&mut columns, &plain, Attribute::Family, Attribute::Given),
        (false, true, true) => complete(&mut columns, &plain, Attribute::Given, Attribute::Family),
        _ => {}
    }
    // An age says again what the date says, and says it worse.
    if has(&columns, Attribute::Birth) || has(&columns, Attribute::BirthYear) {
        replace(&mut columns, &plain, &["age", "alter", "edad", "eta"], Attribute::Ignore);
    }
    let further = columns.iter_mut().filter(|column| **column == Attribute::Other).skip(others);
    further.for_each(|column| *column = Attribute::Ignore);
    columns
}

fn replace(columns: &mut [Attribute], plain: &[String], names: &[&str], by: Attribute) {
    for (column, _) in columns.iter_mut().zip(plain).filter(|(_, name)| names.contains(&name.as_str())) {
        *column = by;
    }
}

/// Takes a column of `name` for the missing half, or leaves out the half where the whole name is there.
fn complete(columns: &mut [Attribute], plain: &[String], missing: Attribute, half: Attribute) {
    let bare = ["name", "names", "nom", "nombre", "nome", "naam", "namn", "navn"];
    let is_bare = |(column, name): (&Attribute, &String)| *column == Attribute::Name && bare.contains(&name.as_str());
    let only_bare =
        columns.iter().zip(plain).all(|(column, name)| *column != Attribute::Name || is_bare((column, name)));
    for column in columns.iter_mut() {
        match (*column, only_bare) {
            (Attribute::Name, true) => *column = missing,
            (column_is, false) if column_is == half => *column = Attribute::Ignore,
            _ => {}
        }
    }
}

/// The words of a column's name: `customerFirstName`, `customer_first_name` and `Customer first name` are one.
fn words(name: &str) -> Vec<String> {
    let mut parted = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for letter in name.chars() {
        if lower && letter.is_uppercase() {
            parted.push(' ');
        }
        lower = letter.is_lowercase();
        parted.push(letter);
    }
    fold(&parted).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<&'static str> {
        let names: Vec<String> = line.split(',').map(str::to_owned).collect();
        of_names(&names, 4).into_iter().map(Attribute::name).collect()
    }

    #[test]
    fn columns_are_known_by_many_names() {
        for (line, expected) in [
            ("unique_id,first_name,surname,dob,city,email,cluster", "id given family birth locality email truth"),
            ("Kundennummer,Vorname,Nachname,Geburtsdatum,PLZ,Straße", "id given family birth postcode street"),
            ("Código cliente,nombre,apellidos,fecha_nacimiento,código_postal", "id given family birth postcode"),
            ("Nom,Prénom,Date de naissance,Ville,Courriel", "family given birth locality email"),
            ("customerFirstName,customer_last_name,Phone No.,postcode_fake", "given family phone postcode"),
            ("fname_c1,fname_c2,lname_c1,by,bm,bd", "given given family birth_year birth_month birth_day"),
            ("full_name,first_and_surname,birth_place,occupation", "name ignore other other"),
            ("email_1,Email2,phone_type,email_verified", "email email ignore ignore"),
        ] {
            assert_eq!(of(line).join(" "), expected, "{line}");
        }
    }

    #[test]
    fn columns_are_known_by_those_beside_them() {
        for (line, expected) in [
            ("name,first_name", "family given"),
            ("name,surname", "given family"),
            ("name,city", "name locality"),
            ("full_name,surname", "name ignore"),
            ("name,first_name,last_name", "name given family"),
            ("birth_year,birth_month,birth_day", "birth_year birth_month birth_day"),
            ("birthday,age", "birth ignore"),
            ("name,age", "name other"),
            ("by,name", "ignore name"),
            ("ssn,passport,occupation,birthplace,nationality", "other other other other ignore"),
        ] {
            assert_eq!(of(line).join(" "), expected, "{line}");
        }
    }
}
