//! Mistakes in ledgers, and what they mean.

use super::{mistakes::mistake, *};
use crate::plan::ReadBack;

#[test]
fn ledgers() {
    const STEP: &str = "http: GET /items";
    const NOTED: &str = "{ set: { id: '{{counter.n}}' }, http: PUT /items, ledger: '{{id}}' }";
    let noted = |ledger: &str| {
        let text = SMALL.replacen(STEP, NOTED, 1) + ledger;
        let error = load_text(&text).unwrap_err().to_string();
        error.lines().next().unwrap_or_default().to_owned()
    };
    for (ledger, expected) in [
        (
            "",
            "s.yaml:4:3: the step \"PUT /items\" notes its writes, and nothing says how they are read back: say `ledger: { read: [{ http: GET /items/{{key}} }] }`",
        ),
        ("ledger: {}", "s.yaml:10:9: `read` is missing (in ledger)"),
        (
            "ledger: { read: [] }",
            "s.yaml:10:17: has no step: say what is asked, such as `http: GET /items/{{key}}` (in ledger.read)",
        ),
        (
            "ledger: { read: [{ pause: 1s }] }",
            "s.yaml:10:17: ends with a pause, which tells nothing (in ledger.read)",
        ),
        (
            "ledger: { read: [{ http: 'GET /{{kay}}' }] }",
            "s.yaml:10:31: the variable \"kay\" is not known here; did you mean `key`? (in ledger.read[0].http.url)",
        ),
        (
            "ledger: { read: [{ http: 'GET /{{key}}' }], keys: $.a }",
            "s.yaml:10:31: the variable \"key\" is not known here; an earlier step has to extract it (variables of `vars` are written ${…}) (in ledger.read[0].http.url)",
        ),
        (
            "ledger: { read: [{ http: GET / }], keys: a }",
            "s.yaml:10:42: \"a\" is not a JSONPath such as $.items[0].id: ",
        ),
        (
            "ledger: { read: [{ http: GET / }], keys: $.a, count: $.b }",
            "s.yaml:10:42: `count` and `keys` at once: say one of them (in ledger.keys)",
        ),
        (
            "ledger: { read: [{ http: GET / }], parallel: 0 }",
            "s.yaml:10:46: takes a number from 1 to 1000, got 0 (in ledger.parallel)",
        ),
        (
            "ledger: { read: [{ http: GET /, ledger: '{{key}}' }] }",
            "s.yaml:10:17: what reads the ledger notes no writes of its own (in ledger.read)",
        ),
        (
            "setup: [{ http: GET /, ledger: x }]",
            "s.yaml:10:32: a ledger is kept of the load alone: only steps of flows have one (in setup[0].ledger)",
        ),
    ] {
        let found = noted(ledger);
        assert!(found.starts_with(expected), "{ledger}\n{found}\n{expected}");
    }
    for (step, expected) in [
        (
            "{ http: PUT /items, ledger: same }",
            "s.yaml:6:37: \"same\" is the same for all writes: a key has a variable in it, such as {{id}}",
        ),
        (
            "{ http: PUT /items, ledger: '{{random.uuid}}' }",
            "s.yaml:6:37: \"{{random.uuid}}\" would be another value than the one that was sent: make it by `set: { id: … }`",
        ),
        (
            "{ http: PUT /items, ledger: { kee: x } }",
            "s.yaml:6:39: unknown key `kee`; did you mean `key`?",
        ),
        ("{ set: { user: x }, http: PUT /items }", "s.yaml:6:18: \"user\" cannot name a variable"),
        (
            "{ set: { id: x }, pause: 1s }",
            "s.yaml:6:9: a pause has no answer: `set` belongs to a request",
        ),
    ] {
        let found = mistake(STEP, step);
        assert!(found.starts_with(expected), "{step}\n{found}\n{expected}");
    }
    let unread = mistake("name: small", "name: small\nthresholds: [lost_writes == 0]");
    let expected = "s.yaml:2:14: `lost_writes` is read from the ledger: say `ledger` at the top";
    assert!(unread.starts_with(expected), "{unread}");
    let unused = mistake("name: small", "name: small\nledger: { read: [{ http: GET / }] }");
    assert!(unused.starts_with("s.yaml:2:9: no step notes its writes: say "), "{unused}");
}

#[test]
fn what_is_asked_for_each_key_or_once() {
    let ledger = |way: &str| {
        let step = "{ set: { id: '{{counter.n}}' }, http: PUT /items, ledger: '{{id}}' }";
        let text = SMALL.replacen("http: GET /items", step, 1) + way;
        loaded(&text).plan.ledger.unwrap()
    };
    let each = ledger("ledger: { read: [{ http: 'GET /{{key}}' }] }");
    assert!(matches!(&each.read, ReadBack::Each { count: None, .. }), "{each:?}");
    assert_eq!((each.parallel, each.within), (16, Duration::from_secs(60)));
    let counted = ledger(
        "ledger: { read: [{ http: 'GET /{{key}}' }], count: { header: x-count }, within: 5s }",
    );
    let ReadBack::Each { flow, count: Some(count) } = &counted.read else { panic!("{counted:?}") };
    assert_eq!(flow.steps[0].extracts[0].variable, *count);
    let list = ledger("ledger: { read: [{ http: GET / }], keys: '$[*].id' }");
    let ReadBack::List { flow, keys } = &list.read else { panic!("{list:?}") };
    assert_eq!(flow.steps[0].extracts[0].variable, *keys);
}
