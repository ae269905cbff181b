//! Hashing and verifying with cheap parameters; costs are asserted by counting hashes, never by a clock.

use super::*;

const CHEAP: HashPolicy = HashPolicy { memory_kib: 64, iterations: 1, threads: 2, queue: 16, min_length: 8 };

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn hasher() -> Hasher {
    Hasher::new(CHEAP).unwrap()
}

#[tokio::test]
async fn the_right_password_is_right_and_another_is_wrong() {
    let hasher = hasher();
    let phc = hasher.hash(secret("correct horse")).await.unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
    let right = hasher.verify(secret("correct horse"), Some(phc.clone())).await;
    assert_eq!(right, Ok(Verdict::Right { rehash: false }));
    for wrong in ["correct horsf", "correct horse ", "Correct horse", ""] {
        assert_eq!(hasher.verify(secret(wrong), Some(phc.clone())).await, Ok(Verdict::Wrong), "{wrong:?}");
    }
}

#[tokio::test]
async fn the_same_password_never_hashes_to_the_same_text() {
    let hasher = hasher();
    assert_ne!(hasher.hash(secret("correct horse")).await, hasher.hash(secret("correct horse")).await);
}

#[tokio::test]
async fn an_unknown_customer_costs_one_hash_like_a_known_one() {
    let hasher = hasher();
    let phc = hasher.hash(secret("correct horse")).await.unwrap();
    let cases = [Some(phc), None, Some("not a hash".to_owned()), Some("$2b$10$abcdefghijklmnopqrstuv".to_owned())];
    for phc in cases {
        let before = hasher.hashes();
        assert_eq!(hasher.verify(secret("wrong"), phc).await, Ok(Verdict::Wrong));
        assert_eq!(hasher.hashes() - before, 1);
    }
}

#[tokio::test]
async fn two_keyboards_spellings_of_one_password_are_the_same() {
    let hasher = hasher();
    let phc = hasher.hash(secret("cafe\u{301} im Fluss")).await.unwrap();
    assert_eq!(hasher.verify(secret("café im Fluss"), Some(phc)).await, Ok(Verdict::Right { rehash: false }));
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_verified_and_marked_for_rehash() {
    let others = [
        HashPolicy { memory_kib: 128, ..CHEAP },
        HashPolicy { memory_kib: 32, ..CHEAP },
        HashPolicy { iterations: 2, ..CHEAP },
    ];
    let hasher = hasher();
    for other in others {
        let phc = Hasher::new(other).unwrap().hash(secret("correct horse")).await.unwrap();
        let verdict = hasher.verify(secret("correct horse"), Some(phc.clone())).await;
        assert_eq!(verdict, Ok(Verdict::Right { rehash: true }));
        assert_eq!(hasher.verify(secret("wrong horse"), Some(phc)).await, Ok(Verdict::Wrong));
    }
    // From the argon2 reference implementation: argon2i, 64 MiB.
    let reference = "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
    let verdict = hasher.verify(secret("password"), Some(reference.to_owned())).await;
    assert_eq!(verdict, Ok(Verdict::Right { rehash: true }));
}

#[test]
fn a_stored_hash_that_asks_for_too_much_is_not_computed() {
    let tail = "p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
    for (parameters, usable) in
        [("m=65536,t=2,", true), ("m=262145,t=1,", false), ("m=64,t=17,", false), ("m=4294967295,t=4294967295,", false)]
    {
        let phc = format!("$argon2id$v=19${parameters}{tail}");
        assert_eq!(Stored::parse(&phc).is_some(), usable, "{parameters}");
    }
}

#[tokio::test]
async fn an_overlong_password_is_wrong_without_a_hash_for_everybody() {
    let hasher = hasher();
    let phc = hasher.hash(secret("correct horse")).await.unwrap();
    let before = hasher.hashes();
    for phc in [Some(phc), None] {
        let verdict = hasher.verify(secret(&"a".repeat(MAX_PASSWORD_BYTES + 1)), phc).await;
        assert_eq!(verdict, Ok(Verdict::Wrong));
    }
    assert_eq!(hasher.hashes(), before);
}

#[tokio::test]
async fn a_full_queue_answers_overloaded() {
    // No thread takes anything out of this queue, so what fits is exact.
    let (jobs, waiting) = sync_channel(3);
    let hasher = Hasher { jobs, hashes: Arc::default(), min_length: 8 };
    let mut accepted = Vec::new();
    for _ in 0..3 {
        let hasher = hasher.clone();
        accepted.push(tokio::spawn(async move { hasher.verify(secret("correct horse"), None).await }));
    }
    // One turn of this one-threaded runtime lets each of them into the queue.
    tokio::task::yield_now().await;
    assert_eq!(hasher.verify(secret("correct horse"), None).await, Err(Overloaded));
    assert_eq!(hasher.hash(secret("correct horse")).await, Err(Overloaded));
    // When the threads are gone nobody waits for ever.
    drop(waiting);
    for answer in accepted {
        assert_eq!(answer.await.unwrap(), Err(Overloaded));
    }
    assert_eq!(hasher.hashes(), 0);
}

fn abandoned() -> Job {
    let (answer, _) = oneshot::channel();
    Job::Verify { password: normalize("correct horse"), phc: None, answer }
}

#[tokio::test]
async fn nobody_hashes_for_a_caller_who_has_left() {
    let hasher = Hasher::new(HashPolicy { threads: 1, ..CHEAP }).unwrap();
    for _ in 0..8 {
        hasher.submit(abandoned()).unwrap();
    }
    assert_eq!(hasher.verify(secret("correct horse"), None).await, Ok(Verdict::Wrong));
    assert_eq!(hasher.hashes(), 1);
}

#[tokio::test]
async fn memory_that_an_imported_hash_needed_is_given_back() {
    let params = Params::new(64, 1, 1, None).unwrap();
    let mut bench = Bench { params, memory: Vec::new(), hashes: Arc::default() };
    let phc =
        Hasher::new(HashPolicy { memory_kib: 4096, ..CHEAP }).unwrap().hash(secret("correct horse")).await.unwrap();
    assert_eq!(bench.verify("correct horse", Some(&phc)), Ok(Verdict::Right { rehash: true }));
    assert!(bench.memory.capacity() <= 64, "{} blocks are kept", bench.memory.capacity());
}

#[test]
fn a_policy_that_cannot_work_is_refused() {
    for policy in [
        HashPolicy { threads: 0, ..CHEAP },
        HashPolicy { memory_kib: 4, ..CHEAP },
        HashPolicy { iterations: 0, ..CHEAP },
    ] {
        assert!(matches!(Hasher::new(policy.clone()), Err(HasherError::Policy(_))), "{policy:?}");
    }
}

#[test]
fn a_new_password_needs_length_and_must_not_be_common() {
    let short = Err(WeakPassword::TooShort { min: 8 });
    let long = Err(WeakPassword::TooLong { max: MAX_PASSWORD_BYTES });
    let common = Err(WeakPassword::Common);
    let longest: String = "abcdefgh mnop".chars().cycle().take(MAX_PASSWORD_BYTES).collect();
    let too_long = format!("{longest}!");
    for (password, expected) in [
        ("", short),
        ("seven77", short),
        ("äöüßäöü", short),
        ("äöüßéàçñ", Ok(())),
        ("ｐａｓｓｗｏｒｄ", common),
        ("password", common),
        ("PassWord2026!", common),
        ("12345678", common),
        ("hgfedcba", common),
        ("qwertyuiop", common),
        ("aaaaaaaaaaaa", common),
        ("abababababab", common),
        ("correct horse battery staple", common),
        ("wet leaves in july", Ok(())),
        ("nightly bus 42", Ok(())),
        (&longest, Ok(())),
        (&too_long, long),
    ] {
        assert_eq!(check_new(password, 8), expected, "{password:?}");
    }
    assert_eq!(check_new("nightly bus 42", 15), Err(WeakPassword::TooShort { min: 15 }));
}

#[test]
fn the_list_of_common_passwords_is_in_the_form_it_is_compared_in() {
    for line in COMMON_PASSWORDS.lines() {
        assert_eq!(line, normalize(line).to_lowercase(), "{line:?}");
        assert!(!line.is_empty());
    }
}
