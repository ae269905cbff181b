//! Clusters: who is joined, and who is kept apart whatever the pairs say.

use samesake::identity::duplicates::rules::{Limits, Veto};
use samesake::identity::duplicates::score::Scorer;
use samesake::identity::duplicates::{Claim, Clusters, Guard, Objection, Person, Records, ScoredPair, Verdict};

use super::people::{self, Random};
use super::{ALL, TOWN, f1, find, quality};

fn pairs_of(clusters: &[samesake::identity::duplicates::Cluster]) -> Vec<(u32, u32)> {
    let pairs = |members: &Vec<u32>| {
        let pairs = members.iter().enumerate().flat_map(|(place, a)| members[place + 1..].iter().map(|b| (*a, *b)));
        pairs.collect::<Vec<_>>()
    };
    clusters.iter().flat_map(|cluster| pairs(&cluster.members)).collect()
}

#[test]
fn clusters_keep_the_precision_of_their_pairs() {
    let found = find(&people::records(3_000, 43), ALL);
    let clusters = Guard::default().join(&Scorer::new(&found.model), &found.records, &found.pairs, &Limits::default());
    let quality = quality(&found.truth, pairs_of(&clusters.clusters).into_iter());
    assert!(quality.0 >= 0.985 && f1(quality) >= 0.89, "{quality:?}");
}

#[test]
fn clusters_do_not_depend_on_the_order_of_pairs() {
    let found = &TOWN.1;
    let scorer = Scorer::new(&found.model);
    let expected = Guard::default().join(&scorer, &found.records, &found.pairs, &Limits::default()).clusters;
    let mut pairs = found.pairs.clone();
    let mut random = Random::new(3);
    for place in (1..pairs.len()).rev() {
        pairs.swap(place, random.below(place + 1));
    }
    for pair in pairs.iter_mut().step_by(2) {
        (pair.a, pair.b) = (pair.b, pair.a);
    }
    assert_eq!(Guard::default().join(&scorer, &found.records, &pairs, &Limits::default()).clusters, expected);
}

/// Records that agree in all but what makes the veto, joined as surely as can be.
fn join(people: &[Person<'_>], limits: &Limits) -> (usize, Vec<Objection>) {
    let clusters = clusters(Guard::default(), people, limits);
    let largest = clusters.clusters.iter().map(|cluster| cluster.members.len()).max().unwrap_or(1);
    (largest, clusters.kept_apart.into_iter().map(|(_, _, objection)| objection).collect())
}

fn clusters(guard: Guard, people: &[Person<'_>], limits: &Limits) -> Clusters {
    let found = &TOWN.1;
    let scorer = Scorer::new(&found.model);
    let mut records = Records::new();
    for person in people {
        records.push(person).unwrap();
    }
    let count = people.len() as u32;
    let all = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
    let pairs: Vec<ScoredPair> = all.map(|(a, b)| scorer.pair(&records, a, b)).collect();
    guard.join(&scorer, &records, &pairs, limits)
}

const EMAIL: &[Claim<'static>] = &[Claim { value: "quentin.x77@example.org", proved: true }];

fn quentin(key: u128) -> Person<'static> {
    let birth = "1980-02-03";
    Person { key, given: "Quentin", family: "Featherstonehaugh", birth, emails: EMAIL, ..Person::default() }
}

#[test]
fn two_verified_birth_dates_are_never_one_person() {
    let verified = |key, birth| Person { birth, birth_verified: true, ..quentin(key) };
    let people = [verified(1, "1980-02-03"), verified(2, "1980-03-02"), quentin(3)];
    let (largest, objections) = join(&people, &Limits::default());
    assert_eq!(largest, 2);
    assert!(objections.contains(&Objection::Veto(Veto::BirthDates)), "{objections:?}");
    let (largest, _) = join(&[verified(1, "1980-02-03"), verified(2, "1980-02-03"), quentin(3)], &Limits::default());
    assert_eq!(largest, 3);
}

#[test]
fn two_ids_of_a_namespace_with_one_each_are_never_one_person() {
    let ids: [&[(u16, &str)]; 3] = [&[(1, "a")], &[(1, "b")], &[(2, "c")]];
    let people: Vec<_> = (1_u128..).zip(ids).map(|(key, ids)| Person { ids, ..quentin(key) }).collect();
    let mut limits = Limits::default();
    assert_eq!(join(&people, &limits).0, 3, "no limit, no veto");
    limits.limit(1, 1);
    let (largest, objections) = join(&people, &limits);
    assert_eq!(largest, 2);
    assert!(objections.contains(&Objection::Veto(Veto::Identifiers)), "{objections:?}");
    limits.limit(1, 2);
    assert_eq!(join(&people, &limits).0, 3);
}

#[test]
fn not_the_same_person_holds_through_a_chain() {
    let people = [quentin(1), quentin(2), quentin(3)];
    let mut limits = Limits::default();
    limits.not_same(3, 1);
    let (largest, objections) = join(&people, &limits);
    assert_eq!(largest, 2);
    // Neither directly nor by way of the third.
    assert_eq!(objections, [Objection::Veto(Veto::NotSame); 2]);
}

#[test]
fn a_cluster_too_large_to_believe_waits_for_review() {
    let people: Vec<_> = (1..=70).map(quentin).collect();
    let (largest, objections) = join(&people, &Limits::default());
    assert_eq!(largest, Guard::default().most);
    assert!(objections.contains(&Objection::Large), "{objections:?}");
}

#[test]
fn a_large_cluster_has_no_strangers_in_it() {
    let found = &TOWN.1;
    let scorer = Scorer::new(&found.model);
    let strangers = |guard: Guard| {
        let clusters = guard.join(&scorer, &found.records, &found.pairs, &Limits::default()).clusters;
        let pairs = pairs_of(&clusters).into_iter();
        pairs.filter(|(a, b)| scorer.score(&found.records, *a, *b).same < 0.01).count()
    };
    assert!(strangers(Guard::default()) > 0, "a small one may have them");
    assert_eq!(strangers(Guard { largest: 1, ..Guard::default() }), 0);
    // Where all know each other it may grow.
    let guard = Guard { largest: 1, ..Guard::default() };
    let found = clusters(guard, &[quentin(1), quentin(2), quentin(3)], &Limits::default());
    assert_eq!(found.clusters[0].members.len(), 3);
}

#[test]
fn a_large_cluster_and_one_kept_from_growing_are_flagged_and_others_not() {
    for (count, guard, expected) in [
        (3, Guard::default(), [Verdict::Together { needs_review: false }; 2]),
        (7, Guard::default(), [Verdict::Together { needs_review: true }; 2]),
        (
            3,
            Guard { most: 2, ..Guard::default() },
            [Verdict::Together { needs_review: true }, Verdict::Apart(Objection::Large)],
        ),
    ] {
        let people: Vec<_> = (1..=count).map(quentin).collect();
        let verdicts = clusters(guard, &people, &Limits::default()).verdicts();
        assert_eq!([verdicts.of(0, 1), verdicts.of(2, 1)], expected);
        assert_eq!(verdicts.of(1, 0), verdicts.of(0, 1));
        assert_eq!(verdicts.of(0, 99), Verdict::Unjoined);
    }
}
