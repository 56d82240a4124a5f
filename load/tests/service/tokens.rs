//! The token flow: log in, five authenticated requests, refresh; every token is the one that was
//! issued to this user.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    result,
    server::{Asked, Reply, Server},
};

/// What the service knows: the user of each token, and what it saw.
#[derive(Default)]
struct Sessions {
    tokens: HashMap<String, String>,
    logins: u64,
    requests: u64,
    refreshes: u64,
    /// Requests with a token that is not valid any more, or of somebody else.
    wrong: u64,
}

/// A service with users; if `mixes_up`, every tenth refresh issues a token to somebody else.
fn service(mixes_up: bool) -> (Server, Arc<Mutex<Sessions>>) {
    let sessions = Arc::<Mutex<Sessions>>::default();
    let known = Arc::clone(&sessions);
    let serial = AtomicU64::new(0);
    let server = Server::start(move |asked: &Asked| {
        let mut known = known.lock().unwrap();
        let token = asked.head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        let token = token.unwrap_or_default().to_owned();
        let issue = |known: &mut Sessions, user: &str| {
            let token = format!("{user}.{}", serial.fetch_add(1, Ordering::Relaxed));
            known.tokens.insert(token.clone(), user.to_owned());
            let body = serde_json::json!({ "token": token, "user": user });
            Reply::Answer(200, body.to_string())
        };
        if asked.path == "/login" {
            known.logins += 1;
            let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
            return issue(&mut known, body["user"].as_str().unwrap());
        }
        let Some(user) = known.tokens.get(&token).cloned() else {
            known.wrong += 1;
            return Reply::Answer(401, String::new());
        };
        if asked.path == "/refresh" {
            known.refreshes += 1;
            known.tokens.remove(&token);
            let mixed = mixes_up && known.refreshes % 10 == 0;
            return issue(&mut known, if mixed { "somebody-else" } else { &user });
        }
        known.requests += 1;
        // The path names the user who believes to ask.
        if asked.path != format!("/users/{user}/items") {
            known.wrong += 1;
            return Reply::Answer(403, String::new());
        }
        Reply::Answer(200, serde_json::json!({ "user": user }).to_string())
    });
    (server, sessions)
}

const SCENARIO: &str = "
flows:
  session:
    steps:
      - name: login
        http: { url: /login, json: { user: 'u{{user}}' } }
        extract: { token: $.token }
        checks: [{ json: $.user, equals: 'u{{user}}' }]
      - name: items
        http: { url: '/users/u{{user}}/items', headers: { authorization: 'Bearer {{token}}' } }
        checks: [{ json: $.user, equals: 'u{{user}}' }]
        repeat: 5
      - name: refresh
        http:
          method: POST
          url: /refresh
          headers: { authorization: 'Bearer {{token}}' }
        extract: { token: $.token }
        checks: [{ json: $.user, equals: 'u{{user}}' }]
      - name: items again
        http: { url: '/users/u{{user}}/items', headers: { authorization: 'Bearer {{token}}' } }
        checks: [{ json: $.user, equals: 'u{{user}}' }]
stages: [{ for: 1s, users: 20 }]
";

#[test]
fn each_user_has_the_token_that_was_issued_to_it() {
    let (server, sessions) = service(false);
    let summary = result(server.port, SCENARIO);
    let total = &summary.total;
    assert_eq!((total.failed, total.unfinished), (0, 0), "{:?}", total.errors);
    let known = sessions.lock().unwrap();
    assert_eq!(known.wrong, 0);
    let step = |name: &str| {
        let step = summary.flows[0].steps.iter().find(|step| step.name == name).unwrap();
        step.stats.ok
    };
    assert_eq!((step("login"), step("refresh")), (known.logins, known.refreshes));
    assert_eq!(step("items") + step("items again"), known.requests);
    // The end comes between two steps of some.
    let flows = summary.flows[0].completed;
    assert!(flows >= 20 && known.logins - flows <= 20, "{flows} of {}", known.logins);
    assert!(step("items") >= flows * 5 && step("items") <= known.logins * 5);
    assert_eq!(summary.verdict.exit_code, 0, "{:?}", summary.verdict);
}

#[test]
fn a_token_of_somebody_else_is_found() {
    let (server, sessions) = service(true);
    let summary = result(server.port, SCENARIO);
    let mixed = sessions.lock().unwrap().refreshes / 10;
    assert!(mixed > 0);
    let failed: u64 = summary.checks.iter().map(|check| check.failed).sum();
    assert_eq!((failed, summary.total.failed), (mixed, mixed), "{:?}", summary.total.errors);
    assert_eq!(summary.verdict.exit_code, 99);
}
