//! The body of `POST /v1/faults`: whatever is taken is well formed, and comes
//! back the same from the wire.

#![no_main]

use faultd_api::RawRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(raw) = serde_json::from_slice::<RawRequest>(body) else { return };
    let Ok(request) = raw.check() else { return };
    request.validate().expect("what was checked is valid");
    let _ = request.target.to_string();
    let wire = serde_json::to_vec(&request.to_raw()).expect("a request can be written");
    let again: RawRequest = serde_json::from_slice(&wire).expect("what was written can be read");
    assert_eq!(again.check().expect("and is valid"), request);
});
