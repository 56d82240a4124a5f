//! `revert` and `confirm`.

use serde_json::json;

use crate::fake::{Fake, active, ended, masked, problem, with};

#[test]
fn reverts_as_many_as_it_can_and_reports_the_rest() {
    let gone = problem("no-such-fault", 404, "there is no fault f-nope");
    let stuck = with(ended("reverted"), json!({"id": "f-stuck", "error": "lo: busy"}));
    let over = with(ended("expired"), json!({"id": "f-over"}));
    let fake = Fake::new()
        .on("DELETE /v1/faults/f-nope", 404, &gone)
        .on("DELETE /v1/faults/f-7k2m9q", 200, &ended("reverted"))
        .on("DELETE /v1/faults/f-stuck", 200, &stuck)
        .on("DELETE /v1/faults/f-over", 200, &over);
    let ran = fake.run(&["revert", "f-nope", "f-7k2m9q", "f-stuck", "f-over", "f-7k2m9q"]);
    assert_eq!(ran.code, Some(6), "the code of the first failure");
    let expected = "\
f-7k2m9q reverted: latency --ms 500 --jitter 20 on --port 8080
f-over was over already (expired): latency --ms 500 --jitter 20 on --port 8080
";
    assert_eq!(ran.stdout, expected);
    let expected = "\
error: there is no fault f-nope
error: f-stuck: not taken back completely: lo: busy
";
    assert_eq!(ran.stderr, expected);
    assert_eq!(fake.asked().len(), 4, "an id given twice is reverted once");
}

#[test]
fn json_holds_successes_and_failures() {
    let over = ended("reverted");
    let fake = Fake::new().on("DELETE /v1/faults/f-7k2m9q", 200, &over);
    let (code, document) = fake.json(&["revert", "f-7k2m9q", "f-nope"]);
    assert_eq!(code, Some(6));
    let error = "there is no DELETE /v1/faults/f-nope";
    let failed = json!([{"id": "f-nope", "error": error}]);
    assert_eq!(document, json!({"reverted": [over], "failed": failed}));
}

#[test]
fn all_of_them_in_one_call() {
    let faults = json!({"faults": [ended("reverted")]});
    let fake = Fake::new().on("DELETE /v1/faults", 200, &faults).on(
        "DELETE /v1/faults",
        200,
        &json!({"faults": []}),
    );
    let ran = fake.run(&["revert", "--all"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout, "f-7k2m9q reverted: latency --ms 500 --jitter 20 on --port 8080\n");
    let ran = fake.run(&["revert", "--all"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(ran.stderr, "no fault in force\n");
}

#[test]
fn confirm_says_until_when() {
    let leased = with(active(), json!({"lease": "30s"}));
    let fake = Fake::new().on("POST /v1/faults/f-7k2m9q/confirm", 200, &leased);
    let ran = fake.run(&["confirm", "f-7k2m9q"]);
    let expected = "f-7k2m9q confirmed; confirm again within 30s; \
                    ends TIME (in 1m 00s) at the latest\n";
    assert_eq!((ran.code, masked(&ran.stdout).as_str()), (Some(0), expected));
    assert_eq!(fake.json(&["confirm", "f-7k2m9q"]), (Some(0), leased));
    assert_eq!(fake.run(&["confirm", "f-nope"]).code, Some(6));
}
