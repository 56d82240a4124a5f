//! Acknowledged writes that are lost, doubled, or never acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use faultload::{
    engine::{Run, Silent},
    ledger::Note,
    summary::{Ledger, Summary},
    template::Shared,
};

use crate::{
    judged, result, run, scenario,
    server::{Asked, Reply, Server},
    store::{Fate, Store, service},
};

/// Two hundred writes in a second, read back as `ledger` says.
fn writing(ledger: &str) -> String {
    format!(
        "
flows:
  buy:
    steps:
      - name: order
        set: {{ id: \"w{{{{counter.order}}}}-{{{{random.hex(8)}}}}\" }}
        http: {{ method: PUT, url: \"/orders/{{{{id}}}}\", body: \"v-{{{{id}}}}\" }}
        ledger: {{ key: \"{{{{id}}}}\", value: \"v-{{{{id}}}}\" }}
stages:
  - {{ for: 1s, rate: 200/s }}
{ledger}
"
    )
}

fn ledger_of(summary: &Summary) -> &Ledger {
    summary.ledger.as_ref().unwrap()
}

fn lossy(number: u64) -> Fate {
    match () {
        () if number.is_multiple_of(7) => Fate::Lost,
        () if number % 10 == 1 => Fate::Twice,
        () if number % 25 == 2 => Fate::Refused,
        () => Fate::Kept,
    }
}

const EACH: &str = "
ledger:
  read:
    - http: GET /orders/{{key}}
  count: $.count
";

const LIST: &str = "
ledger:
  read:
    - http: GET /orders
  keys: $.orders[*].id
";

const ITEMS: &str = "
ledger:
  read:
    - http: GET /orders/{{key}}
  items: $.values[*]
  parallel: 3
";

#[test]
fn what_is_lost_and_doubled_is_told_however_it_is_read_back() {
    for ledger in [EACH, LIST, ITEMS] {
        let service = service(lossy, 0);
        let summary = result(service.server.port, &writing(ledger));
        let (lost, twice) = (service.count(Fate::Lost), service.count(Fate::Twice));
        let acknowledged = 200 - service.count(Fate::Refused);
        let found = ledger_of(&summary);
        assert!(lost > 20 && twice > 10, "{lost}, {twice}");
        assert_eq!(
            (found.acknowledged, found.lost, found.duplicated, found.unread, found.unknown),
            (acknowledged, lost, twice, 0, 0),
            "{ledger}: {found:?}"
        );
        assert_eq!(found.found, acknowledged - lost);
        let named: BTreeSet<String> = found.examples.iter().map(|l| l.key.clone()).collect();
        assert_eq!(named, service.keys(Fate::Lost), "{ledger}");
        let named: BTreeSet<String> = found.duplicates.iter().map(|d| d.key.clone()).collect();
        assert_eq!(named, service.keys(Fate::Twice), "{ledger}");
        assert!(found.duplicates.iter().all(|d| d.times == 2));
        assert!(found.examples.iter().all(|l| l.acknowledged_ms < 60_000 && l.phase == "run"));
        assert!(found.examples.is_sorted_by_key(|l| l.acknowledged_ms));
        assert_eq!(summary.verdict.exit_code, 99);
        let reason = format!("{lost} of {acknowledged} acknowledged writes are lost");
        assert!(summary.verdict.reasons.contains(&reason), "{:?}", summary.verdict.reasons);
    }
}

#[test]
fn a_write_whose_answer_was_lost_is_no_loss_of_data() {
    fn resetting(number: u64) -> Fate {
        match number % 6 {
            0 => Fate::Unacknowledged,
            3 if number % 4 == 1 => Fate::Dropped,
            _ => Fate::Kept,
        }
    }
    for ledger in [EACH, LIST] {
        let service = service(resetting, 0);
        let text = writing(ledger) + "thresholds: [lost_writes == 0, duplicated_writes == 0]\n";
        let summary = result(service.server.port, &text);
        let (there, gone) = (service.count(Fate::Unacknowledged), service.count(Fate::Dropped));
        let found = ledger_of(&summary);
        assert!(there > 20 && gone > 5, "{there}, {gone}");
        assert_eq!(
            (found.unknown, found.unknown_found, found.unknown_missing),
            (there + gone, there, gone),
            "{found:?}"
        );
        assert_eq!(
            (found.acknowledged, found.found, found.lost, found.duplicated, found.unread),
            (200 - there - gone, 200 - there - gone, 0, 0, 0)
        );
        assert_eq!(summary.verdict.exit_code, 0, "{:?}", summary.verdict);
    }
}

#[test]
fn a_write_that_is_tried_again_under_the_same_key_is_there_twice() {
    let service = service(|n| if n % 6 == 0 { Fate::Unacknowledged } else { Fate::Kept }, 0);
    let text = writing(EACH).replace("        ledger:", "        retry: 9\n        ledger:");
    let summary = result(service.server.port, &text);
    let store = service.store.lock().unwrap();
    let again = store.values().filter(|values| values.len() > 1).count() as u64;
    let found = ledger_of(&summary);
    assert_eq!((found.acknowledged, found.lost, found.unknown), (200, 0, 0), "{found:?}");
    assert!(again > 20, "{again}");
    assert_eq!((found.duplicated, store.len()), (again, 200));
}

#[test]
fn a_value_that_is_another_is_lost_and_says_so() {
    let service = service(|n| if n % 50 == 0 { Fate::Changed } else { Fate::Kept }, 0);
    let ledger = "
ledger:
  read:
    - http: GET /orders/{{key}}
      checks: [{ json: '$.values[0]', equals: '{{value}}' }]
";
    let summary = result(service.server.port, &writing(ledger));
    let found = ledger_of(&summary);
    assert_eq!((found.found, found.lost, found.unread), (196, 4, 0), "{found:?}");
    let what = found.examples[0].found.as_ref().unwrap();
    assert!(what.contains("other"), "{what}");
}

#[test]
fn a_service_that_comes_back_is_asked_again() {
    for deaf in [40, 41] {
        let service = service(|_| Fate::Kept, deaf);
        let summary = result(service.server.port, &writing(EACH));
        let found = ledger_of(&summary);
        assert_eq!((found.found, found.lost, found.unread), (200, 0, 0), "{found:?}");
        assert_eq!(summary.verdict.exit_code, 0, "{:?}", summary.verdict);
    }
}

#[test]
fn what_could_not_be_read_back_is_broken_and_not_passed() {
    let deaf = EACH.replace("  count", "  within: 1s\n  count");
    let listed = LIST.replace("  keys", "  within: 1s\n  keys");
    let unsaid = EACH.replace("$.count", "$.nope");
    for (ledger, misses, why) in
        [(deaf, u64::MAX - 1, "status 503"), (listed, u64::MAX, "reset"), (unsaid, 0, "$.nope")]
    {
        let service = service(|n| if n % 9 == 0 { Fate::Dropped } else { Fate::Kept }, misses);
        let text = writing(&ledger) + "thresholds: [lost_writes < 1000]\n";
        let summary = result(service.server.port, &text);
        let found = ledger_of(&summary);
        assert_eq!((found.unread, found.found, found.unknown), (178, 0, 22), "{found:?}");
        let reason = found.unread_reason.as_ref().unwrap();
        assert!(reason.contains(why), "{reason}");
        assert_eq!(summary.verdict.exit_code, 99);
        let said = format!("178 of 178 acknowledged writes could not be read back: {reason}");
        assert!(summary.verdict.reasons.contains(&said), "{:?}", summary.verdict);
    }
}

#[test]
fn a_key_that_only_the_answer_tells_is_noted_too() {
    let store = Arc::new(Mutex::new(BTreeMap::<u64, u64>::new()));
    let (kept, asked) = (Arc::clone(&store), AtomicU64::new(0));
    let server = Server::start(move |request: &Asked| match request.method.as_str() {
        "POST" => {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            if number % 5 == 4 {
                return Reply::Reset;
            }
            if number % 8 != 0 {
                kept.lock().unwrap().insert(number, 1);
            }
            Reply::Answer(201, format!("{{\"id\": {number}}}"))
        }
        _ => {
            let key: u64 = request.path.trim_start_matches("/orders/").parse().unwrap();
            match kept.lock().unwrap().contains_key(&key) {
                true => Reply::Answer(200, "{}".into()),
                false => Reply::Answer(404, String::new()),
            }
        }
    });
    let summary = result(
        server.port,
        "
flows:
  buy:
    steps:
      - http: { url: /orders, body: x }
        extract: { id: $.id }
        repeat: 10
        ledger: '{{id}}'
        may_fail: true
ledger:
  read: [{ http: 'GET /orders/{{key}}' }]
stages: [{ for: 1s, rate: 10/s }]
",
    );
    // Of 100 every fifth is not answered, and of the others those are lost that eight divides.
    let found = ledger_of(&summary);
    assert_eq!((found.acknowledged, found.unknown), (80, 20), "{found:?}");
    let lost = (0..100).filter(|n| n % 5 != 4 && n % 8 == 0).count() as u64;
    assert_eq!((found.lost, found.found), (lost, 80 - lost), "{found:?}");
    assert_eq!((found.unknown_found, found.unknown_missing), (0, 0), "nobody knows their keys");
}

#[test]
fn writes_that_the_end_interrupts_are_unknown() {
    let service = {
        let store = Store::default();
        let kept = Arc::clone(&store);
        let server = Server::start(move |asked: &Asked| match asked.method.as_str() {
            "PUT" => {
                kept.lock().unwrap().insert(asked.path.clone(), vec![asked.body.clone()]);
                Reply::Hang
            }
            _ => Reply::Answer(200, String::new()),
        });
        (server, store)
    };
    let ledger = "
ledger:
  read: [{ http: 'GET /orders/{{key}}' }]
limits: { grace: 200ms }
";
    let text = writing(ledger).replace("rate: 200/s", "users: 4");
    let scenario = scenario(service.0.port, &text);
    let summary = judged(&scenario, &run(&scenario));
    let found = ledger_of(&summary);
    assert_eq!((summary.total.unfinished, summary.total.failed), (4, 0), "{:?}", summary.total);
    assert_eq!((found.acknowledged, found.unknown, found.unknown_found), (0, 4, 4), "{found:?}");
    assert_eq!(service.1.lock().unwrap().len(), 4);
}

#[test]
fn notes_are_kept_where_they_are_asked_for() {
    let service = service(|_| Fate::Kept, 0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.jsonl");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let scenario = scenario(service.server.port, &writing(EACH));
    let mut run = Run::new(scenario.plan.clone(), Shared::default()).unwrap();
    run.note_in(file);
    let found = run.execute(&mut Silent).unwrap().ledger.unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let note = |line| serde_json::from_str::<Note>(line).unwrap();
    let keys: BTreeSet<String> = text.lines().map(|line| note(line).key.unwrap()).collect();
    assert_eq!((found.found, text.lines().count()), (200, 200));
    assert_eq!(keys, service.store.lock().unwrap().keys().cloned().collect());
}

#[test]
fn notes_that_could_not_be_written_down_are_unread_writes() {
    let service = service(|_| Fate::Kept, 0);
    let scenario = scenario(service.server.port, &writing(EACH));
    let mut run = Run::new(scenario.plan.clone(), Shared::default()).unwrap();
    run.note_in(File::options().read(true).write(true).open("/dev/full").unwrap());
    let summary = judged(&scenario, &run.execute(&mut Silent).unwrap());
    let found = ledger_of(&summary);
    assert_eq!((found.acknowledged, found.unread, found.found), (200, 200, 0), "{found:?}");
    assert!(found.unread_reason.as_ref().unwrap().contains("No space left"), "{found:?}");
    assert_eq!(summary.verdict.exit_code, 99);
}
